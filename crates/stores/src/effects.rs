//! `dvss_effects` and `dvss_canonical_state`: the facts about an entity, and what they come to.
//!
//! An effect row is one fact as it is now known: key entity, then `<kind>#<fold key>`, kind being `A`
//! (absolute stock), `D` (adjustment) or `O` (order). A fact that was taken back leaves its row, marked
//! retracted. Every effect row is an outbox row too; its publication's revision is the fact's. Rows
//! `W#…` are facts that are too much to fold and wait for an operator; they are no effect rows.
//!
//! A state row (key entity) is a function of the entity's effect rows; divergence alone says which one.
//! Whoever writes an effect row raises the state's version in the same transaction: so whoever reads
//! the state first, then rows, and writes under that version has read one consistent picture.

use bytes::Bytes;
use contract::canonical::{Data, DivergenceKind, Fact, FoldKey, OrderStatus, OrderUpdated, Outcome};
use contract::{Decimal, IngestId, Timestamp};
use ports::tables::{Attr, Change, Condition, Cursor, Error, Item, Key, Query, Row, Tables, Write, get_one};
use runtime::Output;
use serde::{Deserialize, Serialize};

use crate::divergences::{kind_name, parse_kind};
use crate::outbox::{self, Publication, RowRef};
use crate::tables::{BY_EVENT, CANONICAL_STATE, EFFECTS};

/// What the sort keys of waiting facts start with.
pub const WAITING: &str = "W#";
/// Sorts behind every fold key.
const LAST: char = '\u{10ffff}';

/// How a fact folds; the first letter of its row's sort key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Replaces the quantities that it states.
    Absolute,
    /// Adds to the quantity on hand.
    Adjustment,
    /// Replaces the order.
    Order,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Absolute, Self::Adjustment, Self::Order];

    /// The kind of a fact with this data.
    pub fn of(data: &Data) -> Self {
        match data {
            Data::InventoryUpdated(_) => Self::Absolute,
            Data::InventoryAdjusted(_) | Data::InventoryReceived(_) => Self::Adjustment,
            Data::OrderUpdated(_) => Self::Order,
        }
    }

    /// The letter in the sort key.
    pub fn letter(self) -> char {
        match self {
            Self::Absolute => 'A',
            Self::Adjustment => 'D',
            Self::Order => 'O',
        }
    }
}

/// What won a field, and where in the fold it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Winner<T> {
    /// The value.
    pub value: T,
    /// The place in the fold of the fact that states it.
    #[serde(flatten)]
    pub key: FoldKey,
}

/// A status that an order's fact states: never [`OrderStatus::Unstated`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatedStatus {
    /// One of the fixed list.
    pub status: OrderStatus,
    /// The vendor's own word for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_status: Option<String>,
}

impl StatedStatus {
    /// What an order states; nothing where its payload does not say.
    pub fn of(order: &OrderUpdated) -> Option<Self> {
        let OrderUpdated { status, vendor_status, .. } = order;
        let stated = || Self { status: *status, vendor_status: vendor_status.clone() };
        (*status != OrderStatus::Unstated).then(stated)
    }
}

/// What an entity's facts come to. An entity is stock or an order, so one half is always empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// The latest absolute quantity on hand; see [`State::quantity_on_hand`] for what is on hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_hand: Option<Winner<Decimal>>,
    /// The latest absolute quantity available.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available: Option<Winner<Decimal>>,
    /// The latest absolute quantity reserved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved: Option<Winner<Decimal>>,
    /// The latest absolute quantity incoming.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incoming: Option<Winner<Decimal>>,
    /// Sum of the adjustments later than the absolute on hand; of all of them where there is none.
    pub adjustments: Decimal,
    /// The latest order, as its fact says it; see [`State::order`] for what the order is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Winner<OrderUpdated>>,
    /// The latest status that an order states.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_status: Option<Winner<StatedStatus>>,
    /// The last absolute or order row, retracted ones included: nothing later needs to be looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_absolute: Option<FoldKey>,
    /// The last adjustment row, retracted ones included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_adjustment: Option<FoldKey>,
}

impl Default for State {
    /// Nothing is known.
    fn default() -> Self {
        Self {
            on_hand: None,
            available: None,
            reserved: None,
            incoming: None,
            adjustments: Decimal::zero(),
            order: None,
            order_status: None,
            last_absolute: None,
            last_adjustment: None,
        }
    }
}

impl State {
    /// Units on hand: the latest absolute and the adjustments later than it. `None`: no absolute is
    /// known; the adjustments alone do not tell.
    pub fn quantity_on_hand(&self) -> Option<Decimal> {
        self.on_hand.as_ref().map(|absolute| absolute.value.plus(&self.adjustments))
    }

