//! The PDF reader on PDFs that others published.
//!
//! Text PDFs against what their publishers say is in them; hybrids read as a person sees them, against their own XML.
//! Prints a table. What must hold: 95 % of the values are right, and none is wrong without a flag.

use std::path::{Path, PathBuf};

use contract::Decimal;
use readers::invoice::{FlagCode, Invoice, Line};
use readers::pdf::{self, Template, Text};
use readers::{Hints, Reason};
use serde_json::Value;

#[expect(clippy::disallowed_methods, reason = "where a test's data are is the environment's business")]
fn corpus() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let found = std::env::var_os("DVSS_CORPUS").map_or_else(beside, PathBuf::from).join("invoices");
    if found.exists() {
        return Some(found);
    }
    println!(
        "corpus absent: {} is not there and was not tried; DVSS_CORPUS says where it is",
        found.display()
    );
    None
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|found| found == extension));
    files.sort();
    files
}

#[derive(Default)]
struct Tally {
    documents: usize,
    right: usize,
    /// Right, but only in the message of a flag.
    told: usize,
    flagged: usize,
    unflagged: usize,
    absent: usize,
    notes: Vec<String>,
}

impl Tally {
    /// What is expected of one field and what was read; `flagged` if a person is told to look at it.
    fn field(&mut self, name: &str, expected: Option<String>, read: Option<String>, flagged: bool) {
        let Some(expected) = expected else { return };
        match read {
            Some(read) if read == expected => self.right += 1,
            Some(read) if flagged => {
                self.flagged += 1;
                self.notes.push(format!("  {name}: {expected}, read {read}, flagged"));
            }
            Some(read) => {
                self.unflagged += 1;
                self.notes.push(format!("  {name}: {expected}, read {read}, WITHOUT A FLAG"));
            }
            None => {
                self.absent += 1;
                self.notes.push(format!("  {name}: {expected}, absent"));
            }
        }
    }

    fn percent(&self) -> usize {
        let all = self.right + self.told + self.flagged + self.unflagged + self.absent;
        100 * (self.right + self.told) / all.max(1)
    }

    fn print(&self, what: &str) {
        println!(
            "{what:<28} documents {:>3}  right {:>4}  told in a flag {:>3} ({} %)  wrong and flagged {:>3}  wrong without a flag {:>3}  absent {:>3}",
            self.documents,
            self.right,
            self.told,
            self.percent(),
            self.flagged,
            self.unflagged,
            self.absent
        );
        for note in &self.notes {
            println!("{note}");
        }
    }
}

/// Decimals compare as numbers: 1.50 is 1.5.
fn plain(value: &Decimal) -> String {
    let text = value.to_string();
    match text.split_once('.') {
        Some((whole, fraction)) => {
            let fraction = fraction.trim_end_matches('0');
            if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
        }
        None => text,
    }
}

fn shown(value: Option<&Decimal>) -> Option<String> {
    value.map(plain)
}

/// Whether one of the invoice's flags is about this.
fn flagged(invoice: &Invoice, about: &[&str]) -> bool {
    invoice.flags.iter().any(|flag| {
        let total = format!("{:?}", flag.code).ends_with("Total") && about.contains(&"totals");
        total || about.iter().any(|about| flag.message.starts_with(about))
    })
}

fn compare_lines(tally: &mut Tally, expected: &[Line], invoice: &Invoice) {
    if expected.is_empty() {
        return;
    }
    let doubted = flagged(invoice, &["lines"]);
    let count = |count: usize| Some(count.to_string());
    tally.field(
        "line count",
        count(expected.len()),
        count(invoice.lines.len()),
        doubted || invoice.lines.iter().any(|line| !line.flags.is_empty()),
    );
    for (at, expected) in expected.iter().enumerate() {
        let read = invoice.lines.get(at);
        let doubted = doubted || read.is_some_and(|line| !line.flags.is_empty());
        for (name, of) in [
            ("quantity", (|line| line.quantity.as_ref()) as fn(&Line) -> Option<&Decimal>),
            ("unit price", |line| line.unit_price.as_ref()),
            ("net", |line| line.net.as_ref()),
        ] {
            tally.field(
                &format!("line {} {name}", at + 1),
                shown(of(expected)),
                shown(read.and_then(of)),
                doubted,
            );
        }
    }
}

