//! The page at `/`: one look at the whole, without scripts and without third parties.

use axum::extract::State;
use axum::http::header;
use axum::response::{Html, IntoResponse};

use crate::server::Operator;

/// Nothing is loaded from anywhere; the one style sheet is in the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";

/// `GET /`
pub async fn page(State(operator): State<Operator>) -> impl IntoResponse {
    let stages: String = operator
        .host
        .stages()
        .iter()
        .map(|stage| {
            let word = if stage.ready { "ready" } else { "not ready" };
            format!("<tr><td>{}</td><td>{}</td><td>{word}</td></tr>", stage.group, stage.topic)
        })
        .collect();
    let html = include_str!("console.html").replace("{{stages}}", &stages);
    ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(html))
}
