//! What clients can write that no client library here writes: a produce request, byte for byte.

mod stack;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use ports::Log as _;
use ports::log::{First, Partition};

use stack::{Stack, server};

/// CRC-32C (Castagnoli), as record batches have it.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 },
        )
    })
}

/// A length of at most 63 as a zigzag varint, and the bytes.
fn short(bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).expect("short");
    assert!(length < 64);
    [&[length * 2], bytes].concat()
}

/// A batch (Kafka protocol, record batch v2) of one record without a key.
fn batch(value: &[u8], headers: &[(&[u8], &[u8])]) -> Vec<u8> {
    // No attributes, no deltas, no key (-1).
    let mut record = vec![0, 0, 0, 1];
    record.extend(short(value));
    record.push(u8::try_from(headers.len() * 2).expect("few"));
    for (name, value) in headers {
        record.extend([short(name), short(value)].concat());
    }
    let mut body = Vec::new();
    body.extend(0_i16.to_be_bytes()); // attributes
    body.extend(0_i32.to_be_bytes()); // last offset delta
    body.extend([1_i64.to_be_bytes(), 1_i64.to_be_bytes(), (-1_i64).to_be_bytes()].concat()); // times, producer
    body.extend((-1_i16).to_be_bytes()); // producer epoch
    body.extend((-1_i32).to_be_bytes()); // sequence
    body.extend(1_i32.to_be_bytes()); // records
    body.extend(short(&record));
    let mut behind_length = Vec::new();
    behind_length.extend((-1_i32).to_be_bytes()); // leader epoch
    behind_length.push(2); // magic
    behind_length.extend(crc32c(&body).to_be_bytes());
    behind_length.extend(body);
    let length = i32::try_from(behind_length.len()).expect("short");
    [&0_i64.to_be_bytes()[..], &length.to_be_bytes(), &behind_length].concat()
}

/// Produces a batch to the first partition of a topic (Produce v3) and returns the broker's error code.
fn produce(broker: &str, topic: &str, batch: &[u8]) -> i16 {
    let name = || {
        let length = i16::try_from(topic.len()).expect("short");
        [&length.to_be_bytes()[..], topic.as_bytes()].concat()
    };
    let mut request = Vec::new();
    request.extend([0_i16, 3].map(i16::to_be_bytes).concat()); // Produce, v3
    request.extend(7_i32.to_be_bytes()); // correlation
    request.extend([-1_i16, -1, -1].map(i16::to_be_bytes).concat()); // no client id, no transaction, acks=all
    request.extend([10_000_i32, 1].map(i32::to_be_bytes).concat()); // time-out, topics
    request.extend(name());
    let length = i32::try_from(batch.len()).expect("short");
    request.extend([1_i32, 0, length].map(i32::to_be_bytes).concat()); // partitions, index, bytes
    request.extend(batch);
    let mut stream = TcpStream::connect(broker).expect("a broker");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a time-out");
    stream.write_all(&i32::try_from(request.len()).expect("short").to_be_bytes()).expect("sent");
    stream.write_all(&request).expect("sent");
    let mut length = [0; 4];
    stream.read_exact(&mut length).expect("an answer");
    let mut answer = vec![0; usize::try_from(i32::from_be_bytes(length)).expect("a length")];
    stream.read_exact(&mut answer).expect("an answer");
    // Correlation, topics, name, partitions, index.
    let at = 4 + 4 + name().len() + 4 + 4;
    i16::from_be_bytes([answer[at], answer[at + 1]])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_whose_name_is_no_text_is_survived() {
    let Some(stack) = Stack::open() else { return };
    let topic = stack.name("in");
    stack.topic(&topic, 1, &[]).await;
    let bytes = batch(b"odd", &[(b"\xff\xfe", b"lost"), (b"plain", b"kept")]);
    let (broker, to) = (server("kafka").expect("there is one"), topic.clone());
    let code = tokio::task::spawn_blocking(move || produce(&broker, &to, &bytes)).await.expect("no panic");
    assert_eq!(code, 0, "the broker takes it");

    let headers =
        vec![("\u{fffd}".to_owned(), Bytes::new()), ("plain".to_owned(), Bytes::from_static(b"kept"))];
    let (read, _) = stack.log.read(&Partition::new(topic.as_str(), 0), 0, 10).await.expect("it reads");
    assert_eq!((read.len(), &read[0].value, &read[0].headers), (1, &Bytes::from_static(b"odd"), &headers));
    let mut member = stack.log.join(&stack.name("g"), "one", &[&topic], First::Zero).await.expect("joined");
    let began = tokio::time::Instant::now();
    loop {
        let batch = member.poll(10, Duration::from_millis(100)).await.expect("a poll");
        if let Some(record) = batch.records.first() {
            assert_eq!(record.headers, headers);
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "nothing comes");
    }
    member.leave().await.expect("it leaves");
}
