//! The fold: what a fact does to the state of its entity.
//!
//! The state is a function of the entity's effect rows, ordered by fold key, per quantity field:
//!
//! | field | is |
//! |---|---|
//! | on hand | the latest live absolute that states it, plus the live adjustments later than it |
//! | available, reserved, incoming | the latest live absolute that states it |
//! | order | the latest live order |
//! | status of the order | of the latest live order that states one: `UNSTATED` hides nothing |
//!
//! [`apply`] moves the state from one set of rows to the next without looking at all of them. Where the
//! state alone does not tell, it says what it must know ([`Need`]) and is asked again:
//!
//! | what comes | what is read |
//! |---|---|
//! | the newest absolute, any adjustment | nothing |
//! | an absolute on hand that wins behind known adjustments | the adjustments after it |
//! | a winner that is taken back, or no longer states a field | backwards to the next winner; the adjustments between the two |

use contract::Decimal;
use contract::canonical::{Data, Fact, FoldKey, InventoryUpdated, OrderUpdated};
use stores::effects::{Kind, State, StatedStatus, Winner};

use crate::decide::{Need, Reads, Stop};

/// A quantity that absolutes state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// Units physically there.
    OnHand,
    /// Units that may be sold.
    Available,
    /// Units promised to somebody.
    Reserved,
    /// Units on their way in.
    Incoming,
}

impl Field {
    /// Every quantity.
    pub const ALL: [Self; 4] = [Self::OnHand, Self::Available, Self::Reserved, Self::Incoming];

    /// Its name, as facts spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::OnHand => "quantityOnHand",
            Self::Available => "quantityAvailable",
            Self::Reserved => "quantityReserved",
            Self::Incoming => "quantityIncoming",
        }
    }

    /// What an absolute states for it.
    pub fn stated(self, data: &InventoryUpdated) -> Option<&Decimal> {
        match self {
            Self::OnHand => data.quantity_on_hand.as_ref(),
            Self::Available => data.quantity_available.as_ref(),
            Self::Reserved => data.quantity_reserved.as_ref(),
            Self::Incoming => data.quantity_incoming.as_ref(),
        }
    }

    /// What won it.
    pub fn winner(self, state: &State) -> Option<&Winner<Decimal>> {
        match self {
            Self::OnHand => state.on_hand.as_ref(),
            Self::Available => state.available.as_ref(),
            Self::Reserved => state.reserved.as_ref(),
            Self::Incoming => state.incoming.as_ref(),
        }
    }

    pub(crate) fn slot(self, state: &mut State) -> &mut Option<Winner<Decimal>> {
        match self {
            Self::OnHand => &mut state.on_hand,
            Self::Available => &mut state.available,
            Self::Reserved => &mut state.reserved,
            Self::Incoming => &mut state.incoming,
        }
    }
}

/// What a live fact states for a field; nothing where it is retracted or no absolute.
pub fn stated(fact: &Fact, field: Field) -> Option<&Decimal> {
    match &fact.data {
        Data::InventoryUpdated(data) if !fact.retracted => field.stated(data),
        _ => None,
    }
}

/// What a live fact adds to the quantity on hand.
pub fn delta(fact: &Fact) -> Option<&Decimal> {
    match &fact.data {
        _ if fact.retracted => None,
        Data::InventoryAdjusted(data) => Some(&data.delta),
        Data::InventoryReceived(data) => Some(&data.delta),
        Data::InventoryUpdated(_) | Data::OrderUpdated(_) => None,
    }
}

/// The order that a live fact states.
pub fn order(fact: &Fact) -> Option<&OrderUpdated> {
    match &fact.data {
        Data::OrderUpdated(data) if !fact.retracted => Some(data),
        _ => None,
    }
}

/// The status that a live fact states for its order.
pub fn status(fact: &Fact) -> Option<StatedStatus> {
    order(fact).and_then(StatedStatus::of)
}

/// The state with a fact in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The state afterwards.
    pub state: State,
    /// Whether the fact was, or is, heard: false where later facts alone make the state.
    pub heard: bool,
}

/// Live adjustments later than `after` (else from the first), up to and with `up_to` (else the last).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Excluded.
    pub after: Option<FoldKey>,
    /// Included.
    pub up_to: Option<FoldKey>,
}

/// The latest live absolutes or orders before one place of the fold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Predecessors {
    /// Per field of [`Field::ALL`].
    pub quantities: [Option<Winner<Decimal>>; 4],
    /// The order.
    pub order: Option<Winner<OrderUpdated>>,
    /// The order's status.
    pub status: Option<Winner<StatedStatus>>,
}

impl Predecessors {
    /// Takes in one fact; to be called from the latest to the first.
    pub fn add(&mut self, fact: &Fact) {
        let key = fact.fold_key();
        for (field, slot) in Field::ALL.into_iter().zip(&mut self.quantities) {
            if slot.is_none() {
                *slot = stated(fact, field).map(|value| Winner { value: value.clone(), key });
            }
        }
        if self.order.is_none() {
            self.order = order(fact).map(|value| Winner { value: value.clone(), key });
        }
        if self.status.is_none() {
            self.status = status(fact).map(|value| Winner { value, key });
        }
    }

    /// Whether all that is looked for is found.
    pub fn has(&self, wanted: &Wanted) -> bool {
        match wanted {
            Wanted::Order { order, status } => {
                (!order || self.order.is_some()) && (!status || self.status.is_some())
            }
            Wanted::Quantities(fields) => fields.iter().all(|field| self.quantity(*field).is_some()),
        }
    }

