//! What became of each accepted record: pure.
//!
//! The evidence is gathered in an order that makes it safe while the pipeline runs: first what is
//! unread, upstream before downstream, then rows and receipts. A record that moves meanwhile was
//! either still unread where it came from, or has arrived where it is looked for next.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use contract::{Fingerprint, IngestId, VendorId};
use serde::Serialize;

/// One accepted record, however often it was produced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Whose it is.
    pub vendor_id: VendorId,
    /// Our id of it.
    pub ingest_id: IngestId,
    /// What it says.
    pub fingerprint: Fingerprint,
    /// Flagged by the gateway: the event that won.
    pub conflict_with: Option<IngestId>,
}

/// The ingest index's claimed row for the record's event id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claimed {
    /// The winner.
    pub ingest_id: IngestId,
    /// What the winner says.
    pub fingerprint: Fingerprint,
}

/// Everything that is known about one record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The claimed row, where there is one.
    pub claimed: Option<Claimed>,
    /// The newcomer's own row: an alias, or a conflict.
    pub newcomer: bool,
    /// It was normalized, and every fact of its object has coordinates or an uncopied receipt at the
    /// object's revision. No facts count as published.
    pub published: bool,
    /// It, or one of its facts, is in quarantine, open or discarded: it, and not another event with its
    /// ingest id.
    pub quarantined: bool,
    /// It, one of its facts, or a reference to one of their rows lies at or past a committed offset.
    pub unread: bool,
}

/// What became of a record. First match wins, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Another payload has the id; kept and recorded as a divergence.
    Conflict,
    /// A repeat under another ingest id; balanced if the winner is.
    Duplicate(IngestId),
    /// Every fact is on its public topic.
    Published,
    /// A stage could not work on it.
    Quarantined,
    /// Still on its way.
    InFlight,
    /// None of these: an alarm.
    Missing,
}

/// Classifies one record.
pub fn classify(record: &Accepted, evidence: &Evidence) -> Class {
    let lost_or_moving = if evidence.unread { Class::InFlight } else { Class::Missing };
    let Some(claimed) = evidence.claimed.filter(|_| record.conflict_with.is_none()) else {
        // A flagged record never claims; an unclaimed one is on its way to dedup, or parked there.
        return match (record.conflict_with.is_some() && evidence.newcomer, evidence.quarantined) {
            (true, _) => Class::Conflict,
            (false, true) => Class::Quarantined,
            (false, false) => lost_or_moving,
        };
    };
    let settled = if claimed.fingerprint != record.fingerprint {
        evidence.newcomer.then_some(Class::Conflict)
    } else if claimed.ingest_id != record.ingest_id {
        evidence.newcomer.then_some(Class::Duplicate(claimed.ingest_id))
    } else {
        evidence.published.then_some(Class::Published)
    };
    // Dedup may have parked a newcomer too: untried, where its vendor is over budget.
    settled.unwrap_or(if evidence.quarantined { Class::Quarantined } else { lost_or_moving })
}

/// Which of the events with one ingest id: `None` for the one that has the id, the fingerprint for a
/// flagged newcomer with the same date.
pub type Who = (IngestId, Option<Fingerprint>);

/// Marks of events: of each that has its id the ingest id, 16 bytes, and little more for the few newcomers.
/// One is held for every accepted record while the books are drawn up.
#[derive(Debug, Default)]
pub struct Marks {
    events: HashSet<IngestId>,
    newcomers: HashSet<Who>,
}

impl Marks {
    /// Marks an event; false where it is marked already.
    pub fn insert(&mut self, who: Who) -> bool {
        match who {
            (id, None) => self.events.insert(id),
            newcomer => self.newcomers.insert(newcomer),
        }
    }

    /// Whether an event is marked.
    pub fn contains(&self, who: &Who) -> bool {
        match who {
            (id, None) => self.events.contains(id),
            newcomer => self.newcomers.contains(newcomer),
        }
    }
}

/// Which event a record is of.
pub fn who(record: &Accepted) -> Who {
    (record.ingest_id, record.conflict_with.map(|_| record.fingerprint))
}

/// Which event a row in quarantine is of; its identity is `<ingestId>#<fingerprint>` for a flagged
/// newcomer, and for facts `<ingestId>#<line>#<leg>#<revision>`.
pub fn parked(identity: &str, ingest_id: IngestId) -> Who {
    let flagged = identity.split_once('#').and_then(|(_, rest)| Fingerprint::parse(rest));
    (ingest_id, flagged)
}

