//! The console: pages for people, made here, with one style sheet and one script of our own.
//!
//! Nothing is loaded from anywhere else, nothing stands in the pages but what templates put there escaped
//! ([`shown`]), and every page says so in its content security policy. The pages show; whatever they change they
//! change through the API, as everybody else does (`app.js`).
//!
//! | module | page |
//! |---|---|
//! | [`home`] | `/`: one look at the whole |
//! | [`list`] | `/invoices`: jobs, and a place to drop a document |
//! | [`review`] | `/invoices/{jobId}`: a document beside its lines |
//! | [`value`] | a value, and where the document says it |
//! | [`shown`] | what others wrote, as a page shows it |

mod home;
mod list;
mod review;
mod shown;
mod value;

use std::net::IpAddr;

use ::invoices::State as JobState;
use askama::Template;
use axum::Router;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use contract::{Code, Timestamp};

use crate::guard;
use crate::problem::Problem;
use crate::server::Operator;

/// Everything comes from here, nothing is in the page, nobody frames it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Every page, as served at this address ([`guard`]): documents are nobody else's business.
pub fn routes(listens: IpAddr) -> Router<Operator> {
    Router::new()
        .route("/", get(home::page))
        .route("/invoices", get(list::page))
        .route("/invoices/{id}", get(review::page))
        .route("/console/style.css", get(async || file("text/css", include_str!("console/style.css"))))
        .route("/console/app.js", get(async || file("text/javascript", include_str!("console/app.js"))))
        .route("/console/icon.svg", get(async || file("image/svg+xml", include_str!("console/icon.svg"))))
        .layer(from_fn_with_state(listens, guard::check))
}

/// A page that could not be made.
#[derive(Template)]
#[template(path = "problem.html")]
struct Trouble {
    here: &'static str,
    code: &'static str,
    detail: String,
}

/// Why there is no page.
struct NoPage(Problem);

impl<T: Into<Problem>> From<T> for NoPage {
    fn from(problem: T) -> Self {
        Self(problem.into())
    }
}

impl IntoResponse for NoPage {
    fn into_response(self) -> Response {
        let code = self.0.code();
        let trouble = Trouble { here: "", code: code.as_str(), detail: self.0.to_string() };
        // The problem's own answer has the right status, and tells the log.
        let status = self.0.into_response().status();
        html(status, trouble.render())
    }
}

fn render(page: &impl Template) -> Response {
    html(StatusCode::OK, page.render())
}

fn html(status: StatusCode, rendered: Result<String, askama::Error>) -> Response {
    match rendered {
        Ok(text) => (status, headers(), [(header::CACHE_CONTROL, "no-store")], Html(text)).into_response(),
        Err(error) => Problem::new(Code::Internal, format!("a page cannot be made: {error}")).into_response(),
    }
}

fn file(media_type: &'static str, text: &'static str) -> Response {
    let kind = HeaderValue::from_static(media_type);
    (headers(), [(header::CONTENT_TYPE, kind)], [(header::CACHE_CONTROL, "no-cache")], text).into_response()
}

fn headers() -> [(HeaderName, HeaderValue); 4] {
    [
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    ]
}

/// A state as people read it.
fn word(state: JobState) -> &'static str {
    match state {
        JobState::AwaitingUpload => "Awaiting upload",
        JobState::Queued => "Queued",
        JobState::Parsing => "Reading",
        JobState::Review => "Review",
        JobState::Applying => "Applying",
        JobState::Applied => "Applied",
        JobState::Failed => "Failed",
        JobState::Expired => "Expired",
        JobState::Reversed => "Reversed",
    }
}

/// A time as people read it, to the second: pages are for people in several places, so that it is UTC.
fn time(at: Timestamp) -> String {
    let text = at.sortable();
    let (day, time) = text.split_once('T').unwrap_or((&text, ""));
    format!("{day} {}", time.get(..8).unwrap_or(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        let at = Timestamp::parse("2026-03-16T08:35:06.123Z").expect("a time");
        assert_eq!(time(at), "2026-03-16 08:35:06");
    }

    #[test]
    fn pages_load_nothing_from_elsewhere_and_hold_no_code() {
        let templates = [
            include_str!("console/base.html"),
            include_str!("console/home.html"),
            include_str!("console/list.html"),
            include_str!("console/problem.html"),
            include_str!("console/review.html"),
            include_str!("console/macros.html"),
        ];
        for template in templates {
            for forbidden in
                ["style=", "<style", "://", "|safe", " onclick", " onload", " onerror", "javascript:"]
            {
                assert!(!template.contains(forbidden), "{forbidden:?} in {:.80}", template);
            }
            let scripts = template.matches("<script").count();
            assert_eq!(scripts, template.matches("<script src=\"/console/app.js\"").count());
        }
        for file in [include_str!("console/style.css"), include_str!("console/app.js")] {
            for forbidden in ["://", "@import", "innerHTML", "outerHTML =", "insertAdjacentHTML", "eval("] {
                assert!(!file.contains(forbidden), "{forbidden:?} in {:.80}", file);
            }
        }
    }
}
