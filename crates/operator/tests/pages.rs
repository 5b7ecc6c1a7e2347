//! What every page of the console says to a browser, whatever stands in it.

mod support;

use std::net::{IpAddr, Ipv4Addr};

use axum::body::{Body, to_bytes};
use axum::http::{Request, Response, StatusCode, header};
use serde_json::json;
use support::World;
use tower::ServiceExt as _;

const PAGES: [&str; 4] = ["/", "/invoices", "/invoices?state=FAILED&vendor=acme", "/invoices?state=&vendor="];
const FILES: [(&str, &str); 3] = [
    ("/console/style.css", "text/css"),
    ("/console/app.js", "text/javascript"),
    ("/console/icon.svg", "image/svg+xml"),
];

async fn get(world: &World, path: &str, host: &str) -> Response<Body> {
    let router = world.operator.clone().router(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let request = Request::get(path).header(header::HOST, host).body(Body::empty()).expect("a request");
    router.oneshot(request).await.expect("an answer")
}

fn says<'a>(answer: &'a Response<Body>, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().expect("text"))
}

#[tokio::test]
async fn every_page_says_that_it_loads_from_here_alone() {
    let world = World::new();
    world.post("/vendors", json!({ "vendorId": "acme" })).await;
    let refused = ["/invoices/nonsense", "/invoices?state=NONSENSE", "/invoices?cursor=ff"];
    let files = FILES.iter().map(|(path, _)| *path);
    for path in PAGES.into_iter().chain(refused).chain(files) {
        let answer = get(&world, path, "127.0.0.1:8081").await;
        let policy = says(&answer, "content-security-policy");
        for part in ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"]
        {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{path}: {policy}");
        assert_eq!(says(&answer, "x-content-type-options"), "nosniff", "{path}");
        let wanted = if refused.contains(&path) { "4" } else { "200" };
        assert!(answer.status().as_str().starts_with(wanted), "{path}: {}", answer.status());
    }
    for (path, kind) in FILES {
        assert_eq!(says(&get(&world, path, "localhost").await, "content-type"), kind);
    }
}

#[tokio::test]
async fn pages_are_made_for_nobody_under_another_name() {
    let world = World::new();
    for path in PAGES {
        let answer = get(&world, path, "evil.example:8081").await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{path}: a name can be made to point here");
    }
}

#[tokio::test]
async fn what_a_request_says_is_not_said_back_as_markup() {
    let world = World::new();
    let answer = get(&world, "/invoices/%3Cscript%3Ealert(1)%3C%2Fscript%3E", "localhost").await;
    assert_eq!(
        (answer.status(), says(&answer, "content-type")),
        (StatusCode::NOT_FOUND, "text/html; charset=utf-8")
    );
    let body = to_bytes(answer.into_body(), 1 << 20).await.expect("a body");
    let text = String::from_utf8_lossy(&body);
    assert!(text.contains("&lt;script&gt;alert(1)") && !text.contains("<script>alert"), "{text}");
}
