//! UN/CEFACT Cross Industry Invoice D16B and later, by the syntax binding CEN/TS 16931-3-3 and the profiles of
//! Factur-X (MINIMUM to EXTENDED), and its predecessor, ZUGFeRD 1.0's CrossIndustryDocument, which says the same
//! in slightly other names (`A|B` in the paths).

use formats::xml::{Document, text};

use crate::draft::{
    Found, Scope, blank, brings_no_goods, check_lines, compact_day, copies, currency, decimal, flag, iso_day,
    kind_of_code, put_ids,
};
use crate::invoice::{Adjustment, FlagCode, Format, Invoice, Kind, Line, Party};
use crate::xml::{Node, Tree};
use crate::{Unreadable, check};

/// Root element and what its namespace starts with.
pub(crate) const ROOTS: [(&str, &str, Format); 2] = [
    ("CrossIndustryInvoice", "urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:", Format::Cii),
    ("CrossIndustryDocument", "urn:ferd:CrossIndustryDocument:invoice:", Format::Zugferd1),
];

const NAMESPACES: [&str; 2] = ["urn:un:unece:uncefact:data:standard:", "urn:ferd:CrossIndustryDocument:"];

const TRANSACTION: &str = "SupplyChainTradeTransaction|SpecifiedSupplyChainTradeTransaction";
const SETTLEMENT: &str = "ApplicableHeaderTradeSettlement|ApplicableSupplyChainTradeSettlement";

pub(crate) fn read<'d>(
    document: &'d Document<'d>,
    root: Node<'d>,
    format: Format,
) -> Result<Invoice, Unreadable> {
    let tree = Tree { document, namespaces: &NAMESPACES };
    let mut invoice = blank(format, Kind::Invoice);
    let transaction = tree.at(root, TRANSACTION);
    let settlement = transaction.and_then(|node| tree.at(node, SETTLEMENT));
    header(&tree, root, settlement, &mut invoice);
    if let Some(transaction) = transaction {
        let lines: Vec<Node<'_>> = tree.children(transaction, "IncludedSupplyChainTradeLineItem").collect();
        check_lines(lines.len())?;
        parties(&tree, transaction, &mut invoice);
        for (index, node) in lines.into_iter().enumerate() {
            let line = line(&tree, node, index, &mut invoice);
            invoice.lines.push(line);
        }
    }
    if let Some(settlement) = settlement {
        adjustments(&tree, settlement, &mut invoice);
        totals(&tree, settlement, &mut invoice);
    }
    check::foot(&mut invoice);
    Ok(invoice)
}

fn header<'d>(tree: &Tree<'d>, root: Node<'d>, settlement: Option<Node<'d>>, invoice: &mut Invoice) {
    let exchanged = tree.at(root, "ExchangedDocument|HeaderExchangedDocument");
    if let Some(code) = exchanged.and_then(|node| tree.at(node, "TypeCode")).map(text) {
        invoice.flags.extend(brings_no_goods(&code));
        match kind_of_code(&code) {
            Some(kind) => invoice.kind = kind,
            None => invoice
                .flags
                .push(flag(FlagCode::Uncertain, format!("type code `{code}` is not an invoice's"))),
        }
    }
    let copy = exchanged.and_then(|node| tree.at(node, "CopyIndicator/Indicator|CopyIndicator"));
    invoice.flags.extend(copy.and_then(|node| copies(&text(node))));
    let mut scope = Scope::new(&mut invoice.evidence, &mut invoice.flags, String::new());
    let code = settlement.and_then(|node| tree.found(node, "InvoiceCurrencyCode"));
    invoice.currency = scope.read("currency", code, currency);
    let Some(exchanged) = exchanged else { return };
    invoice.number = scope.text("number", tree.found(exchanged, "ID"));
    let date = tree.at(exchanged, "IssueDateTime/DateTimeString|DateTime");
    let format = date.and_then(|node| node.attribute("format")).unwrap_or("102");
    let read = |text: &str| match format {
        "102" => compact_day(text).or_else(|| iso_day(text)),
        // UNTDID 2379: minutes or seconds behind the day.
        "203" | "204" => compact_day(text.get(..8)?),
        _ => None,
    };
    invoice.issue_date = scope.read("issueDate", date.and_then(|node| tree.found_in(node)), read);
}

fn parties<'d>(tree: &Tree<'d>, transaction: Node<'d>, invoice: &mut Invoice) {
    let Some(agreement) =
        tree.at(transaction, "ApplicableHeaderTradeAgreement|ApplicableSupplyChainTradeAgreement")
    else {
        return;
    };
    for (name, prefix) in [("SellerTradeParty", "/supplier"), ("BuyerTradeParty", "/buyer")] {
        let Some(node) = tree.at(agreement, name) else { continue };
        let mut scope = Scope::new(&mut invoice.evidence, &mut invoice.flags, prefix.to_owned());
        let vat = tree
            .children(node, "SpecifiedTaxRegistration")
            .filter_map(|registration| tree.at(registration, "ID"))
            .find(|id| id.attribute("schemeID") == Some("VA"))
            .and_then(|id| tree.found_in(id));
        let id = ["ID", "GlobalID", "SpecifiedLegalOrganization/ID"]
            .into_iter()
            .find_map(|path| tree.found(node, path))
            .or_else(|| vat.clone());
        let party = Party {
            name: scope.text("name", tree.found(node, "Name")),
            id: scope.text("id", id),
            vat_id: scope.text("vatId", vat),
        };
        if prefix == "/supplier" { invoice.supplier = party } else { invoice.buyer = party }
    }
}

