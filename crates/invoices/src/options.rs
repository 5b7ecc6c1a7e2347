//! What an operator may set about invoices.

use std::time::Duration;

use contract::VendorId;
use serde::{Deserialize, Serialize};

/// How documents are taken and applied. Times are written `250ms`, `5s`, `2m`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Options {
    /// Whose stock received goods are: the vendor id of the operator's own inventory. Default `own`.
    pub owner: VendorId,
    /// The warehouse that goods are received at where nobody names another. Default none: stock without a place.
    pub warehouse: Option<String>,
    /// Largest document, in bytes. Default 20 MiB.
    pub max_document_bytes: u64,
    /// How long a signed upload is taken. Default 10 minutes.
    #[serde(with = "contract::duration")]
    pub upload_expires: Duration,
    /// How long after that a job waits to be submitted before it is EXPIRED. Default 10 minutes.
    #[serde(with = "contract::duration")]
    pub submit_within: Duration,
    /// How long a worker has a job before another one may take it over. Default 30 s.
    #[serde(with = "contract::duration")]
    pub lease: Duration,
    /// How often a document may end the parser before the job is FAILED. Default 3.
    pub attempts: u32,
    /// Wait behind the first attempt that failed; it doubles. Default 2 s.
    #[serde(with = "contract::duration")]
    pub retry_after: Duration,
    /// How often jobs that dvss has to move on are looked after. Default 1 s.
    #[serde(with = "contract::duration")]
    pub sweep_interval: Duration,
    /// Most items of the owner's stock that lines are compared with; beyond, what is not found is not accepted as
    /// new by itself. Default 100,000.
    pub catalogue: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            owner: VendorId::parse("own").expect("an id"),
            warehouse: None,
            max_document_bytes: 20 * 1_024 * 1_024,
            upload_expires: Duration::from_mins(10),
            submit_within: Duration::from_mins(10),
            lease: Duration::from_secs(30),
            attempts: 3,
            retry_after: Duration::from_secs(2),
            sweep_interval: Duration::from_secs(1),
            catalogue: 100_000,
        }
    }
}
