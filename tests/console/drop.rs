//! A document that is dropped onto the page.

use crate::browser::Browser;
use crate::support::Place;

/// Drops a file onto an element; says whether the page kept the browser from opening it.
fn dropped(onto: &str, name: &str, text: &str) -> String {
    let text = serde_json::to_string(text).expect("text");
    format!(
        "const files = new DataTransfer(); \
         files.items.add(new File([{text}], '{name}', {{ type: 'application/xml' }})); \
         const said = {{ dataTransfer: files, bubbles: true, cancelable: true }}; \
         return !document.querySelector('{onto}').dispatchEvent(new DragEvent('drop', said));"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_taken_where_it_is_dropped_and_nowhere_else() {
    let place = Place::embedded();
    let dvss = place.up().go().await;
    dvss.vendor("nordwind").await;
    let Some(browser) = Browser::on(&dvss.operators).await else { return };
    browser.go("/invoices").await;
    let text = include_str!("invoice.xml");
    assert_eq!(browser.ask(&dropped("h1", "beside.xml", text)).await, true, "it must not replace the page");
    assert_eq!(browser.ask("return document.querySelectorAll('#uploads > *').length").await, 0);
    assert_eq!(browser.ask(&dropped("#drop", "dropped.xml", text)).await, true);
    browser.until("document.querySelector('#uploads a')").await;
    browser.until("document.querySelector('#jobs .s-REVIEW')").await;
    let listed = browser.ask("return document.querySelector('#jobs tbody').innerText").await;
    let listed = listed.as_str().unwrap_or_default();
    assert!(listed.contains("dropped.xml") && !listed.contains("beside.xml"), "{listed}");
    dvss.stop().await;
}
