//! A topic from one end to the other, in pages.

use ports::Log;
use ports::log::{Ends, Offset, Partition, RawRecord};

use crate::problem::Problem;
use crate::server::Operator;

/// Records of one read.
const PAGE: usize = 500;

/// The committed records of a topic from `from` (or the start) to the stable end as it was at first, in
/// pages.
pub struct Walk<'a> {
    log: &'a dyn Log,
    topic: &'a str,
    ends: Vec<Ends>,
    positions: Vec<Offset>,
    index: usize,
}

impl<'a> Walk<'a> {
    /// Looks where the topic ends now.
    pub async fn begin(
        operator: &'a Operator,
        topic: &'a str,
        from: Option<Vec<Offset>>,
    ) -> Result<Self, Problem> {
        let log = &*operator.ports.log;
        let ends = log.ends(topic).await?;
        let from = from.unwrap_or_default();
        let begin =
            |(index, ends): (usize, &Ends)| from.get(index).copied().unwrap_or(ends.start).max(ends.start);
        let positions = ends.iter().enumerate().map(begin).collect();
        Ok(Self { log, topic, ends, positions, index: 0 })
    }

    /// The next page; `None` at the end. A page may be empty.
    pub async fn page(&mut self) -> Result<Option<Vec<RawRecord>>, Problem> {
        while let (Some(ends), Some(position)) =
            (self.ends.get(self.index), self.positions.get_mut(self.index))
        {
            if *position >= ends.stable {
                self.index += 1;
                continue;
            }
            let partition = Partition::new(self.topic, u32::try_from(self.index).unwrap_or(u32::MAX));
            let (mut page, next) = self.log.read(&partition, *position, PAGE).await?;
            page.retain(|record| record.offset < ends.stable);
            *position = if next > *position { next } else { ends.stable };
            return Ok(Some(page));
        }
        Ok(None)
    }

    /// Where the walk ended.
    pub fn end(&self) -> Vec<Offset> {
        self.ends.iter().map(|ends| ends.stable).collect()
    }
}
