//! Lists of invoice jobs.

mod support;

use std::collections::BTreeSet;

use axum::http::StatusCode;
use invoices::{JobId, store};
use serde_json::json;
use support::World;

async fn announced(world: &World, vendor: &str) -> JobId {
    let body = json!({
        "vendorId": vendor, "fileName": "a.xml", "contentType": "application/xml", "contentLength": 4, "here": true,
    });
    let (status, job) = world.post("/invoices", body).await;
    assert_eq!(status, StatusCode::CREATED, "{job}");
    JobId::parse(job["jobId"].as_str().expect("an id")).expect("a job's id")
}

#[tokio::test]
async fn every_job_is_on_one_page_whatever_its_state() {
    let world = World::new();
    let (mut of_all, mut of_south) = (BTreeSet::new(), BTreeSet::new());
    for vendor in ["acme", "south"] {
        world.post("/vendors", json!({ "vendorId": vendor })).await;
    }
    for number in 0..23 {
        let vendor = if number % 5 == 0 { "south" } else { "acme" };
        let id = announced(&world, vendor).await;
        if number % 3 == 0 {
            let job = store::get(&*world.operator.ports.tables, id).await.expect("the job");
            world.operator.invoices.expire(&job).await.expect("it expires");
        }
        of_all.insert(id.to_string());
        if vendor == "south" {
            of_south.insert(id.to_string());
        }
    }
    for (filter, expected) in [("", &of_all), ("vendor=south&", &of_south)] {
        for limit in [1, 4, 1_000] {
            let jobs = world.all(&format!("/invoices?{filter}"), "jobs", limit).await;
            let ids: BTreeSet<String> =
                jobs.iter().map(|job| job["jobId"].as_str().expect("an id").to_owned()).collect();
            assert_eq!((jobs.len(), &ids), (expected.len(), expected), "{filter} by {limit}");
            let times: Vec<&str> =
                jobs.iter().map(|job| job["updatedAt"].as_str().expect("a time")).collect();
            assert!(times.is_sorted_by(|one, other| one >= other), "the last changed first: {times:?}");
        }
    }
    let (status, answer) =
        world.send("GET", "/invoices?cursor=00", &[("host", "localhost")], json!({})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
}
