//! Two tabs on one invoice, and text that would be more.

use thirtyfour::prelude::*;

use crate::browser::Browser;
use crate::documents::{HOSTILE, ORDINARY, submitted};
use crate::support::Place;

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_on_top_of_an_older_look_is_told_and_what_was_typed_stays() {
    let place = Place::embedded();
    let dvss = place.up().go().await;
    dvss.vendor("nordwind").await;
    let id = submitted(&dvss, "nordwind", "a.xml", "application/xml", ORDINARY.as_bytes()).await;
    let Some(browser) = Browser::on(&dvss.operators).await else { return };
    let path = format!("/invoices/{id}");
    browser.go(&path).await;
    let first = browser.page.window().await.expect("a tab");
    browser.press("n").await;
    browser.press("e").await;
    browser.press("PAPER-80").await;

    let second = browser.page.new_tab().await.expect("another tab");
    browser.page.switch_to_window(second).await.expect("there");
    browser.go(&path).await;
    browser.press("n").await;
    browser.press("a").await;
    browser.until("document.getElementById('said').innerText.startsWith('Line 2 is accepted')").await;

    browser.page.switch_to_window(first).await.expect("back");
    browser.hit(Key::Enter).await;
    browser
        .until("document.getElementById('wrong').innerText.includes('Somebody changed this invoice')")
        .await;
    browser.until("document.querySelector('#line-2 .state').innerText.includes('Accepted')").await;
    let typed = browser.ask("return document.getElementById('sku-2').value").await;
    assert_eq!(typed, "PAPER-80", "what was typed is still there");
    let booked = browser.ask("return document.querySelector('#line-2 .sku').innerText").await;
    assert_eq!(booked, "CP-80-5", "and nothing of it was done");
    assert_eq!(browser.ask("return document.activeElement.id").await, "sku-2");
    browser.hit(Key::Enter).await;
    browser.until("document.querySelector('#line-2 .sku').innerText === 'PAPER-80'").await;
    browser.close(&[412]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_wrote_is_text() {
    let place = Place::embedded();
    let dvss = place.up().go().await;
    dvss.vendor("nordwind").await;
    let name = "<img src=x onerror=alert(3)>\u{202e}\".xml";
    let id = submitted(&dvss, "nordwind", name, "application/xml", HOSTILE.as_bytes()).await;
    let Some(browser) = Browser::on(&dvss.operators).await else { return };
    for path in ["/invoices".to_owned(), format!("/invoices/{id}")] {
        browser.go(&path).await;
        browser.press("j").await;
        let scripts =
            "return [...document.scripts].map((script) => script.getAttribute('src') + script.text)";
        assert_eq!(browser.ask(scripts).await, serde_json::json!(["/console/app.js"]), "{path}");
        let others =
            "return document.querySelectorAll('main img, main svg, main b b, [onerror], [onload]').length";
        assert_eq!(browser.ask(others).await, 0, "{path}");
        let text = browser.ask("return document.body.innerText").await;
        let text = text.as_str().expect("text");
        assert!(text.contains("javascript:alert(1)//\u{27e6}U+202E\u{27e7}<svg onload=alert(1)>"), "{text}");
        assert!(!text.contains('\u{202e}') && !text.contains('\u{200b}'), "nothing hidden is left: {text}");
    }
    assert!(browser.text("line-1").await.contains("<script>alert('1')</script>"));
    assert!(browser.page.get_alert_text().await.is_err(), "no script of theirs ran");
    browser.close(&[]).await;
}
