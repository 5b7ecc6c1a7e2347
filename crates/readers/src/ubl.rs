//! OASIS UBL 2.x Invoice and CreditNote (UBL 2.1, ISO/IEC 19845), by the syntax binding CEN/TS 16931-3-2 that Peppol
//! BIS Billing 3 and XRechnung share. Elements go by namespace URI and local name, never by prefix.

use formats::xml::{Document, text};

use crate::draft::{
    Found, Scope, blank, brings_no_goods, check_lines, copies, currency, decimal, flag, iso_day,
    kind_of_code, put_ids,
};
use crate::invoice::{FlagCode, Format, Invoice, Kind, Line, Party};
use crate::xml::{Node, Tree};
use crate::{Unreadable, check};

/// What the namespaces of UBL's invoices, and of no other document type, start with.
pub(crate) const ROOTS: [(&str, &str, Kind); 2] = [
    ("Invoice", "urn:oasis:names:specification:ubl:schema:xsd:Invoice-2", Kind::Invoice),
    ("CreditNote", "urn:oasis:names:specification:ubl:schema:xsd:CreditNote-2", Kind::CreditNote),
];

const NAMESPACES: [&str; 1] = ["urn:oasis:names:specification:ubl:schema:xsd:Common"];

pub(crate) fn read<'d>(
    document: &'d Document<'d>,
    root: Node<'d>,
    kind: Kind,
) -> Result<Invoice, Unreadable> {
    let tree = Tree { document, namespaces: &NAMESPACES };
    let lines: Vec<Node<'_>> = tree.children(root, "InvoiceLine|CreditNoteLine").collect();
    check_lines(lines.len())?;

    let mut invoice = blank(Format::Ubl, kind);
    header(&tree, root, &mut invoice);
    parties(&tree, root, &mut invoice);
    for (index, node) in lines.into_iter().enumerate() {
        let line = line(&tree, node, index, &mut invoice);
        invoice.lines.push(line);
    }
    for node in tree.children(root, "AllowanceCharge") {
        match tree.adjustment(node, "ChargeIndicator", "Amount", "AllowanceChargeReason") {
            Ok(adjustment) => invoice.adjustments.push(adjustment),
            Err(message) => invoice.flags.push(flag(FlagCode::Unreadable, message)),
        }
    }
    totals(&tree, root, &mut invoice);
    check::foot(&mut invoice);
    Ok(invoice)
}

fn header<'d>(tree: &Tree<'d>, root: Node<'d>, invoice: &mut Invoice) {
    // The type code stands above the root's name: 381 inside an Invoice is a credit note all the same.
    let code = tree.at(root, "InvoiceTypeCode|CreditNoteTypeCode").map(text);
    if let Some(code) = code {
        invoice.flags.extend(brings_no_goods(&code));
        match kind_of_code(&code) {
            Some(kind) if invoice.kind == Kind::Invoice => invoice.kind = kind,
            Some(Kind::Invoice) => {
                let message = format!(
                    "a credit note whose type {code} is an invoice's: which way the goods go is not certain"
                );
                invoice.flags.push(flag(FlagCode::Uncertain, message));
            }
            Some(Kind::CreditNote) => {}
            None => invoice
                .flags
                .push(flag(FlagCode::Uncertain, format!("type code `{code}` is not an invoice's"))),
        }
    }
    invoice.flags.extend(tree.at(root, "CopyIndicator").and_then(|node| copies(&text(node))));
    let mut scope = Scope::new(&mut invoice.evidence, &mut invoice.flags, String::new());
    invoice.number = scope.text("number", tree.found(root, "ID"));
    invoice.issue_date = scope.read("issueDate", tree.found(root, "IssueDate"), iso_day);
    let said = tree.found(root, "DocumentCurrencyCode").or_else(|| {
        // UBL itself leaves the code out where the amounts say it.
        tree.attribute(tree.at(root, "LegalMonetaryTotal/PayableAmount")?, "currencyID")
    });
    invoice.currency = scope.read("currency", said, currency);
}

fn parties<'d>(tree: &Tree<'d>, root: Node<'d>, invoice: &mut Invoice) {
    for (path, prefix) in
        [("AccountingSupplierParty/Party", "/supplier"), ("AccountingCustomerParty/Party", "/buyer")]
    {
        let Some(node) = tree.at(root, path) else { continue };
        let mut scope = Scope::new(&mut invoice.evidence, &mut invoice.flags, prefix.to_owned());
        let party = party(tree, node, &mut scope);
        if prefix == "/supplier" { invoice.supplier = party } else { invoice.buyer = party }
    }
}