    fn quantity(&self, field: Field) -> Option<&Winner<Decimal>> {
        let at = Field::ALL.into_iter().position(|known| known == field)?;
        self.quantities[at].as_ref()
    }
}

/// For what the next winner is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// These quantities.
    Quantities(Vec<Field>),
    /// Of an order, what is true here.
    Order {
        /// The order.
        order: bool,
        /// Its status.
        status: bool,
    },
}

/// Moves `state` by a fact that replaces `before`, the same fact at its revision before (if any).
pub fn apply(state: &State, before: Option<&Fact>, fact: &Fact, reads: &Reads) -> Result<Moved, Stop> {
    let moved = match Kind::of(&fact.data) {
        Kind::Absolute => absolute(state, fact, reads)?,
        Kind::Adjustment => adjustment(state, before, fact),
        Kind::Order => ordered(state, fact, reads)?,
    };
    if !moved.state.adjustments.within_bounds() {
        return Err(Stop::Overflow("the sum of adjustments"));
    }
    if moved.state.quantity_on_hand().is_some_and(|quantity| !quantity.within_bounds()) {
        return Err(Stop::Overflow("the quantity on hand"));
    }
    Ok(moved)
}

fn absolute(before: &State, fact: &Fact, reads: &Reads) -> Result<Moved, Stop> {
    let key = fact.fold_key();
    let lost = Field::ALL.into_iter().filter(|field| {
        let wins = field.winner(before).is_some_and(|winner| winner.key == key);
        wins && stated(fact, *field).is_none()
    });
    let lost: Vec<Field> = lost.collect();
    let predecessors = match (&reads.predecessors, lost.is_empty()) {
        (_, true) => &Predecessors::default(),
        (Some(known), false) => known,
        (None, false) => {
            let wanted = Wanted::Quantities(lost);
            return Err(Need::Predecessors { kind: Kind::Absolute, before: key, wanted }.into());
        }
    };

    let mut state = before.clone();
    let mut heard = false;
    for field in Field::ALL {
        let slot = field.slot(&mut state);
        let next = next_winner(slot, key, stated(fact, field), || predecessors.quantity(field).cloned());
        if let Some(next) = next {
            *slot = next;
            heard = true;
        }
    }
    state.adjustments = adjustments(before, state.on_hand.as_ref().map(|winner| winner.key), reads)?;
    state.last_absolute = state.last_absolute.max(Some(key));
    Ok(Moved { state, heard })
}

/// What wins a slot now; `None` where the fact at `key` has no say in it.
fn next_winner<T: Clone>(
    slot: &Option<Winner<T>>,
    key: FoldKey,
    stated: Option<&T>,
    predecessor: impl FnOnce() -> Option<Winner<T>>,
) -> Option<Option<Winner<T>>> {
    let held = slot.as_ref().map(|winner| winner.key);
    match stated {
        Some(value) if held <= Some(key) => Some(Some(Winner { value: value.clone(), key })),
        None if held == Some(key) => Some(predecessor()),
        _ => None,
    }
}

/// The sum of adjustments after the absolute on hand went from where it was to `to`.
fn adjustments(before: &State, to: Option<FoldKey>, reads: &Reads) -> Result<Decimal, Stop> {
    let from = before.on_hand.as_ref().map(|winner| winner.key);
    if from == to {
        return Ok(before.adjustments.clone());
    }
    if to >= before.last_adjustment {
        return Ok(Decimal::zero());
    }
    // Forwards, all that counted is summed again from the new winner on. Backwards, what lies between
    // the two counts again, and what counted still does.
    let (span, base) = if to > from {
        (Span { after: to, up_to: None }, Decimal::zero())
    } else {
        (Span { after: to, up_to: from }, before.adjustments.clone())
    };
    match &reads.adjustments {
        Some(sum) => Ok(base.plus(sum)),
        None => Err(Need::Adjustments(span).into()),
    }
}

fn adjustment(before: &State, known: Option<&Fact>, fact: &Fact) -> Moved {
    let key = fact.fold_key();
    let heard = before.on_hand.as_ref().is_none_or(|winner| winner.key < key);
    let mut state = before.clone();
    state.last_adjustment = state.last_adjustment.max(Some(key));
    if heard {
        if let Some(gone) = known.and_then(delta) {
            state.adjustments = state.adjustments.minus(gone);
        }
        if let Some(come) = delta(fact) {
            state.adjustments = state.adjustments.plus(come);
        }
    }
    Moved { state, heard }
}

fn ordered(before: &State, fact: &Fact, reads: &Reads) -> Result<Moved, Stop> {
    let key = fact.fold_key();
    let (stated, status) = (order(fact), status(fact));
    let order_lost = stated.is_none() && before.order.as_ref().is_some_and(|winner| winner.key == key);
    let status_lost =
        status.is_none() && before.order_status.as_ref().is_some_and(|winner| winner.key == key);
    let predecessors = match (&reads.predecessors, order_lost || status_lost) {
        (_, false) => &Predecessors::default(),
        (Some(known), true) => known,
        (None, true) => {
            let wanted = Wanted::Order { order: order_lost, status: status_lost };
            return Err(Need::Predecessors { kind: Kind::Order, before: key, wanted }.into());
        }
    };
    let mut state = before.clone();
    let next_order = next_winner(&state.order, key, stated, || predecessors.order.clone());
    let next_status = next_winner(&state.order_status, key, status.as_ref(), || predecessors.status.clone());
    let heard = next_order.is_some() || next_status.is_some();
    state.order = next_order.unwrap_or(state.order);
    state.order_status = next_status.unwrap_or(state.order_status);
    state.last_absolute = state.last_absolute.max(Some(key));
    Ok(Moved { state, heard })
}
