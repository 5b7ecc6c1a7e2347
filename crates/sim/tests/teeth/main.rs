//! The oracle can fail: each of these breaks one promise on purpose, and must be found out, by the check
//! that is about that promise, within a few seeds.

mod tamper;

use bytes::Bytes;
use contract::topics;
use ports::Ports;
use ports::log::{Partition, RawRecord, Record};
use ports::tables::{Attr, Change, Condition, Item, Write};
use sim::plan::Plan;
use sim::world::Sabotage;
use stores::tables::APPLY_LEDGER;
use tamper::Tamper;

/// Seeds that are tried.
const SEEDS: u64 = 40;

/// The first complaint of a seed that `sabotage` brings about, and that starts as expected.
fn found_out(sabotage: Sabotage, expected: &str) {
    let mut others = Vec::new();
    for seed in 0..SEEDS {
        let outcome = sim::simulate(Plan::of(seed), sabotage, false);
        if let Some(found) = outcome.complaints.iter().find(|complaint| complaint.starts_with(expected)) {
            println!("seed {seed}: {found}");
            return;
        }
        others.extend(outcome.complaints);
    }
    panic!("nothing like {expected:?} in {SEEDS} seeds, only {others:#?}");
}

/// Tampers with one role's ports.
macro_rules! sabotage {
    ($role:literal, $tamper:expr) => {
        |role: &'static str, ports: Ports| if role == $role { tamper::with(ports, $tamper) } else { ports }
    };
}

struct DropsRecords;
impl Tamper for DropsRecords {
    fn append(&self, record: &Record) -> bool {
        !record.value.len().is_multiple_of(5)
    }
}

#[test]
fn a_2xx_without_a_record() {
    found_out(sabotage!("gateway", DropsRecords), "books: 01");
}

struct PutsNothing;
impl Tamper for PutsNothing {
    fn put(&self) -> bool {
        false
    }
}

#[test]
fn a_2xx_without_an_object() {
    found_out(sabotage!("gateway", PutsNothing), "raw: client");
}

#[test]
fn facts_that_no_object_holds() {
    found_out(sabotage!("normalize", PutsNothing), "progress: normalize committed past");
}

struct SkipsRecords;
impl Tamper for SkipsRecords {
    fn poll(&self, records: &mut Vec<RawRecord>) {
        if records.len() > 1 {
            records.remove(0);
        }
    }
}

#[test]
fn offsets_committed_past_what_was_not_worked_on() {
    found_out(sabotage!("dedup", SkipsRecords), "progress: dedup committed past");
    found_out(sabotage!("outbox", SkipsRecords), "progress: outbox committed past");
}

struct ForgetsOutputs;
impl Tamper for ForgetsOutputs {
    fn send(&self, records: &mut Vec<Record>) {
        records.pop_if(|record| record.value.len() % 3 == 0);
    }
}

#[test]
fn outputs_that_were_never_produced() {
    found_out(sabotage!("dedup", ForgetsOutputs), "progress: dedup committed past");
    found_out(sabotage!("normalize", ForgetsOutputs), "progress: normalize committed past");
    found_out(sabotage!("divergence", ForgetsOutputs), "progress: divergence committed past");
}

struct ClaimsWhatIsTaken;
impl Tamper for ClaimsWhatIsTaken {
    fn write(&self, write: &mut Write) -> bool {
        write.condition = Condition::Always;
        true
    }
}

#[test]
fn an_id_with_two_effects() {
    found_out(sabotage!("dedup", ClaimsWhatIsTaken), "facts: (");
}

struct ForgetsTransactions;
impl Tamper for ForgetsTransactions {
    fn transact(&self, writes: &mut Vec<Write>) -> bool {
        writes.len().is_multiple_of(2)
    }
}

#[test]
fn facts_that_were_never_taken_in() {
    found_out(sabotage!("divergence", ForgetsTransactions), "outbox stopped by itself");
}

struct CountsWrong;
impl Tamper for CountsWrong {
    fn transact(&self, writes: &mut Vec<Write>) -> bool {
        for write in writes {
            let Change::Put(item) = &mut write.change else { continue };
            if let Some(Attr::S(state)) = item.get_mut("state") {
                *state = state.replace("\"adjustments\":\"1", "\"adjustments\":\"2");
            }
        }
        true
    }
}

#[test]
fn a_total_that_is_not_the_fold_of_its_facts() {
    found_out(sabotage!("divergence", CountsWrong), "totals: by its facts");
}

