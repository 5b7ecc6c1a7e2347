//! `dvss_vendors`: who may send, how fast, and with which keys.
//!
//! A key is `dvss_<vendorId>_<64 hexadecimal digits>`: it names its vendor, so that one strong read
//! finds the row. What is stored is the SHA-256 of the key. A key holds 256 random bits, which no
//! amount of guessing finds, so a slow password hash would cost every request time and add nothing.
//! A vendor has at most two active keys: the second is what a rotation hands out while the first still
//! works. Every change is one transaction with its audit row.

use std::num::NonZeroU32;

use contract::{Code, Fingerprint, Timestamp, VendorId};
use ports::tables::{self, Attr, Condition, Cursor, Item, Key as RowKey, Tables, Write};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use subtle::{Choice, ConstantTimeEq};

use crate::audit::{self, Deed};
use crate::mappings;
use crate::tables::VENDORS;

/// Most keys of a vendor that work at the same time.
pub const MAX_KEYS: usize = 2;

const PREFIX: &str = "dvss_";
/// How often a change is tried again when somebody else changed the vendor at the same time.
const ATTEMPTS: u32 = 4;

/// A vendor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Vendor {
    /// Its id.
    pub vendor_id: VendorId,
    /// What an operator may change.
    #[serde(flatten)]
    pub settings: Settings,
    /// Its active keys, oldest first, at most [`MAX_KEYS`].
    pub keys: Vec<ActiveKey>,
    /// A disabled vendor's requests are refused; its keys stay.
    pub disabled: bool,
    /// When it was added.
    pub created_at: Timestamp,
    /// The activation ([`mappings::step`]) that last gave it another platform, and so perhaps another
    /// mapping; 0 where it never had one.
    #[serde(default)]
    pub platform_activation: u64,
    /// Grows with every change.
    pub version: i64,
}

/// What an operator may set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// The shop system it uses, by which mappings are shared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// RFC 6901 pointer into the stored document: events with equal values there stay in order, others
    /// may go other ways. Without one, all of the vendor's events have one order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ordering_pointer: Option<String>,
    /// How fast it may send; without one, the gateway's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
}

/// How fast a vendor may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rate {
    /// Events a second, sustained.
    pub events_per_second: NonZeroU32,
    /// Events at once.
    pub burst: NonZeroU32,
}

/// A key that works. The key itself is not known here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActiveKey {
    /// SHA-256 of the key.
    pub sha256: Fingerprint,
    /// When it was handed out.
    pub created_at: Timestamp,
}

impl ActiveKey {
    /// What people call it: the first 12 digits of its hash.
    pub fn id(&self) -> String {
        self.sha256.to_string().chars().take(12).collect()
    }
}

/// A key as its vendor has it. Shown once, never stored.
#[derive(Clone)]
pub struct Key {
    vendor_id: VendorId,
    text: String,
}

impl Key {
    /// Draws a key from a cryptographic source (`rand::rng()` in an adapter).
    pub fn draw(vendor_id: &VendorId, rng: &mut impl rand::CryptoRng) -> Self {
        let mut secret = [0; 32];
        rng.fill_bytes(&mut secret);
        let text = format!("{PREFIX}{vendor_id}_{}", hex::encode(secret));
        Self { vendor_id: vendor_id.clone(), text }
    }

    /// Reads what a request presents; `None` where it is not shaped like a key.
    pub fn parse(text: &str) -> Option<Self> {
        let (vendor, secret) = text.strip_prefix(PREFIX)?.rsplit_once('_')?;
        let shaped = secret.len() == 64
            && secret.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        let vendor_id = VendorId::parse(vendor).ok()?;
        shaped.then(|| Self { vendor_id, text: text.to_owned() })
    }

    /// Whom the key names; not yet proof of being it.
    pub fn vendor_id(&self) -> &VendorId {
        &self.vendor_id
    }

    /// The key. A secret: for its vendor's eyes.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    fn sha256(&self) -> Fingerprint {
        Fingerprint::of_bytes(self.text.as_bytes())
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{PREFIX}{}_…", self.vendor_id)
    }
}

/// Whether `key` is one of the vendor's active keys. Takes the same time for a vendor that does not
/// exist, for one without keys, and wherever the texts differ.
pub fn admits(vendor: Option<&Vendor>, key: &Key) -> bool {
    let presented = key.sha256().to_string();
    let mut admitted = Choice::from(0);
    for slot in 0..MAX_KEYS {
        let active = vendor.and_then(|vendor| vendor.keys.get(slot));
        let (stored, there) = match active {
            Some(active) => (active.sha256.to_string(), Choice::from(1)),
            None => (Fingerprint::of_bytes(b"").to_string(), Choice::from(0)),
        };
        admitted |= stored.as_bytes().ct_eq(presented.as_bytes()) & there;
    }
    admitted.into()
}

