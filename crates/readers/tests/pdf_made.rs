//! PDFs that this file writes itself: layouts of invented companies in several languages, and hostile ones.

mod pages;

use contract::Decimal;
use readers::Hints;
use readers::invoice::{FlagCode, Format, Invoice, Kind};
use readers::pdf::{self, Template};

use pages::{Sheet, deflated, document, document_with, german, stream};

fn read(bytes: &[u8]) -> Invoice {
    let reading = pdf::read(bytes, &Hints::default()).expect("an invoice");
    assert!(!reading.pages.is_empty());
    reading.invoices.into_iter().next().expect("one invoice")
}

fn decimal(text: &str) -> Option<Decimal> {
    Some(Decimal::parse(text).expect("a decimal"))
}

/// Number, date, currency, net, tax, gross; then quantity, price and net of each line.
fn assert_reads(invoice: &Invoice, header: [&str; 3], totals: [&str; 3], lines: &[[&str; 3]]) {
    let shown = format!("{invoice:#?}");
    assert_eq!(invoice.format, Format::PdfText);
    assert_eq!(invoice.number.as_deref(), Some(header[0]), "{shown}");
    assert_eq!(invoice.issue_date.as_deref(), Some(header[1]), "{shown}");
    assert_eq!(invoice.currency.as_deref(), Some(header[2]), "{shown}");
    assert_eq!(invoice.totals.net, decimal(totals[0]), "{shown}");
    assert_eq!(invoice.totals.tax, decimal(totals[1]), "{shown}");
    assert_eq!(invoice.totals.gross, decimal(totals[2]), "{shown}");
    assert_eq!(invoice.lines.len(), lines.len(), "{shown}");
    for (line, [quantity, price, net]) in invoice.lines.iter().zip(lines) {
        assert_eq!(line.quantity, decimal(quantity), "{shown}");
        assert_eq!(line.unit_price, decimal(price), "{shown}");
        assert_eq!(line.net, decimal(net), "{shown}");
        assert_eq!(line.flags, Vec::new(), "{shown}");
    }
}

#[test]
fn german_decimals_thousands_and_continued_descriptions() {
    let sheet = german()
        .row(330.0, &[(380.0, "Nettobetrag"), (545.0, "570,00")])
        .row(344.0, &[(380.0, "zzgl. 19 % MwSt."), (545.0, "108,30")])
        .row(358.0, &[(380.0, "Gesamtbetrag"), (545.0, "678,30 €")]);
    let invoice = read(&document(vec![sheet]));
    assert_reads(
        &invoice,
        ["NW-2026/0815", "2026-04-03", "EUR"],
        ["570.00", "108.30", "678.30"],
        &[["1200", "0.45", "540.00"], ["2.5", "12.00", "30.00"]],
    );
    assert_eq!(invoice.lines[0].description.as_deref(), Some("Schraube M6 x 40\nverzinkt, Art.-Nr. 77310"));
    assert_eq!(invoice.lines[0].unit.as_deref(), Some("Stk"));
    assert_eq!(invoice.flags, Vec::new());
    assert!(invoice.evidence.contains_key("/lines/1/quantity"));
    assert!(invoice.evidence.values().all(|evidence| evidence.confidence < 100));
}

#[test]
fn totals_that_do_not_add_up_are_flagged() {
    let sheet = german()
        .row(330.0, &[(380.0, "Nettobetrag"), (545.0, "560,00")])
        .row(344.0, &[(380.0, "zzgl. 19 % MwSt."), (545.0, "108,30")])
        .row(358.0, &[(380.0, "Gesamtbetrag"), (545.0, "678,30 €")]);
    let invoice = read(&document(vec![sheet]));
    assert!(
        invoice
            .flags
            .iter()
            .any(|flag| flag.code == FlagCode::Uncertain && flag.message.starts_with("totals"))
    );
    assert!(invoice.flags.iter().any(|flag| flag.message.starts_with("lines: no total confirms")));
}

