//! How many operations a second the stores do on this machine's disk:
//! `cargo run --release -p embedded --example tables_speed`.
//!
//! Rows as the pipeline has them: an effect of some 1,700 bytes in two indexes; a transaction of a state,
//! an effect and a check. 256 operations are under way at once, where nothing else is said.

use bytes::Bytes;
use embedded::blobs::EmbeddedBlobs;
use embedded::tables::EmbeddedTables;
use embedded::{Engine, Options};
use ports::tables::{Attr, Change, Condition, Edit, Index, Item, Key, Query, Table, Tables, Write};
use ports::{Blobs, blobs};
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

const AT_ONCE: usize = 256;
const TOTAL: usize = 20_000;

struct Stores {
    tables: EmbeddedTables,
    bucket: EmbeddedBlobs,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let engine = Engine::open(dir.path(), Options::default())?;
    let tables = EmbeddedTables::new(engine.clone(), &[&STATES, &EFFECTS])?;
    let stores: &Stores = Box::leak(Box::new(Stores { tables, bucket: EmbeddedBlobs::new(engine, "speed") }));
    let Stores { tables, bucket } = stores;

    measure("put, one after the other", 200, 1, move |number| async move {
        tables.write(put(number + TOTAL)).await.expect("a put");
    })
    .await;
    measure("put if absent, two indexes", TOTAL, AT_ONCE, move |number| async move {
        tables.write(put(number)).await.expect("a put");
    })
    .await;
    measure("edit, leaving an index", TOTAL, AT_ONCE, move |number| async move {
        tables.write(settle(number)).await.expect("an edit");
    })
    .await;
    measure("transact: state, effect, check", TOTAL, AT_ONCE, move |number| async move {
        tables.transact(&format!("token-{number}"), fold(number)).await.expect("a transaction");
    })
    .await;
    measure("get one", 10 * TOTAL, AT_ONCE, move |number| async move {
        let found = tables.get(&EFFECTS, &[effect_key(number % TOTAL)]).await.expect("a read");
        assert!(found[0].is_some());
    })
    .await;
    measure("get a hundred", TOTAL / 10, AT_ONCE, move |number| async move {
        let keys: Vec<Key> = (number..number + 100).map(|number| effect_key(number % TOTAL)).collect();
        assert_eq!(tables.get(&EFFECTS, &keys).await.expect("a read").len(), 100);
    })
    .await;
    measure("query an index", TOTAL, AT_ONCE, move |number| async move {
        let query = Query::over(&EFFECTS, "by_event", ingest_id(number));
        assert_eq!(tables.query(query).await.expect("a page").rows.len(), 1);
    })
    .await;
    measure("object put, 1,500 bytes", TOTAL, AT_ONCE, move |number| async move {
        let metadata = [("fingerprint".to_owned(), "0".repeat(64))].into();
        bucket
            .put(&object_key(number), body(number), metadata, blobs::Condition::Absent)
            .await
            .expect("a put");
    })
    .await;
    measure("object get, 1,500 bytes", TOTAL, AT_ONCE, move |number| async move {
        assert_eq!(bucket.get(&object_key(number)).await.expect("an object").bytes.len(), 1_500);
    })
    .await;
    Ok(())
}

/// Runs `total` operations, `at_once` of them under way at any time, and prints how many a second.
async fn measure<F>(
    what: &str,
    total: usize,
    at_once: usize,
    operation: impl Fn(usize) -> F + Copy + Send + 'static,
) where
    F: Future<Output = ()> + Send,
{
    let began = Instant::now();
    let work = move |worker| async move {
        for number in (worker..total).step_by(at_once) {
            operation(number).await;
        }
    };
    let workers: Vec<_> = (0..at_once).map(|worker| tokio::spawn(work(worker))).collect();
    for worker in workers {
        worker.await.expect("a worker");
    }
    println!("{what:32} {:9.0}/s", total as f64 / began.elapsed().as_secs_f64());
}

/// Scattered, as digests are.
fn ingest_id(number: usize) -> String {
    format!("{:016X}", (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn object_key(number: usize) -> String {
    format!("raw/acme/2026/03/16/{}.json", ingest_id(number))
}

fn body(number: usize) -> Bytes {
    Bytes::from(format!("{number:>1500}"))
}

fn effect_key(number: usize) -> Key {
    Key::sorted(
        format!("acme|main|SKU-{}||", number % 5_000),
        format!("fact#2026-03-16#{}", ingest_id(number)),
    )
}

fn effect(number: usize) -> Item {
    let text = |text: &str| Attr::S(text.to_owned());
    Item::from([
        ("outTopic".to_owned(), text("dvss.normalized.inventory-updated.v1")),
        ("outKey".to_owned(), Attr::S(format!("acme|main|SKU-{}||", number % 5_000))),
        ("outValue".to_owned(), Attr::B(body(number))),
        ("outRevision".to_owned(), Attr::N(1)),
        ("outcome".to_owned(), text("APPLIED")),
        ("ingestId".to_owned(), Attr::S(ingest_id(number))),
        ("pendingShard".to_owned(), Attr::S(format!("p{:02}", number % 16))),
        ("pendingSince".to_owned(), text("2026-03-16T08:35:06.000000000Z")),
    ])
}

fn put(number: usize) -> Write {
    Write::put(&EFFECTS, effect_key(number), effect(number), Condition::Absent)
}

fn settle(number: usize) -> Write {
    let edits = vec![
        Edit::Set("publishedRevision", Attr::N(1)),
        Edit::Set("publishedOffset", Attr::N(number as i64)),
        Edit::Remove("pendingShard"),
        Edit::Remove("pendingSince"),
    ];
    Write::edit(&EFFECTS, effect_key(number), edits, Condition::Equals("outRevision", Attr::N(1)))
}

fn fold(number: usize) -> Vec<Write> {
    let (table, key) = (&EFFECTS, effect_key(number + 10 * TOTAL));
    let state = vec![Edit::Set("onHand", Attr::S("17.5".to_owned())), Edit::Add("version", 1)];
    vec![
        Write::edit(&STATES, Key::of(key.pk.clone()), state, Condition::Always),
        Write::put(table, key, effect(number + 10 * TOTAL), Condition::Absent),
        Write { table, key: effect_key(number), condition: Condition::Exists, change: Change::Check },
    ]
}
