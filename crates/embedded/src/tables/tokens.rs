//! Tokens of transactions that happened: a log in the order of time, kept for ten minutes at least.
//!
//! Tokens are as good as random, so a tree of them would touch a page of its own for each. The log grows
//! at one end and shrinks at the other; where in it a token lies is kept in memory, as a hint: what counts
//! is the log's row, which lies in the same transaction as the writes.

use std::collections::HashMap;
use std::time::Duration;

use ports::tables::{Condition, Edit};
use redb::{ReadTransaction, ReadableTable, TableDefinition, TableError, WriteTransaction};
use sha2::{Digest, Sha256};

use super::change::{Action, Prepared};
use super::rows::{push_attr, push_bytes, push_number};

/// How long a token is kept.
const KEPT: Duration = Duration::from_secs(11 * 60);
/// Most tokens that one transaction forgets; more than it adds, so that the log shrinks again.
const FORGOTTEN_AT_ONCE: usize = 8;

/// Entries by their number; an entry is the token's digest, the writes' and when it happened.
const LOG: TableDefinition<'_, u64, &[u8; 40]> = TableDefinition::new("tokens");

/// A token and its writes, digested (128 bits each).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Print {
    token: [u8; 16],
    writes: [u8; 16],
}

/// Whether a token happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Happened {
    /// Not within the time that tokens are kept.
    No,
    /// With the same writes.
    Yes,
    /// With others.
    WithOtherWrites,
}

/// Where in the log tokens lie.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    places: HashMap<[u8; 16], u64>,
    /// No entry is older (milliseconds since the epoch).
    oldest: u64,
}

/// The log, open for writing.
pub(super) struct Log<'a, 'txn> {
    tokens: &'a mut Tokens,
    entries: redb::Table<'txn, u64, &'static [u8; 40]>,
}

/// Opens the log, to see whether it is there.
pub(super) fn open(transaction: &ReadTransaction) -> Result<(), TableError> {
    transaction.open_table(LOG).map(|_| ())
}

/// Makes the log.
pub(super) fn make(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    transaction.open_table(LOG)?;
    Ok(())
}

impl Tokens {
    /// Reads the log.
    pub(super) fn load(transaction: &ReadTransaction) -> Result<Self, redb::Error> {
        let mut tokens = Self::default();
        for entry in transaction.open_table(LOG)?.iter()? {
            let (place, entry) = entry?;
            tokens.places.insert(Entry::read(entry.value()).print.token, place.value());
        }
        Ok(tokens)
    }

    /// Opens the log for writing.
    pub(super) fn open<'txn>(
        &mut self,
        transaction: &'txn WriteTransaction,
    ) -> Result<Log<'_, 'txn>, redb::Error> {
        Ok(Log { tokens: self, entries: transaction.open_table(LOG)? })
    }
}

impl Log<'_, '_> {
    /// Whether a token happened.
    pub(super) fn happened(&self, print: &Print) -> Result<Happened, redb::Error> {
        let Some(place) = self.tokens.places.get(&print.token) else { return Ok(Happened::No) };
        let Some(entry) = self.entries.get(place)? else { return Ok(Happened::No) };
        let found = Entry::read(entry.value()).print;
        Ok(match found.token == print.token {
            // Its own transaction was undone, and another one took the place.
            false => Happened::No,
            true if found.writes == print.writes => Happened::Yes,
            true => Happened::WithOtherWrites,
        })
    }

    /// Adds a token, and forgets some that are too old.
    pub(super) fn remember(&mut self, print: &Print, now: u64) -> Result<(), redb::Error> {
        let place = self.entries.last()?.map_or(0, |(last, _)| last.value() + 1);
        self.entries.insert(place, &Entry { print: print.clone(), at: now }.bytes())?;
        self.tokens.places.insert(print.token, place);
        for _ in 0..FORGOTTEN_AT_ONCE {
            if now.saturating_sub(self.tokens.oldest) <= millis(KEPT) {
                break;
            }
            self.forget(now)?;
        }
        Ok(())
    }

    fn forget(&mut self, now: u64) -> Result<(), redb::Error> {
        let Some((place, entry)) =
            self.entries.first()?.map(|(place, entry)| (place.value(), Entry::read(entry.value())))
        else {
            return Ok(());
        };
        self.tokens.oldest = entry.at;
        if now.saturating_sub(entry.at) <= millis(KEPT) {
            return Ok(());
        }
        self.entries.remove(place)?;
        if self.tokens.places.get(&entry.print.token) == Some(&place) {
            self.tokens.places.remove(&entry.print.token);
        }
        Ok(())
    }
}

struct Entry {
    print: Print,
    at: u64,
}

impl Entry {
    fn bytes(&self) -> [u8; 40] {
        let mut bytes = [0; 40];
        bytes[..16].copy_from_slice(&self.print.token);
        bytes[16..32].copy_from_slice(&self.print.writes);
        bytes[32..].copy_from_slice(&self.at.to_be_bytes());
        bytes
    }

    fn read(bytes: &[u8; 40]) -> Self {
        let (mut token, mut writes, mut at) = ([0; 16], [0; 16], [0; 8]);
        token.copy_from_slice(&bytes[..16]);
        writes.copy_from_slice(&bytes[16..32]);
        at.copy_from_slice(&bytes[32..]);
        Self { print: Print { token, writes }, at: u64::from_be_bytes(at) }
    }
}