#[test]
fn a_line_that_does_not_multiply_is_flagged_on_the_line() {
    let sheet = german()
        .row(310.0, &[(50.0, "3"), (330.0, "3"), (380.0, "Stk"), (460.0, "10,00"), (545.0, "31,00")])
        .text(95.0, 310.0, "Bohrer")
        .row(344.0, &[(380.0, "Gesamtbetrag"), (545.0, "601,00 €")]);
    let invoice = read(&document(vec![sheet]));
    assert_eq!(invoice.lines.len(), 3);
    assert!(invoice.lines[1].flags.is_empty());
    assert!(invoice.lines[2].flags.iter().any(|flag| flag.code == FlagCode::Uncertain));
}

#[test]
fn a_table_goes_on_over_the_page() {
    let second = Sheet::default()
        .row(
            60.0,
            &[
                (50.0, "Pos."),
                (150.0, "Bezeichnung"),
                (330.0, "Menge"),
                (380.0, "Einheit"),
                (460.0, "Einzelpreis"),
                (545.0, "Gesamt EUR"),
            ],
        )
        .row(80.0, &[(50.0, "Übertrag"), (545.0, "570,00")])
        .row(100.0, &[(50.0, "3"), (330.0, "4"), (380.0, "Stk"), (460.0, "7,50"), (545.0, "30,00")])
        .text(95.0, 100.0, "Bohrer 6 mm")
        .row(140.0, &[(380.0, "Nettobetrag"), (545.0, "600,00")])
        .row(154.0, &[(380.0, "zzgl. 19 % MwSt."), (545.0, "114,00")])
        .row(168.0, &[(380.0, "Gesamtbetrag"), (545.0, "714,00 €")])
        .row(800.0, &[(50.0, "Seite 2 von 2"), (545.0, "")]);
    let first =
        german().row(760.0, &[(50.0, "Übertrag"), (545.0, "570,00")]).text(50.0, 800.0, "Seite 1 von 2");
    let invoice = read(&document(vec![first, second]));
    assert_reads(
        &invoice,
        ["NW-2026/0815", "2026-04-03", "EUR"],
        ["600.00", "114.00", "714.00"],
        &[["1200", "0.45", "540.00"], ["2.5", "12.00", "30.00"], ["4", "7.50", "30.00"]],
    );
    assert_eq!(invoice.flags, Vec::new());
}

#[test]
fn english_with_labels_above_values_and_two_columns_of_addresses() {
    let sheet = Sheet::default()
        .text(50.0, 50.0, "INVOICE")
        .text(50.0, 80.0, "Bill to:")
        .text(300.0, 80.0, "Ship to:")
        .text(50.0, 94.0, "Juniper Kitchens Ltd")
        .text(300.0, 94.0, "Juniper Warehouse")
        .text(50.0, 108.0, "4 Mill Lane")
        .text(300.0, 108.0, "9 Dock Road")
        .text(50.0, 150.0, "Invoice No.")
        .text(180.0, 150.0, "Invoice Date")
        .text(310.0, 150.0, "Due Date")
        .text(430.0, 150.0, "PO Number")
        .text(50.0, 164.0, "INV-20931")
        .text(180.0, 164.0, "14 March 2026")
        .text(310.0, 164.0, "13 April 2026")
        .text(430.0, 164.0, "PO-7781")
        .row(
            210.0,
            &[
                (50.0, "Item code"),
                (190.0, "Description"),
                (340.0, "Qty"),
                (430.0, "Unit price"),
                (545.0, "Amount"),
            ],
        )
        .row(230.0, &[(50.0, "KT-100"), (340.0, "12"), (430.0, "$1,004.50"), (545.0, "$12,054.00")])
        .text(135.0, 230.0, "Kettle, brushed")
        .row(250.0, &[(50.0, "KT-200"), (340.0, "1"), (430.0, "$99.00"), (545.0, "$99.00")])
        .text(135.0, 250.0, "Lid 200")
        .row(290.0, &[(380.0, "Subtotal"), (545.0, "$12,153.00")])
        .row(304.0, &[(380.0, "Sales tax 8%"), (545.0, "$972.24")])
        .row(318.0, &[(380.0, "Total"), (545.0, "$13,125.24")])
        .row(332.0, &[(380.0, "Balance due USD"), (545.0, "$13,125.24")]);
    let invoice = read(&document(vec![sheet]));
    assert_reads(
        &invoice,
        ["INV-20931", "2026-03-14", "USD"],
        ["12153.00", "972.24", "13125.24"],
        &[["12", "1004.50", "12054.00"], ["1", "99.00", "99.00"]],
    );
    assert_eq!(invoice.buyer.name.as_deref(), Some("Juniper Kitchens Ltd"));
    assert_eq!(invoice.lines[1].sku.as_deref(), Some("KT-200"));
    assert_eq!(invoice.totals.payable, decimal("13125.24"));
}

