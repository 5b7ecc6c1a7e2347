//! Whether a person can read it: at both widths, in both schemes of colours; and pictures of it for people.

use serde_json::{Value, json};

use crate::browser::{Browser, Scheme};
use crate::documents::{HOSTILE, ORDINARY, long, pdf, submitted};
use crate::support::Place;

/// Texts that have less contrast with their ground than WCAG 2.2 AA asks for (1.4.3).
const PALE: &str = r"
const parse = (text) => text.match(/[\d.]+/g).map(Number);
const channel = (value) => { const part = value / 255; return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4; };
const luminance = ([red, green, blue]) => 0.2126 * channel(red) + 0.7152 * channel(green) + 0.0722 * channel(blue);
const ground = (at) => {
  for (; at; at = at.parentElement) {
    const colour = parse(getComputedStyle(at).backgroundColor);
    if (colour.length < 4 || colour[3] > 0) return colour;
  }
  return [255, 255, 255];
};
const pale = [];
for (const at of document.querySelectorAll('body *')) {
  const own = [...at.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  if (!own || !at.checkVisibility({ visibilityProperty: true, opacityProperty: true }) || at.closest('option')) continue;
  const style = getComputedStyle(at);
  const front = parse(style.color), back = ground(at), opacity = Number(style.opacity);
  const mixed = front.slice(0, 3).map((part, index) => part * opacity + back[index] * (1 - opacity));
  const [low, high] = [luminance(mixed), luminance(back)].sort((one, other) => one - other);
  const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
  const ratio = (high + 0.05) / (low + 0.05);
  if (ratio < (large ? 3 : 4.5)) pale.push(`${at.tagName}.${at.className} ${ratio.toFixed(2)} ${at.textContent.trim().slice(0, 30)}`);
}
return pale;";

/// What one can operate and no one can name (4.1.2), and fields without a label (3.3.2).
const NAMELESS: &str = r"
const nameless = [];
for (const at of document.querySelectorAll('a, button, input, select, summary, [tabindex]:not(main)')) {
  const name = at.getAttribute('aria-label') || at.getAttribute('aria-labelledby') || (at.labels ? [...at.labels].map((label) => label.textContent).join('') : '') || at.textContent;
  if (!name.trim()) nameless.push(at.outerHTML.slice(0, 80));
}
const ids = [...document.querySelectorAll('[id]')].map((at) => at.id);
for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) nameless.push(`#${id} is there twice`);
return nameless;";

/// By how much the page is wider than the window.
const TOO_WIDE: &str = "return document.scrollingElement.scrollWidth - document.documentElement.clientWidth;";

#[tokio::test(flavor = "multi_thread")]
async fn every_page_can_be_read_at_both_widths_in_both_schemes() {
    let place = Place::embedded();
    let dvss = place.up().go().await;
    let Some(browser) = Browser::on(&dvss.operators).await else { return };
    each_look(&browser, "empty", "/invoices", "").await;
    dvss.vendor("nordwind").await;
    dvss.vendor("a-vendor-with-a-name-that-is-rather-long-for-a-column").await;
    let xml = "application/xml";
    let ordinary = submitted(&dvss, "nordwind", "invoice.xml", xml, ORDINARY.as_bytes()).await;
    let broken = submitted(&dvss, "nordwind", "broken.xml", xml, b"<Invoice><broken").await;
    let rather_long = "a-vendor-with-a-name-that-is-rather-long-for-a-column";
    let hostile = submitted(&dvss, rather_long, "<b>\u{202e}.xml", xml, HOSTILE.as_bytes()).await;
    let drawn = submitted(&dvss, "nordwind", "invoice.pdf", "application/pdf", &pdf()).await;
    let many = submitted(&dvss, "nordwind", "many.xml", xml, long(1_200).as_bytes()).await;
    for (name, path, keys) in [
        ("home", "/".to_owned(), ""),
        ("list", "/invoices".to_owned(), ""),
        ("filtered", "/invoices?state=FAILED&vendor=nordwind".to_owned(), ""),
        ("not-a-page", "/invoices/nonsense".to_owned(), ""),
        ("review", format!("/invoices/{ordinary}"), "n"),
        ("editor", format!("/invoices/{ordinary}"), "ne"),
        ("failed", format!("/invoices/{broken}"), ""),
        ("hostile", format!("/invoices/{hostile}"), "j"),
        ("pdf", format!("/invoices/{drawn}"), "j"),
        ("many", format!("/invoices/{many}?from=1001"), "j"),
    ] {
        each_look(&browser, name, &path, keys).await;
    }
    browser.close(&[404]).await;
}