/// One vendor's books.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// Whose.
    pub vendor_id: VendorId,
    /// Accepted records: the sum of the next six.
    pub accepted: u64,
    /// Every fact on its public topic.
    pub published: u64,
    /// Repeats under another ingest id.
    pub duplicate: u64,
    /// Other payloads under a taken id.
    pub conflict: u64,
    /// Parked: open, or discarded by an operator.
    pub quarantined: u64,
    /// On their way.
    pub in_flight: u64,
    /// The ids of those that are nowhere.
    pub missing: Vec<IngestId>,
    /// Records of its own topic that the Kafka door did not accept: they are in quarantine, and not among the
    /// accepted.
    pub refused: u64,
    /// Facts on public topics.
    pub facts: u64,
    /// Public records that repeat an identity.
    pub repeats: u64,
}

impl Account {
    /// Empty books.
    pub fn new(vendor_id: VendorId) -> Self {
        Self {
            vendor_id,
            accepted: 0,
            published: 0,
            duplicate: 0,
            conflict: 0,
            quarantined: 0,
            in_flight: 0,
            missing: Vec::new(),
            refused: 0,
            facts: 0,
            repeats: 0,
        }
    }

    fn enter(&mut self, id: IngestId, class: Class) {
        self.accepted += 1;
        match class {
            Class::Conflict => self.conflict += 1,
            Class::Duplicate(_) => self.duplicate += 1,
            Class::Published => self.published += 1,
            Class::Quarantined => self.quarantined += 1,
            Class::InFlight => self.in_flight += 1,
            Class::Missing => self.missing.push(id),
        }
    }
}

/// Every vendor's books, and what was seen beside them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Nothing missing, no repeats, nothing damaged.
    pub balanced: bool,
    /// The books, by vendor.
    pub vendors: Vec<Account>,
    /// Raw objects with neither record nor row: their vendors never got a 2xx.
    pub orphans: Vec<String>,
    /// Keys of normalized objects that are not what normalize wrote. Their events count as not
    /// published, whatever is on the public topics.
    pub damaged: Vec<String>,
    /// What `--repair` did, and what it could not do, one line each.
    pub repaired: Vec<String>,
}

/// The books while they are being drawn up.
#[derive(Debug, Default)]
pub struct Books {
    accounts: BTreeMap<VendorId, Account>,
    /// Repeats and their winners.
    duplicates: BTreeMap<VendorId, Vec<(IngestId, IngestId)>>,
    /// Missing events that are nobody's newcomers, for others may be duplicates of them.
    lost: HashSet<IngestId>,
    damaged: BTreeSet<String>,
}

impl Books {
    /// Enters one record.
    pub fn enter(&mut self, record: &Accepted, class: Class) {
        let (vendor, id) = (&record.vendor_id, record.ingest_id);
        match class {
            Class::Duplicate(winner) => {
                return self.duplicates.entry(vendor.clone()).or_default().push((id, winner));
            }
            Class::Missing if record.conflict_with.is_none() => drop(self.lost.insert(id)),
            _ => {}
        }
        self.account(vendor).enter(id, class);
    }

    /// Enters a plan of an invoice, as one accepted record of the owner's.
    pub fn enter_plan(&mut self, owner: &VendorId, plan: IngestId, class: Class) {
        self.account(owner).enter(plan, class);
    }

    /// Enters an object that is not what normalize wrote.
    pub fn damaged(&mut self, key: String) {
        self.damaged.insert(key);
    }

    /// Enters how many of a vendor's records the Kafka door did not accept.
    pub fn refused(&mut self, vendor: &VendorId, records: u64) {
        self.account(vendor).refused = records;
    }

    /// Enters what a vendor's public topics hold.
    pub fn public(&mut self, vendor: &VendorId, facts: u64, repeats: u64) {
        let account = self.account(vendor);
        (account.facts, account.repeats) = (facts, repeats);
    }

    /// Closes the books. A duplicate of a missing winner is missing too: its vendor was told that the
    /// event is taken, and it is not.
    pub fn close(mut self, orphans: Vec<String>) -> Report {
        let lost = std::mem::take(&mut self.lost);
        for (vendor, repeats) in std::mem::take(&mut self.duplicates) {
            let account = self.account(&vendor);
            for (id, winner) in repeats {
                let class = if lost.contains(&winner) { Class::Missing } else { Class::Duplicate(winner) };
                account.enter(id, class);
            }
        }
        let vendors: Vec<Account> = self.accounts.into_values().collect();
        let damaged: Vec<String> = self.damaged.into_iter().collect();
        let good = |account: &Account| account.missing.is_empty() && account.repeats == 0;
        let balanced = damaged.is_empty() && vendors.iter().all(good);
        Report { balanced, vendors, orphans, damaged, repaired: Vec::new() }
    }