#[test]
fn french_thousands_by_blanks_and_totals_without_tax() {
    let sheet = Sheet::default()
        .text(50.0, 60.0, "Facture n° FA-2026-044 du 5 février 2026")
        .row(200.0, &[(50.0, "Désignation"), (320.0, "Quantité"), (420.0, "P.U. HT"), (545.0, "Montant HT")])
        .row(220.0, &[(50.0, "Table chêne"), (320.0, "2"), (420.0, "1 250,00"), (545.0, "2 500,00")])
        .row(240.0, &[(50.0, "Chaise"), (320.0, "8"), (420.0, "95,50"), (545.0, "764,00")])
        .row(280.0, &[(380.0, "Total HT"), (545.0, "3 264,00 €")])
        .row(294.0, &[(380.0, "TVA 20 %"), (545.0, "652,80 €")])
        .row(308.0, &[(380.0, "Total TTC"), (545.0, "3 916,80 €")]);
    let invoice = read(&document(vec![sheet]));
    assert_reads(
        &invoice,
        ["FA-2026-044", "2026-02-05", "EUR"],
        ["3264.00", "652.80", "3916.80"],
        &[["2", "1250.00", "2500.00"], ["8", "95.50", "764.00"]],
    );
}

#[test]
fn dutch_spanish_and_italian() {
    let dutch = Sheet::default()
        .row(60.0, &[(50.0, "Factuurnummer"), (250.0, "2026-118")])
        .row(74.0, &[(50.0, "Factuurdatum"), (250.0, "9-1-2026")])
        .row(
            200.0,
            &[(50.0, "Omschrijving"), (300.0, "Aantal"), (400.0, "Prijs"), (470.0, "BTW"), (545.0, "Bedrag")],
        )
        .row(
            220.0,
            &[(50.0, "Fietsbel"), (300.0, "10"), (400.0, "€ 4,20"), (470.0, "21%"), (545.0, "€ 42,00")],
        )
        .row(260.0, &[(380.0, "Totaal excl. BTW"), (545.0, "€ 42,00")])
        .row(274.0, &[(380.0, "21% BTW"), (545.0, "€ 8,82")])
        .row(288.0, &[(380.0, "Totaal incl. BTW"), (545.0, "€ 50,82")]);
    let spanish = Sheet::default()
        .row(60.0, &[(50.0, "Factura Nº: F26/77"), (250.0, "")])
        .row(74.0, &[(50.0, "Fecha de factura: 12/01/2026"), (250.0, "")])
        .row(200.0, &[(50.0, "Concepto"), (300.0, "Cantidad"), (400.0, "Precio"), (545.0, "Importe")])
        .row(220.0, &[(50.0, "Botella de aceite"), (300.0, "24"), (400.0, "6,25"), (545.0, "150,00")])
        .row(260.0, &[(380.0, "Base imponible"), (545.0, "150,00 €")])
        .row(274.0, &[(380.0, "IVA 10%"), (545.0, "15,00 €")])
        .row(288.0, &[(380.0, "Total factura"), (545.0, "165,00 €")]);
    let italian = Sheet::default()
        .text(50.0, 60.0, "Fattura n. 52/A del 04/02/2026")
        .row(
            200.0,
            &[(50.0, "Descrizione"), (300.0, "Quantità"), (400.0, "Prezzo unitario"), (545.0, "Importo")],
        )
        .row(220.0, &[(50.0, "Lampada da tavolo"), (300.0, "3"), (400.0, "41,00"), (545.0, "123,00")])
        .row(260.0, &[(380.0, "Imponibile"), (545.0, "€ 123,00")])
        .row(274.0, &[(380.0, "IVA 22%"), (545.0, "€ 27,06")])
        .row(288.0, &[(380.0, "Totale"), (545.0, "€ 150,06")]);
    for (sheet, header, totals, line) in [
        (dutch, ["2026-118", "2026-01-09", "EUR"], ["42.00", "8.82", "50.82"], ["10", "4.20", "42.00"]),
        (spanish, ["F26/77", "2026-01-12", "EUR"], ["150.00", "15.00", "165.00"], ["24", "6.25", "150.00"]),
        (italian, ["52/A", "2026-02-04", "EUR"], ["123.00", "27.06", "150.06"], ["3", "41.00", "123.00"]),
    ] {
        assert_reads(&read(&document(vec![sheet])), header, totals, &[line]);
    }
}

