//! What a person does with invoices, and what stock then says.

use std::collections::BTreeSet;

use contract::topics::INVENTORY_RECEIVED;
use serde_json::{Value, json};

use crate::documents::{credit_note, edifact_of_two, id, sum, ubl};
use crate::support::oracle::{account, assert_balanced, assert_once, public};
use crate::support::{Dvss, NOON, Place, eventually, http, stock};

async fn up(place: &Place) -> Dvss {
    let dvss = place.up().go().await;
    dvss.vendor("north").await;
    dvss
}

#[tokio::test]
async fn an_invoice_goes_from_a_file_to_stock_once() {
    let place = Place::new();
    let dvss = up(&place).await;
    // The owner counts its own stock, so that there is a before and an after.
    let own = dvss.vendor("own").await;
    let mut counted = stock("count-1", NOON, "BOLT-8", "10");
    counted["payload"].as_object_mut().expect("an object").remove("warehouseId");
    let counted = dvss.send(&own, &counted).await;
    dvss.published(&counted.id()).await;

    let job = dvss
        .invoice(&place, "a.xml", &ubl("RE-1", &[("BOLT-8", 5, 2), ("NUT-8", 7, 1), ("BOLT-8", 3, 2)]))
        .await;
    assert_eq!(job["state"], "REVIEW", "{job}");
    assert_eq!(job["summary"]["open"], 0, "{job}");
    let id = id(&job);
    let shown = dvss.job(&id).await;
    let impact: Vec<_> = shown["impact"]
        .as_array()
        .expect("lines")
        .iter()
        .map(|line| (line["before"].clone(), line["after"].clone()))
        .collect();
    assert_eq!(
        impact,
        [(json!("10"), json!("15")), (json!("0"), json!("7")), (json!("15"), json!("18"))],
        "{shown}"
    );
    assert_eq!(shown["document"]["decisions"][0]["found"]["by"], "sku", "it is in stock");
    assert_eq!(shown["document"]["decisions"][1]["found"]["by"], "new", "it is not");

    let ran = dvss.cli(&["invoices", "apply", &id, "--json"]).await;
    assert_eq!(ran.json()["state"], "APPLIED", "{ran:?}");
    let again = dvss.cli(&["invoices", "apply", &id, "--json"]).await;
    assert!(again.code == 5 && again.stderr.contains("invoice-applied"), "{again:?}");
    let received = dvss.tail(INVENTORY_RECEIVED).await;
    assert_eq!(received.len(), 3);
    assert_eq!(sum(&received), json!({ "BOLT-8": 8, "NUT-8": 7 }));
    let history = dvss.history("own||BOLT-8||").await;
    assert_eq!(history["state"]["quantityOnHand"], "18", "{history}");

    let plan = dvss.job(&id).await["plan"]["planId"].as_str().expect("a plan").to_owned();
    let explained = dvss.explain(&plan).await;
    assert_eq!(
        (&explained["status"], explained["facts"].as_array().map(Vec::len)),
        (&json!("PUBLISHED"), Some(3))
    );
    let report = dvss.settled().await;
    assert_balanced(&report);
    assert_eq!(
        (&account(&report, "own")["accepted"], &account(&report, "own")["facts"]),
        (&json!(2), &json!(4))
    );
    assert_once(&public(&dvss).await);
    dvss.stop().await;
}

#[tokio::test]
async fn a_line_in_another_unit_than_its_item_waits_for_a_quantity() {
    let place = Place::new();
    let dvss = up(&place).await;
    let own = dvss.vendor("own").await;
    let mut counted = stock("count-1", NOON, "BOLT-8", "10");
    counted["payload"]["unitOfMeasure"] = json!("CS");
    let counted = dvss.send(&own, &counted).await;
    dvss.published(&counted.id()).await;

    let job = dvss.invoice(&place, "a.xml", &ubl("RE-1", &[("BOLT-8", 24, 2)])).await;
    let id = id(&job);
    let shown = dvss.job(&id).await;
    let decision = &shown["document"]["decisions"][0];
    assert_eq!((&decision["accepted"], &decision["unit"]), (&json!(false), &json!("CS")), "{shown}");
    let ran = dvss.cli(&["invoices", "apply", &id]).await;
    assert!(ran.code != 0 && ran.stderr.contains("counts in") && ran.stderr.contains("CS"), "{ran:?}");
    // Nothing but a quantity in cases will do.
    let mut version = shown["version"].clone();
    for accept in [json!({ "acceptAll": true }), json!({ "lines": [{ "line": 1, "accept": true }] })] {
        let still = dvss.change(&id, "", &version, accept).await;
        let open = still.body["open"].to_string();
        assert!(open.contains("name the quantity in CS"), "{still:?}");
        version = still.body["version"].clone();
    }
    let edit = json!({ "lines": [{ "line": 1, "quantity": "2" }] });
    let named = dvss.change(&id, "", &version, edit).await;
    assert_eq!(named.body["open"], json!([]), "{named:?}");
    let ran = dvss.cli(&["invoices", "apply", &id, "--json"]).await;
    assert_eq!(ran.json()["state"], "APPLIED", "{ran:?}");
    let received = dvss.tail(INVENTORY_RECEIVED).await;
    let data = &received[0]["value"]["data"];
    assert_eq!((&data["delta"], &data["unitOfMeasure"]), (&json!("2"), &json!("CS")), "{received:?}");
    dvss.stop().await;
}

