//! `dvss_audit`: who did what, before and after; append-only, each row chained to the one before it.
//!
//! `pk` = day (UTC), `sk` = a ULID that grows along the day's chain; the row `head` names the last.
//! A row's hash covers its content and the hash of its predecessor, so that a row changed, removed or
//! slipped in afterwards breaks the chain ([`verify`]). A change and its audit row are one
//! transaction ([`commit`]): neither is there without the other.

use std::time::Duration;

use contract::{Fingerprint, Timestamp};
use ports::tables::{self, Attr, Condition, Edit, Error, Item, Key, Query, Tables, Write};
use serde_json::Value;

use crate::tables::AUDIT;

/// Most rows of a transaction that are left to the caller of [`commit`].
pub const MAX_WRITES: usize = tables::MAX_TRANSACTION_ITEMS - 2;

const HEAD: &str = "head";
/// Behind every ULID (the first character is at most 7), before [`HEAD`].
const BEHIND_ULIDS: &str = "8";
/// How often a lost race for the head, or an unanswered transaction, is tried again.
const ATTEMPTS: u32 = 8;
const PAUSE: Duration = Duration::from_millis(10);

/// What somebody did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// Who.
    pub actor: String,
    /// What, as `vendor.rotate`.
    pub action: String,
    /// To what: an id.
    pub subject: String,
    /// The subject before; null where it was not there. Never holds a secret.
    pub before: Value,
    /// The subject after; null where it is gone.
    pub after: Value,
}

/// A row of the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its ULID.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// What.
    pub deed: Deed,
    /// The hash of the day's row before this one; empty in the first.
    pub previous: String,
    /// This row's hash.
    pub hash: String,
}

/// Where a day's chain ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Head {
    id: String,
    hash: String,
}

/// Appends a row for something that changes no table.
pub async fn append(tables: &dyn Tables, now: Timestamp, deed: &Deed) -> Result<(), Error> {
    commit(tables, now, deed, Vec::new()).await
}

/// Does `writes` (at most [`MAX_WRITES`]) and appends the row, all or nothing. [`Error::Condition`] is
/// about `writes` alone and in their order; a lost race for the end of the chain is tried again.
pub async fn commit(
    tables: &dyn Tables,
    now: Timestamp,
    deed: &Deed,
    writes: Vec<Write>,
) -> Result<(), Error> {
    let mut head = load_head(tables, now).await?;
    let mut attempt = 1;
    loop {
        let all = transaction(now, deed, &head, writes.clone());
        let error = match tables.transact(&token(&all), all).await {
            Ok(()) => return Ok(()),
            Err(Error::Condition(mut rows)) if rows.iter().take(writes.len()).any(Option::is_some) => {
                rows.truncate(writes.len());
                return Err(Error::Condition(rows));
            }
            Err(Error::Condition(_)) => {
                // Somebody else appended; what we wrote last time may be what they appended to.
                head = load_head(tables, now).await?;
                Error::Conflict
            }
            // The same token and the same writes: what happened already is not done twice.
            Err(error @ (Error::Conflict | Error::Unavailable(_))) => error,
            Err(other) => return Err(other),
        };
        if attempt >= ATTEMPTS {
            return Err(error);
        }
        tokio::time::sleep(PAUSE * attempt).await;
        attempt += 1;
    }
}

