//! Folding an entity's facts from the first to the last, without a bound: what an operator asks for
//! where one fact was too much to fold (`fold-too-long`), or to check a state against its facts.

use std::sync::Arc;

use contract::Timestamp;
use contract::canonical::FoldKey;
use ports::tables::{self, Tables};
use runtime::Failure;
use stores::effects::{self, Effect, Kind, Range, State, Winner};

use crate::error::Error;
use crate::fold::{self, Field};
use crate::processor::{Divergence, Input};
use crate::reads::Reader;

/// How often the fold starts again where the stage was quicker.
const ATTEMPTS: usize = 8;

/// What a recomputation found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recomputed {
    /// Parked facts that were taken in first.
    pub taken_in: usize,
    /// Rows that were folded.
    pub rows: usize,
    /// The state as it is now.
    pub state: State,
    /// Whether the state row had said something else, or had been absent.
    pub changed: bool,
}

impl Divergence {
    /// Takes in `parked` facts of `entity` without the bound of a fold, in order, then folds all of the
    /// entity's facts and writes the state where it differs.
    ///
    /// The parked facts are those that lie in quarantine as `fold-too-long`. Release them afterwards:
    /// the stage then knows them and emits what they publish.
    pub async fn recompute(&self, entity: &str, parked: &[Input]) -> Result<Recomputed, Failure> {
        for input in parked.iter().filter(|input| input.entity == entity) {
            self.take_in(input, None).await?;
        }
        let taken_in = parked.iter().filter(|input| input.entity == entity).count();
        let mut reader = self.reader(entity, None);
        let folded = recompute(&mut reader, self.clock.now()).await.map_err(|error| match error {
            Error::Tables(error) => stores::failure::of_tables(&error),
            other => Failure::Transient(other.to_string()),
        })?;
        Ok(Recomputed { taken_in, ..folded })
    }
}

async fn recompute(reader: &mut Reader, now: Timestamp) -> Result<Recomputed, Error> {
    let tables: Arc<dyn Tables> = reader.tables.clone();
    let entity = reader.entity.clone();
    for _ in 0..ATTEMPTS {
        // The state first, the facts then: its version vouches for them.
        let known = effects::state(tables.as_ref(), &entity).await?;
        reader.read = 0;
        let state = fold_all(reader).await?;
        let rows = reader.read;
        let same = known.as_ref().is_some_and(|known| known.state == state);
        if same || (known.is_none() && rows == 0) {
            return Ok(Recomputed { taken_in: 0, rows, state, changed: false });
        }
        let version = known.map(|known| known.version);
        match tables.write(effects::write_state(&entity, &state, version, now)).await {
            Ok(()) => return Ok(Recomputed { taken_in: 0, rows, state, changed: true }),
            Err(tables::Error::Condition(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Error::Contended(entity))
}

/// The state as the definition says it: all rows, in fold order.
async fn fold_all(reader: &mut Reader) -> Result<State, Error> {
    let mut state = State::default();
    for kind in [Kind::Absolute, Kind::Order, Kind::Adjustment] {
        let mut add = |effect: Effect| {
            add(&mut state, kind, &effect);
            false
        };
        reader.each(&Range::between(kind, None, None), reader.page, &mut add).await?;
    }
    Ok(state)
}

/// Adds a row to a state; absolutes and orders in fold order, adjustments after all absolutes.
fn add(state: &mut State, kind: Kind, effect: &Effect) {
    let fact = &effect.fact;
    let key: FoldKey = fact.fold_key();
    match kind {
        Kind::Adjustment => {
            let counts = state.on_hand.as_ref().is_none_or(|winner| winner.key < key);
            if let Some(delta) = fold::delta(fact).filter(|_| counts) {
                state.adjustments = state.adjustments.plus(delta);
            }
            state.last_adjustment = Some(key);
        }
        Kind::Absolute | Kind::Order => {
            for field in Field::ALL {
                if let Some(value) = fold::stated(fact, field) {
                    *field.slot(state) = Some(Winner { value: value.clone(), key });
                }
            }
            if let Some(value) = fold::order(fact) {
                state.order = Some(Winner { value: value.clone(), key });
            }
            state.last_absolute = Some(key);
        }
    }
}