impl Vendor {
    /// The vendor for people and for the audit: without its keys' hashes.
    pub fn shown(&self) -> Value {
        let key = |key: &ActiveKey| json!({"id": key.id(), "createdAt": key.created_at});
        let mut value = serde_json::to_value(self).unwrap_or_default();
        value["keys"] = self.keys.iter().map(key).collect();
        value
    }
}

/// Why a vendor was not read or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The id is taken.
    #[error("the vendor {0} exists already")]
    Exists(VendorId),
    /// No such vendor.
    #[error("there is no vendor {0}")]
    Unknown(VendorId),
    /// Two keys work already; revoke one first.
    #[error("two keys of {0} are active; revoke one of them first")]
    TwoKeys(VendorId),
    /// No active key has this id.
    #[error("no active key of {0} has the id {1}")]
    NoSuchKey(VendorId, String),
    /// A setting is malformed.
    #[error("{0}")]
    Invalid(String),
    /// The table store.
    #[error(transparent)]
    Tables(#[from] tables::Error),
}

impl Error {
    /// Its stable code.
    pub fn code(&self) -> Code {
        match self {
            Self::Exists(_) => Code::VendorExists,
            Self::Unknown(_) | Self::NoSuchKey(..) => Code::NotFound,
            Self::TwoKeys(_) | Self::Invalid(_) => Code::RequestInvalid,
            Self::Tables(tables::Error::Condition(_)) => Code::VersionConflict,
            Self::Tables(tables::Error::Full) => Code::StorageFull,
            Self::Tables(tables::Error::Invalid(_)) => Code::Internal,
            Self::Tables(_) => Code::Unavailable,
        }
    }
}

/// Reads a vendor; strongly consistent.
pub async fn get(tables: &dyn Tables, vendor: &VendorId) -> Result<Option<Vendor>, tables::Error> {
    let item = tables::get_one(tables, &VENDORS, row_key(vendor)).await?;
    item.map(|item| read(vendor.as_str(), &item)).transpose()
}

/// One page of all vendors, in no particular order, and where to go on.
pub async fn list(
    tables: &dyn Tables,
    after: Option<Cursor>,
    limit: usize,
) -> Result<(Vec<Vendor>, Option<Cursor>), tables::Error> {
    let page = tables.scan(&VENDORS, after, limit).await?;
    let vendors = page.rows.iter().map(|row| read(&row.key.pk, &row.item)).collect::<Result<_, _>>()?;
    Ok((vendors, page.next))
}

/// Adds a vendor whose first key is `key`.
pub async fn add(
    tables: &dyn Tables,
    now: Timestamp,
    actor: &str,
    settings: Settings,
    key: &Key,
) -> Result<Vendor, Error> {
    check(&settings)?;
    let mut vendor = Vendor {
        vendor_id: key.vendor_id.clone(),
        settings,
        keys: vec![ActiveKey { sha256: key.sha256(), created_at: now }],
        disabled: false,
        created_at: now,
        platform_activation: 0,
        version: 1,
    };
    let mut attempt = 1;
    loop {
        let step = platform_step(tables, None, &mut vendor).await?;
        let deed = deed(actor, "vendor.add", None, &vendor);
        let writes = [write(&vendor, Condition::Absent)].into_iter().chain(step).collect();
        let error = match audit::commit(tables, now, &deed, writes).await {
            Ok(()) => {
                if vendor.platform_activation != 0 {
                    mappings::until_seen().await;
                }
                return Ok(vendor);
            }
            Err(error @ tables::Error::Condition(_)) => error,
            Err(other) => return Err(other.into()),
        };
        match get(tables, &vendor.vendor_id).await? {
            // An unanswered first try may be what is in the way.
            Some(there) if there == vendor => {
                mappings::until_vendor_seen(tables, &vendor.vendor_id).await?;
                return Ok(vendor);
            }
            Some(_) => return Err(Error::Exists(vendor.vendor_id)),
            // Another activation came in between.
            None if attempt < ATTEMPTS => attempt += 1,
            None => return Err(error.into()),
        }
    }
}

/// Makes `key` a second active key; the older one works until it is revoked.
pub async fn rotate(tables: &dyn Tables, now: Timestamp, actor: &str, key: &Key) -> Result<Vendor, Error> {
    let new = ActiveKey { sha256: key.sha256(), created_at: now };
    change(tables, now, actor, "vendor.rotate", &key.vendor_id, |vendor| {
        if vendor.keys.contains(&new) {
            return Ok(());
        }
        if vendor.keys.len() >= MAX_KEYS {
            return Err(Error::TwoKeys(vendor.vendor_id.clone()));
        }
        vendor.keys.push(new.clone());
        Ok(())
    })
    .await
}

