//! What vendors were told, and what is kept.

use std::collections::{BTreeMap, BTreeSet};

use contract::headers;
use gateway::Outcome;

use super::Evidence;
use crate::model::Said;

/// Each 2xx has exactly one raw object that says the same; a 202's object has its very bytes; a 409's
/// newcomer is kept too; what was refused is not; and nothing is kept that nobody sent.
pub fn check(evidence: &Evidence<'_>, wrong: &mut Vec<String>) {
    let mut by_id: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut says: BTreeMap<&str, usize> = BTreeMap::new();
    for (key, object) in &evidence.raw {
        let header = |name: &str| object.metadata.get(name).map(String::as_str).unwrap_or_default();
        let (vendor, external) = (header(headers::VENDOR_ID), header(headers::EXTERNAL_EVENT_ID));
        match evidence.saying_of(vendor, external, &object.bytes) {
            Some(saying) => {
                says.insert(key, saying);
            }
            None => wrong.push(format!("raw: {key} holds what nobody sent as {external} of {vendor}")),
        }
        if header(headers::SHA256) != object.sha256.to_string() {
            wrong.push(format!("raw: {key} does not have the SHA-256 that it names"));
        }
        if key.starts_with(contract::keys::RAW_PREFIX) {
            by_id.entry(header(headers::INGEST_ID).to_owned()).or_default().push(key);
        }
    }
    let traffic = &evidence.world.traffic;
    let answers = evidence.world.answers();
    let told: BTreeSet<usize> = answers.iter().map(|answer| answer.sending).collect();
    for index in (0..traffic.sendings.len()).filter(|index| !told.contains(index)) {
        wrong.push(format!("raw: client {index} never had an answer"));
    }
    for answer in &answers {
        let saying = traffic.sendings[answer.sending].saying;
        let who = format!(
            "client {} ({} {})",
            answer.sending, traffic.sayings[saying].vendor, traffic.sayings[saying].external
        );
        let refused = matches!(traffic.sayings[saying].said, Said::Refused(_));
        match &answer.outcome {
            Ok(Outcome::Accepted { ingest_id, .. } | Outcome::Duplicate { ingest_id, .. }) => {
                let found = by_id.get(&ingest_id.to_string()).map_or(&[][..], Vec::as_slice);
                let [key] = found else {
                    wrong.push(format!(
                        "raw: {who} got a 2xx for {ingest_id}, whose raw objects are {found:?}"
                    ));
                    continue;
                };
                if says.get(key).is_some_and(|kept| *kept != saying) {
                    wrong.push(format!(
                        "raw: {who} got a 2xx for {ingest_id}, whose object says something else"
                    ));
                }
                let fresh = matches!(answer.outcome, Ok(Outcome::Accepted { .. }));
                if fresh && evidence.raw[*key].bytes != answer.body {
                    wrong.push(format!("raw: {who} got a 202 for {ingest_id}, whose object has other bytes"));
                }
            }
            Ok(Outcome::Conflict { .. }) => {
                let alone = evidence.sent(traffic.sayings[saying].vendor, &traffic.sayings[saying].external);
                if alone.map(|(_, sending, _)| sending.saying).all(|other| other == saying) {
                    wrong.push(format!("raw: {who} got a 409, but nobody said anything else"));
                }
                let kept = says
                    .iter()
                    .any(|(key, kept)| *kept == saying && key.starts_with(contract::keys::CONFLICTS_PREFIX));
                if !kept {
                    wrong.push(format!("raw: {who} got a 409, and its bytes are not kept"));
                }
            }
            Err(code) => {
                let expected = match &traffic.sayings[saying].said {
                    Said::Refused(expected) => *expected,
                    _ => "no refusal",
                };
                if code.as_str() != expected {
                    wrong.push(format!("raw: {who} was refused as {code}, expected was {expected}"));
                }
            }
        }
        if refused && answer.outcome.is_ok() {
            wrong.push(format!("raw: {who} was to be refused, and got {:?}", answer.outcome));
        }
    }
}
