//! The books: is every accepted event accounted for?
//!
//! `decide` says what evidence means, `gather` collects it, `repair` puts right what can be.

pub mod decide;
mod gather;
mod repair;

use axum::Json;
use axum::extract::State;

use crate::problem::Problem;
use crate::server::Operator;
use decide::Report;

/// `GET /reconcile`
pub async fn report(State(operator): State<Operator>) -> Result<Json<Report>, Problem> {
    Ok(Json(gather::report(&operator).await?.report))
}

/// `POST /reconcile/repair`
pub async fn repair(State(operator): State<Operator>) -> Result<Json<Report>, Problem> {
    let found = gather::report(&operator).await?;
    let repaired = repair::repair(&operator, &found).await?;
    Ok(Json(Report { repaired, ..found.report }))
}