fn line<'d>(tree: &Tree<'d>, node: Node<'d>, index: usize, invoice: &mut Invoice) -> Line {
    let mut line = Line { line: u32::try_from(index + 1).unwrap_or(u32::MAX), ..Line::default() };
    let mut flags = Vec::new();
    let mut scope = Scope::new(&mut invoice.evidence, &mut flags, format!("/lines/{index}"));
    let at = |path| tree.found(node, path);
    line.line_id = scope.text("lineId", at("AssociatedDocumentLineDocument/LineID"));
    put_ids(
        &mut line,
        &mut scope,
        at("SpecifiedTradeProduct/SellerAssignedID"),
        at("SpecifiedTradeProduct/GlobalID"),
        at("SpecifiedTradeProduct/BuyerAssignedID"),
    );
    let name = at("SpecifiedTradeProduct/Name").or_else(|| at("SpecifiedTradeProduct/Description"));
    line.description = scope.text("description", name);
    // EXTENDED tells lines that count (DETAIL, or nothing) from headings and remarks, whose amounts would be
    // counted twice.
    if let Some(status) = at("AssociatedDocumentLineDocument/LineStatusReasonCode")
        && status.text != "DETAIL"
    {
        scope.flag(
            FlagCode::Uncertain,
            format!("a line of status {}, which is not billed: not read", status.text),
        );
        line.flags = flags;
        return line;
    }
    let quantity =
        tree.at(node, "SpecifiedLineTradeDelivery|SpecifiedSupplyChainTradeDelivery/BilledQuantity");
    line.quantity = scope.decimal("quantity", quantity.and_then(|quantity| tree.found_in(quantity)));
    line.unit = scope.text("unit", quantity.and_then(|quantity| tree.attribute(quantity, "unitCode")));
    let agreement = tree.at(node, "SpecifiedLineTradeAgreement|SpecifiedSupplyChainTradeAgreement");
    if let Some(price) = agreement.and_then(|node| {
        tree.at(node, "NetPriceProductTradePrice").or_else(|| tree.at(node, "GrossPriceProductTradePrice"))
    }) {
        line.unit_price = scope.decimal("unitPrice", tree.found(price, "ChargeAmount"));
        line.price_base = scope.decimal("priceBase", tree.found(price, "BasisQuantity"));
    }
    if let Some(settlement) =
        tree.at(node, "SpecifiedLineTradeSettlement|SpecifiedSupplyChainTradeSettlement")
    {
        let rate = tree.found(settlement, "ApplicableTradeTax/RateApplicablePercent|ApplicablePercent");
        line.tax_rate = scope.decimal("taxRate", rate);
        let net = "SpecifiedTradeSettlementLineMonetarySummation|SpecifiedTradeSettlementMonetarySummation/LineTotalAmount";
        line.net = scope.decimal("net", tree.found(settlement, net));
        for adjustment in allowances(tree, settlement) {
            match adjustment {
                Ok(adjustment) => line.adjustments.push(adjustment),
                Err(message) => scope.flag(FlagCode::Unreadable, message),
            }
        }
    }
    line.flags = flags;
    line
}

fn allowances<'d>(tree: &Tree<'d>, settlement: Node<'d>) -> Vec<Result<Adjustment, String>> {
    tree.children(settlement, "SpecifiedTradeAllowanceCharge")
        .map(|node| tree.adjustment(node, "ChargeIndicator/Indicator", "ActualAmount", "Reason"))
        .collect()
}

fn adjustments<'d>(tree: &Tree<'d>, settlement: Node<'d>, invoice: &mut Invoice) {
    for adjustment in allowances(tree, settlement) {
        match adjustment {
            Ok(adjustment) => invoice.adjustments.push(adjustment),
            Err(message) => invoice.flags.push(flag(FlagCode::Unreadable, message)),
        }
    }
    // EXTENDED and ZUGFeRD 1.0 have freight in an element of its own.
    for node in tree.children(settlement, "SpecifiedLogisticsServiceCharge") {
        match tree.at(node, "AppliedAmount").map(text).as_deref().and_then(decimal) {
            Some(amount) => {
                invoice
                    .adjustments
                    .push(Adjustment { amount, reason: tree.at(node, "Description").map(text) });
            }
            None => {
                let message = format!("{}: the amount cannot be read", tree.document.xpath(node));
                invoice.flags.push(flag(FlagCode::Unreadable, message));
            }
        }
    }
}

fn totals<'d>(tree: &Tree<'d>, settlement: Node<'d>, invoice: &mut Invoice) {
    let Some(node) = tree.at(
        settlement,
        "SpecifiedTradeSettlementHeaderMonetarySummation|SpecifiedTradeSettlementMonetarySummation",
    ) else {
        return;
    };
    let currency = invoice.currency.clone();
    let mut scope = Scope::new(&mut invoice.evidence, &mut invoice.flags, "/totals".to_owned());
    // The tax may stand there again in the currency of accounting (BT-111).
    let tax: Option<Found> = tree
        .children(node, "TaxTotalAmount")
        .find(|amount| {
            let said = amount.attribute("currencyID");
            said.is_none() || currency.is_none() || said == currency.as_deref()
        })
        .and_then(|amount| tree.found_in(amount));
    let mut amount = |member: &str, path| scope.decimal(member, tree.found(node, path));
    let total = &mut invoice.totals;
    total.lines = amount("lines", "LineTotalAmount");
    total.net = amount("net", "TaxBasisTotalAmount");
    total.gross = amount("gross", "GrandTotalAmount");
    total.prepaid = amount("prepaid", "TotalPrepaidAmount");
    total.rounding = amount("rounding", "RoundingAmount");
    total.payable = amount("payable", "DuePayableAmount");
    total.tax = scope.decimal("tax", tax);
}
