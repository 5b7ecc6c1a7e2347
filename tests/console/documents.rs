//! Invoices of invented companies, and how they come to the console.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::json;

use crate::support::{Dvss, eventually};

/// Four lines: the second does not add up, the third names no item, the others are in order.
pub const ORDINARY: &str = include_str!("invoice.xml");
/// Markup, marks of direction, and long words wherever a supplier can write.
pub const HOSTILE: &str = include_str!("hostile.xml");

/// Where a document of this directory lies.
pub fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/console")
        .join(name)
        .canonicalize()
        .expect("it is there")
}

/// A supplier's document that was put through the API, and read: the job's id.
pub async fn submitted(dvss: &Dvss, vendor: &str, name: &str, content_type: &str, bytes: &[u8]) -> String {
    let announced = json!({
        "vendorId": vendor, "fileName": name, "contentType": content_type, "contentLength": bytes.len(), "here": true,
    });
    let job = dvss.operate("/invoices", announced).await.expect(201).clone();
    let mut put =
        reqwest::Client::new().put(job["upload"]["url"].as_str().expect("an address")).body(bytes.to_vec());
    for (header, value) in job["upload"]["headers"].as_object().expect("headers") {
        put = put.header(header, value.as_str().expect("text"));
    }
    assert!(put.send().await.expect("an answer").status().is_success());
    let id = job["jobId"].as_str().expect("an id").to_owned();
    dvss.operate(&format!("/invoices/{id}/submit"), json!({})).await.expect(202);
    eventually("the document is read", async || {
        let state = state(dvss, &id).await;
        ["REVIEW", "FAILED"].contains(&state.as_str()).then_some(())
    })
    .await;
    id
}

/// Where a job stands.
pub async fn state(dvss: &Dvss, id: &str) -> String {
    let job = dvss.look(&format!("/invoices/{id}")).await;
    job.expect(200)["state"].as_str().expect("a state").to_owned()
}

/// An invoice of so many lines; every hundredth does not add up.
pub fn long(lines: u32) -> String {
    let mut text = String::from(
        "<Invoice xmlns=\"urn:oasis:names:specification:ubl:schema:xsd:Invoice-2\" \
         xmlns:cac=\"urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2\" \
         xmlns:cbc=\"urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2\">\
         <cbc:ID>NB-2026-0500</cbc:ID><cbc:IssueDate>2026-03-16</cbc:IssueDate>\
         <cbc:DocumentCurrencyCode>EUR</cbc:DocumentCurrencyCode>",
    );
    let net = |line: u32| if line.is_multiple_of(100) { 7 } else { 6 };
    let total: u32 = (1..=lines).map(net).sum();
    let _ = write!(
        text,
        "<cac:LegalMonetaryTotal><cbc:PayableAmount currencyID=\"EUR\">{total}.00</cbc:PayableAmount></cac:LegalMonetaryTotal>"
    );
    for line in 1..=lines {
        let _ = write!(
            text,
            "<cac:InvoiceLine><cbc:ID>{line}</cbc:ID><cbc:InvoicedQuantity unitCode=\"C62\">3</cbc:InvoicedQuantity>\
             <cbc:LineExtensionAmount currencyID=\"EUR\">{}.00</cbc:LineExtensionAmount>\
             <cac:Item><cbc:Name>Hex bolt M{line}</cbc:Name><cac:SellersItemIdentification><cbc:ID>HB-{line:04}</cbc:ID>\
             </cac:SellersItemIdentification></cac:Item>\
             <cac:Price><cbc:PriceAmount currencyID=\"EUR\">2.00</cbc:PriceAmount></cac:Price></cac:InvoiceLine>",
            net(line)
        );
    }
    text.push_str("</Invoice>");
    text
}

/// An invoice on one page of A4.
pub fn pdf() -> Vec<u8> {
    let rows: [(u32, &[(u32, &str)]); 9] = [
        (60, &[(50, "Nordlicht Werkzeuge GmbH")]),
        (110, &[(50, "Hafenkontor West e.K.")]),
        (150, &[(330, "Rechnungsnummer:"), (440, "NW-2026-0815")]),
        (164, &[(330, "Rechnungsdatum:"), (440, "03.04.2026")]),
        (
            230,
            &[
                (50, "Pos."),
                (95, "Bezeichnung"),
                (300, "Menge"),
                (350, "Einheit"),
                (410, "Einzelpreis"),
                (490, "Gesamt EUR"),
            ],
        ),
        (
            250,
            &[(50, "1"), (95, "Schraube M6 x 40"), (300, "12"), (350, "Stk"), (430, "0,50"), (510, "6,00")],
        ),
        (330, &[(360, "Nettobetrag"), (510, "6,00")]),
        (344, &[(360, "zzgl. 19 % MwSt."), (510, "1,14")]),
        (358, &[(360, "Gesamtbetrag"), (510, "7,14")]),
    ];
    let mut content = String::new();
    for (from_top, texts) in rows {
        for (x, text) in texts {
            let _ = writeln!(content, "BT /F1 10 Tf {x} {} Td ({text}) Tj ET", 842 - from_top);
        }
    }
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>"
            .to_owned(),
        format!("<< /Length {} >>\nstream\n{content}endstream", content.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
    ];
    let mut file = String::from("%PDF-1.7\n");
    let mut places = Vec::new();
    for (number, object) in (1..).zip(&objects) {
        places.push(file.len());
        let _ = write!(file, "{number} 0 obj\n{object}\nendobj\n");
    }
    let table = file.len();
    let _ = write!(file, "xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for place in places {
        let _ = writeln!(file, "{place:010} 00000 n ");
    }
    let _ =
        write!(file, "trailer << /Size {} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n", objects.len() + 1);
    file.into_bytes()
}