    /// The order: what its latest fact says, with the latest status that any of its facts states.
    pub fn order(&self) -> Option<OrderUpdated> {
        let order = self.order.as_ref()?.value.clone();
        Some(match self.order_status.as_ref().map(|winner| winner.value.clone()) {
            Some(StatedStatus { status, vendor_status }) => OrderUpdated { status, vendor_status, ..order },
            None => order,
        })
    }
}

/// A state row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stated {
    /// What is known.
    pub state: State,
    /// Grows with every write of an effect row of the entity.
    pub version: i64,
}

/// An effect row.
#[derive(Debug, Clone, PartialEq)]
pub struct Effect {
    /// The entity.
    pub entity: String,
    /// The fact at its highest revision so far.
    pub fact: Fact,
    /// What became of it.
    pub outcome: Outcome,
    /// Divergences that were recorded with it, by revision; the last [`KEPT_FINDINGS`] of them.
    pub findings: Vec<(u32, DivergenceKind)>,
    /// Its publication, with coordinates where the outbox has copied them.
    pub outbox: Option<outbox::State>,
}

/// How many findings an effect row names; older ones are found in their own table.
pub const KEPT_FINDINGS: usize = 64;

impl Effect {
    /// How it folds.
    pub fn kind(&self) -> Kind {
        Kind::of(&self.fact.data)
    }
}

/// An effect row's key.
pub fn key(entity: &str, kind: Kind, at: &FoldKey) -> Key {
    Key::sorted(entity, sort_key(kind, at))
}

fn sort_key(kind: Kind, at: &FoldKey) -> String {
    format!("{}#{at}", kind.letter())
}

/// The reference to an effect row, for `dvss.outbox`; the same for every revision.
pub fn output(entity: &str, kind: Kind, at: &FoldKey) -> Output {
    RowRef::new(&EFFECTS, &key(entity, kind, at)).output(entity)
}

/// An effect row, pending since `now`. `line` is the fact's JSON as it came, `value` the public
/// record's encoded value.
pub fn row(effect: &Effect, line: &str, value: Bytes, now: Timestamp) -> (Key, Item) {
    let Effect { entity, fact, outcome, findings, .. } = effect;
    let publication = Publication {
        topic: fact.data.topic().to_owned(),
        key: entity.clone(),
        value,
        revision: fact.revision,
    };
    let kept = findings.len().saturating_sub(KEPT_FINDINGS);
    let names = findings[kept..].iter().map(|(revision, kind)| format!("{revision}:{}", kind_name(*kind)));
    let mut item = outbox::columns(&publication, now);
    item.extend([
        ("fact".to_owned(), Attr::S(line.to_owned())),
        ("revision".to_owned(), Attr::N(i64::from(fact.revision))),
        ("outcome".to_owned(), Attr::S(outcome_name(*outcome).to_owned())),
        ("retracted".to_owned(), Attr::Bool(fact.retracted)),
        ("ingestId".to_owned(), Attr::S(fact.ingest_id.to_string())),
        ("vendorId".to_owned(), Attr::S(fact.vendor_id.to_string())),
        ("findings".to_owned(), Attr::S(names.collect::<Vec<_>>().join(" "))),
    ]);
    (key(entity, effect.kind(), &fact.fold_key()), item)
}

/// Puts an effect row where there was none (`known` is `None`) or one of this revision.
pub fn write(key: Key, item: Item, known: Option<u32>) -> Write {
    let condition = known
        .map_or(Condition::Absent, |revision| Condition::Equals("revision", Attr::N(i64::from(revision))));
    Write::put(&EFFECTS, key, item, condition)
}

/// Puts a state row over the one with version `known`, or where there is none.
pub fn write_state(entity: &str, state: &State, known: Option<i64>, now: Timestamp) -> Write {
    let json = serde_json::to_string(state).expect("a state has text keys and no floats");
    let item = Item::from([
        ("state".to_owned(), Attr::S(json)),
        ("version".to_owned(), Attr::N(known.unwrap_or(0) + 1)),
        ("updatedAt".to_owned(), Attr::S(now.to_string())),
    ]);
    Write::put(&CANONICAL_STATE, Key::of(entity), item, at_version(known))
}

/// Lets a transaction fail where the state row is not the one that was read.
pub fn check_state(entity: &str, known: Option<i64>) -> Write {
    let (table, key) = (&CANONICAL_STATE, Key::of(entity));
    Write { table, key, condition: at_version(known), change: Change::Check }
}

fn at_version(known: Option<i64>) -> Condition {
    known.map_or(Condition::Absent, |version| Condition::Equals("version", Attr::N(version)))
}

/// What is known about an entity.
pub async fn state(tables: &dyn Tables, entity: &str) -> Result<Option<Stated>, Error> {
    let item = get_one(tables, &CANONICAL_STATE, Key::of(entity)).await?;
    item.map(|item| read_state(entity, &item)).transpose()
}

