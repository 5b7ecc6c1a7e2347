use std::io::Write;

use super::*;
use crate::invoice::{FlagCode, Place};

/// A workbook of one sheet with these rows; a text starting with `=` is a number as the file has it.
fn book(rows: &[&[&str]]) -> Vec<u8> {
    archive(&[sheet(rows)])
}

/// The rows of a sheet.
fn sheet(rows: &[&[&str]]) -> String {
    let cell = |column: usize, text: &str| {
        let letter = char::from(b'A' + u8::try_from(column).expect("a column"));
        match text.strip_prefix('=') {
            Some(number) => format!(r#"<c r="{letter}ROW"><v>{number}</v></c>"#),
            None => format!(r#"<c r="{letter}ROW" t="inlineStr"><is><t>{text}</t></is></c>"#),
        }
    };
    let row = |(index, cells): (usize, &&[&str])| {
        let number = (index + 1).to_string();
        let cells: String = cells
            .iter()
            .enumerate()
            .filter(|(_, text)| !text.is_empty())
            .map(|(at, text)| cell(at, text))
            .collect();
        format!(r#"<row r="{number}">{}</row>"#, cells.replace("ROW", &number))
    };
    rows.iter().enumerate().map(row).collect()
}

/// A workbook of sheets with these rows.
fn archive(sheets: &[String]) -> Vec<u8> {
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let package = "http://schemas.openxmlformats.org/package/2006";
    let (mut listed, mut related, mut parts) = (String::new(), String::new(), Vec::new());
    for (number, rows) in (1..).zip(sheets) {
        listed += &format!(r#"<sheet name="S{number}" sheetId="{number}" r:id="r{number}"/>"#);
        related += &format!(
            r#"<Relationship Id="r{number}" Type="{office}/worksheet" Target="worksheets/sheet{number}.xml"/>"#
        );
        let sheet = format!(r#"<worksheet xmlns="{main}"><sheetData>{rows}</sheetData></worksheet>"#);
        parts.push((format!("xl/worksheets/sheet{number}.xml"), sheet));
    }
    let around = [
        ("[Content_Types].xml", format!(r#"<Types xmlns="{package}/content-types"/>"#)),
        (
            "_rels/.rels",
            format!(
                r#"<Relationships xmlns="{package}/relationships"><Relationship Id="r1" Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>"#
            ),
        ),
        (
            "xl/workbook.xml",
            format!(r#"<workbook xmlns="{main}" xmlns:r="{office}"><sheets>{listed}</sheets></workbook>"#),
        ),
        (
            "xl/_rels/workbook.xml.rels",
            format!(r#"<Relationships xmlns="{package}/relationships">{related}</Relationships>"#),
        ),
    ];
    parts.extend(around.map(|(name, text)| (name.to_owned(), text)));
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in parts {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).expect("an entry");
        zip.write_all(text.as_bytes()).expect("an entry");
    }
    zip.finish().expect("an archive").into_inner()
}

#[test]
fn a_workbook() {
    let bytes = book(&[
        &["Invoice No", "I-7", "", "Currency", "EUR"],
        &["Invoice date", "2024-03-01"],
        &[],
        &["Item code", "Description", "Qty", "Unit price", "VAT rate", "Line total"],
        &["A", "Bolt", "=3", "=0.10000000000000001", "=0.19", "=0.30000000000000004"],
        &["B", "Nut", "=1000", "=1.5E-2", "=0.19", "=15"],
        &["", "Total net", "", "", "", "=15.3"],
        &["", "VAT", "", "", "", "=2.91"],
        &["", "Total", "", "", "", "=18.21"],
    ]);
    let reading = crate::read(&bytes, &crate::Hints::default()).expect("an invoice");
    let invoice = &reading.invoices[0];
    let flags: Vec<_> = invoice.lines.iter().flat_map(|line| &line.flags).chain(&invoice.flags).collect();
    assert!(flags.is_empty(), "{flags:?}");
    let shown =
        |value: &Option<contract::Decimal>| value.as_ref().map(ToString::to_string).unwrap_or_default();
    assert_eq!((invoice.format, invoice.number.as_deref()), (Format::Xlsx, Some("I-7")));
    let line = &invoice.lines[0];
    assert_eq!([&line.quantity, &line.unit_price, &line.net].map(shown), ["3", "0.1", "0.3"]);
    assert_eq!(shown(&invoice.lines[1].unit_price), "0.015");
    assert_eq!(shown(&line.tax_rate), "19.00");
    assert_eq!(invoice.evidence["/lines/1/net"].place, Place::Cell { row: 6, column: 6 });
}

#[test]
fn a_second_sheet_with_lines_is_named() {
    let lines: &[&[&str]] = &[&["invoice no", "sku", "qty", "price"], &["I-7", "A", "=3", "=2"]];
    let notes: &[&[&str]] = &[&["Thank you"]];
    let flags = |sheets: &[&[&[&str]]]| {
        let sheets: Vec<String> = sheets.iter().map(|rows| sheet(rows)).collect();
        read(&archive(&sheets)).expect("an invoice").invoices.remove(0).flags
    };
    let (alone, both) = (flags(&[lines, notes]), flags(&[notes, lines, lines]));
    assert_eq!(both.len(), alone.len() + 1, "{both:?}");
    assert!(both.iter().any(|flag| flag.message.contains("S3")), "{both:?}");
}

#[test]
fn an_error_in_a_formula_is_not_an_empty_cell() {
    let rows = r#"<row r="1"><c r="A1" t="inlineStr"><is><t>invoice no</t></is></c><c r="B1" t="inlineStr"><is><t>sku</t></is></c><c r="C1" t="inlineStr"><is><t>qty</t></is></c><c r="D1" t="inlineStr"><is><t>price</t></is></c></row><row r="2"><c r="A2"><v>1</v></c><c r="B2" t="inlineStr"><is><t>A</t></is></c><c r="C2" t="e"><v>#REF!</v></c><c r="D2"><v>2</v></c></row>"#;
    let reading = read(&archive(&[rows.to_owned()])).expect("an invoice");
    let line = &reading.invoices[0].lines[0];
    assert_eq!(line.quantity, None);
    assert!(line.flags.iter().any(|flag| flag.code == FlagCode::Unreadable), "{:?}", line.flags);
}

#[test]
fn bombs_are_refused() {
    let reason = |bytes: &[u8]| read(bytes).map(|_| ()).map_err(|error| error.reason);
    let row = format!("<row>{}</row>", " ".repeat(1_000_000));
    assert_eq!(reason(&archive(&[row.repeat(140)])), Err(Reason::TooLarge));
    // Few bytes, and a cell in the last corner of the sheet in each of many rows.
    let corners: String =
        (1..=10_000).map(|n| format!(r#"<row r="{n}"><c r="SR{n}"><v>1</v></c></row>"#)).collect();
    assert_eq!(reason(&archive(&[corners])), Err(Reason::TooLarge));
    let far = r#"<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>"#;
    assert_eq!(reason(&archive(&[far.to_owned()])), Err(Reason::NoInvoice));
}

#[test]
fn what_is_no_workbook() {
    let reason = |bytes: &[u8]| read(bytes).map(|_| ()).map_err(|error| error.reason);
    assert_eq!(reason(b"PK\x03\x04 and nothing"), Err(Reason::Damaged));
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("word/document.xml", zip::write::SimpleFileOptions::default()).expect("an entry");
    let bytes = zip.finish().expect("an archive").into_inner();
    assert_eq!(reason(&bytes), Err(Reason::Unsupported));
    let whole = book(&[&["invoice no", "sku", "qty", "price"], &["1", "A", "=1", "=2"]]);
    for tenth in 1..10 {
        let cut = &whole[..whole.len() * tenth / 10];
        assert_eq!(reason(cut), Err(Reason::Damaged), "{tenth}/10");
    }
}

#[test]
fn numbers_are_those_that_a_person_sees() {
    for (number, text) in [
        (0.1 + 0.2, "0.3"),
        (12.0, "12"),
        (1e21, "1000000000000000000000"),
        (-0.5, "-0.5"),
        (1234567.891, "1234567.891"),
    ] {
        assert_eq!(exact(number).as_deref(), Some(text));
    }
    assert_eq!(exact(f64::NAN), None);
    assert_eq!(exact(1e300), None);
}