#[test]
fn a_credit_note_is_one_and_an_ambiguous_date_is_flagged() {
    let sheet = Sheet::default()
        .text(50.0, 50.0, "Credit Note")
        .row(80.0, &[(50.0, "Credit note number:"), (250.0, "CN-31")])
        .row(94.0, &[(50.0, "Date:"), (250.0, "03/04/2026")])
        .row(200.0, &[(50.0, "Description"), (300.0, "Quantity"), (400.0, "Price"), (545.0, "Total")])
        .row(220.0, &[(50.0, "Returned lamp"), (300.0, "2"), (400.0, "30.00"), (545.0, "60.00")])
        .row(260.0, &[(380.0, "Net total"), (545.0, "60.00")])
        .row(274.0, &[(380.0, "VAT 20%"), (545.0, "12.00")])
        .row(288.0, &[(380.0, "Total GBP"), (545.0, "72.00")]);
    let invoice = read(&document(vec![sheet]));
    assert_eq!(invoice.kind, Kind::CreditNote);
    assert_reads(
        &invoice,
        ["CN-31", "2026-04-03", "GBP"],
        ["60.00", "12.00", "72.00"],
        &[["2", "30.00", "60.00"]],
    );
    assert!(invoice.flags.iter().any(|flag| flag.message.contains("the other way round")));
}

#[test]
fn prices_with_vat_are_not_presented_as_net() {
    let sheet = Sheet::default()
        .row(60.0, &[(50.0, "Invoice number"), (250.0, "A-77")])
        .row(74.0, &[(50.0, "Invoice date"), (250.0, "2026-05-06")])
        .row(200.0, &[(50.0, "Description"), (300.0, "Qty"), (400.0, "Price"), (545.0, "Total")])
        .row(220.0, &[(50.0, "Backpack"), (300.0, "2"), (400.0, "60.00"), (545.0, "120.00")])
        .row(260.0, &[(380.0, "Total excl. VAT"), (545.0, "100.00")])
        .row(274.0, &[(380.0, "VAT 20%"), (545.0, "20.00")])
        .row(288.0, &[(380.0, "Total incl. VAT"), (545.0, "EUR 120.00")]);
    let invoice = read(&document(vec![sheet]));
    assert_eq!(invoice.lines[0].quantity, decimal("2"));
    assert_eq!((&invoice.lines[0].unit_price, &invoice.lines[0].net), (&None, &None));
    assert!(invoice.lines[0].flags.iter().any(|flag| flag.message.contains("printed with VAT")));
    assert_eq!(invoice.totals.gross, decimal("120.00"));
}

