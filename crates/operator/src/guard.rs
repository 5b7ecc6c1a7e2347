//! Who may speak to the API. It has no accounts, so it must not do what some web page in the operator's
//! browser asks of it: neither across origins (forged requests), nor under a name that was made to point
//! here (DNS rebinding). Programs that are no browsers send neither `Origin` nor `Sec-Fetch-Site`.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use contract::Code;

use crate::problem::Problem;

/// What is looked at.
#[derive(Debug, Clone, Copy)]
struct Asked<'a> {
    changes: bool,
    host: Option<&'a str>,
    origin: Option<&'a str>,
    site: Option<&'a str>,
}

/// Refuses what is foreign, as a middleware.
pub async fn check(State(listens): State<IpAddr>, request: Request, next: Next) -> Response {
    match refusal(listens, asked(&request)) {
        None => next.run(request).await,
        Some(why) => Problem::new(Code::ForeignRequest, why).into_response(),
    }
}

fn asked(request: &Request) -> Asked<'_> {
    // A value that is no text is none of ours.
    let header = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap_or("?"));
    Asked {
        changes: !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS),
        host: header(header::HOST.as_str()).or(request.uri().authority().map(Authority::as_str)),
        origin: header(header::ORIGIN.as_str()),
        site: header("sec-fetch-site"),
    }
}

fn refusal(listens: IpAddr, Asked { changes, host, origin, site }: Asked<'_>) -> Option<String> {
    let authority = host.and_then(|host| host.parse::<Authority>().ok());
    if !authority.as_ref().is_some_and(|authority| is_ours(listens, authority.host())) {
        return Some(format!(
            "the request is for the host {:?}, which is not this one: use localhost or the address that the \
             API listens on",
            host.unwrap_or_default()
        ));
    }
    let foreign = match (site, origin) {
        // What the browser itself says; behind a proxy the origin has the proxy's name, and is the same.
        (Some(site), _) => !["same-origin", "none"].contains(&site),
        (None, Some(origin)) => {
            let origin = origin.parse::<Uri>().ok();
            origin.as_ref().and_then(Uri::authority) != authority.as_ref()
        }
        (None, None) => false,
    };
    (changes && foreign)
        .then(|| format!("a page of {} may not operate dvss", origin.or(site).unwrap_or("another site")))
}

/// Whether a host is one under which this API is reached. Where it listens on every address, any address
/// will do: a name can be made to point here, an address cannot.
fn is_ours(listens: IpAddr, host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match bare.parse::<IpAddr>() {
        Ok(address) => {
            let address = address.to_canonical();
            address.is_loopback() || address == listens.to_canonical() || listens.is_unspecified()
        }
        Err(_) => bare.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: &str = "127.0.0.1";

    fn refused(listens: &str, changes: bool, host: &str, origin: Option<&str>, site: Option<&str>) -> bool {
        let listens = listens.parse().expect("an address");
        refusal(listens, Asked { changes, host: Some(host), origin, site }).is_some()
    }

    #[test]
    fn only_our_own_hosts() {
        for (listens, host, ours) in [
            (LOOPBACK, "127.0.0.1:8081", true),
            (LOOPBACK, "localhost:9000", true),
            (LOOPBACK, "LocalHost", true),
            (LOOPBACK, "[::1]:8081", true),
            (LOOPBACK, "10.0.0.7:8081", false),
            (LOOPBACK, "evil.example:8081", false),
            (LOOPBACK, "localhost.evil.example:8081", false),
            (LOOPBACK, "127.0.0.1.evil.example", false),
            (LOOPBACK, "", false),
            (LOOPBACK, "?", false),
            ("10.0.0.7", "10.0.0.7:8081", true),
            ("10.0.0.7", "10.0.0.8:8081", false),
            ("10.0.0.7", "localhost:8081", true),
            ("0.0.0.0", "10.0.0.8:8081", true),
            ("::", "[fd00::7]:8081", true),
            ("0.0.0.0", "evil.example", false),
        ] {
            for changes in [false, true] {
                assert_eq!(refused(listens, changes, host, None, None), !ours, "{host:?} at {listens}");
            }
        }
        let nowhere = Asked { changes: false, host: None, origin: None, site: None };
        assert!(refusal(LOOPBACK.parse().expect("an address"), nowhere).is_some());
    }

    #[test]
    fn no_page_of_another_origin_changes_anything() {
        let host = "127.0.0.1:8081";
        for (origin, site, foreign) in [
            (None, None, false),
            (Some("http://127.0.0.1:8081"), None, false),
            (Some("http://127.0.0.1:8081"), Some("same-origin"), false),
            (Some("https://ops.example"), Some("same-origin"), false),
            (None, Some("none"), false),
            (Some("http://evil.example"), None, true),
            (Some("http://127.0.0.1:3000"), None, true),
            (Some("http://127.0.0.1:3000"), Some("same-site"), true),
            (Some("http://evil.example"), Some("cross-site"), true),
            (None, Some("cross-site"), true),
            (Some("null"), None, true),
        ] {
            assert_eq!(refused(LOOPBACK, true, host, origin, site), foreign, "{origin:?} {site:?}");
            assert!(!refused(LOOPBACK, false, host, origin, site), "reading: the browser keeps the answer");
        }
    }
}