/// The rows of a day (`YYYY-MM-DD`) behind `after`, oldest first, at most `limit`.
pub async fn list(
    tables: &dyn Tables,
    day: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Entry>, Error> {
    let mut query = Query::of(&AUDIT, day);
    // No ULID holds `!`, so nothing sorts between `after` and this.
    query.from = after.map(|id| format!("{id}!"));
    query.to = Some(BEHIND_ULIDS.to_owned());
    let mut entries = Vec::new();
    while entries.len() < limit {
        query.limit = limit - entries.len();
        let page = tables.query(query.clone()).await?;
        for row in &page.rows {
            entries.push(read(&row.key, &row.item)?);
        }
        if page.next.is_none() {
            break;
        }
        query.after = page.next;
    }
    Ok(entries)
}

/// The first row of a complete day at which the chain does not hold; `None` where it holds.
pub fn verify(day: &[Entry]) -> Option<&Entry> {
    let mut previous = "";
    day.iter().find(|entry| {
        let holds = entry.previous == previous && entry.hash == hash(previous, entry.at, &entry.deed);
        previous = &entry.hash;
        !holds
    })
}

/// The partition key of an instant's day.
pub fn day(at: Timestamp) -> String {
    at.date_path().replace('/', "-")
}

async fn load_head(tables: &dyn Tables, now: Timestamp) -> Result<Head, Error> {
    let item = tables::get_one(tables, &AUDIT, Key::sorted(day(now), HEAD)).await?;
    let Some(item) = item else { return Ok(Head::default()) };
    let text = |name: &str| item.get(name).and_then(Attr::as_str).unwrap_or_default().to_owned();
    Ok(Head { id: text("last"), hash: text("hash") })
}

fn transaction(now: Timestamp, deed: &Deed, head: &Head, writes: Vec<Write>) -> Vec<Write> {
    let hash = hash(&head.hash, now, deed);
    let id = next_id(&head.id, now, &hash);
    let text = |value: &str| Attr::S(value.to_owned());
    let row = Item::from([
        ("at".to_owned(), Attr::S(now.to_string())),
        ("actor".to_owned(), text(&deed.actor)),
        ("action".to_owned(), text(&deed.action)),
        ("subject".to_owned(), text(&deed.subject)),
        ("before".to_owned(), Attr::S(deed.before.to_string())),
        ("after".to_owned(), Attr::S(deed.after.to_string())),
        ("previous".to_owned(), text(&head.hash)),
        ("hash".to_owned(), text(&hash)),
    ]);
    let unmoved = match head.hash.as_str() {
        "" => Condition::Missing("hash"),
        known => Condition::Equals("hash", text(known)),
    };
    let move_head = vec![Edit::Set("last", text(&id)), Edit::Set("hash", text(&hash))];
    let mut all = writes;
    all.push(Write::edit(&AUDIT, Key::sorted(day(now), HEAD), move_head, unmoved));
    all.push(Write::put(&AUDIT, Key::sorted(day(now), id), row, Condition::Absent));
    all
}

/// A ULID behind `last`: the time is `now`'s, or one more than `last`'s where the clock has not moved;
/// the random part is the hash's, so that nothing is drawn here.
fn next_id(last: &str, now: Timestamp, hash: &str) -> String {
    let at_least = ulid::Ulid::from_string(last).map_or(0, |last| last.timestamp_ms() + 1);
    let millis = u64::try_from(now.as_millis()).unwrap_or(0).max(at_least);
    let random = u128::from_str_radix(hash.get(..20).unwrap_or_default(), 16).unwrap_or(0);
    ulid::Ulid::from_parts(millis, random).to_string()
}

fn hash(previous: &str, at: Timestamp, deed: &Deed) -> String {
    let Deed { actor, action, subject, before, after } = deed;
    let text = serde_json::json!([previous, at, actor, action, subject, before, after]).to_string();
    Fingerprint::of_bytes(text.as_bytes()).to_string()
}

/// A token for exactly these writes.
fn token(writes: &[Write]) -> String {
    let mut text = Fingerprint::of_bytes(format!("{writes:?}").as_bytes()).to_string();
    text.truncate(32);
    text
}

fn read(key: &Key, item: &Item) -> Result<Entry, Error> {
    let id = key.sk.clone().unwrap_or_default();
    let unreadable =
        |name: &str| Error::Invalid(format!("the row {} {id} of dvss_audit has no readable {name}", key.pk));
    let text =
        |name: &str| item.get(name).and_then(Attr::as_str).map(str::to_owned).ok_or_else(|| unreadable(name));
    let json = |name: &str| serde_json::from_str(&text(name)?).map_err(|_| unreadable(name));
    Ok(Entry {
        at: Timestamp::parse(&text("at")?).map_err(|_| unreadable("at"))?,
        deed: Deed {
            actor: text("actor")?,
            action: text("action")?,
            subject: text("subject")?,
            before: json("before")?,
            after: json("after")?,
        },
        previous: text("previous")?,
        hash: text("hash")?,
        id: id.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deed(subject: &str) -> Deed {
        let (actor, action) = ("ops".to_owned(), "vendor.add".to_owned());
        Deed { actor, action, subject: subject.to_owned(), before: Value::Null, after: Value::Bool(true) }
    }

    fn chain(subjects: &[&str]) -> Vec<Entry> {
        let at = Timestamp::parse("2026-11-22T12:00:00Z").expect("time");
        let mut head = Head::default();
        let mut entries = Vec::new();
        for subject in subjects {
            let deed = deed(subject);
            let hash = hash(&head.hash, at, &deed);
            let id = next_id(&head.id, at, &hash);
            let previous = std::mem::replace(&mut head, Head { id: id.clone(), hash: hash.clone() }).hash;
            entries.push(Entry { id, at, deed, previous, hash });
        }
        entries
    }

    #[test]
    fn a_chain_holds_until_somebody_touches_it() {
        let whole = chain(&["a", "b", "c", "d"]);
        assert_eq!(verify(&whole), None);
        assert!(whole.is_sorted_by(|left, right| left.id < right.id), "ids grow while the clock stands");

        let mut changed = whole.clone();
        changed[1].deed.actor = "nobody".to_owned();
        assert_eq!(verify(&changed).map(|entry| entry.id.as_str()), Some(whole[1].id.as_str()));

        let mut removed = whole.clone();
        removed.remove(1);
        assert_eq!(verify(&removed).map(|entry| entry.id.as_str()), Some(whole[2].id.as_str()));

        let mut swapped = whole;
        swapped.swap(2, 3);
        assert!(verify(&swapped).is_some());
    }
}
