//! Bounds of the simulated installation: those of production, in smaller.

use std::time::Duration;

use contract::VendorId;
use divergence::{Member, SharedWarehouse};
use embedded::log::LogOptions;

use crate::plan::Plan;
use crate::traffic::{SHARED, VENDORS};

const MAX_POLL_INTERVAL: Duration = Duration::from_secs(8);
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(4);

/// The loop's.
pub fn runtime(plan: &Plan) -> runtime::Options {
    runtime::Options {
        max_records: plan.layout.batch,
        max_wait: Duration::from_secs(1),
        concurrency: plan.layout.concurrency,
        deadline: Duration::from_secs(2),
        call_timeout: Duration::from_secs(1),
        transaction_timeout: TRANSACTION_TIMEOUT,
        max_poll_interval: MAX_POLL_INTERVAL,
        max_outputs: plan.layout.outputs,
        max_bytes: 1_024 * 1_024,
        backoff: runtime::Backoff { first: Duration::from_millis(20), most: Duration::from_secs(2) },
        lag_interval: Duration::from_mins(5),
        jitter_seed: plan.seed,
    }
}

/// The log's; sessions and transactions time out as the loop says.
pub fn log() -> LogOptions {
    LogOptions {
        session_timeout: MAX_POLL_INTERVAL,
        transaction_timeout: TRANSACTION_TIMEOUT,
        ..LogOptions::default()
    }
}

/// The outbox's and its sweeper's.
pub fn outbox() -> outbox::Options {
    outbox::Options {
        settle_timeout: Duration::from_secs(6),
        sweep_interval: Duration::from_secs(5),
        sweep_min_age: Duration::from_secs(5),
        ..outbox::Options::default()
    }
}

/// Divergence's.
pub fn divergence(plan: &Plan) -> divergence::Options {
    let member = |vendor: &str| Member {
        vendor_id: VendorId::parse(vendor).expect("an id"),
        warehouse_id: Some(SHARED.to_owned()),
    };
    let shared = SharedWarehouse {
        name: "Rotterdam".to_owned(),
        members: vec![member(VENDORS[0]), member(VENDORS[1])],
        tolerance_units: 2,
    };
    let shared_warehouses = if plan.layout.shared { vec![shared] } else { Vec::new() };
    let longest_fold = plan.layout.fold;
    let page = plan.layout.page.min(longest_fold);
    divergence::Options { shared_warehouses, page, longest_fold, ..divergence::Options::default() }
}