#[test]
fn shipping_and_discount_lead_from_the_subtotal_to_the_total() {
    let sheet = Sheet::default()
        .row(60.0, &[(50.0, "Invoice #"), (250.0, "10077")])
        .row(74.0, &[(50.0, "Invoice date"), (250.0, "May 6, 2026")])
        .row(200.0, &[(50.0, "ITEM"), (300.0, "QUANTITY"), (400.0, "RATE"), (545.0, "AMOUNT")])
        .row(220.0, &[(50.0, "Canvas tent 4P"), (300.0, "2"), (400.0, "250.00"), (545.0, "500.00")])
        .row(260.0, &[(380.0, "Subtotal"), (545.0, "500.00")])
        .row(274.0, &[(380.0, "Discount"), (545.0, "-25.00")])
        .row(288.0, &[(380.0, "Shipping"), (545.0, "12.00")])
        .row(302.0, &[(380.0, "Tax (8%)"), (545.0, "38.96")])
        .row(316.0, &[(380.0, "Total USD"), (545.0, "525.96")]);
    let invoice = read(&document(vec![sheet]));
    assert_eq!(invoice.totals.lines, decimal("500.00"));
    assert_eq!(invoice.totals.tax, decimal("38.96"));
    assert_eq!(invoice.totals.gross, decimal("525.96"));
    assert_eq!(
        invoice.adjustments.iter().map(|one| one.amount.to_string()).collect::<Vec<_>>(),
        ["-25.00", "12.00"]
    );
    assert_eq!(invoice.number.as_deref(), Some("10077"));
    assert_eq!(invoice.issue_date.as_deref(), Some("2026-05-06"));
    assert_eq!(invoice.flags, Vec::new());
}

#[test]
fn a_title_that_is_not_understood_is_no_plain_invoice() {
    let mut sheet = german();
    sheet.content.push_str("BT /F 20 Tf 1 0 0 1 50 810 Tm (KREDITNOTA) Tj ET\n");
    let invoice = read(&document(vec![sheet]));
    assert!(invoice.flags.iter().any(|flag| flag.message.starts_with("kind")));
}

#[test]
fn a_title_of_what_brings_no_goods_is_flagged() {
    for title in ["PROFORMA INVOICE", "PRO FORMA", "INVOICE COPY", "Zweite Mahnung", "Duplicata"] {
        let mut sheet = german();
        sheet.content.push_str(&format!("BT /F 20 Tf 1 0 0 1 50 810 Tm ({title}) Tj ET\n"));
        let invoice = read(&document(vec![sheet]));
        let said = invoice.flags.iter().any(|flag| flag.message.contains("need not bring goods"));
        assert!(said, "{title}: {:?}", invoice.flags);
    }
    // Of any size, where it stands alone; not as a label.
    for (words, flagged) in [("PRO FORMA INVOICE", true), ("INVOICE (COPY)", true), ("Copy to:", false)] {
        let invoice = read(&document(vec![german().text(50.0, 30.0, words)]));
        let said = invoice.flags.iter().any(|flag| flag.message.contains("need not bring goods"));
        assert_eq!(said, flagged, "{words}: {:?}", invoice.flags);
    }
}

#[test]
fn hidden_and_repeated_text_is_not_read_twice() {
    let mut sheet = german().row(358.0, &[(380.0, "Gesamtbetrag"), (545.0, "570,00 €")]);
    // Poor man's bold, and a hidden number that nobody sees.
    sheet.content =
        format!("{0}{0}3 Tr BT /F 10 Tf 1 0 0 1 50 20 Tm (Rechnungsnummer: XX-1) Tj ET 0 Tr", sheet.content);
    let invoice = read(&document(vec![sheet]));
    assert_eq!(invoice.number.as_deref(), Some("NW-2026/0815"));
    assert!(!invoice.flags.iter().any(|flag| flag.message.starts_with("number")));
    assert_eq!(invoice.lines[0].description.as_deref(), Some("Schraube M6 x 40\nverzinkt, Art.-Nr. 77310"));
}