impl Print {
    /// Of a transaction; different writes are different bytes, by lengths and tags.
    pub(super) fn of(token: &str, writes: &[Prepared]) -> Self {
        let mut bytes = Vec::new();
        for write in writes {
            push_number(&mut bytes, i64::try_from(write.tree).unwrap_or(i64::MAX));
            push_bytes(&mut bytes, &write.place);
            push_condition(&mut bytes, &write.condition);
            push_action(&mut bytes, &write.action);
        }
        Self { token: digest(token.as_bytes()), writes: digest(&bytes) }
    }
}

fn digest(bytes: &[u8]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&Sha256::digest(bytes)[..16]);
    half
}

fn push_action(bytes: &mut Vec<u8>, action: &Action) {
    match action {
        Action::Put(image) => {
            bytes.push(0);
            push_bytes(bytes, &image.row);
        }
        Action::Edit(edits) => {
            bytes.push(1);
            push_count(bytes, edits.len());
            edits.iter().for_each(|edit| push_edit(bytes, edit));
        }
        Action::Delete => bytes.push(2),
        Action::Check => bytes.push(3),
    }
}

fn push_edit(bytes: &mut Vec<u8>, edit: &Edit) {
    match edit {
        Edit::Set(name, value) => {
            bytes.push(0);
            push_bytes(bytes, name.as_bytes());
            push_attr(bytes, value);
        }
        Edit::Remove(name) => {
            bytes.push(1);
            push_bytes(bytes, name.as_bytes());
        }
        Edit::Add(name, number) => {
            bytes.push(2);
            push_bytes(bytes, name.as_bytes());
            push_number(bytes, *number);
        }
    }
}

fn push_condition(bytes: &mut Vec<u8>, condition: &Condition) {
    match condition {
        Condition::Always => bytes.push(0),
        Condition::Absent => bytes.push(1),
        Condition::Exists => bytes.push(2),
        Condition::Equals(name, value) => {
            bytes.push(3);
            push_bytes(bytes, name.as_bytes());
            push_attr(bytes, value);
        }
        Condition::Missing(name) => {
            bytes.push(4);
            push_bytes(bytes, name.as_bytes());
        }
        Condition::Below(name, bound) => {
            bytes.push(5);
            push_bytes(bytes, name.as_bytes());
            push_number(bytes, *bound);
        }
        Condition::All(parts) | Condition::Any(parts) => {
            bytes.push(if matches!(condition, Condition::All(_)) { 6 } else { 7 });
            push_count(bytes, parts.len());
            parts.iter().for_each(|part| push_condition(bytes, part));
        }
    }
}

fn push_count(bytes: &mut Vec<u8>, count: usize) {
    push_number(bytes, i64::try_from(count).unwrap_or(i64::MAX));
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::Engine;

    const MINUTE: u64 = 60_000;

    fn print(token: u8, writes: u8) -> Print {
        Print { token: [token; 16], writes: [writes; 16] }
    }

    /// Runs on the log of a store in memory and returns the tokens as they are afterwards.
    fn with_log(engine: &Engine, mut tokens: Tokens, run: fn(&mut Log<'_, '_>)) -> Tokens {
        let done = engine.write_blocking(move |transaction| {
            run(&mut tokens.open(transaction)?);
            Ok(Ok::<_, Infallible>(tokens))
        });
        let Ok(tokens) = done.unwrap();
        tokens
    }

    #[test]
    fn a_token_is_kept_for_ten_minutes_and_forgotten_later() {
        let engine = Engine::in_memory();
        let tokens = with_log(&engine, Tokens::default(), |log| {
            assert_eq!(log.happened(&print(1, 1)).unwrap(), Happened::No);
            log.remember(&print(1, 1), MINUTE).unwrap();
            log.remember(&print(2, 2), 2 * MINUTE).unwrap();
            log.remember(&print(3, 3), 11 * MINUTE).unwrap();
            assert_eq!(log.happened(&print(1, 1)).unwrap(), Happened::Yes);
            assert_eq!(log.happened(&print(1, 2)).unwrap(), Happened::WithOtherWrites);
            log.remember(&print(4, 4), 12 * MINUTE + 1).unwrap();
            assert_eq!(log.happened(&print(1, 1)).unwrap(), Happened::No);
            assert_eq!(log.happened(&print(2, 2)).unwrap(), Happened::Yes);
            log.remember(&print(5, 5), 60 * MINUTE).unwrap();
            let left: Vec<u64> = log.entries.iter().unwrap().map(|row| row.unwrap().0.value()).collect();
            assert_eq!(left, [4]);
        });
        assert_eq!(tokens.places, HashMap::from([([5; 16], 4)]));
    }

    #[test]
    fn a_token_is_found_again_after_a_restart() {
        let engine = Engine::in_memory();
        with_log(&engine, Tokens::default(), |log| log.remember(&print(1, 1), 7).unwrap());
        let tokens = engine.read(Tokens::load).unwrap();
        with_log(&engine, tokens, |log| {
            assert_eq!(log.happened(&print(1, 1)).unwrap(), Happened::Yes);
            assert_eq!(log.happened(&print(2, 1)).unwrap(), Happened::No);
        });
    }

    #[test]
    fn a_hint_whose_transaction_was_undone_counts_for_nothing() {
        let engine = Engine::in_memory();
        let tokens = Tokens { places: HashMap::from([([1; 16], 0), ([2; 16], 9)]), oldest: 0 };
        with_log(&engine, tokens, |log| {
            assert_eq!(log.happened(&print(1, 1)).unwrap(), Happened::No);
            log.remember(&print(3, 3), 7).unwrap();
            assert_eq!(log.happened(&print(1, 1)).unwrap(), Happened::No);
            assert_eq!(log.happened(&print(2, 2)).unwrap(), Happened::No);
        });
    }
}
