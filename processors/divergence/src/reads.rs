//! Reads what a decision asks for.

use std::sync::Arc;

use contract::Decimal;
use contract::canonical::{Fact, FoldKey};
use ports::tables::Tables;
use stores::effects::{self, Effect, Kind, Range};

use crate::decide::{Need, Partner, Reads};
use crate::fold::{Predecessors, Span, Wanted};
use crate::{Error, find, fold};

/// Rows of the first page of a search that mostly ends with its first row.
const FIRST_PAGE: usize = 16;

/// Most facts of one instant that are compared. Where more than these agree, the first that differs
/// was found when it came, for then all others differed from it.
const COMPARED: usize = 256;

/// Reads one entity's rows, and counts them.
pub(crate) struct Reader {
    pub(crate) tables: Arc<dyn Tables>,
    pub(crate) entity: String,
    /// Most rows of all reads together; `None`: without bound.
    pub(crate) most: Option<usize>,
    /// Rows a page.
    pub(crate) page: usize,
    /// Rows read so far.
    pub(crate) read: usize,
}

impl Reader {
    /// Answers one question.
    pub(crate) async fn answer(&mut self, need: Need, fact: &Fact, reads: &mut Reads) -> Result<(), Error> {
        match need {
            Need::Predecessors { kind, before, wanted } => {
                reads.predecessors = Some(self.predecessors(kind, &before, &wanted).await?);
            }
            Need::Adjustments(span) => reads.adjustments = Some(self.adjustments(&span).await?),
            Need::SameInstant => reads.same_instant = Some(self.same_instant(fact).await?),
            Need::Partners(entities) => {
                let states = effects::states(self.tables.as_ref(), &entities).await?;
                let partners = entities.into_iter().zip(states);
                reads.partners = Some(partners.map(|(entity, stated)| Partner { entity, stated }).collect());
            }
        }
        Ok(())
    }

    async fn predecessors(
        &mut self,
        kind: Kind,
        before: &FoldKey,
        wanted: &Wanted,
    ) -> Result<Predecessors, Error> {
        let mut found = Predecessors::default();
        let range = Range::between(kind, None, Some(before)).descending();
        let mut search = |effect: Effect| {
            if effect.fact.fold_key() != *before {
                found.add(&effect.fact);
            }
            found.has(wanted)
        };
        self.each(&range, FIRST_PAGE, &mut search).await?;
        Ok(found)
    }

    async fn adjustments(&mut self, span: &Span) -> Result<Decimal, Error> {
        let mut sum = Decimal::zero();
        let range = Range::between(Kind::Adjustment, span.after.as_ref(), span.up_to.as_ref());
        let mut add = |effect: Effect| {
            let excluded = span.after == Some(effect.fact.fold_key());
            if let Some(delta) = fold::delta(&effect.fact).filter(|_| !excluded) {
                sum = sum.plus(delta);
            }
            false
        };
        self.each(&range, self.page, &mut add).await?;
        Ok(sum)
    }

    async fn same_instant(&mut self, fact: &Fact) -> Result<Option<Fact>, Error> {
        let key = fact.fold_key();
        let range = Range::instant(Kind::of(&fact.data), &key);
        let (mut found, mut compared) = (None, 0);
        let mut search = |effect: Effect| {
            let contradicts = effect.fact.fold_key() != key && find::differ(fact, &effect.fact);
            found = contradicts.then_some(effect.fact);
            compared += 1;
            contradicts || compared == COMPARED
        };
        self.each(&range, FIRST_PAGE, &mut search).await?;
        Ok(found)
    }

    /// Hands over the rows of a range one by one, until it says that it is enough.
    pub(crate) async fn each(
        &mut self,
        range: &Range,
        first_page: usize,
        enough: &mut (dyn FnMut(Effect) -> bool + Send),
    ) -> Result<(), Error> {
        let (mut limit, mut after) = (first_page.min(self.page), None);
        loop {
            let (rows, next) = effects::page(self.tables.as_ref(), &self.entity, range, limit, after).await?;
            for effect in rows {
                self.read += 1;
                if let Some(most) = self.most.filter(|most| self.read > *most) {
                    return Err(Error::FoldTooLong { entity: self.entity.clone(), most });
                }
                if enough(effect) {
                    return Ok(());
                }
            }
            if next.is_none() {
                return Ok(());
            }
            (limit, after) = (self.page, next);
        }
    }
}
