//! The signed upload over HTTP, as every door of dvss speaks it: how an answer names it, and how it is read when it comes.

use http::{HeaderMap, header};
use serde_json::{Map, Value, json};

use crate::intake::{Address, Place};
use crate::upload::Presented;
use crate::{Error, Job};

/// Where a document is to be put, as an answer to a request with these headers says it. `own` is the path before
/// dvss' own door.
pub fn shown(job: &Job, address: &Address, headers: &HeaderMap, own: &str) -> Value {
    let url = match &address.place {
        Place::Url(url) => url.clone(),
        Place::Own(place) => {
            let scheme =
                text(headers, "x-forwarded-proto").filter(|scheme| *scheme == "https").unwrap_or("http");
            let host = text(headers, header::HOST.as_str()).unwrap_or("localhost");
            format!("{scheme}://{host}{own}{place}")
        }
    };
    let headers: Map<String, Value> =
        address.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    json!({ "method": "PUT", "url": url, "headers": headers, "expiresAt": job.file.upload_until })
}

/// What an upload's query and headers present.
pub fn presented<'a>(query: &'a str, headers: &'a HeaderMap) -> Result<Presented<'a>, Error> {
    let named = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let length = text(headers, header::CONTENT_LENGTH.as_str()).and_then(|text| text.parse().ok());
    Ok(Presented {
        expires: named("expires").and_then(|text| text.parse().ok()).unwrap_or_default(),
        signature: named("signature").unwrap_or_default(),
        content_type: text(headers, header::CONTENT_TYPE.as_str()).unwrap_or_default(),
        length: length.ok_or_else(|| Error::Invalid("an upload has a Content-Length".to_owned()))?,
        only_if_absent: text(headers, header::IF_NONE_MATCH.as_str()) == Some("*"),
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
