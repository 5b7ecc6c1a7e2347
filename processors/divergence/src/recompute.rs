//! Folding an entity's facts from the first to the last, without a bound: what an operator asks for
//! where one fact was too much to fold (`fold-too-long`), or to check a state against its facts.

use std::sync::Arc;

use contract::Timestamp;
use contract::canonical::FoldKey;
use ports::tables::{self, Tables};
use runtime::Failure;
use stores::effects::{self, Effect, Kind, Range, State, Winner};
use stores::failure;

use crate::error::Error;
use crate::fold::{self, Field};
use crate::processor::{Divergence, Input};
use crate::reads::Reader;

/// How often the fold starts again where the stage was quicker.
const ATTEMPTS: usize = 8;

/// What a recomputation found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recomputed {
    /// Waiting facts that were taken in first.
    pub taken_in: usize,
    /// Rows that were folded.
    pub rows: usize,
    /// The state as it is now.
    pub state: State,
    /// Whether the state row had said something else, or had been absent.
    pub changed: bool,
}

impl Divergence {
    /// Takes in the entity's waiting facts (those that were quarantined as `fold-too-long`) without the
    /// bound of a fold, then folds all of its facts and writes the state where it differs.
    ///
    /// Release the quarantined records afterwards: the stage then knows them and emits what they
    /// publish. Failures are those of the stage; what was taken in before one stays.
    pub async fn recompute(&self, entity: &str) -> Result<Recomputed, Failure> {
        let taken_in = self.take_in_waiting(entity).await?;
        let mut reader = self.reader(entity, None);
        let folded = recompute(&mut reader, self.clock.now()).await.map_err(|error| match error {
            Error::Tables(error) => failure::of_tables(&error),
            other => Failure::Transient(other.to_string()),
        })?;
        Ok(Recomputed { taken_in, ..folded })
    }

    async fn take_in_waiting(&self, entity: &str) -> Result<usize, Failure> {
        let tables = self.tables.as_ref();
        let of_tables = |error| failure::of_tables(&error);
        let (mut taken_in, mut after) = (0, None);
        loop {
            let (lines, next) = effects::waiting(tables, entity, after).await.map_err(of_tables)?;
            for line in lines {
                let input = Input::read(line.as_bytes())?;
                self.take_in(&input, None).await?;
                effects::wait_no_more(tables, entity, &input.fact).await.map_err(of_tables)?;
                taken_in += 1;
            }
            after = next;
            if after.is_none() {
                return Ok(taken_in);
            }
        }
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
            if let Some(value) = fold::status(fact) {
                state.order_status = Some(Winner { value, key });
            }
            state.last_absolute = Some(key);
        }
    }
}
