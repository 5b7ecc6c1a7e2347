//! Documents of ours, and what a test does with one.

use serde_json::{Value, json};

use crate::support::{Answer, Dvss, Place, eventually};

/// A line of an invoice: seller's item number, quantity, unit price in whole euros.
pub type Line<'a> = (&'a str, u32, u32);

/// A UBL 2.1 invoice (or credit note) that adds up, without tax.
pub fn ubl(number: &str, lines: &[Line<'_>]) -> String {
    document("Invoice", number, lines)
}

/// The same as a credit note.
pub fn credit_note(number: &str, lines: &[Line<'_>]) -> String {
    document("CreditNote", number, lines)
}

fn document(root: &str, number: &str, lines: &[Line<'_>]) -> String {
    let (code, of) = if root == "Invoice" {
        ("InvoiceTypeCode>380", "Invoiced")
    } else {
        ("CreditNoteTypeCode>381", "Credited")
    };
    let total: u32 = lines.iter().map(|(_, quantity, price)| quantity * price).sum();
    let body: String = (1..).zip(lines)
        .map(|(line, (sku, quantity, price))| {
            format!(
                "<cac:{root}Line><cbc:ID>{line}</cbc:ID><cbc:{of}Quantity unitCode=\"C62\">{quantity}</cbc:{of}Quantity>\
                 <cbc:LineExtensionAmount currencyID=\"EUR\">{net}.00</cbc:LineExtensionAmount>\
                 <cac:Item><cbc:Name>Thing {sku}</cbc:Name><cac:SellersItemIdentification><cbc:ID>{sku}</cbc:ID>\
                 </cac:SellersItemIdentification></cac:Item>\
                 <cac:Price><cbc:PriceAmount currencyID=\"EUR\">{price}.00</cbc:PriceAmount></cac:Price></cac:{root}Line>",
                net = quantity * price
            )
        })
        .collect();
    let end = code.split('>').next().unwrap_or_default();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <{root} xmlns=\"urn:oasis:names:specification:ubl:schema:xsd:{root}-2\" \
         xmlns:cac=\"urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2\" \
         xmlns:cbc=\"urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2\">\
         <cbc:ID>{number}</cbc:ID><cbc:IssueDate>2026-03-16</cbc:IssueDate><cbc:{code}</cbc:{end}>\
         <cbc:DocumentCurrencyCode>EUR</cbc:DocumentCurrencyCode>\
         <cac:AccountingSupplierParty><cac:Party><cac:PartyName><cbc:Name>Northwind Tools</cbc:Name></cac:PartyName></cac:Party></cac:AccountingSupplierParty>\
         <cac:AccountingCustomerParty><cac:Party><cac:PartyName><cbc:Name>Harbour Stores</cbc:Name></cac:PartyName></cac:Party></cac:AccountingCustomerParty>\
         <cac:LegalMonetaryTotal><cbc:LineExtensionAmount currencyID=\"EUR\">{total}.00</cbc:LineExtensionAmount>\
         <cbc:TaxExclusiveAmount currencyID=\"EUR\">{total}.00</cbc:TaxExclusiveAmount>\
         <cbc:TaxInclusiveAmount currencyID=\"EUR\">{total}.00</cbc:TaxInclusiveAmount>\
         <cbc:PayableAmount currencyID=\"EUR\">{total}.00</cbc:PayableAmount></cac:LegalMonetaryTotal>{body}</{root}>"
    )
}

/// An EDIFACT interchange (D.96A, EAN008) of two invoices, each with one line.
pub fn edifact_of_two(first: &str, second: &str) -> String {
    let message = |reference: u32, number: &str, sku: &str, quantity: u32| {
        let net = quantity * 5;
        format!(
            "UNH+{reference}+INVOIC:D:96A:UN:EAN008'BGM+380+{number}+9'DTM+137:20260316:102'\
             NAD+SU+4012345000009::9'NAD+BY+4098765000002::9'CUX+2:EUR:4'LIN+1'PIA+5+{sku}:SA'\
             IMD+F++:::Thing {sku}'QTY+47:{quantity}'MOA+203:{net}'PRI+AAA:5'UNS+S'MOA+79:{net}'MOA+125:{net}'\
             MOA+77:{net}'UNT+17+{reference}'"
        )
    };
    format!(
        "UNA:+.? 'UNB+UNOC:3+4012345000009:14+4098765000002:14+260316:0835+1'{}{}UNZ+2+1'",
        message(1, first, "EDI-1", 4),
        message(2, second, "EDI-2", 6)
    )
}

impl Dvss {
    /// Uploads a document of north's and waits until it is read; its first invoice.
    pub async fn invoice(&self, place: &Place, name: &str, text: &str) -> Value {
        self.invoice_of("north", place, name, text).await
    }

    /// The same, of any vendor, by the command line.
    pub async fn invoice_of(&self, vendor: &str, place: &Place, name: &str, text: &str) -> Value {
        let file = place.file(name, text).display().to_string();
        let ran = self.cli(&["invoices", "upload", &file, "--vendor", vendor, "--json"]).await;
        let first = ran.stdout.lines().next().unwrap_or_default();
        serde_json::from_str(first).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
    }

    /// A job as it stands.
    pub async fn job(&self, id: &str) -> Value {
        self.look(&format!("/invoices/{id}")).await.expect(200).clone()
    }

    /// Waits until a job is in a state.
    pub async fn job_in(&self, id: &str, state: &str) -> Value {
        eventually(&format!("job {id} is {state}"), async || {
            let job = self.job(id).await;
            (job["state"] == state).then_some(job)
        })
        .await
    }

    /// Asks for a change of a job on top of a version.
    pub async fn change(&self, id: &str, what: &str, version: &Value, body: Value) -> Answer {
        let method = if what.is_empty() { reqwest::Method::PATCH } else { reqwest::Method::POST };
        let url = format!("{}/api/v1/invoices/{id}{what}", self.operators);
        let request =
            crate::support::http().request(method, url).header("if-match", format!("\"{version}\""));
        self.ask(request.json(&body)).await.expect("an answer")
    }

    /// Units on hand of an item of the owner's, as its facts give it: what came and went where nothing was counted.
    pub async fn received(&self, sku: &str) -> String {
        let history = self.history(&format!("own||{sku}||")).await;
        history["state"]["adjustments"].as_str().map(str::to_owned).unwrap_or_else(|| panic!("{history}"))
    }
}

/// A job's id.
pub fn id(job: &Value) -> String {
    job["jobId"].as_str().unwrap_or_else(|| panic!("no job: {job}")).to_owned()
}

/// The quantities of a topic's records by item, summed.
pub fn sum(records: &[Value]) -> Value {
    let mut sums = std::collections::BTreeMap::<String, i64>::new();
    for record in records {
        let data = &record["value"]["data"];
        let delta: i64 =
            data["delta"].as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{record}"));
        *sums.entry(data["sku"].as_str().unwrap_or_default().to_owned()).or_default() += delta;
    }
    json!(sums)
}
