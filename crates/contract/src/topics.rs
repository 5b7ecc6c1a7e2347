//! Topic names. Partition counts and settings live in `topics/*.yaml`, the single source of them.

use crate::VendorId;

/// What the gateway produces: every accepted event, and flagged conflicts.
pub const RAW: &str = "dvss.raw";
/// Events whose id was claimed.
pub const ACCEPTED: &str = "dvss.accepted";
/// Facts, one a record, keyed by entity.
pub const NORMALIZED: &str = "dvss.normalized";
/// References to rows that wait to be published, keyed as the row's public record.
pub const OUTBOX: &str = "dvss.outbox";
/// What the outbox published: identities and their coordinates.
pub const RECEIPTS: &str = "dvss.receipts";
/// Invoice jobs that have something to do; the job's row says what.
pub const INVOICE_JOBS: &str = "dvss.invoice.jobs";
/// Public: absolute stock.
pub const INVENTORY_UPDATED: &str = "dvss.normalized.inventory-updated.v1";
/// Public: relative stock.
pub const INVENTORY_ADJUSTED: &str = "dvss.normalized.inventory-adjusted.v1";
/// Public: orders.
pub const ORDER_UPDATED: &str = "dvss.normalized.order-updated.v1";
/// Public: applied invoices.
pub const INVENTORY_RECEIVED: &str = "dvss.normalized.inventory-received.v1";
/// Public: divergence.
pub const DIVERGENCE: &str = "dvss.divergence.v1";
/// Public: quarantine.
pub const QUARANTINE: &str = "dvss.quarantine.v1";

/// The topics that other teams subscribe to. Every record on them passed the outbox.
pub const PUBLIC: [&str; 6] =
    [INVENTORY_UPDATED, INVENTORY_ADJUSTED, ORDER_UPDATED, INVENTORY_RECEIVED, DIVERGENCE, QUARANTINE];

/// The topics between the stages.
pub const INTERNAL: [&str; 6] = [RAW, ACCEPTED, NORMALIZED, OUTBOX, RECEIPTS, INVOICE_JOBS];

/// How the names of the topics begin that vendors write to themselves, the Kafka door: the vendor's id
/// follows. Who may write to one is who may speak for the vendor.
pub const INBOUND: &str = "dvss.inbound.";

/// The topic that a vendor writes to.
pub fn inbound(vendor: &VendorId) -> String {
    format!("{INBOUND}{vendor}")
}

/// Whose events a topic brings; `None` where it is none that vendors write to.
pub fn inbound_vendor(topic: &str) -> Option<VendorId> {
    VendorId::parse(topic.strip_prefix(INBOUND)?).ok()
}

/// The subject under which a public topic's value schema is registered.
pub fn subject(topic: &str) -> String {
    format!("{topic}-value")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vendors_topic_names_it() {
        let acme = VendorId::parse("acme_1").expect("id");
        assert_eq!(inbound(&acme), "dvss.inbound.acme_1");
        assert_eq!(inbound_vendor(&inbound(&acme)), Some(acme));
        for other in ["dvss.inbound.", "dvss.inbound.a.b", "dvss.inbound", RAW] {
            assert_eq!(inbound_vendor(other), None, "{other}");
        }
    }
}
