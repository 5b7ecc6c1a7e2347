//! The page at `/`: one look at the whole.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::render;
use crate::server::{Operator, StageHealth};

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    here: &'static str,
    stages: Vec<StageHealth>,
}

/// `GET /`
pub(super) async fn page(State(operator): State<Operator>) -> Response {
    render(&Home { here: "home", stages: operator.host.stages() })
}
