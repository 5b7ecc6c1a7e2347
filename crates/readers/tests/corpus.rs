//! The readers on documents that others published, against values that were computed from them mechanically.
//!
//! Prints a table by format. What must hold: of the values that structured documents are known to have, 99 % are
//! read right; and no value is wrong without a flag on its line or its invoice.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use contract::Decimal;
use readers::invoice::{Format, Invoice, Line};
use readers::{Hints, Reading, Reason, Unreadable};

/// Where the expectation is wrong, which the document itself shows: file, field, why.
const EXCEPTIONS: [(&str, &str, &str); 3] = [
    (
        "MultipleInvalidInterchanges.txt",
        "numbers",
        "three ST*810; the second interchange starts with FSA instead of ISA",
    ),
    ("MultipleInvalidInterchanges.txt", "lines", "as before"),
    ("SegmentSeparatorCR.txt", "lines", "segments end with a carriage return; one is IT1"),
];

#[expect(clippy::disallowed_methods, reason = "where a test's data are is the environment's business")]
fn corpus() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let found = std::env::var_os("DVSS_CORPUS").map_or_else(beside, PathBuf::from);
    if found.join("EXPECTED_INVOICES.tsv").exists() {
        return Some(found);
    }
    println!(
        "corpus absent: {} is not there and was not tried; DVSS_CORPUS says where it is",
        found.display()
    );
    None
}

fn rows(path: &Path) -> Vec<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(path).expect("the expectations");
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().expect("a header").split('\t').collect();
    lines
        .map(|line| {
            let cells = line.split('\t').chain(std::iter::repeat(""));
            names.iter().zip(cells).map(|(name, cell)| ((*name).to_owned(), cell.to_owned())).collect()
        })
        .collect()
}

fn read(corpus: &Path, file: &str) -> Result<Reading, Unreadable> {
    let bytes = std::fs::read(corpus.join(file)).expect(file);
    // Hints that lie change nothing.
    let lying = Hints { file_name: Some("orders.pdf".into()), content_type: Some("text/csv".into()) };
    let hints = Hints { file_name: Some(file.to_owned()), content_type: None };
    let read = readers::read(&bytes, &hints);
    if let Ok(reading) = &read
        && !file.ends_with(".csv")
    {
        assert_eq!(readers::read(&bytes, &lying).as_ref(), Ok(reading), "{file}");
    }
    read
}

#[derive(Default)]
struct Tally {
    documents: usize,
    refused: usize,
    right: usize,
    wrong: usize,
    absent: usize,
    flagged: usize,
}

#[derive(Default)]
struct Report {
    tallies: BTreeMap<String, Tally>,
    silent: Vec<String>,
    misses: Vec<String>,
}

impl Report {
    fn refused(&mut self, kind: &str, file: &str, why: &Unreadable) {
        let tally = self.tallies.entry(kind.to_owned()).or_default();
        tally.documents += 1;
        tally.refused += 1;
        self.misses.push(format!("{file}: refused: {:?}: {why}", why.reason));
    }

    fn document(&mut self, kind: &str, invoices: &[Invoice]) {
        let tally = self.tallies.entry(kind.to_owned()).or_default();
        tally.documents += 1;
        tally.flagged += usize::from(invoices.iter().any(is_flagged));
    }

    fn compare(
        &mut self,
        kind: &str,
        file: &str,
        field: &str,
        expected: &str,
        read: Option<String>,
        flagged: bool,
    ) {
        if expected.is_empty() || EXCEPTIONS.iter().any(|(name, of, _)| file.ends_with(name) && *of == field)
        {
            return;
        }
        let tally = self.tallies.entry(kind.to_owned()).or_default();
        let Some(read) = read else {
            tally.absent += 1;
            self.misses.push(format!("{file}: {field}: `{expected}` not read"));
            return;
        };
        if same(expected, &read) {
            tally.right += 1;
            return;
        }
        tally.wrong += 1;
        let miss = format!("{file}: {field}: `{expected}` read as `{read}`");
        if !flagged {
            self.silent.push(miss.clone());
        }
        self.misses.push(miss);
    }

