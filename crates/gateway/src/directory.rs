//! Who a credential belongs to.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use contract::envelope::Refusal;
use contract::{Code, VendorId};
use parking_lot::Mutex;
use ports::Tables;
use stores::vendors::{self, Key, Vendor};
use tokio::time::Instant;

use crate::accept::of_tables;

/// Most vendors, known or not, that are remembered.
const MOST_REMEMBERED: usize = 10_000;
/// One vendor's row is read again for refusals at most so often, however many wrong keys come.
const REFUSAL_PAUSE: Duration = Duration::from_millis(100);

/// Reads vendors and remembers them for a moment. A vendor that does not exist is remembered like one
/// that does, so that both take the same time to answer.
pub struct Directory {
    tables: Arc<dyn Tables>,
    remember: Duration,
    timeout: Duration,
    rows: Mutex<HashMap<VendorId, Remembered>>,
}

#[derive(Clone)]
struct Remembered {
    read_at: Instant,
    vendor: Option<Arc<Vendor>>,
}

impl Directory {
    /// Remembers rows for `remember`; a read takes at most `timeout`.
    pub fn new(tables: Arc<dyn Tables>, remember: Duration, timeout: Duration) -> Self {
        Self { tables, remember, timeout, rows: Mutex::default() }
    }

    /// The vendor whose key this is, enabled. One answer for an unknown vendor and a wrong key.
    pub async fn authenticate(&self, key: Option<Key>) -> Result<Arc<Vendor>, Refusal> {
        let key = key.ok_or_else(unauthorized)?;
        let arrived = Instant::now();
        let mut row = self.read(key.vendor_id(), arrived.checked_sub(self.remember)).await?;
        // Nobody is refused for what was read before the request came: a key works as soon as it was
        // handed out, and a vendor as soon as it is enabled.
        let admits = |row: &Remembered| {
            let enabled = row.vendor.as_ref().is_none_or(|vendor| !vendor.disabled);
            vendors::admits(row.vendor.as_deref(), &key) & enabled
        };
        if !admits(&row) && row.read_at < arrived {
            tokio::time::sleep_until(row.read_at + REFUSAL_PAUSE).await;
            row = self.read(key.vendor_id(), Some(arrived)).await?;
        }
        if !vendors::admits(row.vendor.as_deref(), &key) {
            return Err(unauthorized());
        }
        let vendor = row.vendor.ok_or_else(unauthorized)?;
        if vendor.disabled {
            return Err(disabled(&vendor));
        }
        Ok(vendor)
    }

    /// The vendor, enabled, whom something else than a key told of.
    pub async fn enabled(&self, id: &VendorId) -> Result<Arc<Vendor>, Refusal> {
        let asked = Instant::now();
        let mut row = self.read(id, asked.checked_sub(self.remember)).await?;
        // Nobody is refused for what was read before.
        if row.vendor.as_ref().is_none_or(|vendor| vendor.disabled) && row.read_at < asked {
            row = self.read(id, Some(asked)).await?;
        }
        let unknown = || Refusal::new(Code::VendorUnknown, format!("nobody has added the vendor {id}"));
        let vendor = row.vendor.ok_or_else(unknown)?;
        if vendor.disabled {
            return Err(disabled(&vendor));
        }
        Ok(vendor)
    }

    /// The vendor's row, as read at `oldest` or later.
    async fn read(&self, id: &VendorId, oldest: Option<Instant>) -> Result<Remembered, Refusal> {
        let remembered = self.rows.lock().get(id).cloned();
        if let Some(row) = remembered.filter(|row| oldest.is_none_or(|oldest| row.read_at >= oldest)) {
            return Ok(row);
        }
        // Taken before the read: what is remembered is never fresher than it says.
        let read_at = Instant::now();
        let read = tokio::time::timeout(self.timeout, vendors::get(&*self.tables, id)).await;
        let vendor = match read {
            Ok(vendor) => vendor.map_err(of_tables)?,
            Err(_) => {
                return Err(Refusal::new(
                    Code::Unavailable,
                    "the vendors' table did not answer in time; try again",
                ));
            }
        };
        let row = Remembered { read_at, vendor: vendor.map(Arc::new) };
        let mut rows = self.rows.lock();
        if rows.len() >= MOST_REMEMBERED {
            rows.retain(|_, row| row.read_at.elapsed() <= self.remember);
        }
        // A slow read must not hide what a later one found.
        let newest = rows.get(id).is_none_or(|known| known.read_at <= read_at);
        if newest && rows.len() < MOST_REMEMBERED {
            rows.insert(id.clone(), row.clone());
        }
        Ok(row)
    }
}

/// The key in an `Authorization` header's value (RFC 6750, section 2.1).
pub fn bearer(value: &[u8]) -> Option<Key> {
    let (scheme, token) = std::str::from_utf8(value).ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(())?;
    Key::parse(token.trim())
}

fn disabled(vendor: &Vendor) -> Refusal {
    Refusal::new(Code::VendorDisabled, format!("the vendor {} is disabled", vendor.vendor_id))
}

fn unauthorized() -> Refusal {
    Refusal::new(Code::Unauthorized, "send `Authorization: Bearer <key>` with a key of yours that is active")
}
