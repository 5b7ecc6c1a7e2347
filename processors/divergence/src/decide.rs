//! What becomes of a fact, from what is known.
//!
//! Pure. What must be read first is asked for with [`Stop::Need`]; the caller reads it, adds it to
//! [`Reads`] and asks again. A question is asked once, so there are at most as many rounds as
//! questions.

use contract::Decimal;
use contract::canonical::{Divergence as Finding, Fact, FoldKey, Outcome};
use stores::effects::{Kind, State, Stated};

use crate::options::Options;
use crate::{find, fold};

/// What is known when a fact comes.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    /// What the fact is about.
    pub entity: &'a str,
    /// The entity's state.
    pub state: &'a State,
    /// The fact as it was known so far.
    pub before: Option<&'a Fact>,
    /// The fact at its new, higher revision.
    pub fact: &'a Fact,
    /// What is watched for.
    pub options: &'a Options,
}

/// What must be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// The latest live rows of `kind` before `before` that state what is wanted.
    Predecessors {
        /// Absolutes or orders.
        kind: Kind,
        /// The place of the fact that loses; its own row does not count.
        before: FoldKey,
        /// What the next winner is looked for.
        wanted: fold::Wanted,
    },
    /// The sum of live adjustments in a span.
    Adjustments(fold::Span),
    /// Another live fact of the same instant that [differs](find::differ).
    SameInstant,
    /// The states of these entities: what others say about the same stock.
    Partners(Vec<String>),
}

/// What was read.
#[derive(Debug, Clone, Default)]
pub struct Reads {
    /// Answers [`Need::Predecessors`].
    pub predecessors: Option<fold::Predecessors>,
    /// Answers [`Need::Adjustments`].
    pub adjustments: Option<Decimal>,
    /// Answers [`Need::SameInstant`].
    pub same_instant: Option<Option<Fact>>,
    /// Answers [`Need::Partners`].
    pub partners: Option<Vec<Partner>>,
}

/// What another vendor says about the same stock.
#[derive(Debug, Clone)]
pub struct Partner {
    /// The other's entity.
    pub entity: String,
    /// Its state row.
    pub stated: Option<Stated>,
}

/// Why there is no decision (yet).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// This must be read first.
    Need(Box<Need>),
    /// This sum would have more digits than are kept.
    Overflow(&'static str),
}

impl From<Need> for Stop {
    fn from(need: Need) -> Self {
        Self::Need(Box::new(need))
    }
}

/// What becomes of a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The entity's state with the fact in it.
    pub state: State,
    /// What the public record says.
    pub outcome: Outcome,
    /// What a person should see, at most one a kind.
    pub findings: Vec<Finding>,
}

/// Decides what becomes of a fact whose revision is higher than what is known.
pub fn decide(given: Given<'_>, reads: &Reads) -> Result<Decision, Stop> {
    debug_assert!(given.before.is_none_or(|before| before.revision < given.fact.revision));
    let moved = fold::apply(given.state, given.before, given.fact, reads)?;
    let outcome = match moved.heard {
        _ if given.fact.retracted => Outcome::Retracted,
        true => Outcome::Applied,
        false => Outcome::Stale,
    };
    let findings = find::find(given, &moved.state, outcome, reads)?;
    Ok(Decision { state: moved.state, outcome, findings })
}