/// Revokes the active key whose id this is ([`ActiveKey::id`]); without an id, the older one of two.
pub async fn revoke(
    tables: &dyn Tables,
    now: Timestamp,
    actor: &str,
    vendor: &VendorId,
    key_id: Option<&str>,
) -> Result<Vendor, Error> {
    change(tables, now, actor, "vendor.revoke", vendor, |vendor| {
        let found = match key_id {
            Some(id) => vendor.keys.iter().position(|key| key.id() == id),
            None => (vendor.keys.len() == MAX_KEYS).then_some(0),
        };
        let unknown = || Error::NoSuchKey(vendor.vendor_id.clone(), key_id.unwrap_or("(older)").to_owned());
        let index = found.ok_or_else(unknown)?;
        vendor.keys.remove(index);
        Ok(())
    })
    .await
}

/// Refuses a vendor's requests from now on.
pub async fn disable(
    tables: &dyn Tables,
    now: Timestamp,
    actor: &str,
    vendor: &VendorId,
) -> Result<Vendor, Error> {
    let disable = |vendor: &mut Vendor| {
        vendor.disabled = true;
        Ok(())
    };
    change(tables, now, actor, "vendor.disable", vendor, disable).await
}

/// Takes a vendor's requests again.
pub async fn enable(
    tables: &dyn Tables,
    now: Timestamp,
    actor: &str,
    vendor: &VendorId,
) -> Result<Vendor, Error> {
    let enable = |vendor: &mut Vendor| {
        vendor.disabled = false;
        Ok(())
    };
    change(tables, now, actor, "vendor.enable", vendor, enable).await
}

/// Replaces a vendor's settings. A new ordering pointer moves events to other partitions: events that
/// are on their way keep their order only among themselves.
pub async fn configure(
    tables: &dyn Tables,
    now: Timestamp,
    actor: &str,
    vendor: &VendorId,
    settings: &Settings,
) -> Result<Vendor, Error> {
    adjust(tables, now, actor, vendor, |known| *known = settings.clone()).await
}

/// As [`configure`], for a change of some settings that keeps the others as they are by then.
pub async fn adjust(
    tables: &dyn Tables,
    now: Timestamp,
    actor: &str,
    vendor: &VendorId,
    edit: impl Fn(&mut Settings),
) -> Result<Vendor, Error> {
    let configure = |vendor: &mut Vendor| {
        edit(&mut vendor.settings);
        check(&vendor.settings)
    };
    change(tables, now, actor, "vendor.configure", vendor, configure).await
}

async fn change(
    tables: &dyn Tables,
    now: Timestamp,
    actor: &str,
    action: &str,
    id: &VendorId,
    apply: impl Fn(&mut Vendor) -> Result<(), Error>,
) -> Result<Vendor, Error> {
    let mut attempt = 1;
    loop {
        let before = get(tables, id).await?.ok_or_else(|| Error::Unknown(id.clone()))?;
        let mut after = before.clone();
        apply(&mut after)?;
        if after == before {
            // An earlier try, or somebody else, may have written it this very moment.
            mappings::until_vendor_seen(tables, id).await?;
            return Ok(after);
        }
        after.version += 1;
        let step = platform_step(tables, Some(&before), &mut after).await?;
        let unchanged = Condition::Equals("version", Attr::N(before.version));
        let deed = deed(actor, action, Some(&before), &after);
        let writes = [write(&after, unchanged)].into_iter().chain(step).collect();
        match audit::commit(tables, now, &deed, writes).await {
            Ok(()) => {
                if after.platform_activation != before.platform_activation {
                    mappings::until_seen().await;
                }
                return Ok(after);
            }
            Err(tables::Error::Condition(_)) if attempt < ATTEMPTS => attempt += 1,
            Err(other) => return Err(other.into()),
        }
    }
}

/// Another platform may make other mappings effective: it takes an activation, in one transaction.
async fn platform_step(
    tables: &dyn Tables,
    before: Option<&Vendor>,
    after: &mut Vendor,
) -> Result<Option<Write>, tables::Error> {
    if before.and_then(|vendor| vendor.settings.platform.as_ref()) == after.settings.platform.as_ref() {
        return Ok(None);
    }
    after.platform_activation = mappings::counter(tables).await? + 1;
    Ok(Some(mappings::step(after.platform_activation)))
}

fn check(settings: &Settings) -> Result<(), Error> {
    if let Some(pointer) = &settings.ordering_pointer
        && !is_pointer(pointer)
    {
        return Err(Error::Invalid(format!(
            "the ordering pointer {pointer:?} is not an RFC 6901 pointer such as /payload/sku"
        )));
    }
    if let Some(platform) = &settings.platform
        && VendorId::parse(platform.as_str()).is_err()
    {
        return Err(Error::Invalid(format!(
            "the platform {platform:?} must match [A-Za-z0-9][A-Za-z0-9_-]{{0,63}}"
        )));
    }
    Ok(())
}