    fn account(&mut self, vendor: &VendorId) -> &mut Account {
        self.accounts.entry(vendor.clone()).or_insert_with(|| Account::new(vendor.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{ExternalEventId, Timestamp};

    fn id(external: &str) -> IngestId {
        let occurred_at = Timestamp::parse("2026-03-16T08:35:06Z").expect("time");
        let external = ExternalEventId::parse(external).expect("id");
        IngestId::derive(&VendorId::parse("acme").expect("id"), &external, occurred_at)
    }

    fn record(conflict_with: Option<IngestId>) -> Accepted {
        Accepted {
            vendor_id: VendorId::parse("acme").expect("id"),
            ingest_id: id("e1"),
            fingerprint: Fingerprint::of_bytes(b"one"),
            conflict_with,
        }
    }

    #[test]
    fn first_match_wins() {
        let own = Claimed { ingest_id: id("e1"), fingerprint: Fingerprint::of_bytes(b"one") };
        let earlier = Claimed { ingest_id: id("e0"), ..own };
        let other = Claimed { ingest_id: id("e1"), fingerprint: Fingerprint::of_bytes(b"two") };
        let seen = |claimed, newcomer, published, quarantined, unread| Evidence {
            claimed,
            newcomer,
            published,
            quarantined,
            unread,
        };
        for (flagged, evidence, class) in [
            //    claimed         newcomer published quarantined unread
            (false, seen(None, false, false, false, true), Class::InFlight),
            (false, seen(None, false, false, true, false), Class::Quarantined),
            (false, seen(None, false, false, false, false), Class::Missing),
            (false, seen(Some(own), false, true, true, true), Class::Published),
            (false, seen(Some(own), false, false, true, true), Class::Quarantined),
            (false, seen(Some(own), false, false, false, true), Class::InFlight),
            (false, seen(Some(own), false, false, false, false), Class::Missing),
            (false, seen(Some(earlier), true, true, false, false), Class::Duplicate(id("e0"))),
            (false, seen(Some(earlier), true, false, true, false), Class::Duplicate(id("e0"))),
            (false, seen(Some(earlier), false, true, true, true), Class::Quarantined),
            (false, seen(Some(earlier), false, true, false, true), Class::InFlight),
            (false, seen(Some(earlier), false, true, false, false), Class::Missing),
            (false, seen(Some(other), true, true, false, false), Class::Conflict),
            (false, seen(Some(other), true, true, true, false), Class::Conflict),
            (false, seen(Some(other), false, true, true, true), Class::Quarantined),
            (false, seen(Some(other), false, true, false, false), Class::Missing),
            (true, seen(Some(own), true, true, false, false), Class::Conflict),
            (true, seen(Some(own), false, true, false, true), Class::InFlight),
            (true, seen(Some(own), false, true, false, false), Class::Missing),
        ] {
            let record = record(flagged.then(|| id("e0")));
            assert_eq!(classify(&record, &evidence), class, "flagged {flagged} {evidence:?}");
        }
    }

    #[test]
    fn a_duplicate_is_only_as_good_as_its_winner() {
        let vendor = VendorId::parse("acme").expect("id");
        let with = |winner, flagged| {
            let mut books = Books::default();
            books.enter(&record(None), Class::Duplicate(id("e0")));
            books.enter(&Accepted { ingest_id: id("e0"), ..record(flagged) }, winner);
            books.close(vec![])
        };
        assert!(with(Class::Published, None).balanced);
        assert_eq!(with(Class::Missing, None).vendors[0].missing, [id("e0"), id("e1")]);
        // A newcomer with the winner's date is not the winner.
        assert_eq!(with(Class::Missing, Some(id("e0"))).vendors[0].missing, [id("e0")]);
        let mut books = Books::default();
        books.public(&vendor, 3, 1);
        assert!(!books.close(vec![]).balanced);
        let mut books = Books::default();
        books.damaged("normalized/x".to_owned());
        let report = books.close(vec![]);
        assert_eq!((report.balanced, report.damaged), (false, vec!["normalized/x".to_owned()]));
    }

    #[test]
    fn one_event_does_not_stand_for_another_with_its_ingest_id() {
        let (own, id) = (record(None), id("e1"));
        let (newcomer, print) = (record(Some(id)), own.fingerprint);
        for (identity, row_is_of) in [
            (id.to_string(), &own),
            (format!("{id}#0#0#1"), &own),
            ("dvss.normalized/3/9".to_owned(), &own),
            (format!("{id}#{print}"), &newcomer),
        ] {
            assert_eq!(parked(&identity, id), who(row_is_of), "{identity}");
        }
        assert_ne!(who(&own), who(&newcomer));
    }
}