    fn print(&self) {
        println!(
            "{:<18}{:>6}{:>9}{:>8}{:>7}{:>8}{:>7}{:>9}",
            "format", "docs", "refused", "right", "wrong", "absent", "%", "flagged"
        );
        for (kind, tally) in &self.tallies {
            println!(
                "{kind:<18}{:>6}{:>9}{:>8}{:>7}{:>8}{:>7.1}{:>9}",
                tally.documents,
                tally.refused,
                tally.right,
                tally.wrong,
                tally.absent,
                100.0 * share(tally),
                tally.flagged
            );
        }
        for miss in &self.misses {
            println!("  {miss}");
        }
    }
}

fn share(tally: &Tally) -> f64 {
    let all = tally.right + tally.wrong + tally.absent;
    if all == 0 { 1.0 } else { tally.right as f64 / all as f64 }
}

fn is_flagged(invoice: &Invoice) -> bool {
    !invoice.flags.is_empty() || invoice.lines.iter().any(|line| !line.flags.is_empty())
}

fn same(expected: &str, read: &str) -> bool {
    let number = |text: &str| Decimal::parse(text.trim_end_matches('.')).ok();
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let day = |text: &str| text.replace('-', "");
    match (number(expected), number(read)) {
        // XML Schema's `64.`
        (Some(expected), Some(read)) if expected == read => return true,
        _ => {}
    }
    words(expected) == words(read) || (read.len() == 10 && day(expected) == day(read))
}

fn shown(value: Option<&Decimal>) -> Option<String> {
    value.map(ToString::to_string)
}

#[test]
fn structured_invoices() {
    let Some(corpus) = corpus() else { return };
    let mut report = Report::default();
    for row in rows(&corpus.join("EXPECTED_INVOICES.tsv")) {
        let (file, kind) = (row["file"].as_str(), row["kind"].as_str());
        if !["CII", "UBL-Invoice", "UBL-CreditNote", "ZUGFeRD1", "PDF+CII"].contains(&kind) {
            continue;
        }
        let reading = match read(&corpus, file) {
            Ok(reading) => reading,
            Err(why) => {
                report.refused(kind, file, &why);
                continue;
            }
        };
        let [invoice] = &reading.invoices[..] else { panic!("{file}: one invoice") };
        check_evidence(file, invoice);
        report.document(kind, &reading.invoices);
        fields(&mut report, kind, file, invoice, &row);
    }
    report.print();
    assert_eq!(report.silent, Vec::<String>::new(), "wrong, and not flagged");
    for (kind, tally) in report.tallies.iter().filter(|(kind, _)| *kind != "PDF+CII") {
        assert!(share(tally) >= 0.99, "{kind}");
        assert_eq!(tally.refused, 0, "{kind}");
    }
}

fn fields(report: &mut Report, kind: &str, file: &str, invoice: &Invoice, row: &BTreeMap<String, String>) {
    let of_invoice = !invoice.flags.is_empty();
    let any = is_flagged(invoice);
    let totals = &invoice.totals;
    let first = invoice.lines.first().cloned().unwrap_or_default();
    let of_first = of_invoice || !first.flags.is_empty();
    let nets = invoice.lines.iter().filter_map(|line| line.net.as_ref());
    let sum = nets.fold(Decimal::zero(), |sum, net| sum.plus(net)).to_string();
    for (field, value, flagged) in [
        ("number", invoice.number.clone(), of_invoice),
        ("date", invoice.issue_date.clone(), of_invoice),
        ("currency", invoice.currency.clone(), of_invoice),
        ("lines", Some(invoice.lines.len().to_string()), of_invoice),
        ("line_ext_sum", Some(sum), any),
        ("line_total", shown(totals.lines.as_ref()), of_invoice),
        ("tax_excl", shown(totals.net.as_ref()), of_invoice),
        ("tax_incl", shown(totals.gross.as_ref()), of_invoice),
        ("payable", shown(totals.payable.as_ref()), of_invoice),
        ("first_sku", first.sku, of_first),
        ("first_desc", first.description, of_first),
        ("first_qty", shown(first.quantity.as_ref()), of_first),
        ("first_price", shown(first.unit_price.as_ref()), of_first),
    ] {
        report.compare(kind, file, field, &row[field], value, flagged);
    }
}

