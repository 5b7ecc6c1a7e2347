//! What becomes of a normalized object; pure.
//!
//! Only here do facts get revisions. Per (line, leg), `r` being its greatest revision so far:
//!
//! | the object has | the mapping says | the object gets |
//! |---|---|---|
//! | nothing | a fact | the fact at 1 |
//! | a fact | the same | no change, byte for byte |
//! | a fact | other data under the same key | the new fact at `r + 1`, in its place |
//! | a fact | another key: entity, type, occurredAt or sequence | a retraction under the old key at `r + 1`, the new fact at `r + 2` |
//! | a fact | nothing | a retraction at `r + 1` |
//! | retractions only | a fact | the fact at `r + 1` |
//!
//! Retractions stay, so that whoever publishes the object takes back whatever was published from an
//! earlier one; a fact that comes back under the key of a retraction takes that one's place, for it is
//! the same row downstream.

use std::collections::BTreeMap;

use contract::canonical::Fact;
use contract::entity::TooLong;
use stores::normalized::{Line, Object, line_key};

/// What to do with the stored object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// None is stored: put these lines.
    Create(Vec<Line>),
    /// It was made under the same activation: publish it as it is.
    Keep,
    /// It was made under an older activation: put these lines in its place. They may be equal to its
    /// own; it must still name the newer activation, so that the older one cannot come back.
    Replace(Vec<Line>),
    /// It was made under a newer activation than ours: look the mapping up again.
    Outdated,
}

/// Decides what `mapped`, made under `activation`, does to what is stored. The revisions of `mapped`
/// mean nothing.
pub fn decide(stored: Option<&Object>, activation: u64, mapped: Vec<Fact>) -> Result<Decision, TooLong> {
    let Some(stored) = stored else { return Ok(Decision::Create(revise(&[], mapped)?)) };
    Ok(match stored.head.activation.cmp(&activation) {
        std::cmp::Ordering::Equal => Decision::Keep,
        std::cmp::Ordering::Less => Decision::Replace(revise(&stored.lines, mapped)?),
        std::cmp::Ordering::Greater => Decision::Outdated,
    })
}

/// The lines of the object that follows on `stored`.
pub fn revise(stored: &[Line], mapped: Vec<Fact>) -> Result<Vec<Line>, TooLong> {
    /// What is kept of one place (line and leg), and what the mapping says of it now.
    type Place<'a> = (Vec<&'a Line>, Option<Fact>);
    if stored.is_empty() {
        // Most events are new, and every fact has a place of its own.
        let first = |fact| Line::new(Fact { revision: 1, retracted: false, ..fact });
        let mut lines: Vec<Line> = mapped.into_iter().map(first).collect();
        let place = |line: &Line| (line.fact.line, line.fact.leg);
        lines.sort_by_key(place);
        debug_assert!(lines.windows(2).all(|pair| place(&pair[0]) < place(&pair[1])), "a place twice");
        return Ok(lines);
    }
    let mut places: BTreeMap<(u32, u8), Place<'_>> = BTreeMap::new();
    for line in stored {
        places.entry((line.fact.line, line.fact.leg)).or_default().0.push(line);
    }
    for fact in mapped {
        let place = (fact.line, fact.leg);
        places.entry(place).or_default().1 = Some(fact);
    }
    let mut lines = Vec::new();
    for (history, said) in places.into_values() {
        let mut revised = revise_one(&history, said)?;
        revised.sort_by_key(|line| line.fact.revision);
        lines.append(&mut revised);
    }
    Ok(lines)
}

fn revise_one(history: &[&Line], said: Option<Fact>) -> Result<Vec<Line>, TooLong> {
    let last = history.iter().map(|line| line.fact.revision).max().unwrap_or(0);
    let (retracted, standing): (Vec<&Line>, Vec<&Line>) =
        history.iter().copied().partition(|line| line.fact.retracted);
    let standing = standing.into_iter().next();
    let mut lines: Vec<Line> = retracted.into_iter().cloned().collect();
    let Some(said) = said else {
        lines.extend(standing.map(|line| retraction(line, last + 1)));
        return Ok(lines);
    };
    let key = line_key(&said)?;
    let mut revision = last + 1;
    if let Some(standing) = standing {
        if says_the_same(&standing.fact, &said) {
            lines.push(standing.clone());
            return Ok(lines);
        }
        if line_key(&standing.fact)? != key {
            lines.push(retraction(standing, revision));
            revision += 1;
        }
    }
    let mut kept = Vec::with_capacity(lines.len() + 1);
    for line in lines {
        if line_key(&line.fact)? != key {
            kept.push(line);
        }
    }
    kept.push(Line::new(Fact { revision, retracted: false, ..said }));
    Ok(kept)
}

/// Whether two facts of one line and leg would be published as the same data. Where the raw bytes are
/// and what the source schema did not know say nothing about the entity.
fn says_the_same(stored: &Fact, said: &Fact) -> bool {
    // As text: `15` and `15.00` are equal numbers and different bytes.
    let data = |fact: &Fact| serde_json::to_string(&fact.data).ok();
    (stored.occurred_at, &stored.schema_version) == (said.occurred_at, &said.schema_version)
        && data(stored) == data(said)
}

fn retraction(line: &Line, revision: u32) -> Line {
    Line::new(Fact { revision, retracted: true, drift: Vec::new(), ..line.fact.clone() })
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
