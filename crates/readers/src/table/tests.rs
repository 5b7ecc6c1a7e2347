use super::*;
use crate::{Hints, Reading};

fn read(text: &str) -> Result<Reading, Unreadable> {
    let hints = Hints { file_name: Some("a.csv".into()), content_type: None };
    crate::read(text.as_bytes(), &hints)
}

fn one(text: &str) -> Invoice {
    let Reading { invoices, .. } = read(text).expect(text);
    let [invoice] = <[Invoice; 1]>::try_from(invoices).expect("one invoice");
    invoice
}

fn flags(invoice: &Invoice) -> Vec<String> {
    let lines = invoice.lines.iter().flat_map(|line| &line.flags);
    lines.chain(&invoice.flags).map(|flag| format!("{:?}: {}", flag.code, flag.message)).collect()
}

fn shown(value: Option<&contract::Decimal>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}

const GERMAN: &str = "\u{feff}Rechnung;R-2024/17;;;;;\r\n\
    Rechnungsdatum:;31.01.2024;;;;;\r\n\
    Lieferant: Muster GmbH;;;;;;\r\n\
    ;;;;;;\r\n\
    Pos.;Artikelnr.;Bezeichnung;Menge;Einheit;Einzelpreis (EUR);Gesamtpreis\r\n\
    1;A-1;Schrauben, M4;1.000;Stk;0,05;50,00\r\n\
    2;A-2;\"Dübel; 8mm\";2,5;kg;4,00;10,00\r\n\
    ;;Zwischensumme;;;;60,00\r\n\
    ;;Versandkosten;;;;5,90\r\n\
    ;;MwSt. 19%;;;;12,52\r\n\
    ;;Gesamtbetrag;;;;78,42\r\n";

#[test]
fn a_type_that_is_no_invoices_is_a_credit_note_or_a_flag() {
    let typed = |kind: &str| one(&format!("type,invoice no,sku,qty,price\n{kind},1,A,1,1\n"));
    let plain = typed("Invoice").flags.len();
    for kind in ["CN", "Credit", "Storno", "381"] {
        assert_eq!(typed(kind).kind, Kind::CreditNote, "{kind}");
    }
    for kind in ["PROFORMA", "Quote", "Delivery note", "Copy", "325", "Return"] {
        let invoice = typed(kind);
        assert!(invoice.kind == Kind::Invoice && invoice.flags.len() > plain, "{kind}: {:?}", invoice.flags);
    }
    let headed = one("credit note number,sku,qty,price\n1,A,1,1\n");
    assert_eq!(headed.kind, Kind::CreditNote);
    let titled = one("PRO FORMA INVOICE;;;\ninvoice no;sku;qty;price\n1;A;1;1\n");
    assert!(titled.flags.len() > plain, "{:?}", titled.flags);
}

#[test]
fn a_german_table_with_totals() {
    let invoice = one(GERMAN);
    assert_eq!(flags(&invoice), Vec::<String>::new());
    assert_eq!(invoice.number.as_deref(), Some("R-2024/17"));
    assert_eq!(invoice.issue_date.as_deref(), Some("2024-01-31"));
    assert_eq!(invoice.currency.as_deref(), Some("EUR"));
    assert_eq!(invoice.supplier.name.as_deref(), Some("Muster GmbH"));
    assert_eq!(invoice.lines.len(), 2);
    assert_eq!(
        shown(invoice.lines[0].quantity.as_ref()),
        "1000",
        "the prices tell that the point parts thousands"
    );
    assert_eq!(invoice.lines[1].description.as_deref(), Some("Dübel; 8mm"));
    assert_eq!(shown(invoice.totals.lines.as_ref()), "60.00");
    assert_eq!(shown(invoice.totals.gross.as_ref()), "78.42");
    assert_eq!(invoice.evidence["/lines/1/quantity"].place, Place::Cell { row: 7, column: 4 });
    assert_eq!(invoice.evidence["/totals/tax"].place, Place::Cell { row: 10, column: 7 });
}

#[test]
fn one_wrong_number_is_flagged() {
    let invoice = one(&GERMAN.replace("2,5;kg", "3,5;kg"));
    assert_eq!(invoice.lines[1].flags[0].code, FlagCode::LineTotal);
    let invoice = one(&GERMAN.replace("78,42", "79,42"));
    assert_eq!(invoice.flags[0].code, FlagCode::GrossTotal);
}

const ENGLISH: &str = "invoice_number,invoice_date,currency,supplier,sku,gtin,description,qty,unit_price,line_total\n\
    INV-1,2024-02-03,USD,Acme,A,4012345001235,Bolt,\"1,200\",0.10,120.00\n\
    INV-2,2024-02-04,USD,Acme,B,,Nut,2,3.50,7.00\n\
    INV-1,2024-02-03,USD,Acme,C,4012345001236,Washer,1,5.00,5.00\n";

#[test]
fn a_column_of_numbers_parts_the_invoices() {
    let reading = read(ENGLISH).expect("two invoices");
    let numbers: Vec<_> =
        reading.invoices.iter().map(|invoice| (invoice.number.as_deref(), invoice.lines.len())).collect();
    assert_eq!(numbers, [(Some("INV-1"), 2), (Some("INV-2"), 1)]);
    let first = &reading.invoices[0];
    assert_eq!(shown(first.lines[0].quantity.as_ref()), "1200");
    assert_eq!(first.lines[0].gtin.as_deref(), Some("4012345001235"));
    assert_eq!(first.lines[1].gtin, None, "a wrong check digit");
    // A table without totals says so, and is right otherwise.
    assert_eq!(flags(first), ["Missing: a total: not in the document"]);
}