/// Every value has its evidence, and every evidence its value.
fn check_evidence(file: &str, invoice: &Invoice) {
    let json = serde_json::to_value(invoice).expect("json");
    for pointer in invoice.evidence.keys() {
        assert!(json.pointer(pointer).is_some(), "{file}: evidence of nothing: {pointer}");
    }
    for (index, line) in invoice.lines.iter().enumerate() {
        for (name, is_there) in [("quantity", line.quantity.is_some()), ("sku", line.sku.is_some())] {
            let pointer = format!("/lines/{index}/{name}");
            assert_eq!(invoice.evidence.contains_key(&pointer), is_there, "{file}: {pointer}");
        }
    }
}

#[test]
fn edi_invoices() {
    let Some(corpus) = corpus() else { return };
    let mut report = Report::default();
    for row in rows(&corpus.join("EXPECTED_EDI.tsv")) {
        let file = row["file"].as_str();
        if !file.starts_with("invoices/") {
            continue;
        }
        let family = row["family"].as_str();
        let reading = match read(&corpus, file) {
            Ok(reading) => reading,
            Err(why) if matches!(why.reason, Reason::NotAnInvoice | Reason::Unsupported) => {
                println!("refused: {file} ({}): {why}", row["message_types"]);
                let is_invoice =
                    row["message_types"].contains("810") || row["message_types"].contains("INVOIC");
                assert!(!is_invoice, "{file}: {why}");
                continue;
            }
            Err(why) => {
                report.refused(family, file, &why);
                continue;
            }
        };
        report.document(family, &reading.invoices);
        for invoice in &reading.invoices {
            check_evidence(file, invoice);
        }
        edi_fields(&mut report, family, file, &reading.invoices, &row);
    }
    report.print();
    assert_eq!(report.silent, Vec::<String>::new(), "wrong, and not flagged");
    for (kind, tally) in &report.tallies {
        assert!(share(tally) >= 0.99, "{kind}");
        assert_eq!(tally.refused, 0, "{kind}");
    }
}

fn edi_fields(
    report: &mut Report,
    family: &str,
    file: &str,
    invoices: &[Invoice],
    row: &BTreeMap<String, String>,
) {
    let flagged = invoices.iter().any(is_flagged);
    let numbers: Vec<&str> = invoices.iter().filter_map(|invoice| invoice.number.as_deref()).collect();
    report.compare(family, file, "numbers", &row["document_numbers"], Some(numbers.join(",")), flagged);
    let lines: Vec<&Line> = invoices.iter().flat_map(|invoice| &invoice.lines).collect();
    report.compare(
        family,
        file,
        "lines",
        &row["line_segments(IT1+PO1+LIN)"],
        Some(lines.len().to_string()),
        flagged,
    );
    let total = row.iter().find(|(name, _)| name.starts_with("declared_total")).expect("the column").1;
    if family == "X12" {
        for (invoice, total) in invoices.iter().zip(total.split(',')) {
            let cents = invoice.totals.payable.as_ref().map(|total| total.times(&Decimal::from(100)));
            report.compare(family, file, "total", total, shown(cents.as_ref()), flagged);
        }
    } else {
        edifact_totals(report, file, &invoices[0], total, flagged);
    }
    for (line, first) in lines.iter().zip(row["first_lines(qty/uom/price)"].split(';')) {
        let flagged = flagged || !line.flags.is_empty();
        let mut parts = first.split('/');
        let mut part = || parts.next().unwrap_or_default();
        report.compare(family, file, "quantity", part(), shown(line.quantity.as_ref()), flagged);
        report.compare(family, file, "unit", part(), line.unit.clone(), flagged);
        report.compare(family, file, "price", part(), shown(line.unit_price.as_ref()), flagged);
    }
}