fn party<'d>(tree: &Tree<'d>, node: Node<'d>, scope: &mut Scope<'_>) -> Party {
    let name =
        tree.found(node, "PartyLegalEntity/RegistrationName").or_else(|| tree.found(node, "PartyName/Name"));
    // The bank's id of a creditor (BT-90) stands among the party's own, told apart by its scheme.
    let own = tree
        .children(node, "PartyIdentification")
        .filter_map(|identification| tree.at(identification, "ID"))
        .find(|id| id.attribute("schemeID") != Some("SEPA"))
        .and_then(|id| tree.found_in(id));
    let vat = tree
        .children(node, "PartyTaxScheme")
        .find(|scheme| {
            tree.at(*scheme, "TaxScheme/ID").map(text).is_none_or(|id| id.eq_ignore_ascii_case("VAT"))
        })
        .and_then(|scheme| tree.found(scheme, "CompanyID"));
    let id = own.or_else(|| tree.found(node, "PartyLegalEntity/CompanyID")).or_else(|| vat.clone());
    Party { name: scope.text("name", name), id: scope.text("id", id), vat_id: scope.text("vatId", vat) }
}

fn line<'d>(tree: &Tree<'d>, node: Node<'d>, index: usize, invoice: &mut Invoice) -> Line {
    let mut line = Line { line: u32::try_from(index + 1).unwrap_or(u32::MAX), ..Line::default() };
    let mut flags = Vec::new();
    let mut scope = Scope::new(&mut invoice.evidence, &mut flags, format!("/lines/{index}"));
    line.line_id = scope.text("lineId", tree.found(node, "ID"));
    let id = |path| tree.found(node, path);
    put_ids(
        &mut line,
        &mut scope,
        id("Item/SellersItemIdentification/ID"),
        id("Item/StandardItemIdentification/ID"),
        id("Item/BuyersItemIdentification/ID"),
    );
    line.description = scope.text("description", id("Item/Name").or_else(|| id("Item/Description")));
    let quantity = tree.at(node, "InvoicedQuantity|CreditedQuantity");
    if tree.children(node, "InvoicedQuantity|CreditedQuantity").count() > 1 {
        scope.flag(FlagCode::Malformed, "the line has more than one quantity: the first is read");
    }
    line.quantity = scope.decimal("quantity", quantity.and_then(|quantity| tree.found_in(quantity)));
    line.unit = scope.text("unit", quantity.and_then(|quantity| tree.attribute(quantity, "unitCode")));
    line.unit_price = scope.decimal("unitPrice", id("Price/PriceAmount"));
    line.price_base = scope.decimal("priceBase", id("Price/BaseQuantity"));
    line.tax_rate = scope.decimal("taxRate", id("Item/ClassifiedTaxCategory/Percent"));
    line.net = scope.decimal("net", id("LineExtensionAmount"));
    for adjustment in tree.children(node, "AllowanceCharge") {
        match tree.adjustment(adjustment, "ChargeIndicator", "Amount", "AllowanceChargeReason") {
            Ok(adjustment) => line.adjustments.push(adjustment),
            Err(message) => scope.flag(FlagCode::Unreadable, message),
        }
    }
    if tree.at(node, "SubInvoiceLine|SubCreditNoteLine").is_some() {
        scope.flag(FlagCode::Uncertain, "the line has lines of its own, which are not read");
    }
    line.flags = flags;
    line
}

fn totals<'d>(tree: &Tree<'d>, root: Node<'d>, invoice: &mut Invoice) {
    let currency = invoice.currency.clone();
    let mut scope = Scope::new(&mut invoice.evidence, &mut invoice.flags, "/totals".to_owned());
    let total = &mut invoice.totals;
    if let Some(node) = tree.at(root, "LegalMonetaryTotal") {
        let mut amount = |member: &str, path| scope.decimal(member, tree.found(node, path));
        total.lines = amount("lines", "LineExtensionAmount");
        total.net = amount("net", "TaxExclusiveAmount");
        total.gross = amount("gross", "TaxInclusiveAmount");
        total.prepaid = amount("prepaid", "PrepaidAmount");
        total.rounding = amount("rounding", "PayableRoundingAmount");
        total.payable = amount("payable", "PayableAmount");
    }
    // A second total may say the tax in the currency of accounting (BT-111); several in the invoice's own are one of
    // each tax.
    let taxes: Vec<Found> = tree
        .children(root, "TaxTotal")
        .filter_map(|node| tree.at(node, "TaxAmount"))
        .filter(|amount| {
            let said = amount.attribute("currencyID");
            said.is_none() || currency.is_none() || said == currency.as_deref()
        })
        .filter_map(|amount| tree.found_in(amount))
        .collect();
    let Some(first) = taxes.first().cloned() else { return };
    total.tax = scope.read("tax", Some(first), |_| {
        taxes.iter().try_fold(contract::Decimal::zero(), |sum, tax| Some(sum.plus(&decimal(&tax.text)?)))
    });
}