#[test]
fn white_text_is_read_where_it_can_be_seen() {
    let sheet = || german().row(358.0, &[(380.0, "Gesamtbetrag"), (545.0, "570,00 €")]);
    let drawn = |content: String| read(&document(vec![Sheet { content, ..sheet() }]));
    let plain = drawn(sheet().content);
    let on_white =
        format!("{}1 g BT /F 10 Tf 1 0 0 1 350 640 Tm (Rechnungsnummer: XX-1) Tj ET", sheet().content);
    assert_eq!(drawn(on_white), plain, "nobody sees it");
    let on_black = format!("0.1 g 0 0 595 842 re f 1 g {}", sheet().content);
    assert_eq!(drawn(on_black), plain);
}

#[test]
fn a_turned_page_is_read_as_it_is_shown() {
    let bytes = document(vec![german()]);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    assert!(text.contains("/MediaBox [0 0 595 842]"));
    let turned = bytes
        .windows(23)
        .position(|window| window == b"/MediaBox [0 0 595 842]")
        .map(|at| [&bytes[..at], b"/MediaBox [0 0 595 842] /Rotate 90", &bytes[at + 23..]].concat())
        .expect("a page");
    let page = &pdf::text(&turned).expect("text").pages[0];
    // Its lines run downwards then, which nobody reads; the size is that of the page as shown.
    assert_eq!((page.width, page.height), (842.0, 595.0));
    assert!(page.rows.is_empty());
}

#[test]
fn a_template_reads_what_the_general_reader_does_not() {
    let template = Template::parse(
        r"
keywords: [Quarry & Sons, Loads]
currency: EUR
decimals: point
fields:
  number: 'Docket\s+(\S+)'
  issueDate: 'given\s+(\S+)'
  gross: 'comes to\s+([\d.,]+)'
lines:
  - start: '^Loads'
    end: '^comes to'
    line: ['^(?P<quantity>[\d.]+) t (?P<description>\w+) at (?P<unitPrice>[\d.]+) is (?P<net>[\d.]+)$']
    continues: true
",
    )
    .expect("a template");
    let sheet = Sheet::default()
        .text(50.0, 50.0, "Quarry & Sons")
        .text(50.0, 70.0, "Docket 88-1 given 2026-02-03")
        .text(50.0, 90.0, "Loads")
        .text(50.0, 104.0, "2.5 t gravel at 20.00 is 50.00")
        .text(50.0, 118.0, "washed")
        .text(50.0, 132.0, "comes to 50.00");
    let content = sheet.content.clone();
    let by_template = |content: String| {
        let bytes = document(vec![Sheet { content, ..Sheet::default() }]);
        let reading = pdf::read_with(&bytes, &Hints::default(), std::slice::from_ref(&template));
        reading.expect("an invoice").invoices.remove(0)
    };
    let credit = format!("BT /F 20 Tf 1 0 0 1 300 810 Tm (CREDIT NOTE) Tj ET\n{content}");
    assert_eq!(by_template(credit).kind, Kind::CreditNote, "the same supplier's, the same layout");
    let invoice = &by_template(content);
    assert_eq!((invoice.kind, &invoice.flags[..]), (Kind::Invoice, &[][..]));
    assert_eq!(invoice.number.as_deref(), Some("88-1"));
    assert_eq!(invoice.issue_date.as_deref(), Some("2026-02-03"));
    assert_eq!(invoice.totals.gross, decimal("50.00"));
    assert_eq!(invoice.lines[0].quantity, decimal("2.5"));
    assert_eq!(invoice.lines[0].description.as_deref(), Some("gravel\nwashed"));
    for wrong in [
        "keywords: []",
        "keywords: [a]\nfields: {number: '('}",
        "keywords: [a]\nvendor: b",
        "[",
        "keywords: ['']",
    ] {
        assert!(Template::parse(wrong).is_err(), "{wrong}");
    }
}