fn edifact_totals(report: &mut Report, file: &str, invoice: &Invoice, totals: &str, flagged: bool) {
    let mut seen = Vec::new();
    for stated in totals.split(';').filter(|stated| !stated.is_empty()) {
        let mut parts = stated.split(':');
        let qualifier = parts.next().expect("a qualifier");
        let amount = parts.next().expect("an amount").replace(',', ".");
        let (field, value) = match qualifier {
            "79" => ("lines", &invoice.totals.lines),
            // Only the first is the invoice's; the others are of single taxes, and where 389 stands, all are.
            "125" if !seen.contains(&"125") && !file.contains("en16931") => ("net", &invoice.totals.net),
            "86" | "77" | "39" => ("gross", &invoice.totals.gross),
            "9" => ("payable", &invoice.totals.payable),
            _ => continue,
        };
        seen.push(qualifier);
        report.compare("EDIFACT", file, field, &amount, shown(value.as_ref()), flagged);
    }
}

/// All other documents of the corpus are refused, each for a reason.
#[test]
fn what_is_not_an_invoice() {
    let Some(corpus) = corpus() else { return };
    let expected = rows(&corpus.join("EXPECTED_EDI.tsv"));
    for row in expected.iter().filter(|row| !row["file"].starts_with("invoices/")) {
        let reason = read(&corpus, &row["file"]).map(|_| ()).map_err(|why| why.reason);
        let is_edi = !row["message_types"].contains("no ISA");
        let allowed: &[Reason] = if is_edi {
            &[Reason::NotAnInvoice]
        } else {
            &[Reason::Unsupported, Reason::NoInvoice, Reason::NotAnInvoice]
        };
        assert!(reason.is_err_and(|reason| allowed.contains(&reason)), "{}: {reason:?}", row["file"]);
    }
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for folder in ["orders", "inventory", "schema-matching", "nasty"] {
        for file in files(&corpus.join(folder)) {
            let bytes = std::fs::read(&file).expect("a file");
            let hints = Hints {
                file_name: file.file_name().map(|name| name.to_string_lossy().into()),
                content_type: None,
            };
            match readers::read(&bytes, &hints) {
                Ok(reading) => {
                    let unflagged = reading.invoices.iter().any(|invoice| !is_flagged(invoice));
                    println!(
                        "read: {}: {:?}, unflagged: {unflagged}",
                        file.display(),
                        reading.invoices[0].format
                    );
                    assert!(!unflagged, "{}", file.display());
                    assert_eq!(reading.invoices[0].format, Format::Csv, "{}", file.display());
                }
                Err(why) => *reasons.entry(format!("{:?}", why.reason)).or_default() += 1,
            }
        }
    }
    println!("{reasons:?}");
    for (file, reason) in [
        ("invoices/factur-x-lib/xml/order-x-basic.xml", Reason::NotAnInvoice),
        ("invoices/horstoeko/xml_dummy.xml", Reason::Unsupported),
        ("invoices/horstoeko/xml_invalid_1.xml", Reason::Unsupported),
        ("invoices/horstoeko/xml_invalid_2.xml", Reason::Unsupported),
        ("invoices/en16931/edifact/examples/EDIFACT_EXAMPLE1.xml", Reason::Unsupported),
    ] {
        let read = read(&corpus, file).map(|_| ()).map_err(|why| why.reason);
        assert_eq!(read, Err(reason), "{file}");
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}
