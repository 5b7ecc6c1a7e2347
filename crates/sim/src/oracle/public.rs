//! What a reader of committed records sees on the public topics.

use std::collections::BTreeMap;

use contract::topics;
use ports::log::{Offset, RawRecord};
use ports::tables::Row;
use stores::outbox::{self, RowRef};
use stores::tables::{DIVERGENCE, EFFECTS, QUARANTINE};

use super::Evidence;
use crate::world::codec;

/// Each identity once; of one fact the revisions in order; every row out at its revision, with its very
/// bytes, where its coordinates say.
pub async fn check(evidence: &Evidence<'_>, wrong: &mut Vec<String>) {
    let codec = codec(evidence.world);
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let mut last: BTreeMap<String, (u64, String)> = BTreeMap::new();
    for record in &evidence.published {
        let at = record.coordinates();
        let value = match codec.decode(&record.value).await {
            Ok(value) => value,
            Err(error) => {
                wrong.push(format!("public: {at} is unreadable: {error}"));
                continue;
            }
        };
        let key = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned();
        let member = |name: &str| value.get(name).map(ToString::to_string).unwrap_or_default();
        let (names, number) = match &*record.partition.topic {
            topics::QUARANTINE => (&["stage", "identity"][..], "count"),
            topics::DIVERGENCE => (&["kind", "ingestId", "line", "leg"][..], "revision"),
            _ => (&["ingestId", "line", "leg"][..], "revision"),
        };
        let names: Vec<String> = names.iter().map(|name| member(name)).collect();
        let revision = value.get(number).and_then(serde_json::Value::as_u64).unwrap_or(0);
        let identity = format!("{} {key} {}", record.partition.topic, names.join(" "));
        // Of one conflict there may be newcomers of several instants.
        let place = format!("{identity} {} {}", member("occurredAt"), value["data"]["sequence"]);
        let unique = if number == "revision" && names.len() == 4 { &place } else { &identity };
        if let Some(first) = seen.insert(format!("{unique} {revision}"), at.clone()) {
            wrong.push(format!("public: {identity} revision {revision} is out twice, at {first} and {at}"));
        }
        // Records of one key are in one partition, and read in its order. Divergences are rows of their
        // own, each published when its turn comes.
        let before = last.insert(place, (revision, at.clone()));
        let ordered = &*record.partition.topic != topics::DIVERGENCE;
        if let Some((earlier, first)) = before.filter(|(earlier, _)| ordered && *earlier > revision) {
            wrong.push(format!(
                "public: {identity} goes from revision {earlier} at {first} to {revision} at {at}"
            ));
        }
    }
    let by_place: BTreeMap<(&str, u32, Offset), &RawRecord> = evidence
        .published
        .iter()
        .map(|record| ((&*record.partition.topic, record.partition.index, record.offset), record))
        .collect();
    let tables = [
        (&EFFECTS, &evidence.effects),
        (&EFFECTS, &evidence.booked),
        (&DIVERGENCE, &evidence.divergences),
        (&QUARANTINE, &evidence.parked),
    ];
    let mut rows = 0;
    for (table, all) in tables {
        for row in all {
            rows += 1;
            if let Err(problem) = of_row(row, &by_place) {
                wrong.push(format!("public: {:?}: {problem}", RowRef::new(table, &row.key)));
            }
        }
    }
    if evidence.published.len() < rows {
        wrong.push(format!("public: {rows} rows, and {} records", evidence.published.len()));
    }
}

fn of_row(row: &Row, by_place: &BTreeMap<(&str, u32, Offset), &RawRecord>) -> Result<(), String> {
    let state = outbox::state(&row.item).ok_or("it has no outbox columns")?;
    let at =
        state.coordinates.ok_or_else(|| format!("revision {} is not out", state.publication.revision))?;
    let place = (&*at.partition.topic, at.partition.index, at.offset);
    let record =
        by_place.get(&place).ok_or_else(|| format!("nothing is at {}/{}", at.partition, at.offset))?;
    let same = (&*record.value, record.key.as_deref(), &*record.partition.topic)
        == (
            &*state.publication.value,
            Some(state.publication.key.as_bytes()),
            state.publication.topic.as_str(),
        );
    if !same {
        return Err(format!("what is at {}/{} is not what the row says", at.partition, at.offset));
    }
    if row.item.contains_key("pendingShard") {
        return Err("it is out, and still pending".to_owned());
    }
    Ok(())
}
