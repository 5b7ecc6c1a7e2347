//! What a call costs, and how many a second the servers do:
//! `cargo run -p aws --example aws_speed -- target/stack/stack.json [AT_ONCE]`.
//!
//! CPU is this process's own, from `/proc/self/stat`; the servers' is theirs.

use std::sync::Arc;

use aws::{Aws, Credentials, Options, Together};
use bytes::Bytes;
use futures::{StreamExt, stream};
use ports::blobs::{self, Metadata};
use ports::tables::{Attr, Change, Condition, Edit, Index, Item, Key, Table, Write, get_one};
use ports::{Blobs, Tables};
use tokio::time::Instant;

static STATES: Table = Table { name: "states", sorted: false, indexes: &[] };
static EFFECTS: Table = Table {
    name: "effects",
    sorted: true,
    indexes: &[
        Index { name: "pending", pk: "pendingShard", sk: Some("pendingSince") },
        Index { name: "by_event", pk: "ingestId", sk: None },
    ],
};

/// Calls of one measurement.
const TOTAL: usize = 3_000;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("the path of stack.json")?;
    let at_once = arguments.next().map_or(Ok(32), |text| text.parse())?;
    let stack: serde_json::Value = serde_json::from_slice(&std::fs::read(path)?)?;
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let mut options = Options {
        credentials: Some(Credentials {
            access_key: text(&stack["s3"]["accessKey"]),
            secret_key: text(&stack["s3"]["secretKey"]),
        }),
        call_timeout: std::time::Duration::from_secs(30),
        ..Options::default()
    };
    let run = format!("speed-{}", std::process::id());
    options.s3.endpoint = Some(text(&stack["s3"]["endpoint"]));
    options.dynamodb.endpoint = Some(text(&stack["dynamodb"]));
    options.dynamodb.table_prefix = format!("{run}.");
    let aws = Aws::new(&options).await;
    aws.table_admin(&[&STATES, &EFFECTS]).apply().await?;
    aws.bucket_admin_of(&[&run]).apply().await?;
    let (tables, bucket) = (Arc::new(aws.tables()), aws.bucket(&run));
    let together = Together::new(tables.clone());
    println!("{TOTAL} calls each, {at_once} at once");

    measure("put if absent, two indexes", at_once, |number| {
        let tables = tables.clone();
        async move { tables.write(effect(number, 0)).await.map_err(|error| error.to_string()) }
    })
    .await?;
    measure("read of one row", at_once, |number| {
        let tables = tables.clone();
        async move { read(&*tables, number).await }
    })
    .await?;
    measure("read of one row, together", at_once, |number| {
        let tables = together.clone();
        async move { read(&tables, number).await }
    })
    .await?;
    measure("transaction of three rows", at_once, |number| {
        let tables = tables.clone();
        async move {
            let state = Key::of(format!("state {number}"));
            let edit =
                vec![Edit::Add("version", 1), Edit::Set("state", Attr::B(Bytes::from(vec![b's'; 1_000])))];
            let check = Write {
                table: &EFFECTS,
                key: key(number, 0),
                condition: Condition::Exists,
                change: Change::Check,
            };
            let writes = vec![Write::edit(&STATES, state, edit, Condition::Absent), effect(number, 1), check];
            tables.transact(&format!("{number}"), writes).await.map_err(|error| error.to_string())
        }
    })
    .await?;
    let object = Bytes::from(vec![b'o'; 2_048]);
    measure("object of 2 KiB, put", at_once, |number| {
        let (bucket, object) = (bucket.clone(), object.clone());
        async move {
            let metadata = Metadata::from([("ingest-id".to_owned(), format!("{number:026}"))]);
            let key = format!("raw/v/{number}.json");
            let put = bucket.put(&key, object, metadata, blobs::Condition::Absent);
            put.await.map(drop).map_err(|error| error.to_string())
        }
    })
    .await?;
    measure("object of 2 KiB, get", at_once, |number| {
        let bucket = bucket.clone();
        async move {
            bucket.get(&format!("raw/v/{number}.json")).await.map(drop).map_err(|error| error.to_string())
        }
    })
    .await
}

fn key(number: usize, kind: usize) -> Key {
    Key::sorted(format!("entity {}", number / 2), format!("{kind}#{number:08}"))
}

fn effect(number: usize, kind: usize) -> Write {
    let item = Item::from([
        ("ingestId".to_owned(), Attr::S(format!("{number:026}"))),
        ("pendingShard".to_owned(), Attr::S(format!("{}", number % 16))),
        ("pendingSince".to_owned(), Attr::S(format!("{number:020}"))),
        ("payload".to_owned(), Attr::B(Bytes::from(vec![b'p'; 1_500]))),
    ]);
    Write::put(&EFFECTS, key(number, kind), item, Condition::Absent)
}

async fn read(tables: &dyn Tables, number: usize) -> Result<(), String> {
    match get_one(tables, &EFFECTS, key(number, 0)).await {
        Ok(Some(_)) => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

/// Runs [`TOTAL`] calls, `at_once` of them under way, and prints calls a second and our CPU a call.
async fn measure<F>(
    what: &str,
    at_once: usize,
    call: impl Fn(usize) -> F,
) -> Result<(), Box<dyn std::error::Error>>
where
    F: Future<Output = Result<(), String>>,
{
    let (began, cpu) = (Instant::now(), cpu_micros()?);
    let mut calls = stream::iter((0..TOTAL).map(call)).buffer_unordered(at_once);
    while let Some(result) = calls.next().await {
        result?;
    }
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), cpu_micros()? - cpu);
    let total = TOTAL as f64;
    println!("{what:<28} {:>7.0}/s {:>6.0} µs CPU a call", total / seconds, cpu / total);
    Ok(())
}

/// User and system time of this process; the kernel counts it in hundredths of a second.
fn cpu_micros() -> Result<f64, Box<dyn std::error::Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let behind_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = |at: usize| behind_name.split_whitespace().nth(at).and_then(|text| text.parse::<f64>().ok());
    let ticks = ticks(11).zip(ticks(12)).ok_or("no times in /proc/self/stat")?;
    Ok((ticks.0 + ticks.1) * 10_000.0)
}
