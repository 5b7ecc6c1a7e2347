//! Vendors and their keys.

use std::num::NonZeroU32;

use axum::Json;
use axum::extract::{Path, State};
use contract::{Code, VendorId};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use stores::mappings::{self, Owner};
use stores::quarantine::ACTOR;
use stores::vendors::{self, Error, Key, Rate, Settings, Vendor};

use crate::problem::Problem;
use crate::server::Operator;

/// Body of `POST /vendors`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Add {
    vendor_id: String,
    platform: Option<String>,
    ordering_pointer: Option<String>,
    events_per_second: Option<NonZeroU32>,
}

/// `POST /vendors`
pub async fn add(State(operator): State<Operator>, Json(body): Json<Add>) -> Result<Json<Value>, Problem> {
    let id = vendor_id(&body.vendor_id)?;
    let rate = body.events_per_second.map(|rate| Rate { events_per_second: rate, burst: rate });
    let settings = Settings { platform: body.platform, ordering_pointer: body.ordering_pointer, rate };
    let key = draw(&id);
    let vendor =
        vendors::add(&*operator.ports.tables, operator.ports.clock.now(), ACTOR, settings, &key).await?;
    let shown = warned(with_key(&vendor, &key), unmapped(&operator, &vendor).await);
    Ok(Json(shown))
}

/// Says of a platform that no mapping is of it: a typing error, or one that somebody is to write yet.
async fn unmapped(operator: &Operator, vendor: &Vendor) -> Option<String> {
    let platform = vendor.settings.platform.clone()?;
    let of_platform = mappings::list(&*operator.ports.tables, Some(&Owner::Platform(platform.clone()))).await;
    // The vendor is written; where the rest cannot be read, nothing is known against it.
    of_platform.is_ok_and(|rows| rows.is_empty()).then(|| {
        format!(
            "no mapping is of the platform {platform:?} (yet): `dvss mappings list` shows which there are, and \
             `dvss vendors set {} --platform NAME` mends a typing error",
            vendor.vendor_id
        )
    })
}

/// Says of a mapping's owner that no vendor is it, or on it: a typing error, or one that is still to be added.
pub async fn nobody_is(operator: &Operator, owner: &Owner) -> Option<String> {
    let tables = &*operator.ports.tables;
    match owner {
        Owner::Vendor(vendor) => {
            let known = vendors::get(tables, vendor).await;
            known
                .is_ok_and(|known| known.is_none())
                .then(|| format!("there is no vendor {vendor} (yet): `dvss vendors list` shows who there is"))
        }
        // Everybody falls back to it.
        Owner::Platform(name) if name == mappings::CANONICAL_PLATFORM => None,
        Owner::Platform(name) => {
            let mut after = None;
            loop {
                let (page, next) = vendors::list(tables, after, 1_000).await.ok()?;
                if page.iter().any(|vendor| vendor.settings.platform.as_ref() == Some(name)) {
                    return None;
                }
                after = next;
                if after.is_none() {
                    return Some(format!(
                        "no vendor is on the platform {name:?} (yet): `dvss vendors set ID --platform {name}`"
                    ));
                }
            }
        }
    }
}

/// The answer with a warning: it was done, and may not be what was meant.
pub fn warned(mut answer: Value, warning: Option<String>) -> Value {
    if let Some(warning) = warning {
        answer["warnings"] = json!([warning]);
    }
    answer
}

/// Body of `POST /vendors/{id}`. What it leaves out stays; null takes a setting away.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Set {
    #[serde(deserialize_with = "named")]
    platform: Option<Option<String>>,
    #[serde(deserialize_with = "named")]
    ordering_pointer: Option<Option<String>>,
    #[serde(deserialize_with = "named")]
    events_per_second: Option<Option<NonZeroU32>>,
}

/// A member that is there, be it null.
fn named<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// `POST /vendors/{id}`: changes settings.
pub async fn set(
    State(operator): State<Operator>,
    Path(id): Path<String>,
    Json(body): Json<Set>,
) -> Result<Json<Value>, Problem> {
    let edit = |settings: &mut Settings| {
        if let Some(platform) = &body.platform {
            settings.platform.clone_from(platform);
        }
        if let Some(pointer) = &body.ordering_pointer {
            settings.ordering_pointer.clone_from(pointer);
        }
        if let Some(rate) = body.events_per_second {
            settings.rate = rate.map(|rate| Rate { events_per_second: rate, burst: rate });
        }
    };
    let (tables, now) = (&*operator.ports.tables, operator.ports.clock.now());
    let vendor = vendors::adjust(tables, now, ACTOR, &vendor_id(&id)?, edit).await?;
    let warning = if body.platform.is_some() { unmapped(&operator, &vendor).await } else { None };
    Ok(Json(warned(shown(&vendor), warning)))
}

/// `GET /vendors`
pub async fn list(State(operator): State<Operator>) -> Result<Json<Value>, Problem> {
    let (mut rows, mut cursor) = (Vec::new(), None);
    loop {
        let (page, next) = vendors::list(&*operator.ports.tables, cursor, 1_000).await?;
        rows.extend(page.iter().map(shown));
        cursor = next;
        if cursor.is_none() {
            rows.sort_by_key(|row| row["vendorId"].to_string());
            return Ok(Json(json!({ "vendors": rows })));
        }
    }
}

/// `POST /vendors/{id}/rotate`
pub async fn rotate(
    State(operator): State<Operator>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let key = draw(&vendor_id(&id)?);
    let vendor = vendors::rotate(&*operator.ports.tables, operator.ports.clock.now(), ACTOR, &key).await?;
    Ok(Json(with_key(&vendor, &key)))
}

/// `POST /vendors/{id}/revoke`: the older of two keys.
pub async fn revoke(
    State(operator): State<Operator>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let now = operator.ports.clock.now();
    Ok(Json(shown(&vendors::revoke(&*operator.ports.tables, now, ACTOR, &vendor_id(&id)?, None).await?)))
}

/// `POST /vendors/{id}/disable`
pub async fn disable(
    State(operator): State<Operator>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let now = operator.ports.clock.now();
    Ok(Json(shown(&vendors::disable(&*operator.ports.tables, now, ACTOR, &vendor_id(&id)?).await?)))
}

/// `POST /vendors/{id}/enable`
pub async fn enable(
    State(operator): State<Operator>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let now = operator.ports.clock.now();
    Ok(Json(shown(&vendors::enable(&*operator.ports.tables, now, ACTOR, &vendor_id(&id)?).await?)))
}

/// Reads a vendor id of a path or a body.
pub fn vendor_id(text: &str) -> Result<VendorId, Problem> {
    VendorId::parse(text).map_err(|error| Problem::new(error.code, format!("vendor {text:?}: {error}")))
}

#[expect(clippy::disallowed_methods, reason = "a key must be unguessable, so no seed may give it again")]
fn draw(vendor: &VendorId) -> Key {
    Key::draw(vendor, &mut rand::rng())
}

fn shown(vendor: &Vendor) -> Value {
    let mut value = vendor.shown();
    if let (Some(rate), Some(members)) = (&vendor.settings.rate, value.as_object_mut()) {
        members.insert("eventsPerSecond".to_owned(), json!(rate.events_per_second));
    }
    value
}

fn with_key(vendor: &Vendor, key: &Key) -> Value {
    let mut value = shown(vendor);
    value["key"] = json!(key.reveal());
    value
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let code: Code = error.code();
        Self::new(code, error.to_string())
    }
}