struct SaysTwice;
impl Tamper for SaysTwice {
    fn send(&self, records: &mut Vec<Record>) {
        let public = |record: &&Record| topics::PUBLIC.contains(&&*record.topic);
        let again: Vec<Record> = records.iter().filter(public).take(1).cloned().collect();
        records.extend(again);
    }
}

#[test]
fn a_public_record_that_is_out_twice() {
    found_out(sabotage!("outbox", SaysTwice), "public: ");
}

struct HasNoMemory;
impl Tamper for HasNoMemory {
    fn read(&self, partition: &Partition, records: &mut Vec<RawRecord>) {
        if &*partition.topic == topics::RECEIPTS {
            records.clear();
        }
    }
}

#[test]
fn an_outbox_without_memory() {
    found_out(sabotage!("outbox", HasNoMemory), "public: ");
}

struct CopiesNothing;
impl Tamper for CopiesNothing {
    fn write(&self, _write: &mut Write) -> bool {
        false
    }
}

#[test]
fn rows_that_never_learn_where_they_are_out() {
    found_out(sabotage!("outbox", CopiesNothing), "public: RowRef");
}

struct ChangesBytes;
impl Tamper for ChangesBytes {
    fn send(&self, records: &mut Vec<Record>) {
        for record in records.iter_mut().filter(|record| &*record.topic == topics::INVENTORY_UPDATED) {
            let mut bytes = record.value.to_vec();
            // The revision, or whatever stands there: still a record.
            if let Some(byte) = bytes.get_mut(6) {
                *byte ^= 1;
            }
            record.value = Bytes::from(bytes);
        }
    }
}

#[test]
fn public_bytes_that_are_not_the_rows() {
    found_out(sabotage!("outbox", ChangesBytes), "public: RowRef");
}

struct NeverCommits;
impl Tamper for NeverCommits {
    fn send(&self, records: &mut Vec<Record>) {
        // A topic that is not there: the transaction can only be aborted.
        records.iter_mut().for_each(|record| record.topic = "nowhere".into());
    }
}

#[test]
fn a_stage_that_does_not_get_on() {
    found_out(sabotage!("normalize", NeverCommits), "liveness: ");
}

/// A stale picture of an entity is written over a newer one.
struct IgnoresVersions;
impl Tamper for IgnoresVersions {
    fn transact(&self, writes: &mut Vec<Write>) -> bool {
        for write in writes {
            write.condition = Condition::Always;
        }
        true
    }
}

#[test]
fn a_zombie_that_nothing_rejects() {
    found_out(sabotage!("divergence", IgnoresVersions), "totals: by its facts");
}

/// A record that comes again finds its own claim, and is taken for a duplicate.
struct DropsRedeliveries;
impl Tamper for DropsRedeliveries {
    fn refused(&self, rows: &mut [Option<Item>]) {
        for row in rows.iter_mut().flatten() {
            if let Some(Attr::S(id)) = row.get_mut("ingestId") {
                *id = "00000000000000000000000000".to_owned();
            }
        }
    }
}

#[test]
fn a_redelivery_that_is_dropped() {
    found_out(sabotage!("dedup", DropsRedeliveries), "books: ");
}

/// An apply that asks nobody whether the invoice is applied already.
struct ClaimsNothing;
impl Tamper for ClaimsNothing {
    fn transact(&self, writes: &mut Vec<Write>) -> bool {
        writes.retain(|write| write.table.name != APPLY_LEDGER.name || write.key.pk.starts_with("plan#"));
        true
    }
}

#[test]
fn an_invoice_that_is_applied_twice() {
    found_out(sabotage!("operator", ClaimsNothing), "invoices: RE-1 is applied twice");
}

/// Two clicks that both go through: what was read is not what is there any more.
struct TakesAnyVersion;
impl Tamper for TakesAnyVersion {
    fn transact(&self, writes: &mut Vec<Write>) -> bool {
        for write in writes.iter_mut().filter(|write| write.key.pk.len() != 10) {
            write.condition = Condition::Always;
        }
        true
    }
}

#[test]
fn two_clicks_that_are_two_plans() {
    found_out(sabotage!("operator", TakesAnyVersion), "invoices: ");
}

/// A worker that loses a fact of a plan, and believes that all of them are out.
struct BooksTheRest;
impl Tamper for BooksTheRest {
    fn send(&self, records: &mut Vec<Record>) {
        records.pop();
    }
}

#[test]
fn a_fact_of_a_plan_that_is_emitted_once_and_lost() {
    // Emitted again and again until it is known: one that is always lost never lets its job come to rest.
    found_out(sabotage!("invoices", BooksTheRest), "liveness: somebody has no answer");
}