#[tokio::test]
async fn a_unit_that_stock_has_by_now_is_looked_at_when_it_is_applied() {
    let place = Place::new();
    let dvss = up(&place).await;
    let own = dvss.vendor("own").await;
    let job = dvss.invoice(&place, "a.xml", &ubl("RE-1", &[("BOLT-8", 24, 2)])).await;
    assert_eq!(job["summary"]["open"], 0, "nobody knows its unit: {job}");
    let mut counted = stock("count-1", NOON, "BOLT-8", "10");
    counted["payload"]["unitOfMeasure"] = json!("CS");
    counted["payload"].as_object_mut().expect("an object").remove("warehouseId");
    let counted = dvss.send(&own, &counted).await;
    dvss.published(&counted.id()).await;
    let ran = dvss.cli(&["invoices", "apply", &id(&job)]).await;
    assert!(ran.code != 0 && ran.stderr.contains("name the quantity in CS"), "{ran:?}");
    dvss.stop().await;
}

#[tokio::test]
async fn one_number_of_two_sellers_is_one_item_only_if_a_person_says_so() {
    let place = Place::new();
    let dvss = up(&place).await;
    dvss.vendor("south").await;
    let south = async |file: &str, number: &str| {
        dvss.invoice_of("south", &place, file, &ubl(number, &[("1001", 5, 2)])).await
    };
    let north = dvss.invoice(&place, "n.xml", &ubl("N-1", &[("1001", 5, 2)])).await;
    // Read before the other one is applied, so that the item is new to both.
    let early = south("s.xml", "S-1").await;
    dvss.cli(&["invoices", "apply", &id(&north), "--json"]).await.json();
    let ran = dvss.cli(&["invoices", "apply", &id(&early)]).await;
    assert!(ran.code != 0 && ran.stderr.contains("north") && ran.stderr.contains("line 1"), "{ran:?}");

    // Read behind it, by a look at stock that knows of it.
    let looks = std::cell::Cell::new(0);
    let late = eventually("the item is known as another seller's", async || {
        looks.set(looks.get() + 1);
        let number = format!("LATE-{}", looks.get());
        let job = south(&format!("{number}.xml"), &number).await;
        let shown = dvss.job(&id(&job)).await;
        let doubt = shown["document"]["decisions"][0]["doubt"].as_str().unwrap_or_default().to_owned();
        doubt.contains("north").then_some(shown)
    })
    .await;
    let accept = json!({ "lines": [{ "line": 1, "accept": true }] });
    let accepted = dvss.change(&id(&late), "", &late["version"], accept).await;
    assert_eq!(accepted.body["open"], json!([]), "{accepted:?}");
    let ran = dvss.cli(&["invoices", "apply", &id(&late), "--json"]).await;
    assert_eq!(ran.json()["state"], "APPLIED", "{ran:?}");
    assert_eq!(dvss.received("1001").await, "10");
    let again = south("again.xml", "S-9").await;
    let shown = dvss.job(&id(&again)).await;
    assert_eq!(shown["document"]["decisions"][0]["found"]["by"], "remembered", "{shown}");
    dvss.stop().await;
}

