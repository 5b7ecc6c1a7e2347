//! What becomes of records, on tables in memory.

mod support;

use contract::canonical::{Divergence, DivergenceKind};
use contract::{Code, headers, topics};
use ports::tables::Query;
use ports::{Tables, log};
use runtime::{Failure, Output, Processor};
use stores::divergences;
use stores::ingest::{self, Found, Patience, Status};
use stores::tables::DIVERGENCE;
use support::*;

const MONDAY: &str = "2026-11-16T10:00:00Z";
const TUESDAY: &str = "2026-11-17T10:00:00Z";

/// The divergences that are there, by kind and what they say.
async fn findings(tables: &dyn Tables) -> Vec<Divergence> {
    let page = tables.query(Query::of(&DIVERGENCE, "acme")).await.expect("tables in memory");
    page.rows.iter().map(|row| divergences::read(row).expect("a row of ours").divergence).collect()
}

fn topics_of(outputs: &[Output]) -> Vec<&str> {
    outputs.iter().map(|output| &*output.record.topic).collect()
}

#[tokio::test]
async fn the_first_is_claimed_and_emitted_as_it_is() {
    let world = World::new();
    let record = Said::new(MONDAY, "a").at(5).record();
    let outputs = world.take(&record).await.expect("settled");
    assert_eq!(topics_of(&outputs), [topics::ACCEPTED]);
    let emitted = &outputs[0].record;
    assert_eq!(
        (&emitted.key, &emitted.value, &emitted.headers),
        (&record.key, &record.value, &record.headers)
    );
    let entry = world.entry().await.expect("claimed");
    assert_eq!((entry.status, entry.source.offset), (Status::Received, 5));
}

#[tokio::test]
async fn a_redelivery_is_emitted_again_wherever_it_lies() {
    let world = World::new();
    let first = world.take(&Said::new(MONDAY, "a").at(5).record()).await.expect("settled");
    for offset in [5, 6, 0] {
        let again = world.take(&Said::new(MONDAY, "a").at(offset).record()).await.expect("settled");
        assert_eq!(again, first, "offset {offset}");
    }
    assert_eq!(world.entry().await.expect("claimed").source.offset, 5, "the evidence stays");
}

#[tokio::test]
async fn a_release_is_emitted_with_its_number() {
    let world = World::new();
    world.take(&Said::new(MONDAY, "a").at(5).record()).await.expect("settled");
    let outputs = world.take(&Said::new(MONDAY, "a").released(2).at(9).record()).await.expect("settled");
    assert_eq!(topics_of(&outputs), [topics::ACCEPTED]);
    assert_eq!(log::header(&outputs[0].record.headers, headers::RELEASE), Some("2"));
}

#[tokio::test]
async fn a_redated_repeat_is_dropped_and_leads_to_its_winner() {
    let world = World::new();
    let winner = Said::new(MONDAY, "a").at(5);
    world.take(&winner.record()).await.expect("settled");
    let repeat = Said::new(TUESDAY, "a").at(6);
    for _ in 0..2 {
        assert_eq!(world.take(&repeat.record()).await.expect("settled"), []);
    }
    let found = ingest::by_ingest_id(&*world.tables, repeat.id(), Patience::NONE).await.expect("tables");
    assert!(matches!(found, Some(Found::Alias(alias)) if alias.winner == winner.id()));
    assert_eq!(findings(&*world.tables).await, []);
}

#[tokio::test]
async fn another_payload_is_a_conflict_and_the_first_wins() {
    let world = World::new();
    let winner = Said::new(MONDAY, "a").at(5);
    world.take(&winner.record()).await.expect("settled");
    let before = world.entry().await;
    for newcomer in [Said::new(MONDAY, "b").at(6), Said::new(TUESDAY, "c").at(7)] {
        let outputs = world.take(&newcomer.record()).await.expect("settled");
        assert_eq!(topics_of(&outputs), [topics::OUTBOX]);
        assert_eq!(world.take(&newcomer.record()).await.expect("settled"), outputs, "the same again");
    }
    assert_eq!(world.entry().await, before);
    let findings = findings(&*world.tables).await;
    assert_eq!(findings.len(), 2);
    for (finding, newcomer) in findings.iter().zip([Said::new(MONDAY, "b"), Said::new(TUESDAY, "c")]) {
        assert_eq!((finding.kind, finding.ingest_id), (DivergenceKind::Conflict, newcomer.id()));
        for text in [newcomer.fingerprint().to_string(), newcomer.raw_ref().key] {
            assert!(finding.ours.contains(&text), "{}", finding.ours);
        }
        let theirs = finding.theirs.as_deref().expect("the winner is known");
        for text in [winner.id().to_string(), winner.fingerprint().to_string(), winner.raw_ref().key] {
            assert!(theirs.contains(&text), "{theirs}");
        }
    }
    let (vendor, external) = (winner.event().draft.vendor_id, winner.event().draft.external_event_id);
    let conflicts = ingest::conflicts(&*world.tables, &vendor, &external).await.expect("tables");
    assert!(conflicts.iter().all(|newcomer| newcomer.winner == winner.id()) && conflicts.len() == 2);
}

#[tokio::test]
async fn one_payload_is_one_conflict_however_it_came() {
    let world = World::new();
    let winner = Said::new(MONDAY, "a");
    world.take(&winner.record()).await.expect("settled");
    let found_here = world.take(&Said::new(TUESDAY, "b").record()).await.expect("settled");
    let flagged = world.take(&Said::new(TUESDAY, "b").against(winner.id()).record()).await.expect("settled");
    let redated = world.take(&Said::new(MONDAY, "b").against(winner.id()).record()).await.expect("settled");
    assert_eq!((&flagged, &redated), (&found_here, &found_here));
    assert_eq!(findings(&*world.tables).await.len(), 1);
}