#[test]
fn hybrids_read_as_a_person_sees_them() {
    let Some(corpus) = corpus() else { return };
    let mut tally = Tally::default();
    let mut disagreements = Vec::new();
    for folder in ["zugferd-corpus/XML-Rechnung/FX", "factur-x-lib/pdf", "horstoeko"] {
        for path in files(&corpus.join(folder), "pdf") {
            let bytes = std::fs::read(&path).expect("a file");
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let Some(xml) = pdf::embedded_xml(&bytes).expect("a PDF") else { continue };
            let truth = readers::of_xml(&xml.bytes).expect("an invoice").invoices.remove(0);
            let hybrid = pdf::read(&bytes, &Hints::default()).expect("an invoice").invoices.remove(0);
            let flags = hybrid.flags.iter().chain(hybrid.lines.iter().flat_map(|line| &line.flags));
            let differing =
                flags.filter(|flag| matches!(flag.code, FlagCode::VisibleText | FlagCode::Uncertain));
            // What the XML itself is flagged for is no disagreement.
            let differing = differing.filter(|flag| !truth.flags.contains(flag));
            disagreements.extend(differing.map(|flag| format!("{name}: {}", flag.message)));
            let read = pdf::read_visible(&bytes, &[]).expect("an invoice").invoices.remove(0);
            tally.documents += 1;
            tally.notes.push(name);
            tally.field("number", truth.number.clone(), read.number.clone(), flagged(&read, &["number"]));
            tally.field(
                "date",
                truth.issue_date.clone(),
                read.issue_date.clone(),
                flagged(&read, &["issueDate"]),
            );
            tally.field(
                "currency",
                truth.currency.clone(),
                read.currency.clone(),
                flagged(&read, &["currency"]),
            );
            let kind = |invoice: &Invoice| Some(format!("{:?}", invoice.kind));
            tally.field("kind", kind(&truth), kind(&read), flagged(&read, &["kind"]));
            let (expected, found) = (&truth.totals, &read.totals);
            for (name, expected, found) in [
                ("net", &expected.net, &found.net),
                ("tax", &expected.tax, &found.tax),
                ("gross", &expected.gross, &found.gross),
                ("payable", &expected.payable, &found.payable),
            ] {
                tally.field(
                    name,
                    shown(expected.as_ref()),
                    shown(found.as_ref()),
                    flagged(&read, &["totals"]),
                );
            }
            compare_lines(&mut tally, &truth.lines, &read);
        }
    }
    tally.print("hybrids, visible text");
    println!("pages that differ from their XML:\n  {}", disagreements.join("\n  "));
    assert_eq!(tally.unflagged, 0);
    assert!(tally.percent() >= 95);
    // One publisher's page rounds 27.5 hours to 28.
    assert!(disagreements.len() <= 1, "{disagreements:#?}");
}

fn number(value: &Value, key: &str) -> Option<String> {
    let text = match value.get(key)? {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return None,
    };
    Decimal::parse(&text).ok().map(|value| plain(&value))
}

fn string(value: &Value, key: &str) -> Option<String> {
    Some(value.get(key)?.as_str()?.trim_start_matches('#').to_owned())
}

fn compare_json(tally: &mut Tally, expected: &Value, invoice: &Invoice) {
    let read = |text: &Option<String>| text.clone();
    tally.field(
        "number",
        string(expected, "invoice_number"),
        read(&invoice.number),
        flagged(invoice, &["number"]),
    );
    tally.field(
        "date",
        string(expected, "date"),
        read(&invoice.issue_date),
        flagged(invoice, &["issueDate"]),
    );
    tally.field(
        "currency",
        string(expected, "currency"),
        read(&invoice.currency),
        flagged(invoice, &["currency"]),
    );
    for (key, total) in [("amount", &invoice.totals.gross), ("amount_tax", &invoice.totals.tax)] {
        tally.field(key, number(expected, key), shown(total.as_ref()), flagged(invoice, &["totals"]));
    }
    // Where there is no VAT at all the publishers repeat the total.
    let net =
        number(expected, "amount_untaxed").filter(|net| Some(net) != number(expected, "amount").as_ref());
    tally.field("amount_untaxed", net, shown(invoice.totals.net.as_ref()), flagged(invoice, &["totals"]));
    let Some(lines) = expected.get("lines").and_then(Value::as_array) else { return };
    let lines: Vec<&Value> = lines.iter().filter(|line| line.get("qty").is_some()).collect();
    for (at, line) in lines.iter().enumerate() {
        // The publishers put a sub-item last that is printed second; items are found by what they are called.
        let name = ["name", "desc"].iter().find_map(|key| string(line, key)).unwrap_or_default();
        let first = name.lines().next().unwrap_or_default().to_owned();
        let read = invoice
            .lines
            .iter()
            .find(|line| line.description.as_deref().is_some_and(|text| text.contains(&first)));
        let read = invoice
            .lines
            .get(at)
            .filter(|line| line.description.as_deref().is_some_and(|text| text.contains(&first)))
            .or(read);
        let doubted = flagged(invoice, &["lines"]) || read.is_some_and(|line| !line.flags.is_empty());
        let name = |member: &str| format!("line {} {member}", at + 1);
        tally.field(
            &name("quantity"),
            number(line, "qty"),
            shown(read.and_then(|line| line.quantity.as_ref())),
            doubted,
        );
        // Prices with VAT are none without it: they are in the flag.
        let mut price = |member: &str, key: &str, value: Option<&Decimal>| {
            let stated = number(line, key);
            if value.is_none() && stated.as_deref().is_some_and(|stated| told(read, stated)) {
                tally.told += 1;
            } else {
                tally.field(&name(member), stated, shown(value), doubted);
            }
        };
        for key in ["price", "price_unit"] {
            price(key, key, read.and_then(|line| line.unit_price.as_ref()));
        }
        price("net", "price_subtotal", read.and_then(|line| line.net.as_ref()));
    }
}