#[tokio::test]
async fn a_reversal_takes_back_and_lets_apply_again() {
    let place = Place::new();
    let dvss = up(&place).await;
    let job = dvss.invoice(&place, "a.xml", &ubl("RE-1", &[("A-1", 5, 2)])).await;
    let id = id(&job);
    dvss.cli(&["invoices", "apply", &id, "--json"]).await.json();
    assert_eq!(dvss.received("A-1").await, "5");
    let ran = dvss.cli(&["invoices", "reverse", &id, "--reason", "sent back", "--json"]).await;
    assert_eq!(ran.json()["state"], "REVERSED", "{ran:?}");
    assert_eq!(dvss.received("A-1").await, "0");
    let twice = dvss.cli(&["invoices", "reverse", &id, "--reason", "sent back"]).await;
    assert!(twice.code == 5 && twice.stderr.contains("invoice-state"), "{twice:?}");
    let ran = dvss.cli(&["invoices", "apply", &id, "--json"]).await;
    assert_eq!(ran.json()["state"], "APPLIED", "{ran:?}");
    assert_eq!(dvss.received("A-1").await, "5");
    let note = dvss.invoice(&place, "b.xml", &credit_note("RE-1", &[("A-1", 2, 2)])).await;
    let note_id = crate::documents::id(&note);
    let ran = dvss.cli(&["invoices", "apply", &note_id, "--json"]).await;
    assert_eq!(ran.json()["state"], "APPLIED", "a credit note has numbers of its own: {ran:?}");
    assert_eq!(dvss.received("A-1").await, "3");
    let events = dvss.job(&id).await["events"].clone();
    let reversal =
        events.as_array().expect("a log").iter().find(|event| event["action"] == "invoice.reverse");
    assert_eq!(reversal.expect("it is told")["message"], "sent back");
    assert_balanced(&dvss.settled().await);
    dvss.stop().await;
}

#[tokio::test]
async fn an_interchange_of_two_invoices_is_two_jobs() {
    let place = Place::new();
    let dvss = up(&place).await;
    let first = dvss.invoice(&place, "two.edi", &edifact_of_two("E-1", "E-2")).await;
    assert_eq!(first["state"], "REVIEW", "{first}");
    let jobs = dvss.look("/invoices?state=REVIEW").await.expect(200)["jobs"].clone();
    let jobs = jobs.as_array().expect("jobs");
    let numbers: BTreeSet<_> =
        jobs.iter().map(|job| job["summary"]["number"].as_str().unwrap_or_default()).collect();
    assert_eq!(numbers, BTreeSet::from(["E-1", "E-2"]));
    for job in jobs {
        let ran = dvss.cli(&["invoices", "apply", &id(job), "--json"]).await;
        assert_eq!(ran.json()["state"], "APPLIED", "{ran:?}");
    }
    assert_eq!(sum(&dvss.tail(INVENTORY_RECEIVED).await), json!({ "EDI-1": 4, "EDI-2": 6 }));
    // The same interchange once more: each of its invoices was applied.
    let again = dvss.invoice(&place, "again.edi", &edifact_of_two("E-1", "E-2")).await;
    let refused = dvss.cli(&["invoices", "apply", &id(&again)]).await;
    assert!(refused.code == 5 && refused.stderr.contains("invoice-applied"), "{refused:?}");
    dvss.stop().await;
}

#[tokio::test]
async fn five_hundred_lines_with_repeated_items_come_out_once_each() {
    let place = Place::new();
    let dvss = up(&place).await;
    let names: Vec<String> = (0..500).map(|line| format!("R-{}", line % 7)).collect();
    let lines: Vec<_> =
        names.iter().zip(1..).map(|(name, line): (_, u32)| (name.as_str(), line % 5 + 1, 3)).collect();
    let mut expected = std::collections::BTreeMap::<&str, i64>::new();
    for (name, quantity, _) in &lines {
        *expected.entry(name).or_default() += i64::from(*quantity);
    }
    let job = dvss.invoice(&place, "many.xml", &ubl("RE-500", &lines)).await;
    let ran = dvss.cli(&["invoices", "apply", &id(&job), "--json"]).await;
    assert_eq!(ran.json()["state"], "APPLIED", "{ran:?}");
    let received = dvss.tail(INVENTORY_RECEIVED).await;
    assert_eq!(received.len(), 500);
    assert_eq!(sum(&received), json!(expected));
    for (sku, quantity) in expected {
        assert_eq!(dvss.received(sku).await, quantity.to_string(), "{sku}");
    }
    assert_balanced(&dvss.settled().await);
    dvss.stop().await;
}