// Hybrids.

const XML: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<rsm:CrossIndustryInvoice xmlns:rsm="urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100" xmlns:ram="urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100" xmlns:udt="urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100">
<rsm:ExchangedDocumentContext><ram:GuidelineSpecifiedDocumentContextParameter><ram:ID>urn:cen.eu:en16931:2017</ram:ID></ram:GuidelineSpecifiedDocumentContextParameter></rsm:ExchangedDocumentContext>
<rsm:ExchangedDocument><ram:ID>NW-2026/0815</ram:ID><ram:TypeCode>380</ram:TypeCode><ram:IssueDateTime><udt:DateTimeString format="102">20260403</udt:DateTimeString></ram:IssueDateTime></rsm:ExchangedDocument>
<rsm:SupplyChainTradeTransaction>
<ram:IncludedSupplyChainTradeLineItem><ram:AssociatedDocumentLineDocument><ram:LineID>1</ram:LineID></ram:AssociatedDocumentLineDocument><ram:SpecifiedTradeProduct><ram:Name>Schraube M6 x 40</ram:Name></ram:SpecifiedTradeProduct><ram:SpecifiedLineTradeAgreement><ram:NetPriceProductTradePrice><ram:ChargeAmount>0.45</ram:ChargeAmount></ram:NetPriceProductTradePrice></ram:SpecifiedLineTradeAgreement><ram:SpecifiedLineTradeDelivery><ram:BilledQuantity unitCode="H87">QUANTITY</ram:BilledQuantity></ram:SpecifiedLineTradeDelivery><ram:SpecifiedLineTradeSettlement><ram:SpecifiedTradeSettlementLineMonetarySummation><ram:LineTotalAmount>540.00</ram:LineTotalAmount></ram:SpecifiedTradeSettlementLineMonetarySummation></ram:SpecifiedLineTradeSettlement></ram:IncludedSupplyChainTradeLineItem>
<ram:ApplicableHeaderTradeAgreement><ram:SellerTradeParty><ram:Name>Nordlicht Werkzeuge GmbH</ram:Name></ram:SellerTradeParty><ram:BuyerTradeParty><ram:Name>Hafenkontor</ram:Name></ram:BuyerTradeParty></ram:ApplicableHeaderTradeAgreement>
<ram:ApplicableHeaderTradeDelivery/>
<ram:ApplicableHeaderTradeSettlement><ram:InvoiceCurrencyCode>EUR</ram:InvoiceCurrencyCode><ram:SpecifiedTradeSettlementHeaderMonetarySummation><ram:LineTotalAmount>540.00</ram:LineTotalAmount><ram:TaxBasisTotalAmount>540.00</ram:TaxBasisTotalAmount><ram:TaxTotalAmount currencyID="EUR">0.00</ram:TaxTotalAmount><ram:GrandTotalAmount>540.00</ram:GrandTotalAmount><ram:DuePayableAmount>540.00</ram:DuePayableAmount></ram:SpecifiedTradeSettlementHeaderMonetarySummation></ram:ApplicableHeaderTradeSettlement>
</rsm:SupplyChainTradeTransaction></rsm:CrossIndustryInvoice>"#;

fn hybrid(sheet: Sheet, name: &str, xml: &str) -> Vec<u8> {
    let file =
        stream("/Type /EmbeddedFile /Subtype /text#2Fxml /Filter /FlateDecode", &deflated(xml.as_bytes()));
    let specification = format!(
        "<< /Type /Filespec /F ({name}) /UF ({name}) /EF << /F 4 0 R >> /AFRelationship /Alternative >>"
    );
    let catalogue = format!("/Names << /EmbeddedFiles << /Names [({name}) 5 0 R] >> >> /AF [5 0 R]");
    document_with(vec![sheet], &catalogue, vec![file, specification.into_bytes()], "")
}

