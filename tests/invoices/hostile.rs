//! Documents that mean harm, or none: the right state and reason each, the worker alive, other jobs unaffected.

use serde_json::json;

use crate::documents::{id, ubl};
use crate::support::{Place, http};

fn bomb() -> String {
    let entities: String = (1..10)
        .map(|level| format!("<!ENTITY e{level} \"{}\">", format!("&e{};", level - 1).repeat(10)))
        .collect();
    format!("<!DOCTYPE Invoice [<!ENTITY e0 \"x\">{entities}]><Invoice>&e9;</Invoice>")
}

#[tokio::test]
async fn each_gets_its_own_reason_and_the_rest_goes_on() {
    let place = Place::new();
    let dvss = place.up().go().await;
    dvss.vendor("north").await;
    let xxe = "<!DOCTYPE Invoice [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><Invoice>&x;</Invoice>";
    let order = ubl("PO-1", &[("A", 1, 1)]).replace("Invoice", "Order");
    for (name, text, reason) in [
        ("bomb.xml", bomb(), "forbidden"),
        ("xxe.xml", xxe.to_owned(), "forbidden"),
        ("torn.xml", ubl("RE-1", &[("A", 1, 1)])[..400].to_owned(), "damaged"),
        ("deep.xml", "<a>".repeat(200_000), "too-large"),
        ("blank.pdf", " \n \n".to_owned(), "empty"),
        ("order.xml", order, "not-an-invoice"),
        ("broken.pdf", "%PDF-1.7\n1 0 obj\n<<".to_owned(), "damaged"),
        ("letter.txt", "Dear Sir or Madam".to_owned(), "unsupported"),
    ] {
        let job = dvss.invoice(&place, name, &text).await;
        assert_eq!(
            (&job["state"], &job["reason"]["code"]),
            (&json!("FAILED"), &json!(reason)),
            "{name}: {job}"
        );
        assert!(!job["reason"]["message"].as_str().unwrap_or_default().is_empty(), "{name}");
    }
    // A wrong name is nobody's fault: the bytes are looked at.
    let job = dvss.invoice(&place, "really-xml.pdf", &ubl("RE-2", &[("A", 1, 1)])).await;
    assert_eq!((&job["state"], &job["summary"]["number"]), (&json!("REVIEW"), &json!("RE-2")), "{job}");
    dvss.stop().await;
}

#[tokio::test]
async fn a_parser_that_is_out_of_time_or_memory_fails_its_document_alone() {
    let large = ubl("RE-1", &(0..20_000).map(|_| ("A-1", 1, 1)).collect::<Vec<_>>());
    for (name, value, reason) in [
        ("DVSS_PARSER__WALL", "1ms", "parser-timed-out"),
        ("DVSS_PARSER__MEMORY_BYTES", "100000000", "parser-out-of-memory"),
    ] {
        let place = Place::new();
        let dvss = place.up().env("DVSS_INVOICES__RETRY_AFTER", "10ms").env(name, value).go().await;
        dvss.vendor("north").await;
        let job = dvss.invoice(&place, "large.xml", &large).await;
        assert_eq!((&job["state"], &job["reason"]["code"]), (&json!("FAILED"), &json!(reason)), "{job}");
        assert_eq!(job["attempts"], 3, "{job}");
        dvss.stop().await;
    }
}

#[tokio::test]
async fn what_is_never_uploaded_expires() {
    let place = Place::new();
    let dvss = place
        .up()
        .env("DVSS_INVOICES__UPLOAD_EXPIRES", "1s")
        .env("DVSS_INVOICES__SUBMIT_WITHIN", "1s")
        .go()
        .await;
    dvss.vendor("north").await;
    let announced = json!({ "vendorId": "north", "fileName": "a.xml", "contentType": "application/xml", "contentLength": 7, "here": true });
    let job = dvss.operate("/invoices", announced.clone()).await.expect(201).clone();
    let expired = dvss.job_in(&id(&job), "EXPIRED").await;
    assert_eq!(expired["reason"]["code"], "expired");
    let late = http().put(job["upload"]["url"].as_str().expect("a url")).header("if-none-match", "*");
    let late =
        dvss.ask(late.header("content-type", "application/xml").body("<a></a>")).await.expect("an answer");
    late.refused(403, "upload-forbidden");
    dvss.operate(&format!("/invoices/{}/submit", id(&job)), json!({})).await.refused(409, "invoice-state");
    for (length, code) in [(0, "request-invalid"), (1_u64 << 40, "body-too-large")] {
        let mut odd = announced.clone();
        odd["contentLength"] = json!(length);
        let status = if length == 0 { 400 } else { 413 };
        dvss.operate("/invoices", odd).await.refused(status, code);
    }
    dvss.stop().await;
}