/// Looks at a page in every way, at the narrowest that text has to be read without scrolling aside too (1.4.10).
async fn each_look(browser: &Browser, name: &str, path: &str, keys: &str) {
    for (width, scheme) in [
        (1_440, Scheme::Light),
        (1_440, Scheme::Dark),
        (1_280, Scheme::Light),
        (1_024, Scheme::Light),
        (768, Scheme::Light),
        (375, Scheme::Light),
        (375, Scheme::Dark),
        (320, Scheme::Light),
    ] {
        browser.look(width, scheme).await;
        browser.go(path).await;
        for key in keys.chars() {
            browser.press(&key.to_string()).await;
        }
        browser.until("[...document.images].every((image) => image.complete)").await;
        let what = format!("{name} at {width} in {scheme:?}");
        assert_eq!(browser.ask(PALE).await, json!([]), "{what}: too little contrast");
        assert_eq!(browser.ask(NAMELESS).await, json!([]), "{what}");
        assert_eq!(browser.ask(TOO_WIDE).await, json!(0), "{what}: wider than the window");
        browser.picture(&format!("{name}-{width}-{scheme:?}").to_lowercase()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_place_of_a_value_is_lit_on_the_page() {
    let place = Place::embedded();
    let dvss = place.up().go().await;
    dvss.vendor("nordwind").await;
    let id = submitted(&dvss, "nordwind", "invoice.pdf", "application/pdf", &pdf()).await;
    let Some(browser) = Browser::on(&dvss.operators).await else { return };
    browser.go(&format!("/invoices/{id}")).await;
    browser.until("document.querySelector('.page img')?.naturalWidth > 0").await;
    browser.press("j").await;
    let lit = "const box = document.querySelector('.page[data-page=\"1\"] rect.now'); \
               return box && ['x', 'y', 'width', 'height'].map((edge) => Math.round(box.getAttribute(edge)));";
    let lit = browser.ask(lit).await;
    let numbers: Vec<i64> = lit.as_array().expect("a box").iter().filter_map(Value::as_i64).collect();
    // The quantity of the first line, as the document was made: at 300, 250 points, in letters of 10 points.
    let [x, y, width, height] = numbers[..] else { panic!("{lit}") };
    assert!((290..=302).contains(&x) && x + width >= 310 && x + width < 345, "{lit}");
    assert!((232..=246).contains(&y) && (248..=262).contains(&(y + height)), "{lit}");
    assert!(browser.text("source").await.contains("page 1"));
    browser.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_invoice_comes_in_pages_and_the_next_open_line_is_found() {
    let place = Place::embedded();
    let dvss = place.up().go().await;
    dvss.vendor("nordwind").await;
    let id = submitted(&dvss, "nordwind", "many.xml", "application/xml", long(1_200).as_bytes()).await;
    let Some(browser) = Browser::on(&dvss.operators).await else { return };
    browser.go(&format!("/invoices/{id}")).await;
    assert_eq!(browser.ask("return document.querySelectorAll('tbody.line').length").await, 500);
    for line in [100, 200, 300, 400, 500] {
        browser.press("n").await;
        browser.until(&format!("document.querySelector('.chosen')?.id === 'line-{line}'")).await;
    }
    browser.press_and_leave('n').await;
    browser.until("document.querySelector('.chosen')?.id === 'line-600'").await;
    browser.press_and_leave('p').await;
    browser.until("document.querySelector('.chosen')?.id === 'line-500'").await;
    browser.close(&[]).await;
}
