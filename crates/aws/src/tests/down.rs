//! Servers that are not there, or there and silent.

use std::net::TcpListener;
use std::time::Duration;

use bytes::Bytes;
use ports::blobs::{self, Metadata};
use ports::tables::{self, Condition, Item, Key, Table, Write};
use ports::{Blobs, Tables};
use tokio::time::Instant;

use super::nowhere;
use crate::{Aws, Options};

static TABLE: Table = Table { name: "t", sorted: false, indexes: &[] };
/// More than any call here may take.
const BOUND: Duration = Duration::from_secs(10);

fn options(address: std::net::SocketAddr) -> Options {
    let mut options = Options { call_timeout: Duration::from_millis(400), ..nowhere() };
    let endpoint = Some(format!("http://{address}"));
    (options.s3.endpoint, options.dynamodb.endpoint) = (endpoint.clone(), endpoint);
    options
}

/// Every call ends in time, as unavailable.
async fn everything_is_unavailable(options: &Options) {
    let aws = Aws::new(options).await;
    let (bucket, tables) = (aws.raw(), aws.tables());
    let put = bucket.put("x", Bytes::new(), Metadata::new(), blobs::Condition::Absent);
    let write = || Write::put(&TABLE, Key::of("x"), Item::new(), Condition::Absent);
    let began = Instant::now();
    let (put, get, list) = futures::join!(put, bucket.get("x"), bucket.list("", None, 1));
    for result in [put.map(drop), get.map(drop), list.map(drop)] {
        assert!(matches!(result, Err(blobs::Error::Unavailable(_))), "{result:?}");
    }
    let keys = [Key::of("x")];
    let (write, transact) = (tables.write(write()), tables.transact("t", vec![write()]));
    let (write, transact, get) = futures::join!(write, transact, tables.get(&TABLE, &keys));
    for result in [write, transact, get.map(drop)] {
        assert!(matches!(result, Err(tables::Error::Unavailable(_))), "{result:?}");
    }
    assert!(began.elapsed() < BOUND, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let address = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    everything_is_unavailable(&options(address)).await;
}

#[tokio::test]
async fn a_server_that_says_nothing_is_unavailable() {
    // Connections stand in the listener's queue; nobody ever reads them.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    everything_is_unavailable(&options(silent.local_addr().expect("an address"))).await;
    drop(silent);
}
