//! The tables, in one place: what `tables apply` makes and the embedded store opens.

use ports::tables::{Index, Table};

/// `pk` = `vendorId#externalEventId`. Aliases are rows `vendorId#externalEventId` of their own event,
/// found by ingest id.
pub const INGEST_INDEX: Table = Table {
    name: "dvss_ingest_index",
    sorted: true,
    indexes: &[Index { name: "by_ingest_id", pk: "ingestId", sk: None }],
};
/// `pk` = entity.
pub const CANONICAL_STATE: Table = Table { name: "dvss_canonical_state", sorted: false, indexes: &[] };
/// `pk` = entity, `sk` = kind#fold key.
pub const EFFECTS: Table = Table { name: "dvss_effects", sorted: true, indexes: &[PENDING, BY_EVENT] };
/// `pk` = vendorId, `sk` = time#ingestId#line#leg#kind#revision.
pub const DIVERGENCE: Table = Table { name: "dvss_divergence", sorted: true, indexes: &[PENDING, BY_EVENT] };
/// `pk` = stage, `sk` = identity.
pub const QUARANTINE: Table = Table { name: "dvss_quarantine", sorted: true, indexes: &[PENDING, BY_EVENT] };
/// `pk` = vendorId or `platform:NAME`, `sk` = eventType#version; where an owner's versions stand; the activation counter.
pub const VENDOR_MAPPINGS: Table = Table { name: "dvss_vendor_mappings", sorted: true, indexes: &[] };
/// `pk` = vendorId.
pub const VENDORS: Table = Table { name: "dvss_vendors", sorted: false, indexes: &[] };
/// `pk` = day, `sk` = ulid.
pub const AUDIT: Table = Table { name: "dvss_audit", sorted: true, indexes: &[] };

/// `pk` = jobId, `sk` = `job`, or `event#` and the job's version that the event made.
pub const INVOICE_JOBS: Table = Table {
    name: "dvss_invoice_jobs",
    sorted: true,
    indexes: &[Index { name: "by_state", pk: "state", sk: Some("updatedAt") }],
};
/// `pk` = claim: what may be applied once.
pub const APPLY_LEDGER: Table = Table { name: "dvss_apply_ledger", sorted: false, indexes: &[] };

/// Rows that wait to be published: sparse, sharded by `pendingShard`, ordered by since when.
pub const PENDING: Index = Index { name: "pending", pk: "pendingShard", sk: Some("pendingSince") };
/// Rows of one event.
pub const BY_EVENT: Index = Index { name: "by_event", pk: "ingestId", sk: None };

/// Every table.
pub const ALL: [&Table; 10] = [
    &INGEST_INDEX,
    &CANONICAL_STATE,
    &EFFECTS,
    &DIVERGENCE,
    &QUARANTINE,
    &VENDOR_MAPPINGS,
    &VENDORS,
    &AUDIT,
    &INVOICE_JOBS,
    &APPLY_LEDGER,
];
