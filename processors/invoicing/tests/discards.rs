//! A plan some of whose facts never come into stock: a person discarded them in quarantine.

mod ground;

use bytes::Bytes;
use contract::canonical::Outcome;
use contract::{Code, topics};
use invoices::apply::Advance;
use invoices::{Invoices, Job, State, store};
use ports::Ports;
use ports::log::{Coordinates, Partition, RawRecord};
use runtime::{Output, Poison, Quarantine as _};
use stores::codec::Codec;
use stores::effects::{self, Effect, Kind};
use stores::outbox;
use stores::quarantine::{self, QuarantineStore};
use stores::tables::EFFECTS;

const STAGE: &str = "dvss.divergence";

async fn waiting(invoices: &Invoices, job: &Job) -> Vec<Output> {
    match invoices.advance(job).await.expect("an advance") {
        Advance::Waits { outputs, .. } => outputs,
        other => panic!("{other:?}"),
    }
}

/// What divergence does with a fact that no stock can hold; its row's identity.
async fn park(ports: &Ports, output: &Output, offset: i64) -> String {
    let record = RawRecord {
        partition: Partition::new(topics::NORMALIZED, 0),
        offset,
        timestamp: 0,
        key: output.record.key.clone(),
        value: output.record.value.clone(),
        headers: output.record.headers.clone(),
    };
    let poison = Poison {
        code: Code::FoldOverflow,
        message: "too much".to_owned(),
        pointer: None,
        vendor_id: None,
        ingest_id: None,
    };
    let parker = QuarantineStore::new(
        ports.clone(),
        Codec::new(ports.schemas.clone()).into(),
        quarantine::Options::default(),
    );
    parker.park(STAGE, &record, &poison).await.expect("parked");
    let fact: contract::canonical::Fact = serde_json::from_slice(&record.value).expect("a fact");
    quarantine::of_fact(fact.ingest_id, fact.line, fact.leg, fact.revision)
}

/// The same, and then a person.
async fn discard(ports: &Ports, output: &Output, offset: i64) {
    let identity = park(ports, output, offset).await;
    quarantine::discard(ports, STAGE, &identity, "not ours").await.expect("discarded");
}

/// What divergence and the outbox do with any other.
async fn publish(ports: &Ports, output: &Output) {
    let line = String::from_utf8(output.record.value.to_vec()).expect("text");
    let fact: contract::canonical::Fact = serde_json::from_str(&line).expect("a fact");
    let entity = fact.entity_key().expect("an entity");
    let (kind, at) = (Kind::of(&fact.data), fact.fold_key());
    let effect = Effect {
        entity: entity.clone(),
        fact,
        outcome: Outcome::Applied,
        findings: Vec::new(),
        outbox: None,
    };
    let (key, item) = effects::row(&effect, &line, Bytes::from_static(b"avro"), ports.clock.now());
    let row = outbox::RowRef::new(&EFFECTS, &key);
    ports.tables.write(effects::write(effects::key(&entity, kind, &at), item, None)).await.expect("a row");
    let at = Coordinates { partition: Partition::new(topics::INVENTORY_RECEIVED, 0), offset: 0 };
    outbox::set_coordinates(&*ports.tables, &row, 1, &at).await.expect("coordinates");
}

#[tokio::test(start_paused = true)]
async fn what_was_discarded_is_not_booked_and_not_taken_back() {
    let (ports, invoices) = ground::ground();
    let job = ground::reviewed(&ports, &invoices).await;
    let job = invoices.apply("ann", job.job_id, job.version).await.expect("applied");
    let outputs = waiting(&invoices, &job).await;
    assert_eq!(outputs.len(), 2);
    discard(&ports, &outputs[1], 7).await;
    publish(&ports, &outputs[0]).await;
    assert_eq!(invoices.advance(&job).await.expect("an advance"), Advance::Done);
    let job = store::get(&*ports.tables, job.job_id).await.expect("the job");
    assert_eq!(job.state, State::Applied);
    let log = store::events(&*ports.tables, job.job_id).await.expect("the log");
    let said = &log.last().expect("an entry").message;
    assert!(said.starts_with("1 facts") && said.contains("1 more were discarded"), "{said}");

    let job = invoices.reverse("ann", job.job_id, job.version, "sent back").await.expect("reversed");
    let outputs = waiting(&invoices, &job).await;
    assert_eq!(outputs.len(), 1, "what was never booked is not taken back");
    let fact = String::from_utf8_lossy(&outputs[0].record.value).into_owned();
    assert!(fact.contains(r#""delta":"-3""#), "{fact}");
}

#[tokio::test(start_paused = true)]
async fn what_is_parked_is_shown_and_not_emitted_again_until_a_person_decides() {
    let (ports, invoices) = ground::ground();
    let job = ground::reviewed(&ports, &invoices).await;
    let job = invoices.apply("ann", job.job_id, job.version).await.expect("applied");
    let outputs = waiting(&invoices, &job).await;
    let identity = park(&ports, &outputs[1], 7).await;
    let parked = invoices.parked(&job).await.expect("a look");
    let [row] = &parked[..] else { panic!("{parked:?}") };
    assert_eq!((&*row.stage, &row.identity, &*row.code), (STAGE, &identity, "fold-overflow"));
    publish(&ports, &outputs[0]).await;
    assert_eq!(
        waiting(&invoices, &job).await,
        [],
        "a copy that came through would do what only a person may"
    );
    quarantine::discard(&ports, STAGE, &identity, "not ours").await.expect("discarded");
    assert!(invoices.parked(&job).await.expect("a look").is_empty());
    assert_eq!(invoices.advance(&job).await.expect("an advance"), Advance::Done);
}

#[tokio::test(start_paused = true)]
async fn an_invoice_of_which_everything_was_discarded_can_be_reversed_and_applied_again() {
    let (ports, invoices) = ground::ground();
    let job = ground::reviewed(&ports, &invoices).await;
    let mut job = invoices.apply("ann", job.job_id, job.version).await.expect("applied");
    for (output, offset) in waiting(&invoices, &job).await.iter().zip(7..) {
        assert!(invoices.parked(&job).await.expect("a look").is_empty());
        discard(&ports, output, offset).await;
    }
    for (state, next) in [(State::Applied, State::Reversed), (State::Reversed, State::Applying)] {
        assert_eq!(invoices.advance(&job).await.expect("an advance"), Advance::Done);
        job = store::get(&*ports.tables, job.job_id).await.expect("the job");
        assert_eq!(job.state, state);
        job = match next {
            State::Reversed => invoices.reverse("ann", job.job_id, job.version, "wrong").await.expect("back"),
            _ => invoices.apply("ann", job.job_id, job.version).await.expect("its number is free again"),
        };
    }
    assert_eq!(waiting(&invoices, &job).await.len(), 2);
}