#[tokio::test]
async fn fifty_clicks_on_two_jobs_with_one_number_book_once() {
    let place = Place::new();
    let dvss = up(&place).await;
    let mut jobs = Vec::new();
    // Two documents: the same number, typed in two ways.
    for (name, number) in [("a.xml", "RE 2026-7"), ("b.xml", "re 2026-7")] {
        jobs.push(dvss.invoice(&place, name, &ubl(number, &[("A-1", 5, 2), ("B-2", 1, 9)])).await);
    }
    let clicks = (0..50).map(|click| {
        let job = &jobs[click % 2];
        let (dvss, id, version) = (&dvss, id(job), job["version"].clone());
        async move { dvss.change(&id, "/apply", &version, json!({})).await }
    });
    let answers = futures::future::join_all(clicks).await;
    let done: Vec<_> = answers.iter().filter(|answer| answer.status == 202).collect();
    assert_eq!(done.len(), 1, "{answers:?}");
    let winner = id(&done[0].body);
    for refused in answers.iter().filter(|answer| answer.status != 202) {
        let body = refused.refused(409, "invoice-applied");
        assert_eq!(body["first"], json!({ "jobId": winner, "href": format!("/api/v1/invoices/{winner}") }));
    }
    dvss.job_in(&winner, "APPLIED").await;
    assert_eq!(sum(&dvss.tail(INVENTORY_RECEIVED).await), json!({ "A-1": 5, "B-2": 1 }));
    assert_balanced(&dvss.settled().await);
    dvss.stop().await;
}

#[tokio::test]
async fn a_vendor_uploads_its_own_and_sees_no_others() {
    let place = Place::new();
    let dvss = place.up().go().await;
    let (north, south) = (dvss.vendor("north").await, dvss.vendor("south").await);
    let text = ubl("RE-9", &[("A-1", 5, 2)]);
    let announced = json!({
        "vendorId": "north", "fileName": "a.xml", "contentType": "application/xml", "contentLength": text.len(),
    });
    let ask = async |method: &str, path: &str, vendor, body: &Value| {
        dvss.ask(dvss.request(method, path, vendor).json(body)).await.expect("an answer")
    };
    let foreign = ask("POST", "/v1/invoices", &south, &announced).await;
    foreign.refused(403, "vendor-mismatch");
    let job = ask("POST", "/v1/invoices", &north, &announced).await.expect(201).clone();
    let submit = format!("/v1/invoices/{}/submit", id(&job));
    ask("POST", &submit, &north, &json!({})).await.refused(409, "invoice-not-uploaded");
    let upload = &job["upload"];
    let put = |length: usize| {
        let mut request = http().put(upload["url"].as_str().expect("a url")).body(text[..length].to_owned());
        for (name, value) in upload["headers"].as_object().expect("headers") {
            if name != "content-length" {
                request = request.header(name, value.as_str().expect("text"));
            }
        }
        request
    };
    let short = put(7).send().await.expect("an answer");
    assert_eq!(short.status(), 403, "another length than was signed");
    assert_eq!(put(text.len()).send().await.expect("an answer").status(), 200);
    ask("POST", &submit, &south, &json!({})).await.refused(404, "not-found");
    for _ in 0..2 {
        ask("POST", &submit, &north, &json!({})).await.expect(202);
    }
    let look = format!("/v1/invoices/{}", id(&job));
    ask("GET", &look, &south, &json!({})).await.refused(404, "not-found");
    dvss.job_in(&id(&job), "REVIEW").await;
    assert_eq!(ask("GET", &look, &north, &json!({})).await.expect(200)["state"], "REVIEW");
    dvss.stop().await;
}

#[tokio::test]
async fn what_does_not_add_up_waits_for_a_person() {
    let place = Place::new();
    let dvss = up(&place).await;
    let odd = ubl("RE-1", &[("A-1", 5, 2), ("B-1", 1, 1)]).replacen("EUR\">10.00", "EUR\">11.00", 1);
    let job = dvss.invoice(&place, "odd.xml", &odd).await;
    assert_eq!(job["state"], "REVIEW", "{job}");
    let id = id(&job);
    let shown = dvss.job(&id).await;
    let flags = &shown["document"]["invoice"]["lines"][0]["flags"];
    assert_eq!(flags[0]["code"], "line-total", "{shown}");
    dvss.change(&id, "/apply", &job["version"], json!({})).await.refused(422, "invoice-unreviewed");
    let without = format!("{}/api/v1/invoices/{id}/apply", dvss.operators);
    dvss.ask(http().post(without).json(&json!({})))
        .await
        .expect("an answer")
        .refused(428, "version-required");
    let edited = dvss
        .change(
            &id,
            "",
            &job["version"],
            json!({ "lines": [{ "line": 1, "exclude": "wrong price" }], "acceptFlags": true }),
        )
        .await;
    let edited = edited.expect(200).clone();
    dvss.change(&id, "/apply", &job["version"], json!({})).await.refused(412, "version-conflict");
    dvss.change(&id, "/apply", &edited["version"], json!({})).await.expect(202);
    dvss.job_in(&id, "APPLIED").await;
    assert_eq!(sum(&dvss.tail(INVENTORY_RECEIVED).await), json!({ "B-1": 1 }));
    dvss.stop().await;
}