/// What is known about several entities, in the order asked.
pub async fn states(tables: &dyn Tables, entities: &[String]) -> Result<Vec<Option<Stated>>, Error> {
    let keys: Vec<Key> = entities.iter().map(Key::of).collect();
    let items = tables.get(&CANONICAL_STATE, &keys).await?;
    let read =
        |(entity, item): (&String, Option<Item>)| item.map(|item| read_state(entity, &item)).transpose();
    entities.iter().zip(items).map(read).collect()
}

/// Reads a state row, as a scan of the table gives it.
pub fn read_stated(row: &Row) -> Result<Stated, Error> {
    read_state(&row.key.pk, &row.item)
}

fn read_state(entity: &str, item: &Item) -> Result<Stated, Error> {
    let broken = |problem: &str| Error::Invalid(format!("state row `{entity}`: {problem}"));
    let json = item.get("state").and_then(Attr::as_str).ok_or_else(|| broken("no `state`"))?;
    let state = serde_json::from_str(json).map_err(|error| broken(&error.to_string()))?;
    let version = item.get("version").and_then(Attr::as_i64).ok_or_else(|| broken("no `version`"))?;
    Ok(Stated { state, version })
}

/// One effect row.
pub async fn effect(
    tables: &dyn Tables,
    entity: &str,
    kind: Kind,
    at: &FoldKey,
) -> Result<Option<Effect>, Error> {
    let key = key(entity, kind, at);
    let item = get_one(tables, &EFFECTS, key.clone()).await?;
    item.map(|item| read(&Row { key, item })).transpose()
}

/// Reads an effect row; [`Error::Invalid`] where it is not one: no fold may leave it out in silence.
pub fn read(row: &Row) -> Result<Effect, Error> {
    let broken = |problem: &str| Error::Invalid(format!("effect row {:?}: {problem}", row.key));
    let text = |name: &str| row.item.get(name).and_then(Attr::as_str);
    let json = text("fact").ok_or_else(|| broken("no `fact`"))?;
    let fact = serde_json::from_str(json).map_err(|error| broken(&error.to_string()))?;
    let outcome = text("outcome").and_then(parse_outcome).ok_or_else(|| broken("no `outcome`"))?;
    let finding = |text: &str| {
        let (revision, kind) = text.split_once(':')?;
        Some((revision.parse().ok()?, parse_kind(kind)?))
    };
    let findings =
        text("findings").unwrap_or_default().split_whitespace().map(finding).collect::<Option<_>>();
    Ok(Effect {
        entity: row.key.pk.clone(),
        fact,
        outcome,
        findings: findings.ok_or_else(|| broken("`findings` is unreadable"))?,
        outbox: outbox::state(&row.item),
    })
}

/// A range of an entity's rows of one kind, both ends included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// Which rows.
    pub kind: Kind,
    from: String,
    to: String,
    /// Last to first.
    pub descending: bool,
}

impl Range {
    /// From `from` (else the first) to `to` (else the last), both included.
    pub fn between(kind: Kind, from: Option<&FoldKey>, to: Option<&FoldKey>) -> Self {
        let letter = kind.letter();
        let from = from.map_or_else(|| format!("{letter}#"), |key| sort_key(kind, key));
        let to = to.map_or_else(|| format!("{letter}#{LAST}"), |key| sort_key(kind, key));
        Self { kind, from, to, descending: false }
    }

    /// Rows with the `occurredAt` and sequence of `at`.
    pub fn instant(kind: Kind, at: &FoldKey) -> Self {
        let prefix = format!("{}#{}#{:020}#", kind.letter(), at.occurred_at.sortable(), at.sequence);
        let to = format!("{prefix}{LAST}");
        Self { kind, from: prefix, to, descending: false }
    }

    /// The same, last to first.
    pub fn descending(self) -> Self {
        Self { descending: true, ..self }
    }
}

/// One page of a range, strongly consistent. A page may have fewer than `limit` rows and still not be
/// the last; `None` instead of a cursor says that it is.
pub async fn page(
    tables: &dyn Tables,
    entity: &str,
    range: &Range,
    limit: usize,
    after: Option<Cursor>,
) -> Result<(Vec<Effect>, Option<Cursor>), Error> {
    let query = Query {
        from: Some(range.from.clone()),
        to: Some(range.to.clone()),
        descending: range.descending,
        limit,
        after,
        ..Query::of(&EFFECTS, entity)
    };
    let page = tables.query(query).await?;
    Ok((page.rows.iter().map(read).collect::<Result<_, _>>()?, page.next))
}