#[test]
fn what_can_be_read_in_two_ways_is_not_read() {
    let invoice = one("invoice no,date,sku,qty,price\n1,03/04/2024,A,\"1.234\",\"2,345\"\n");
    let line = &invoice.lines[0];
    assert_eq!((&line.quantity, &line.unit_price, &invoice.issue_date), (&None, &None, &None));
    assert!(line.flags.iter().any(|flag| flag.code == FlagCode::Unreadable));
    let disagreeing = one("invoice no;date;sku;qty;price\n1;2024-01-01;A;1;1\n1;2024-01-02;B;1;1\n");
    assert_eq!(disagreeing.issue_date, None);
}

#[test]
fn credit_notes() {
    let titled = one(&format!(
        "Gutschrift;;;;;;\r\n{}",
        GERMAN.trim_start_matches('\u{feff}').replace("Rechnung;", "Belegnummer;")
    ));
    assert_eq!(titled.kind, Kind::CreditNote);
    let column = one("type,invoice no,sku,qty,price\nCredit note,1,A,1,1\n");
    assert_eq!(column.kind, Kind::CreditNote);
}

#[test]
fn orders_and_stock_lists_are_refused() {
    let reason = |text: &str| read(text).map(|_| ()).map_err(|error| error.reason);
    assert_eq!(reason("order id,sku,qty,price\n1,A,1,2\n"), Err(Reason::NotAnInvoice));
    assert_eq!(reason("sku,name,qty,on hand,price\nA,B,1,1,2\n"), Err(Reason::NotAnInvoice));
    assert_eq!(reason("name,age\nA,1\nB,2\n"), Err(Reason::NoInvoice));
    let without_claim = crate::read(b"name,age\nA,1\n", &Hints::default()).map_err(|error| error.reason);
    assert_eq!(without_claim, Err(Reason::Unsupported));
}

#[test]
fn a_row_that_is_not_understood_is_mentioned() {
    let invoice = one("invoice no,sku,qty,price\n1,A,1,2\n,,7,3\n");
    assert_eq!(invoice.lines.len(), 1);
    assert!(invoice.flags.iter().any(|flag| flag.message.contains("row 3")), "{:?}", invoice.flags);
}

#[test]
fn totals_in_columns_are_read_if_they_foot() {
    let text = "invoice no,invoice date,currency,sku,qty,unit price,line total,tax,total\n\
        1,2024-01-31,EUR,A,2,5.00,10.00,3.80,23.80\n\
        1,2024-01-31,EUR,B,1,10.00,10.00,3.80,23.80\n";
    let invoice = one(text);
    assert_eq!(flags(&invoice), Vec::<String>::new());
    assert_eq!(
        (shown(invoice.totals.tax.as_ref()), shown(invoice.totals.gross.as_ref())),
        ("3.80".into(), "23.80".into())
    );
    // The tax of each line, and its total with it, which happen to be alike.
    let of_lines = one(&text.replace("3.80,23.80", "1.90,11.90"));
    assert_eq!(of_lines.totals, crate::invoice::Totals::default());
    assert!(!of_lines.flags.is_empty());
    let tax_only = one(&text.replace(",total\n", ",\n"));
    assert_eq!(tax_only.totals.tax, None);
}

#[test]
fn the_same_table_in_many_languages() {
    for header in [
        "Invoice number,Date,Item code,Description,Quantity,Unit price,Amount",
        "Rechnungsnummer,Datum,Artikel-Nr.,Beschreibung,Menge,Einzelpreis,Betrag",
        "N° de facture,Date,Référence,Désignation,Qté,Prix unitaire HT,Montant HT",
        "Número de factura,Fecha,Código,Descripción,Cantidad,Precio unitario,Importe",
        "Numero fattura,Data,Codice articolo,Descrizione,Quantità,Prezzo unitario,Importo",
        "Factuurnummer,Datum,Artikelnummer,Omschrijving,Aantal,Prijs,Bedrag",
        "Fakturanr,Datum,Art nr,Benämning,Antal,À-pris,Belopp",
        "Nr faktury,Data wystawienia,Indeks,Nazwa towaru,Ilość,Cena netto,Wartość netto",
        "invoiceNumber,invoiceDate,productCode,productName,qty,unitPrice,lineTotal",
    ] {
        let invoice = one(&format!("{header}\nI-1,2024-01-31,A-1,Thing,3,1.50,4.50\n"));
        let line = &invoice.lines[0];
        assert_eq!(
            (invoice.number.as_deref(), invoice.issue_date.as_deref()),
            (Some("I-1"), Some("2024-01-31")),
            "{header}"
        );
        assert_eq!(
            (line.sku.as_deref(), line.description.as_deref()),
            (Some("A-1"), Some("Thing")),
            "{header}"
        );
        assert_eq!(
            [&line.quantity, &line.unit_price, &line.net].map(|v| shown(v.as_ref())),
            ["3", "1.50", "4.50"],
            "{header}"
        );
        assert_eq!(line.flags, [], "{header}");
    }
}
