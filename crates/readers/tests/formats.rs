//! One small document of each format, written for this test, with what every reader must make of it.

use contract::Decimal;
use readers::invoice::{Flag, FlagCode, Format, Invoice, Kind, Place};
use readers::{Hints, Reading};

fn read(bytes: &[u8]) -> Vec<Invoice> {
    let Reading { invoices, .. } = readers::read(bytes, &Hints::default()).expect("an invoice");
    for invoice in &invoices {
        let json = serde_json::to_value(invoice).expect("json");
        for pointer in invoice.evidence.keys() {
            assert!(json.pointer(pointer).is_some(), "evidence of nothing: {pointer}");
        }
        let again: Invoice = serde_json::from_value(json).expect("the model reads what it writes");
        assert_eq!(&again, invoice);
    }
    invoices
}

fn flags(invoice: &Invoice) -> Vec<&Flag> {
    invoice.lines.iter().flat_map(|line| &line.flags).chain(&invoice.flags).collect()
}

fn number(text: &str) -> Option<Decimal> {
    Some(Decimal::parse(text).expect(text))
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn amounts(invoice: &Invoice) -> Vec<String> {
    invoice.adjustments.iter().map(|adjustment| adjustment.amount.to_string()).collect()
}

#[test]
fn ubl() {
    let invoices = read(include_bytes!("fixtures/ubl.xml"));
    let [invoice] = &invoices[..] else { panic!("one invoice") };
    assert_eq!(flags(invoice), Vec::<&Flag>::new());
    assert_eq!((invoice.format, invoice.kind), (Format::Ubl, Kind::Invoice));
    assert_eq!(
        (&invoice.number, &invoice.issue_date, &invoice.currency),
        (&some("N-1"), &some("2024-05-06"), &some("SEK"))
    );
    assert_eq!((&invoice.supplier.name, &invoice.supplier.id), (&some("Nordic Trading AB"), &some("S-77")));
    assert_eq!(invoice.supplier.vat_id, some("SE123456789001"));
    assert_eq!((&invoice.buyer.name, &invoice.buyer.id), (&some("Shop & Co"), &some("B-9")));
    assert_eq!(amounts(invoice), ["10.00", "-5"]);
    assert_eq!((&invoice.totals.tax, &invoice.totals.rounding), (&number("26.25"), &number("-0.25")));
    let line = &invoice.lines[0];
    assert_eq!((&line.sku, &line.seller_sku, &line.buyer_sku), (&some("S-4"), &some("S-4"), &some("B-4")));
    assert_eq!((&line.gtin, &line.description), (&some("4012345001235"), &some("Screws M4")));
    assert_eq!(
        (&line.quantity, &line.unit, &line.unit_price),
        (&number("2000"), &some("C62"), &number("50"))
    );
    assert_eq!(
        (&line.price_base, &line.tax_rate, line.adjustments.len()),
        (&number("1000"), &number("25"), 1)
    );
    let second = &invoice.lines[1];
    assert_eq!((&second.sku, &second.gtin, &second.quantity), (&some("X-1"), &None, &number("-1.5")));
    let place = Place::Xml { xpath: "/Invoice/InvoiceLine[2]/InvoicedQuantity".into() };
    assert_eq!(invoice.evidence["/lines/1/quantity"].place, place);
    let place = Place::Xml { xpath: "/Invoice/InvoiceLine[1]/InvoicedQuantity/@unitCode".into() };
    assert_eq!(invoice.evidence["/lines/0/unit"].place, place);
    // The other root, and the code that turns the direction.
    let text = include_str!("fixtures/ubl.xml");
    let credit = text
        .replace("i:Invoice", "i:CreditNote")
        .replace("Invoice-2", "CreditNote-2")
        .replace("a:InvoiceLine", "a:CreditNoteLine")
        .replace("InvoicedQuantity", "CreditedQuantity");
    let invoices = read(credit.as_bytes());
    assert_eq!((invoices[0].kind, invoices[0].lines.len()), (Kind::CreditNote, 2));
    assert_eq!(read(text.replace(">380<", ">381<").as_bytes())[0].kind, Kind::CreditNote);
}

#[test]
fn an_envelope_is_opened() {
    let (declaration, invoice) = include_str!("fixtures/ubl.xml").split_once('\n').expect("a declaration");
    let uri = "http://www.unece.org/cefact/namespaces/StandardBusinessDocumentHeader";
    let text = format!(
        "{declaration}<StandardBusinessDocument xmlns='{uri}'><StandardBusinessDocumentHeader/>{invoice}</StandardBusinessDocument>"
    );
    let invoices = read(text.as_bytes());
    assert_eq!(flags(&invoices[0]), Vec::<&Flag>::new());
    let place = Place::Xml { xpath: "/StandardBusinessDocument/Invoice/ID[2]".into() };
    assert_eq!(invoices[0].evidence["/number"].place, place);
}

#[test]
fn a_wrong_number_is_flagged_wherever_it_is() {
    let text = include_str!("fixtures/ubl.xml");
    for (from, to, code) in [
        (">2000<", ">2001<", FlagCode::LineTotal),
        (">98.00<", ">98.01<", FlagCode::LineTotal),
        ("\">100.00<", "\">100.10<", FlagCode::LinesTotal),
        (">105.00<", ">105.10<", FlagCode::NetTotal),
        (">26.25<", ">26.20<", FlagCode::GrossTotal),
        (">31<", ">13<", FlagCode::PayableTotal),
        (">2000<", ">two<", FlagCode::Unreadable),
        (">2000<", "><", FlagCode::Missing),
        ("<ID>N-1</ID>", "", FlagCode::Missing),
        (">380<", ">850<", FlagCode::Uncertain),
        ("<ChargeIndicator>true<", "<ChargeIndicator>maybe<", FlagCode::Unreadable),
    ] {
        assert!(text.contains(from), "{from}");
        let invoices = read(text.replace(from, to).as_bytes());
        assert!(
            flags(&invoices[0]).iter().any(|flag| flag.code == code),
            "{from} as {to}: {:?}",
            flags(&invoices[0])
        );
    }
}

#[test]
fn cii() {
    let invoices = read(include_bytes!("fixtures/cii.xml"));
    let [invoice] = &invoices[..] else { panic!("one invoice") };
    assert_eq!((invoice.format, invoice.kind), (Format::Cii, Kind::CreditNote));
    assert_eq!(
        (&invoice.number, &invoice.issue_date, &invoice.currency),
        (&some("G-2"), &some("2024-05-06"), &some("EUR"))
    );
    assert_eq!((&invoice.supplier.id, &invoice.supplier.vat_id), (&some("S-1"), &some("DE123456789")));
    assert_eq!(invoice.totals.tax, number("8.55"));
    assert_eq!(amounts(invoice), ["4.50"]);
    assert_eq!(invoice.flags, []);
    // A group is named, but what it sums up is not counted twice.
    let group = &invoice.lines[0];
    assert_eq!((&group.description, &group.quantity, &group.net), (&some("Set"), &None, &None));
    assert!(group.flags.iter().any(|flag| flag.code == FlagCode::Uncertain));
    let line = &invoice.lines[1];
    assert_eq!(line.flags, []);
    assert_eq!((&line.sku, &line.gtin), (&some("4012345001235"), &some("4012345001235")));
    assert_eq!(
        (&line.quantity, &line.unit_price, &line.net),
        (&number("4"), &number("10"), &number("40.50"))
    );
    assert_eq!(line.adjustments[0].reason, some("Box"));
}

#[test]
fn zugferd_1() {
    let names = [
        ("CrossIndustryInvoice", "CrossIndustryDocument"),
        (
            "urn:un:unece:uncefact:data:standard:CrossIndustryDocument:100",
            "urn:ferd:CrossIndustryDocument:invoice:1p0",
        ),
        ("rsm:ExchangedDocument", "rsm:HeaderExchangedDocument"),
        ("rsm:SupplyChainTradeTransaction", "rsm:SpecifiedSupplyChainTradeTransaction"),
        ("SpecifiedLineTrade", "SpecifiedSupplyChainTrade"),
        ("ApplicableHeaderTrade", "ApplicableSupplyChainTrade"),
        ("SettlementLineMonetary", "SettlementMonetary"),
        ("SettlementHeaderMonetary", "SettlementMonetary"),
        ("RateApplicablePercent", "ApplicablePercent"),
    ];
    let text = names
        .iter()
        .fold(include_str!("fixtures/cii.xml").to_owned(), |text, (from, to)| text.replace(from, to));
    let of_cii = read(include_bytes!("fixtures/cii.xml"));
    let invoices = read(text.as_bytes());
    assert_eq!(invoices[0].format, Format::Zugferd1);
    assert_eq!((&invoices[0].lines, &invoices[0].totals), (&of_cii[0].lines, &of_cii[0].totals));
}

#[test]
fn x12_810() {
    let invoices = read(include_bytes!("fixtures/810.edi"));
    let [invoice, credit] = &invoices[..] else { panic!("two invoices") };
    assert_eq!(flags(invoice), Vec::<&Flag>::new());
    assert_eq!(
        (&invoice.number, &invoice.issue_date, &invoice.currency),
        (&some("INV 7"), &some("2024-05-06"), &some("USD"))
    );
    assert_eq!((&invoice.supplier.name, &invoice.supplier.id), (&some("Bolt Supply Inc"), &some("V-5")));
    assert_eq!(invoice.buyer.name, some("Hardware Retail"));
    let line = &invoice.lines[0];
    assert_eq!((&line.sku, &line.gtin, &line.buyer_sku), (&some("S-4"), &some("036000291452"), &some("R-1")));
    assert_eq!(
        (&line.quantity, &line.unit_price, &line.price_base),
        (&number("300"), &number("12.5"), &number("100"))
    );
    assert_eq!((line.adjustments[0].amount.to_string(), &line.net), ("-1.50".to_owned(), &None));
    assert_eq!(invoice.lines[1].sku, some("10614141000415"));
    assert_eq!((&invoice.totals.payable, &invoice.totals.tax), (&number("44.00"), &number("3")));
    assert_eq!(amounts(invoice), ["3.50"]);
    assert_eq!(
        invoice.evidence["/lines/0/quantity"].place,
        Place::Segment { segment: 10, element: "IT1-02".into() }
    );
    assert_eq!((credit.kind, credit.lines[0].sku.as_deref()), (Kind::CreditNote, Some("R-9")));
    assert_eq!(flags(credit), Vec::<&Flag>::new());
    let text = include_str!("fixtures/810.edi");
    for (from, to, code) in [
        ("TDS*4400", "TDS*4401", FlagCode::GrossTotal),
        ("CTT*2", "CTT*3", FlagCode::LineCount),
        ("SE*19", "SE*20", FlagCode::Malformed),
        ("TDS*4400", "TDS*44.00", FlagCode::Malformed),
        ("SAC*A*C310***150", "SAC*A*C310***", FlagCode::Unreadable),
        ("BIG*20240506*INV", "BIG*240506*INV", FlagCode::Uncertain),
        ("IT1*1*300", "IT1*1*", FlagCode::Missing),
    ] {
        assert!(text.contains(from), "{from}");
        let invoices = read(text.replace(from, to).as_bytes());
        assert!(flags(&invoices[0]).iter().any(|flag| flag.code == code), "{from} as {to}");
    }
}

#[test]
fn edifact_invoic() {
    let invoices = read(include_bytes!("fixtures/invoic.edi"));
    let [invoice] = &invoices[..] else { panic!("one invoice") };
    assert_eq!(flags(invoice), Vec::<&Flag>::new());
    assert_eq!(
        (&invoice.number, &invoice.issue_date, &invoice.currency),
        (&some("R+9"), &some("2024-05-06"), &some("EUR"))
    );
    assert_eq!(invoice.supplier.name, some("Muster AG Gesellschaft fuer Werkzeuge"));
    assert_eq!(
        (&invoice.supplier.id, &invoice.supplier.vat_id),
        (&some("4012345500004"), &some("DE123456789"))
    );
    let line = &invoice.lines[0];
    assert_eq!(
        (&line.sku, &line.gtin, &line.buyer_sku),
        (&some("S-4"), &some("4012345001235"), &some("B-4"))
    );
    assert_eq!(line.description, some("Akkuschrauber mit zwei Akkus und Koffer"));
    assert_eq!((&line.quantity, &line.unit, &line.unit_price), (&number("1.5"), &some("KGM"), &number("20")));
    assert_eq!((line.adjustments[0].amount.clone(), &line.net), (Decimal::from(-3), &number("27")));
    assert_eq!(invoice.lines[1].price_base, number("1000"));
    assert_eq!(amounts(invoice), ["4.5"]);
    let totals = &invoice.totals;
    assert_eq!((&totals.lines, &totals.net, &totals.tax), (&number("40.5"), &number("45"), &number("8.55")));
    assert_eq!((&totals.gross, &totals.payable), (&number("53.55"), &number("53.55")));
    let place = Place::Segment { segment: 19, element: "QTY-C186.6060".into() };
    assert_eq!(invoice.evidence["/lines/0/quantity"].place, place);
    let text = include_str!("fixtures/invoic.edi");
    for (from, to, code) in [
        ("MOA+203:27'", "MOA+203:26'", FlagCode::LineTotal),
        ("CNT+2:2", "CNT+2:3", FlagCode::LineCount),
        ("UNT+41", "UNT+40", FlagCode::Malformed),
        ("MOA+86:53,55", "MOA+86:54,55", FlagCode::GrossTotal),
        ("QTY+47:1,5", "QTY+47:1.000,5", FlagCode::Unreadable),
        ("QTY+47:1,5:KGM'", "", FlagCode::Missing),
        ("BGM+380", "BGM+999", FlagCode::Uncertain),
    ] {
        assert!(text.contains(from), "{from}");
        let invoices = read(text.replace(from, to).as_bytes());
        assert!(flags(&invoices[0]).iter().any(|flag| flag.code == code), "{from} as {to}");
    }
    assert_eq!(read(text.replace("BGM+380", "BGM+381").as_bytes())[0].kind, Kind::CreditNote);
}

/// Whatever says that goods need not have come, or that more did than are invoiced, is said to a person.
#[test]
fn what_need_not_bring_its_goods_is_flagged() {
    let files = [
        include_str!("fixtures/ubl.xml"),
        include_str!("fixtures/cii.xml"),
        include_str!("fixtures/810.edi"),
        include_str!("fixtures/invoic.edi"),
    ];
    let [ubl, cii, x12, edifact] = files;
    let id = "<ID>N-1</ID>";
    let quantity = "<InvoicedQuantity";
    for (text, from, to, word) in [
        (ubl, id, format!("{id}<CopyIndicator>true</CopyIndicator>"), "copy"),
        (
            ubl,
            quantity,
            format!("<InvoicedQuantity unitCode=\"C62\">7</InvoicedQuantity>{quantity}"),
            "one quantity",
        ),
        (
            cii,
            "<ram:ID>G-2</ram:ID>",
            "<ram:ID>G-2</ram:ID><ram:CopyIndicator><udt:Indicator>true</udt:Indicator></ram:CopyIndicator>"
                .to_owned(),
            "copy",
        ),
        (x12, "***DI~", "***DR~".to_owned(), "DR"),
        (x12, "***DI~", "***DI*05~".to_owned(), "05"),
        (edifact, "QTY+46:9:PCE'", "QTY+192:9:PCE'".to_owned(), "free of charge"),
        (edifact, "BGM+380", "BGM+325".to_owned(), "pro forma"),
    ] {
        assert!(text.contains(from), "{from}");
        let invoices = read(text.replacen(from, &to, 1).as_bytes());
        let said = flags(&invoices[0]);
        assert!(said.iter().any(|flag| flag.message.contains(word)), "{to}: {said:?}");
    }
}