/// One page of an entity's history, the latest first: its facts against fold order, whatever their kind,
/// retracted ones included. `before` is the `next` of the page before.
pub async fn history(
    tables: &dyn Tables,
    entity: &str,
    before: Option<&str>,
    limit: usize,
) -> Result<(Vec<Effect>, Option<String>), Error> {
    let limit = limit.clamp(1, 1_000);
    let place = |effect: &Effect| format!("{}#{}", effect.fact.fold_key(), effect.kind().letter());
    let mut merged = Vec::new();
    for kind in Kind::ALL {
        let mut range = Range::between(kind, None, None).descending();
        if let Some((at, _)) = before.and_then(|before| before.rsplit_once('#')) {
            range.to = format!("{}#{at}", kind.letter());
        }
        let (mut found, mut cursor) = (0, None);
        loop {
            // One more for the row that `before` names, one more to know whether there is a next page.
            let (effects, next) = page(tables, entity, &range, limit + 2, cursor).await?;
            let placed = effects.into_iter().map(|effect| (place(&effect), effect));
            let known = merged.len();
            merged.extend(placed.filter(|(place, _)| before.is_none_or(|before| place.as_str() < before)));
            found += merged.len() - known;
            cursor = next;
            if cursor.is_none() || found > limit {
                break;
            }
        }
    }
    merged.sort_by(|left, right| right.0.cmp(&left.0));
    let more = merged.len() > limit;
    merged.truncate(limit);
    let next = merged.last().filter(|_| more).map(|(place, _)| place.clone());
    Ok((merged.into_iter().map(|(_, effect)| effect).collect(), next))
}

/// Leaves a fact beside its entity's facts, where no fold sees it: [`waiting`] finds it. `line` is the
/// fact's JSON. A fact that waits at this revision or a higher one is left alone.
pub async fn wait(tables: &dyn Tables, entity: &str, fact: &Fact, line: &str) -> Result<(), Error> {
    let revision = i64::from(fact.revision);
    let item = Item::from([
        ("fact".to_owned(), Attr::S(line.to_owned())),
        ("revision".to_owned(), Attr::N(revision)),
    ]);
    let condition = Condition::Any(vec![Condition::Absent, Condition::Below("revision", revision)]);
    match tables.write(Write::put(&EFFECTS, waiting_key(entity, fact), item, condition)).await {
        Err(Error::Condition(_)) => Ok(()),
        other => other,
    }
}

/// One page of the facts that wait beside an entity's, as lines of JSON.
pub async fn waiting(
    tables: &dyn Tables,
    entity: &str,
    after: Option<Cursor>,
) -> Result<(Vec<String>, Option<Cursor>), Error> {
    let query = Query { limit: 100, after, ..Query::of(&EFFECTS, entity).prefix(WAITING) };
    let page = tables.query(query).await?;
    let line = |row: &Row| {
        let line = row.item.get("fact").and_then(Attr::as_str).map(str::to_owned);
        line.ok_or_else(|| Error::Invalid(format!("waiting row {:?}: no `fact`", row.key)))
    };
    Ok((page.rows.iter().map(line).collect::<Result<_, _>>()?, page.next))
}

/// Removes a fact that waited at this revision: it has its effect row now, or shall not have one.
pub async fn wait_no_more(tables: &dyn Tables, entity: &str, fact: &Fact) -> Result<(), Error> {
    let (table, key) = (&EFFECTS, waiting_key(entity, fact));
    let condition = Condition::Equals("revision", Attr::N(i64::from(fact.revision)));
    match tables.write(Write { table, key, condition, change: Change::Delete }).await {
        Err(Error::Condition(_)) => Ok(()),
        other => other,
    }
}

fn waiting_key(entity: &str, fact: &Fact) -> Key {
    Key::sorted(entity, format!("{WAITING}{}", sort_key(Kind::of(&fact.data), &fact.fold_key())))
}

/// One page of one event's effect rows. The index may lag behind the table.
pub async fn by_event(
    tables: &dyn Tables,
    event: IngestId,
    after: Option<Cursor>,
) -> Result<(Vec<Effect>, Option<Cursor>), Error> {
    let query = Query { limit: 100, after, ..Query::over(&EFFECTS, BY_EVENT.name, event.to_string()) };
    let page = tables.query(query).await?;
    let keys: Vec<Key> = page.rows.into_iter().map(|row| row.key).collect();
    let items = tables.get(&EFFECTS, &keys).await?;
    let rows = keys.into_iter().zip(items).filter_map(|(key, item)| Some(Row { key, item: item? }));
    Ok((rows.map(|row| read(&row)).collect::<Result<_, _>>()?, page.next))
}

/// The outcome as it is written in rows and on the wire.
pub fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Applied => "APPLIED",
        Outcome::Stale => "STALE",
        Outcome::Retracted => "RETRACTED",
    }
}

fn parse_outcome(text: &str) -> Option<Outcome> {
    let all = [Outcome::Applied, Outcome::Stale, Outcome::Retracted];
    all.into_iter().find(|outcome| outcome_name(*outcome) == text)
}
