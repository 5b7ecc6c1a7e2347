//! The books: is every accepted event accounted for?
//!
//! `decide` says what evidence means, `gather` collects it (topics by way of `walk`), `repair` puts right what
//! can be.

pub mod decide;
mod gather;
mod repair;
mod walk;

use axum::Json;
use axum::extract::State;

use crate::problem::Problem;
use crate::server::{Operator, to_the_end};
use decide::Report;

/// `GET /reconcile`
pub async fn report(State(operator): State<Operator>) -> Result<Json<Report>, Problem> {
    Ok(Json(books(&operator).await?))
}

/// `POST /reconcile/repair`
pub async fn repair(State(operator): State<Operator>) -> Result<Json<Report>, Problem> {
    to_the_end(async move { Ok(Json(put_right(&operator).await?)) }).await
}

/// Draws the books up. One at a time: whoever comes meanwhile waits.
pub async fn books(operator: &Operator) -> Result<Report, Problem> {
    let _alone = operator.books.lock().await;
    Ok(gather::report(operator).await?.report)
}

/// Draws the books up, and puts right what can be.
pub async fn put_right(operator: &Operator) -> Result<Report, Problem> {
    let _alone = operator.books.lock().await;
    let found = gather::report(operator).await?;
    let repaired = repair::repair(operator, &found).await;
    Ok(Report { repaired, ..found.report })
}