/// Amounts with VAT belong in no field, which are without: the line's flag has them.
fn told(read: Option<&Line>, stated: &str) -> bool {
    read.is_some_and(|line| {
        let flags = line.flags.iter().filter(|flag| flag.message.starts_with("printed with VAT"));
        flags
            .flat_map(|flag| flag.message.split([' ', ',']))
            .any(|word| Decimal::parse(word).is_ok_and(|word| plain(&word) == stated))
    })
}

fn expectation(path: &Path) -> Value {
    let text = std::fs::read_to_string(path.with_extension("json")).expect("the expectation");
    serde_json::from_str::<Value>(&text).expect("JSON")[0].clone()
}

#[test]
fn text_pdfs_hold_what_their_publishers_say() {
    let Some(corpus) = corpus() else { return };
    let mut tally = Tally::default();
    for path in files(&corpus.join("invoice2data/compare"), "pdf") {
        let bytes = std::fs::read(&path).expect("a file");
        let reading = pdf::read(&bytes, &Hints::default()).expect("an invoice");
        assert!(!reading.pages.is_empty());
        tally.documents += 1;
        tally.notes.push(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
        compare_json(&mut tally, &expectation(&path), &reading.invoices[0]);
    }
    tally.print("text PDFs");
    assert_eq!(tally.unflagged, 0);
    assert!(tally.percent() >= 95);
}

#[test]
fn plain_texts_are_read_with_and_without_templates() {
    let Some(corpus) = corpus() else { return };
    let template = Template::parse(
        r"
keywords: [Lines basic]
fields:
  number: 'Invoice number:\s*([\d/]+)'
  issueDate: 'Issue date:\s*(\d{4}-\d{2}-\d{2})'
  gross: 'Total:\s*(\d+\.\d\d)'
  currency: 'Total:\s*\S+ ([A-Z]{3})'
lines:
  - start: 'Columns start'
    end: 'Columns end'
    line: ['^(?P<lineId>\d+)\.\s+(?P<description>\w+)\s+(?P<quantity>\d+(\.\d+)?)(?:\s+(?P<unit>\w+))?$']
",
    )
    .expect("a template");
    let mut tally = Tally::default();
    for path in files(&corpus.join("invoice2data/custom"), "txt") {
        let text = Text::of_plain(&std::fs::read_to_string(&path).expect("a text"));
        let reading = pdf::read_text(&text, std::slice::from_ref(&template)).expect("an invoice");
        tally.documents += 1;
        tally.notes.push(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
        let mut expected = expectation(&path);
        let columns = expected.get("column_lines").cloned();
        if let Some(columns) = columns {
            expected["lines"] = columns;
        } else if let Some(object) = expected.as_object_mut() {
            // Animals and angles: lists, but no lines of an invoice.
            object.remove("lines");
        }
        compare_json(&mut tally, &expected, &reading.invoices[0]);
    }
    tally.print("plain texts");
    assert_eq!(tally.unflagged, 0);
    assert!(tally.percent() >= 95);
}

#[test]
fn pages_without_an_invoice_are_told_so() {
    let Some(corpus) = corpus() else { return };
    for (file, reason) in [("pdf_invalid.pdf", Reason::NoInvoice), ("pdf_plain.pdf", Reason::NoText)] {
        let bytes = std::fs::read(corpus.join("horstoeko").join(file)).expect("a file");
        let refusal = pdf::read(&bytes, &Hints::default()).expect_err("a refusal");
        assert_eq!(refusal.reason, reason, "{file}");
    }
}