#[tokio::test]
async fn one_payload_is_one_conflict_among_very_many() {
    let world = World::new();
    let winner = Said::new(MONDAY, "a");
    world.take(&winner.record()).await.expect("settled");
    for number in 0..=ingest::MAX_LISTED {
        let mut event = Said::new(MONDAY, "").event();
        let low = contract::Fingerprint::parse(&format!("{number:064x}"));
        event.draft.fingerprint = low.expect("a fingerprint");
        ingest::conflict(&*world.tables, &event, winner.id()).await.expect("noted");
    }
    let (vendor, external) = (winner.event().draft.vendor_id, winner.event().draft.external_event_id);
    let found_here = world.take(&Said::new(TUESDAY, "b").record()).await.expect("settled");
    let listed = ingest::conflicts(&*world.tables, &vendor, &external).await.expect("tables");
    let fingerprint = Said::new(MONDAY, "b").fingerprint();
    assert!(listed.iter().all(|newcomer| newcomer.fingerprint != fingerprint), "the listing ends before it");
    let redated = world.take(&Said::new(MONDAY, "b").against(winner.id()).record()).await.expect("settled");
    assert_eq!(redated, found_here);
    assert_eq!(findings(&*world.tables).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_flagged_record_never_claims() {
    let world = World::new();
    let winner = Said::new(MONDAY, "a");
    // Its winner's record lies in another partition and has not come.
    let outputs = world.take(&Said::new(MONDAY, "b").against(winner.id()).record()).await.expect("settled");
    assert_eq!(topics_of(&outputs), [topics::OUTBOX]);
    assert_eq!(world.entry().await, None);
    let findings = findings(&*world.tables).await;
    assert_eq!(findings[0].theirs.as_deref(), Some(&*format!(r#"{{"ingestId":"{}"}}"#, winner.id())));
    let outputs = world.take(&winner.record()).await.expect("settled");
    assert_eq!(topics_of(&outputs), [topics::ACCEPTED], "the winner still claims");
}

#[tokio::test(start_paused = true)]
async fn a_flagged_record_waits_for_its_winner() {
    let world = World::new();
    let winner = Said::new(MONDAY, "a");
    let (flagged, first) = (Said::new(MONDAY, "b").against(winner.id()).record(), winner.record());
    let late = async {
        tokio::time::sleep(std::time::Duration::from_millis(120)).await;
        world.take(&first).await
    };
    let (outputs, first) = tokio::join!(world.take(&flagged), late);
    assert_eq!(topics_of(&first.expect("settled")), [topics::ACCEPTED]);
    assert_eq!(topics_of(&outputs.expect("settled")), [topics::OUTBOX]);
    let theirs = findings(&*world.tables).await.remove(0).theirs.expect("the winner is known");
    assert!(theirs.contains(&winner.fingerprint().to_string()), "{theirs}");
}

#[tokio::test]
async fn a_flagged_record_does_not_conflict_with_its_own_payload() {
    let world = World::new();
    let (named, holder) = (Said::new(MONDAY, "a"), Said::new(TUESDAY, "b"));
    world.take(&holder.record()).await.expect("settled");
    world.take(&Said::new(MONDAY, "b").against(named.id()).record()).await.expect("settled");
    let theirs = findings(&*world.tables).await.remove(0).theirs.expect("the winner is named");
    assert!(theirs.contains(&named.id().to_string()) && !theirs.contains("fingerprint"), "{theirs}");
}

#[tokio::test]
async fn what_no_gateway_wrote_is_poison() {
    let world = World::new();
    for name in [headers::INGEST_ID, headers::FINGERPRINT, headers::RAW_KEY, headers::MODE] {
        let mut record = Said::new(MONDAY, "a").record();
        record.headers.retain(|(header, _)| header != name);
        let Err(Failure::Poison(poison)) = world.take(&record).await else { panic!("{name}") };
        assert_eq!(poison.code, Code::RecordInvalid);
        assert!(poison.message.contains(name), "{}", poison.message);
    }
    assert_eq!(world.entry().await, None);
}

/// The process dies at every call that a record makes, on either side of the effect; the record comes
/// again to a new process.
#[tokio::test(start_paused = true)]
async fn a_crash_anywhere_changes_nothing() {
    let winner = Said::new(MONDAY, "a").at(5);
    let scenarios = [
        ("claim", winner.clone()),
        ("duplicate", Said::new(TUESDAY, "a").at(6)),
        ("conflict", Said::new(TUESDAY, "b").at(6)),
        ("flagged", Said::new(MONDAY, "b").against(winner.id()).at(6)),
    ];
    for (name, said) in scenarios {
        let undisturbed = World::new();
        undisturbed.take(&winner.record()).await.expect("settled");
        let expected = undisturbed.take(&said.record()).await.expect("settled");
        let mut crashes = 0;
        loop {
            let world = World::new();
            if name != "claim" {
                world.take(&winner.record()).await.expect("settled");
            }
            let crashing = world.crashing_at(crashes);
            let record = said.record();
            let died = crashing.handle(&crashing.decode(&record).expect("a record")).await;
            let Err(failure) = died else { break };
            assert!(matches!(failure, Failure::Transient(_)), "{name} {crashes}: {failure}");
            let again = world.take(&record).await.expect("settled");
            assert_eq!(again, expected, "{name}, dead at {crashes}");
            assert_eq!(
                findings(&*world.tables).await,
                findings(&*undisturbed.tables).await,
                "{name} {crashes}"
            );
            assert_eq!(world.entry().await, undisturbed.entry().await, "{name} {crashes}");
            crashes += 1;
        }
        assert!(crashes >= 2, "{name}: nothing was disturbed");
    }
}
