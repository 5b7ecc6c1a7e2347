//! Mapping documents and the rows that keep them.

use contract::Timestamp;
use mapping::{Mapping, Owner};
use ports::Tables;
use stores::mappings::{self, Document, Id};

/// The rows of a document: one an event type that it reads.
pub fn documents(mapping: &Mapping, text: &str) -> Vec<Document> {
    let owner = match mapping.owner() {
        Owner::Vendor(vendor) => mappings::Owner::Vendor(vendor.clone()),
        Owner::Platform(name) => mappings::Owner::Platform(name.clone()),
    };
    let document = |event_type: &contract::EventType| Document {
        id: Id { owner: owner.clone(), event_type: event_type.clone(), version: mapping.version() },
        text: text.to_owned(),
    };
    mapping.event_types().iter().map(document).collect()
}

/// Puts the documents that come with dvss where normalize looks for them, and activates the new ones;
/// returns which. Any number of processes may do it at once and again; what an operator put stays.
pub async fn seed(tables: &dyn Tables, now: Timestamp) -> Result<Vec<Id>, mappings::Error> {
    let mut all = Vec::new();
    for (path, text) in mapping::shipped() {
        let mapping = Mapping::parse(text)
            .map_err(|error| mappings::Error::Invalid(format!("mappings/{path}: {error}")))?;
        all.extend(documents(&mapping, text));
    }
    mappings::seed(tables, now, &all).await
}