/// RFC 6901, section 3; the whole document is nothing to order by.
fn is_pointer(text: &str) -> bool {
    let escaped = |part: &str| part.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    text.starts_with('/') && text.len() <= 256 && escaped(text) && !text.chars().any(char::is_control)
}

fn deed(actor: &str, action: &str, before: Option<&Vendor>, after: &Vendor) -> Deed {
    Deed {
        actor: actor.to_owned(),
        action: action.to_owned(),
        subject: after.vendor_id.to_string(),
        before: before.map_or(Value::Null, Vendor::shown),
        after: after.shown(),
    }
}

fn write(vendor: &Vendor, condition: Condition) -> Write {
    let document = serde_json::to_string(vendor).unwrap_or_default();
    let item = Item::from([
        ("document".to_owned(), Attr::S(document)),
        ("version".to_owned(), Attr::N(vendor.version)),
    ]);
    Write::put(&VENDORS, row_key(&vendor.vendor_id), item, condition)
}

/// The key of a vendor's row.
pub(crate) fn row_key(vendor: &VendorId) -> RowKey {
    RowKey::of(vendor.as_str())
}

/// Reads a vendor's row.
pub(crate) fn read(pk: &str, item: &Item) -> Result<Vendor, tables::Error> {
    let document = item.get("document").and_then(Attr::as_str).unwrap_or_default();
    serde_json::from_str(document).map_err(|error| {
        tables::Error::Invalid(format!("the row {pk} of dvss_vendors is not readable: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn key(vendor: &str, seed: u64) -> Key {
        Key::draw(&VendorId::parse(vendor).expect("id"), &mut StdRng::seed_from_u64(seed))
    }

    fn vendor(keys: &[&Key]) -> Vendor {
        let created_at = Timestamp::parse("2026-11-22T12:00:00Z").expect("time");
        let active = |key: &&Key| ActiveKey { sha256: key.sha256(), created_at };
        Vendor {
            vendor_id: VendorId::parse("a_b-c").expect("id"),
            settings: Settings::default(),
            keys: keys.iter().map(active).collect(),
            disabled: false,
            created_at,
            platform_activation: 0,
            version: 1,
        }
    }

    #[test]
    fn keys_name_their_vendor() {
        let drawn = key("a_b-c", 1);
        let parsed = Key::parse(drawn.reveal()).expect("a key");
        assert_eq!((parsed.vendor_id().as_str(), parsed.reveal()), ("a_b-c", drawn.reveal()));
        assert!(!format!("{drawn:?}").contains(&drawn.reveal()[12..]), "a key is not for logs");
        let digits = "0".repeat(64);
        for text in [
            "".to_owned(),
            "dvss_".to_owned(),
            format!("dvss_{digits}"),
            format!("dvss__{digits}"),
            format!("dvss_a_{}", &digits[1..]),
            format!("dvss_a_{digits}0"),
            format!("dvss_a_{}G", &digits[1..]),
            format!("dvss_a_{}A", &digits[1..]),
            format!("dvss_../a_{digits}"),
            format!("DVSS_a_{digits}"),
        ] {
            assert!(Key::parse(&text).is_none(), "{text}");
        }
    }

    #[test]
    fn who_is_admitted() {
        let (old, new, other) = (key("a_b-c", 1), key("a_b-c", 2), key("a_b-c", 3));
        let both = vendor(&[&old, &new]);
        assert!(admits(Some(&both), &old) && admits(Some(&both), &new));
        assert!(!admits(Some(&both), &other));
        assert!(!admits(Some(&vendor(&[])), &old) && !admits(None, &old));
    }

    #[test]
    fn what_is_shown_and_stored() {
        let key = key("a_b-c", 1);
        let vendor = vendor(&[&key]);
        let shown = vendor.shown().to_string();
        assert!(!shown.contains(&key.sha256().to_string()) && shown.contains(&vendor.keys[0].id()));
        let Write { change: tables::Change::Put(item), .. } = write(&vendor, Condition::Absent) else {
            panic!("a put")
        };
        assert_eq!(read("a_b-c", &item), Ok(vendor));
    }

    #[test]
    fn pointers() {
        for good in ["/payload/sku", "/", "/a~1b/~0", "/payload/items/0/sku"] {
            assert!(is_pointer(good), "{good}");
        }
        for bad in ["", "payload", "$.payload", "/a~2", "/a~", "/a\n"] {
            assert!(!is_pointer(bad), "{bad:?}");
        }
    }
}
