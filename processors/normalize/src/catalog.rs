//! The effective mappings, compiled, kept while the counter of activations stands still.

use std::collections::HashMap;
use std::sync::Arc;

use contract::{Code, EventType, Fingerprint, VendorId};
use mapping::Mapping;
use parking_lot::Mutex;
use ports::Tables;
use stores::mappings;
use tokio::time::Instant;

use crate::{Error, Refusal};

/// A mapping that is effective for a vendor's event type.
#[derive(Debug)]
pub struct Compiled {
    /// The mapping.
    pub mapping: Arc<Mapping>,
    /// Which document it is.
    pub id: mappings::Id,
    /// Under which activation.
    pub activation: u64,
}

/// What is effective for a vendor's event type.
#[derive(Debug, Clone)]
pub struct Effective {
    /// Under which activation that is so; where nothing is effective, the count of activations.
    /// Whatever becomes effective afterwards has a greater one.
    pub activation: u64,
    /// The mapping; `None` where none is; a refusal where the document does not compile.
    pub mapping: Result<Option<Arc<Compiled>>, Refusal>,
}

/// Looks up mappings. One strong read every [`mappings::SEEN_WITHIN`] asks whether anything changed; only then
/// are the documents read again.
pub struct Catalog {
    tables: Arc<dyn Tables>,
    capacity: usize,
    /// The counter, and when the read of it began.
    looked: Mutex<Option<(u64, Instant)>>,
    kept: Mutex<Kept>,
    /// Held by whoever reads what is effective: all that wait for the same find it kept.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Kept {
    /// What follows was effective at this count, and is while it stands.
    counter: u64,
    effective: HashMap<(VendorId, EventType), Option<Arc<Compiled>>>,
    /// Compiled documents by the hash of their text, so that a change elsewhere compiles nothing again.
    compiled: HashMap<Fingerprint, Arc<Mapping>>,
}

impl Catalog {
    /// Keeps at most `capacity` mappings.
    pub fn new(tables: Arc<dyn Tables>, capacity: usize) -> Self {
        let reading = tokio::sync::Mutex::default();
        Self { tables, capacity, looked: Mutex::default(), kept: Mutex::default(), reading }
    }

    /// What is effective now for a vendor's event type.
    pub async fn effective(&self, vendor: &VendorId, event_type: &EventType) -> Result<Effective, Error> {
        let counter = self.counter().await?;
        let key = (vendor.clone(), event_type.clone());
        if let Some(known) = self.known(counter, &key) {
            return Ok(known);
        }
        let _reading = self.reading.lock().await;
        if let Some(known) = self.known(counter, &key) {
            return Ok(known);
        }
        let (counter, found) = mappings::effective(&*self.tables, vendor, event_type).await?;
        let Some(found) = found else {
            self.keep(counter, key, None);
            return Ok(Effective { activation: counter, mapping: Ok(None) });
        };
        let activation = found.activation;
        let mapping = self.compile(&found.row).map(|mapping| {
            let compiled = Arc::new(Compiled { mapping, id: found.row.id, activation });
            self.keep(counter, key, Some(&compiled));
            Some(compiled)
        });
        Ok(Effective { activation, mapping })
    }

    /// Looks anew the next time: somebody has seen a later activation.
    pub fn look_anew(&self) {
        *self.looked.lock() = None;
    }

    /// The counter, read no longer ago than whoever changes it waits.
    async fn counter(&self) -> Result<u64, Error> {
        let looked = *self.looked.lock();
        if let Some((counter, _)) = looked.filter(|(_, begun)| begun.elapsed() < mappings::SEEN_WITHIN) {
            return Ok(counter);
        }
        let begun = Instant::now();
        let counter = mappings::counter(&*self.tables).await?;
        let mut looked = self.looked.lock();
        if looked.is_none_or(|(_, earlier)| earlier < begun) {
            *looked = Some((counter, begun));
        }
        Ok(counter)
    }

    /// What is kept, unless the counter has grown beyond it. What was kept at a later count than the
    /// caller read is newer, and right.
    fn known(&self, counter: u64, key: &(VendorId, EventType)) -> Option<Effective> {
        let kept = self.kept.lock();
        if counter > kept.counter {
            return None;
        }
        let found = kept.effective.get(key)?.clone();
        let activation = found.as_ref().map_or(kept.counter, |found| found.activation);
        Some(Effective { activation, mapping: Ok(found) })
    }

    fn keep(&self, counter: u64, key: (VendorId, EventType), found: Option<&Arc<Compiled>>) {
        let mut kept = self.kept.lock();
        if counter < kept.counter {
            return;
        }
        // Event types are the vendors' words: that nothing is effective for one is kept within bounds, too.
        if counter > kept.counter || kept.effective.len() >= self.capacity {
            kept.effective.clear();
        }
        kept.counter = counter;
        kept.effective.insert(key, found.cloned());
    }

    fn compile(&self, row: &mappings::Row) -> Result<Arc<Mapping>, Refusal> {
        let hash = Fingerprint::of_bytes(row.text.as_bytes());
        if let Some(known) = self.kept.lock().compiled.get(&hash) {
            return Ok(Arc::clone(known));
        }
        let mapping = Mapping::parse(&row.text).map_err(|error| {
            let message = format!("the active mapping {} does not compile: {error}", row.id);
            Refusal::new(Code::MappingInvalid, message)
        })?;
        let mapping = Arc::new(mapping);
        let mut kept = self.kept.lock();
        if kept.compiled.len() >= self.capacity {
            kept.compiled.clear();
        }
        kept.compiled.insert(hash, Arc::clone(&mapping));
        Ok(mapping)
    }
}