#[test]
fn a_hybrid_is_its_xml_and_the_pages_bear_witness() {
    for name in ["factur-x.xml", "ZUGFeRD-invoice.xml", "xrechnung.xml", "anything.xml"] {
        let invoice = read(&hybrid(german(), name, &XML.replace("QUANTITY", "1200")));
        assert_eq!(invoice.format, Format::FacturX, "{name}");
        assert_eq!(invoice.number.as_deref(), Some("NW-2026/0815"));
        let differs = |flag: &readers::invoice::Flag| flag.code == FlagCode::VisibleText;
        assert!(!invoice.flags.iter().any(differs), "{:?}", invoice.flags);
        assert!(!invoice.lines[0].flags.iter().any(differs));
    }
    let invoice = read(&hybrid(german(), "factur-x.xml", &XML.replace("QUANTITY", "1250")));
    assert!(
        invoice.lines[0]
            .flags
            .iter()
            .any(|flag| flag.code == FlagCode::VisibleText && flag.message.contains("1250"))
    );
    let invoice = read(&hybrid(german(), "factur-x.xml", &XML.replace("NW-2026/0815", "NW-2026/0816")));
    assert!(
        invoice.flags.iter().any(|flag| flag.code == FlagCode::VisibleText && flag.message.contains("0816"))
    );
    // Without text, or with text that is not shown, nothing bears witness, which is said once.
    let mut hidden = german();
    hidden.content.insert_str(0, "3 Tr ");
    for sheet in [Sheet::default(), hidden] {
        let invoice = read(&hybrid(sheet, "factur-x.xml", &XML.replace("QUANTITY", "1200")));
        assert_eq!(invoice.flags.iter().filter(|flag| flag.code == FlagCode::Uncertain).count(), 1);
    }
}

#[test]
fn xml_that_cannot_be_read_leaves_the_pages() {
    let sheet = german().row(358.0, &[(380.0, "Gesamtbetrag"), (545.0, "570,00 €")]);
    let invoice = read(&hybrid(sheet, "factur-x.xml", XML.get(..900).expect("its beginning")));
    assert_eq!(invoice.format, Format::PdfText);
    assert!(invoice.flags.iter().any(|flag| flag.code == FlagCode::Malformed));
}

#[test]
fn a_thousand_lines_are_read() {
    let mut sheets: Vec<Sheet> = Vec::new();
    for page in 0..25 {
        let head = [(50.0, "Description"), (300.0, "Qty"), (400.0, "Price"), (545.0, "Total")];
        let mut sheet = Sheet::default().row(50.0, &head);
        if page == 0 {
            sheet =
                sheet.text(50.0, 20.0, "Invoice number: L-1").text(300.0, 20.0, "Invoice date: 2026-01-31");
        }
        for row in 0..40_u16 {
            let y = 70.0 + 18.0 * f32::from(row);
            sheet = sheet.row(
                y,
                &[(50.0, &format!("Thing {page}/{row}")), (300.0, "2"), (400.0, "1.50"), (545.0, "3.00")],
            );
        }
        sheets.push(sheet);
    }
    let last = sheets.pop().expect("a page").row(800.0, &[(380.0, "Total EUR"), (545.0, "3,000.00")]);
    sheets.push(last);
    let invoice = read(&document(sheets));
    assert_eq!(invoice.lines.len(), 1_000);
    assert_eq!(invoice.flags, Vec::new());
}

#[test]
fn other_files_inside_are_left_alone() {
    let order = "<SCRDMCCBDACIOMessageStructure xmlns=\"urn:un:unece:uncefact:data:SCRDMCCBDACIOMessageStructure:100\"/>";
    let invoice = read(&hybrid(
        german().row(358.0, &[(380.0, "Gesamtbetrag"), (545.0, "570,00 €")]),
        "order-x.xml",
        order,
    ));
    assert_eq!(invoice.format, Format::PdfText);
}
