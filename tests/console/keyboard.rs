//! From a file to stock with the keyboard alone, once.

use serde_json::json;
use thirtyfour::prelude::*;

use crate::browser::Browser;
use crate::documents::{ORDINARY, path, state, submitted};
use crate::support::{Place, eventually};

/// What has the focus, in a few words.
const FOCUS: &str = "const at = document.activeElement; return at === document.body ? 'body' : \
                     (at.id || at.getAttribute('aria-label') || at.textContent.trim());";

#[tokio::test(flavor = "multi_thread")]
async fn a_person_with_a_keyboard_applies_an_invoice_once() {
    let place = Place::embedded();
    let dvss = place.up().go().await;
    dvss.vendor("nordwind").await;
    let Some(browser) = Browser::on(&dvss.operators).await else { return };
    browser.go("/invoices").await;
    let files = browser.page.find(By::Id("upload-files")).await.expect("a field for files");
    files.send_keys(path("invoice.xml").display().to_string()).await.expect("chosen");
    browser.until("document.querySelector('#uploads a')").await;
    // The list follows by itself.
    browser.until("document.querySelector('#jobs .s-REVIEW')").await;
    let needs = browser.ask("return document.querySelector('#jobs tbody tr').innerText").await;
    assert!(
        needs.as_str().is_some_and(|text| text.contains("NB-2026-0417") && text.contains("2 open")),
        "{needs}"
    );
    reach(&browser, "NB-2026-0417").await;
    browser.hit(Key::Enter).await;
    browser.until("document.querySelector('main[data-page=review]')").await;
    let id = browser.ask("return document.querySelector('main').dataset.job").await;
    let id = id.as_str().expect("an id").to_owned();

    browser.press("?").await;
    browser.until("document.querySelector('#help[open]')").await;
    browser.hit(Key::Escape).await;
    browser.until("!document.querySelector('dialog[open]')").await;

    // The second line does not add up: looked at, and accepted.
    browser.press("n").await;
    assert_eq!(chosen(&browser).await, "line-2");
    assert!(browser.text("source").await.contains("/Invoice/InvoiceLine[2]/InvoicedQuantity"));
    browser.press("a").await;
    browser.until("document.getElementById('said').innerText.startsWith('Line 2 is accepted')").await;
    // The third has no item: it is left out, with a reason.
    browser.until("document.querySelector('.chosen')?.id === 'line-3'").await;
    browser.press("x").await;
    assert_eq!(browser.ask(FOCUS).await, "exclude-3");
    browser.press("a delivery is no stock").await;
    browser.hit(Key::Enter).await;
    browser.until("document.getElementById('line-3').innerText.includes('a delivery is no stock')").await;
    // Of the first line 23 came, not 24.
    browser.press("kk").await;
    assert_eq!(chosen(&browser).await, "line-1");
    browser.press("e").await;
    browser.hit(Key::Tab).await;
    browser.hit(Key::Tab).await;
    assert_eq!(browser.ask(FOCUS).await, "quantity-1");
    browser.press("23").await;
    browser.hit(Key::Enter).await;
    browser.until("document.querySelector('#line-1 .book').innerText.includes('23 are booked')").await;
    assert_eq!(browser.text("count").await, "Nothing is open");

    // Asked, and thought better of; asked again, and done.
    browser.with_control(Key::Enter).await;
    browser.until("document.querySelector('#confirm[open]')").await;
    let asked = browser.text("confirm-what").await;
    assert!(asked.contains("3 lines are booked, 1 is excluded"), "{asked}");
    browser.hit(Key::Escape).await;
    browser.until("!document.querySelector('dialog[open]')").await;
    assert_eq!(state(&dvss, &id).await, "REVIEW");
    browser.with_control(Key::Enter).await;
    browser.hit(Key::Enter).await;
    browser.until("document.querySelector('main').dataset.state === 'APPLIED'").await;
    assert!(browser.text("said").await.contains("applied"));
    let applied = dvss.look(&format!("/invoices/{id}")).await.expect(200).clone();
    assert_eq!(applied["plan"]["facts"], 3, "{applied}");

    // The same invoice again is told whose it is.
    let again = submitted(&dvss, "nordwind", "again.xml", "application/xml", ORDINARY.as_bytes()).await;
    let version = dvss.look(&format!("/invoices/{again}")).await.expect(200)["version"].clone();
    let accepted =
        json!({ "acceptAll": true, "lines": [{ "line": 3, "exclude": "a delivery is no stock" }] });
    let patch = reqwest::Client::new().patch(format!("{}/api/v1/invoices/{again}", dvss.operators));
    let patch = patch.header("if-match", format!("\"{version}\"")).json(&accepted);
    dvss.ask(patch).await.expect("an answer").expect(200);
    browser.go(&format!("/invoices/{again}")).await;
    browser.with_control(Key::Enter).await;
    browser.hit(Key::Enter).await;
    browser.until("document.getElementById('wrong').innerText.includes('applied already')").await;
    let link = browser.ask("return document.querySelector('#wrong a').getAttribute('href')").await;
    assert_eq!(link, format!("/invoices/{id}"));

    // Taken back, with a reason; nothing happens without one.
    browser.go(&format!("/invoices/{id}")).await;
    reach(&browser, "Reverse…").await;
    browser.hit(Key::Enter).await;
    browser.until("document.querySelector('#reverse[open]')").await;
    browser.hit(Key::Enter).await;
    browser.until("document.querySelector('#reverse[open]')").await;
    browser.press("sent twice").await;
    browser.hit(Key::Enter).await;
    browser.until("document.querySelector('main').dataset.state === 'REVERSED'").await;
    browser.until("document.getElementById('log').innerText.includes('sent twice')").await;
    browser.close(&[409]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_of_tabs_goes_through_the_page_and_out_of_it() {
    let place = Place::embedded();
    let dvss = place.up().go().await;
    dvss.vendor("nordwind").await;
    let id = submitted(&dvss, "nordwind", "a.xml", "application/xml", ORDINARY.as_bytes()).await;
    let Some(browser) = Browser::on(&dvss.operators).await else { return };
    browser.go(&format!("/invoices/{id}")).await;
    browser.hit(Key::Tab).await;
    assert_eq!(browser.ask(FOCUS).await, "Skip to the content");
    browser.press("n").await;
    browser.press("e").await;
    let mut passed = Vec::new();
    for _ in 0..60 {
        browser.hit(Key::Tab).await;
        let at = browser.ask(FOCUS).await.as_str().expect("text").to_owned();
        if at == "body" || at == "Skip to the content" {
            break;
        }
        let ring = "const at = document.activeElement; return getComputedStyle(at).outlineStyle;";
        assert_ne!(browser.ask(ring).await, "none", "nobody sees that {at:?} has the focus");
        passed.push(at);
    }
    assert!((5..50).contains(&passed.len()), "the way out of an editor: {passed:?}");
    // Escape leaves the editor, and the line has the focus.
    browser.press("e").await;
    browser
        .until("document.activeElement.closest('.editor') || document.activeElement === document.body")
        .await;
    browser.press("n").await;
    browser.press("e").await;
    browser.hit(Key::Escape).await;
    browser.until("document.activeElement.classList.contains('pick')").await;
    browser.close(&[]).await;
}

/// The line that is chosen.
async fn chosen(browser: &Browser) -> String {
    let id = browser.ask("return document.querySelector('.chosen')?.id ?? 'none'").await;
    id.as_str().expect("text").to_owned()
}

/// Goes on by `Tab` until what has this text has the focus.
async fn reach(browser: &Browser, text: &str) {
    eventually(&format!("the focus comes to {text:?}"), async || {
        browser.hit(Key::Tab).await;
        (browser.ask(FOCUS).await == text).then_some(())
    })
    .await;
}
