//! `dvss bench steps`: what normalize costs without Kafka and without its stores, step by step.
//!
//! Figures are microseconds per event of the wall, on a thread that does nothing else; the least of several rounds.

use std::hint::black_box;
use std::time::Duration;

use anyhow::{anyhow, bail};
use bytes::Bytes;
use contract::event::Event;
use contract::{Fingerprint, Json, Timestamp};
use mapping::{EventContext, Mapped};
use normalize::decide::{Decision, decide};
use normalize::{Options, facts};
use serde_json::{Map, Value, json};
use stores::normalized::{Head, Line, Object};
use tokio::time::Instant;

use super::sample::{event, mapping};
use super::{as_f64, micros, thousandth};
use crate::cli::exit;
use crate::commands::print;

const EVENTS: u64 = 1_000;
const ROUNDS: u32 = 20;

/// Runs the benchmark and prints its figures.
pub fn run(json: bool) -> anyhow::Result<u8> {
    let (mapping, options) = (mapping()?, Options::default());
    let now = Timestamp::parse("2026-11-22T12:00:00Z")?;
    let mut took = Map::new();
    let events: Vec<(Event, Bytes)> =
        (0..EVENTS).map(|number| event(number, now)).collect::<Result<_, _>>()?;
    let pairs: Vec<_> = events.iter().map(|(event, _)| event.to_headers()).collect();
    timed(&mut took, "headers", &pairs, |pairs| {
        let value =
            |name: &str| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
        Event::from_headers(value).map_err(|error| anyhow!("{error:?}"))
    })?;
    timed(&mut took, "sha256", &events, |(_, bytes)| Ok(Fingerprint::of_bytes(bytes)))?;
    let payloads = timed(&mut took, "json", &events, |(event, bytes)| {
        event.draft.mode.payload(bytes).map_err(|error| anyhow!("{error:?}"))
    })?;
    let with_payload: Vec<(&Event, Json)> = events.iter().map(|(event, _)| event).zip(payloads).collect();
    let mapped = timed(&mut took, "mapping", &with_payload, |(event, payload)| {
        let draft = &event.draft;
        let context = EventContext {
            vendor_id: draft.vendor_id.clone(),
            external_event_id: draft.external_event_id.clone(),
            event_type: draft.event_type.clone(),
            occurred_at: draft.occurred_at,
        };
        mapping.apply(payload, &context).map_err(|error| anyhow!("{error:?}"))
    })?;
    let with_mapped: Vec<(&(&Event, Json), Mapped)> = with_payload.iter().zip(mapped).collect();
    let facts = timed(&mut took, "facts", &with_mapped, |((event, payload), mapped)| {
        facts::facts(event, payload, mapped.clone(), &options).map_err(|error| anyhow!("{error:?}"))
    })?;
    let with_facts: Vec<_> = with_payload.iter().map(|(event, _)| *event).zip(facts).collect();
    let lines =
        timed(&mut took, "decision", &with_facts, |(_, facts)| match decide(None, 1, facts.clone())? {
            Decision::Create(lines) => Ok(lines),
            other => bail!("a new event is not created: {other:?}"),
        })?;
    let with_lines: Vec<(&Event, Vec<Line>)> =
        with_facts.iter().map(|(event, _)| *event).zip(lines).collect();
    timed(&mut took, "objectAndRecords", &with_lines, |(event, lines)| {
        let head = Head {
            activation: 1,
            mapping: "dvss/InventoryUpdated/1".to_owned(),
            vendor_id: event.draft.vendor_id.clone(),
            ingest_id: event.draft.ingest_id,
            external_event_id: event.draft.external_event_id.clone(),
            traceparent: None,
        };
        Ok(Object { head, lines: lines.clone() }.outputs()?)
    })?;
    print::document(&json!({ "microsPerEvent": took }), json, |document| format!("{document:#}\n"))?;
    Ok(exit::SUCCESS)
}

/// Notes what `step` takes per event, copies of its input included, and returns what it made of each.
fn timed<I, O>(
    took: &mut Map<String, Value>,
    name: &str,
    inputs: &[I],
    step: impl Fn(&I) -> anyhow::Result<O>,
) -> anyhow::Result<Vec<O>> {
    let mut least = Duration::MAX;
    let mut outputs = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        outputs = inputs.iter().map(|input| black_box(step(black_box(input)))).collect::<Result<_, _>>()?;
        least = least.min(begun.elapsed());
    }
    took.insert(name.to_owned(), thousandth(micros(least) / as_f64(inputs.len() as u64)).into());
    Ok(outputs)
}
