//! What one hop costs: records in, the same bytes out, in transactions of 1, 100, 500 and 1,000 records.
//!
//! `DVSS_TEST_STACK=target/stack/stack.json cargo run --release -p kafka --example copy [RECORDS]`

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use kafka::{Admin, Creation, KafkaLog, Options};
use ports::Log;
use ports::log::{First, Partition, Record, next};
use tokio::time::Instant;

const PARTITIONS: u32 = 4;
const BYTES: usize = 500;

/// Seconds of processor time that this process has used (Linux: hundredths).
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let behind = stat.rsplit(')').next().unwrap_or_default();
    let ticks = behind.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

fn record(topic: &str, partition: u32, value: Bytes) -> Record {
    Record { topic: topic.into(), partition: Some(partition), key: None, value, headers: vec![] }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "an example reads where the stack is")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::var("DVSS_TEST_STACK")?;
    let stack: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    let brokers = stack["kafka"].as_str().ok_or("the stack has no kafka")?.to_owned();
    let most: usize = std::env::args().nth(1).map_or(Ok(200_000), |text| text.parse())?;
    let log = KafkaLog::open(Options { brokers, ..Options::default() })?;
    let admin = Admin::new(&log)?;
    let run = std::process::id();
    println!("records/transaction  transactions/s  events/s  CPU us/event");
    for (size, count) in [(1, 1_000), (100, most / 4), (500, most), (1_000, most)] {
        let (input, output) = (format!("copy-{run}-{size}-in"), format!("copy-{run}-{size}-out"));
        let group = format!("copy-{run}-{size}");
        for name in [&input, &output] {
            let config = BTreeMap::new();
            let creation = Creation { name: name.clone(), partitions: PARTITIONS, replicas: 1, config };
            admin.create(&creation).await?;
        }
        admin.first_offsets(&group, &input).await?;
        fill(&log, &input, count).await?;

        let mut consumer = log.join(&group, "one", &[&input], First::Committed).await?;
        let mut producer = log.producer(&group).await?;
        let (mut done, mut transactions, mut began) = (0, 0_u32, (Instant::now(), cpu()));
        while done < count {
            let batch = consumer.poll(size, Duration::from_millis(100)).await?;
            if batch.records.is_empty() {
                continue;
            }
            if done == 0 {
                began = (Instant::now(), cpu());
            }
            producer.begin().await?;
            let mut offsets: BTreeMap<Partition, i64> = BTreeMap::new();
            for read in &batch.records {
                offsets.insert(read.partition.clone(), next(read.offset));
            }
            let out: std::sync::Arc<str> = output.as_str().into();
            let copies = batch.records.iter().map(|read| Record {
                topic: out.clone(),
                partition: Some(read.partition.index),
                key: read.key.clone(),
                value: read.value.clone(),
                headers: vec![],
            });
            producer.send(copies.collect()).await?;
            producer.commit(&batch.owner, &offsets.into_iter().collect::<Vec<_>>()).await?;
            done += batch.records.len();
            transactions += 1;
        }
        let (seconds, cpu) = (began.0.elapsed().as_secs_f64(), cpu() - began.1);
        let events = f64::from(u32::try_from(done)?);
        println!(
            "{size:>19}  {:>14.0}  {:>8.0}  {:>12.1}",
            f64::from(transactions) / seconds,
            events / seconds,
            cpu * 1e6 / events
        );
        consumer.leave().await?;
        drop(producer);
        for name in [&input, &output] {
            admin.delete(name).await?;
        }
    }
    Ok(())
}

async fn fill(log: &KafkaLog, topic: &str, count: usize) -> Result<(), ports::log::Error> {
    let value = Bytes::from(vec![b'x'; BYTES]);
    let mut number = 0_u32;
    let mut left = count;
    while left > 0 {
        let some = left.min(2_000);
        let appends = (0..some).map(|_| {
            number = number.wrapping_add(1);
            log.append(record(topic, number % PARTITIONS, value.clone()))
        });
        futures::future::try_join_all(appends.collect::<Vec<_>>()).await?;
        left -= some;
    }
    Ok(())
}
