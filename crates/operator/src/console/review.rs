//! The page at `/invoices/{jobId}`: a document beside its lines, and everything that becomes of them.

use ::invoices::document::{self, By, Candidate, Decision, Document};
use ::invoices::job::Event;
use ::invoices::stock::Impact;
use ::invoices::{Job, JobId, State as JobState, store};
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use contract::Decimal;
use readers::invoice::{FlagCode, Format, Invoice, Kind, Line, PageSize};
use serde::Deserialize;
use stores::quarantine::Parked;

use super::value::Value;
use super::{NoPage, render, time, word};
use crate::problem::Problem;
use crate::server::Operator;

/// Lines of one page.
const MOST_LINES: usize = 500;
/// Open lines that are listed; the others are counted.
const MOST_OPEN: usize = 12;
/// Entries of the log that are shown, the newest first.
const MOST_EVENTS: usize = 200;

/// Which lines are shown.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    /// From this line on, counted from 1.
    #[serde(default)]
    from: usize,
}

#[derive(Template)]
#[template(path = "review.html")]
struct Review {
    here: &'static str,
    job: Job,
    word: &'static str,
    title: String,
    doc: Option<Shown>,
    events: Vec<Happened>,
    more_events: usize,
    /// What of its plan waits for a person.
    parked: Vec<Parked>,
    warehouse: Option<String>,
}

impl Review {
    fn can_edit(&self) -> bool {
        self.job.state == JobState::Review
    }

    fn can_apply(&self) -> bool {
        matches!(self.job.state, JobState::Review | JobState::Reversed)
    }

    fn can_reverse(&self) -> bool {
        self.job.state == JobState::Applied
    }

    fn number(&self) -> &str {
        let summary = self.job.summary.as_ref();
        summary.and_then(|summary| summary.number.as_deref()).unwrap_or_default()
    }

    fn in_motion(&self) -> bool {
        self.job.state.is_in_motion()
    }
}

/// An entry of the log.
struct Happened {
    at: String,
    actor: String,
    action: String,
    word: &'static str,
    message: String,
}

/// A document, ready to be shown.
struct Shown {
    format: &'static str,
    kind: &'static str,
    facts: Vec<Value>,
    totals: Vec<Total>,
    flags: Vec<String>,
    flags_accepted: bool,
    /// What is open of the invoice as a whole, but for its flags.
    open: Vec<String>,
    open_lines: Vec<(u32, String)>,
    more_open: usize,
    booked: usize,
    excluded: usize,
    lines: Vec<Row>,
    pager: Pager,
    pages: Vec<PageSize>,
}

impl Shown {
    fn is_open(&self) -> bool {
        self.count_open() > 0
    }

    /// Whether a person has yet to look at the flags of the invoice as a whole.
    fn flags_wait(&self) -> bool {
        !self.flags.is_empty() && !self.flags_accepted
    }

    fn count_open(&self) -> usize {
        self.open.len() + usize::from(self.flags_wait()) + self.open_lines.len() + self.more_open
    }
}

/// A total, and whether it is what the others add up to.
struct Total {
    value: Value,
    flag: Option<String>,
    adds_up: bool,
}

/// Which of the lines are on this page.
struct Pager {
    first: usize,
    last: usize,
    of: usize,
    before: Option<usize>,
    after: Option<usize>,
    /// The nearest open lines that are on other pages: where the page begins, and the line.
    open_before: Option<(usize, u32)>,
    open_after: Option<(usize, u32)>,
}

/// A line, ready to be shown.
struct Row {
    number: u32,
    status: &'static str,
    status_word: &'static str,
    /// Why a person has to decide.
    why: Option<String>,
    description: Value,
    names: Vec<Value>,
    quantity: Value,
    unit: Value,
    price: Value,
    base: Value,
    net: Value,
    more: Vec<Value>,
    flags: Vec<String>,
    /// What only a decision about this very line settles.
    doubts: Vec<String>,
    decision: Decision,
    /// How the item was found, in a word and at length.
    found: Option<&'static str>,
    candidates: Vec<Candidate>,
    stock: Option<Stock>,
}

impl Row {
    fn sku(&self) -> &str {
        self.decision.sku.as_deref().unwrap_or_default()
    }

    fn warehouse(&self) -> &str {
        self.decision.warehouse_id.as_deref().unwrap_or_default()
    }

    fn booked(&self) -> Option<String> {
        self.decision.quantity.as_ref().map(ToString::to_string)
    }

    fn quantity_now(&self) -> String {
        self.booked().or_else(|| self.quantity.text.clone()).unwrap_or_default()
    }

    fn excluded(&self) -> Option<&str> {
        self.decision.excluded.as_deref()
    }

    /// What a person who sees nothing hears of the line first.
    fn summary(&self) -> String {
        let item = self.description.text.as_deref().unwrap_or("no description");
        let why = self.why.as_deref().or(self.flags.first().map(String::as_str));
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        format!("Line {}, {item}, {}{why}", self.number, self.status_word)
    }
}

/// What a line does to stock.
struct Stock {
    entity: String,
    before: String,
    delta: String,
    /// Afterwards, where it is yet to be booked: what is booked is in what there is now.
    after: Option<String>,
    counted: bool,
    below_zero: bool,
}

/// `GET /invoices/{id}`
pub(super) async fn page(
    State(operator): State<Operator>,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, NoPage> {
    let id = JobId::parse(&id)
        .ok_or_else(|| Problem::not_found(format!("invoice job {id:?}; a job id is a ULID")))?;
    let tables = &*operator.ports.tables;
    let job = store::get(tables, id).await?;
    let mut log = store::events(tables, id).await?;
    log.reverse();
    let more_events = log.len().saturating_sub(MOST_EVENTS);
    let events = log.into_iter().take(MOST_EVENTS).map(happened).collect();
    let doc = match job.document {
        None => None,
        Some(_) => {
            let document = operator.invoices.document(&job).await?;
            let stock = impacts(&operator, &document, job.state).await?;
            Some(shown(&document, job.state, stock, asked.from))
        }
    };
    let number = job.summary.as_ref().and_then(|summary| summary.number.clone());
    let title = number.filter(|number| !number.trim().is_empty()).unwrap_or_else(|| job.file.name.clone());
    let warehouse = operator.invoices.options.warehouse.clone();
    let word = word(job.state);
    let parked = operator.invoices.parked(&job).await?;
    Ok(render(&Review { here: "invoices", word, title, doc, events, more_events, parked, warehouse, job }))
}

fn happened(event: Event) -> Happened {
    let Event { at, actor, action, state, message, .. } = event;
    Happened { at: time(at), actor, action, word: word(state), message }
}

/// Stock before and after each line that is booked; the others have none.
async fn impacts(
    operator: &Operator,
    document: &Document,
    state: JobState,
) -> Result<Vec<Option<Stock>>, Problem> {
    let is_ahead = matches!(state, JobState::Review | JobState::Reversed);
    let of_line = |(delta, impact): (Decimal, Impact)| {
        let sign = if delta.is_negative() { "" } else { "+" };
        Stock {
            entity: impact.entity,
            before: impact.before.to_string(),
            delta: format!("{sign}{delta}"),
            after: is_ahead.then(|| impact.after.to_string()),
            counted: impact.counted,
            below_zero: is_ahead && impact.after.is_negative(),
        }
    };
    let impacts = operator.invoices.impact(document).await?;
    Ok(impacts.into_iter().map(|impact| impact.map(of_line)).collect())
}

fn shown(document: &Document, state: JobState, stock: Vec<Option<Stock>>, from: usize) -> Shown {
    let invoice = &document.invoice;
    let waiting: Vec<(usize, u32, String)> = document
        .lines()
        .enumerate()
        .filter_map(|(at, (line, decision))| Some((at, line.line, document::open(line, decision)?)))
        .collect();
    // The invoice's own come first, its flags the last of them; the page says of those where they are.
    let flags_wait = !invoice.flags.is_empty() && !document.flags_accepted;
    let mut open = document.open();
    open.truncate(open.len().saturating_sub(waiting.len() + usize::from(flags_wait)));
    let pager = pager(invoice.lines.len(), from, &waiting);
    let excluded = document.decisions.iter().filter(|decision| decision.excluded.is_some()).count();
    let on_page = (pager.first.saturating_sub(1))..pager.last;
    let rows = document.lines().zip(stock).enumerate().skip(on_page.start).take(on_page.len());
    Shown {
        format: format_word(invoice.format),
        kind: match invoice.kind {
            Kind::Invoice => "Invoice",
            Kind::CreditNote => "Credit note",
        },
        facts: facts(invoice),
        totals: totals(invoice),
        flags: invoice.flags.iter().map(|flag| flag.message.clone()).collect(),
        flags_accepted: document.flags_accepted,
        open,
        more_open: waiting.len().saturating_sub(MOST_OPEN),
        open_lines: waiting.iter().take(MOST_OPEN).map(|(_, line, why)| (*line, why.clone())).collect(),
        booked: document.decisions.len() - excluded,
        excluded,
        lines: rows
            .map(|(at, ((line, decision), stock))| row(invoice, state, at, (line, decision), stock))
            .collect(),
        pager,
        pages: document.pages.clone(),
    }
}

fn pager(of: usize, from: usize, waiting: &[(usize, u32, String)]) -> Pager {
    let start_of = |at: usize| at / MOST_LINES * MOST_LINES;
    let start = start_of(from.saturating_sub(1).min(of.saturating_sub(1)));
    let last = of.min(start + MOST_LINES);
    let elsewhere = |(at, line, _): &(usize, u32, String)| (start_of(*at) + 1, *line);
    Pager {
        first: start + usize::from(of > 0),
        last,
        of,
        before: (start > 0).then(|| start - MOST_LINES + 1),
        after: (last < of).then_some(last + 1),
        open_before: waiting.iter().rev().find(|(at, ..)| *at < start).map(elsewhere),
        open_after: waiting.iter().find(|(at, ..)| *at >= last).map(elsewhere),
    }
}

fn facts(invoice: &Invoice) -> Vec<Value> {
    let value =
        |pointer: &str, label, text: &Option<String>| Value::of(invoice, pointer, label, text.as_ref());
    let mut facts = vec![
        value("/number", "Number", &invoice.number),
        value("/issueDate", "Issued", &invoice.issue_date),
        value("/currency", "Currency", &invoice.currency),
        value("/supplier/name", "Supplier", &invoice.supplier.name),
        value("/buyer/name", "Buyer", &invoice.buyer.name),
    ];
    let further = [
        value("/supplier/id", "Supplier's id", &invoice.supplier.id),
        value("/supplier/vatId", "Supplier's VAT number", &invoice.supplier.vat_id),
        value("/buyer/id", "Buyer's id", &invoice.buyer.id),
    ];
    facts.extend(further.into_iter().filter(|value| value.text.is_some()));
    facts
}

fn totals(invoice: &Invoice) -> Vec<Total> {
    let totals = &invoice.totals;
    // A total was checked (`readers::check`) where something is there to check it against: what is stated goes on.
    let all_net = invoice.lines.iter().all(|line| line.net.is_some()) && !invoice.lines.is_empty();
    let to_net = all_net || totals.lines.is_some();
    let to_gross = to_net || totals.net.is_some();
    let to_payable = to_gross || totals.gross.is_some();
    let rows = [
        ("/totals/lines", "Lines", &totals.lines, Some(FlagCode::LinesTotal), all_net),
        ("/totals/net", "Net", &totals.net, Some(FlagCode::NetTotal), to_net),
        ("/totals/tax", "Tax", &totals.tax, None, false),
        ("/totals/gross", "Gross", &totals.gross, Some(FlagCode::GrossTotal), to_gross),
        ("/totals/prepaid", "Prepaid", &totals.prepaid, None, false),
        ("/totals/rounding", "Rounding", &totals.rounding, None, false),
        ("/totals/payable", "Payable", &totals.payable, Some(FlagCode::PayableTotal), to_payable),
    ];
    let adjustments = invoice.adjustments.iter().enumerate().map(|(at, adjustment)| Total {
        value: Value::of(
            invoice,
            &format!("/adjustments/{at}/amount"),
            if adjustment.amount.is_negative() { "Allowance" } else { "Charge" },
            Some(&adjustment.amount),
        ),
        flag: None,
        adds_up: false,
    });
    let rows = rows.into_iter().map(|(pointer, label, amount, code, checked)| {
        let flag = invoice.flags.iter().find(|flag| Some(flag.code) == code);
        Total {
            value: Value::of(invoice, pointer, label, amount.as_ref()),
            flag: flag.map(|flag| flag.message.clone()),
            adds_up: checked && code.is_some() && amount.is_some() && flag.is_none(),
        }
    });
    let usual = |total: &Total| {
        total.value.text.is_some() || !["Lines", "Prepaid", "Rounding"].contains(&total.value.label)
    };
    let mut rows: Vec<Total> = rows.collect();
    // Where they come in the sum.
    drop(rows.splice(1..1, adjustments));
    rows.into_iter().filter(usual).collect()
}

fn row(
    invoice: &Invoice,
    state: JobState,
    at: usize,
    (line, decision): (&Line, &Decision),
    stock: Option<Stock>,
) -> Row {
    let pointer = |name: &str| format!("/lines/{at}/{name}");
    let text =
        |name: &str, label, text: &Option<String>| Value::of(invoice, &pointer(name), label, text.as_ref());
    let number = |name: &str, label, number: &Option<contract::Decimal>| {
        Value::of(invoice, &pointer(name), label, number.as_ref())
    };
    let why = document::open(line, decision);
    let (status, status_word) = match (state, &why) {
        _ if decision.excluded.is_some() => ("excluded", "Excluded"),
        (_, Some(_)) => ("open", "Open"),
        (JobState::Applying, None) => ("ready", "On its way"),
        (JobState::Applied, None) => ("ready", "Booked"),
        (_, None) if line.flags.is_empty() => ("ready", "Ready"),
        (_, None) => ("accepted", "Accepted"),
    };
    let names = [
        text("sellerSku", "Seller's number", &line.seller_sku),
        text("gtin", "GTIN", &line.gtin),
        text("buyerSku", "Buyer's number", &line.buyer_sku),
    ];
    let mut names: Vec<Value> = names.into_iter().filter(|value| value.text.is_some()).collect();
    if names.is_empty() && line.sku.is_some() {
        names.push(text("sku", "Number", &line.sku));
    }
    let adjustments = line.adjustments.iter().enumerate().map(|(index, adjustment)| {
        let label = if adjustment.amount.is_negative() { "Allowance" } else { "Charge" };
        Value::of(invoice, &pointer(&format!("adjustments/{index}/amount")), label, Some(&adjustment.amount))
    });
    let mut more: Vec<Value> = adjustments.collect();
    more.extend(line.tax_rate.as_ref().map(|_| number("taxRate", "Tax rate in %", &line.tax_rate)));
    Row {
        number: line.line,
        status,
        status_word,
        why,
        description: text("description", "Description", &line.description),
        names,
        quantity: number("quantity", "Quantity", &line.quantity),
        unit: text("unit", "Unit", &line.unit),
        price: number("unitPrice", "Price", &line.unit_price),
        base: number("priceBase", "Price base", &line.price_base),
        net: number("net", "Net", &line.net),
        more,
        flags: line.flags.iter().map(|flag| flag.message.clone()).collect(),
        doubts: document::doubts(line, decision),
        found: decision.found.as_ref().map(|found| by_word(found.by)),
        candidates: decision.candidates.clone(),
        decision: decision.clone(),
        stock,
    }
}

fn by_word(by: By) -> &'static str {
    match by {
        By::Person => "by hand",
        By::Gtin => "same GTIN",
        By::Sku => "same number",
        By::Remembered => "remembered",
        By::New => "new item",
        By::Likeness => "looks alike",
    }
}

fn format_word(format: Format) -> &'static str {
    match format {
        Format::Ubl => "UBL",
        Format::Cii => "CII",
        Format::Zugferd1 => "ZUGFeRD 1",
        Format::FacturX => "Factur-X",
        Format::X12Invoice => "X12 810",
        Format::EdifactInvoic => "EDIFACT INVOIC",
        Format::Csv => "CSV",
        Format::Xlsx => "spreadsheet",
        Format::PdfText => "PDF, read by its layout",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_on_one_page() {
        let waiting = [(3, 4, String::new()), (1_203, 1_204, String::new())];
        let page = pager(1_300, 501, &waiting);
        assert_eq!((page.first, page.last, page.before, page.after), (501, 1_000, Some(1), Some(1_001)));
        assert_eq!((page.open_before, page.open_after), (Some((1, 4)), Some((1_001, 1_204))));
        let last = pager(1_300, 9_999, &waiting);
        assert_eq!((last.first, last.last, last.after), (1_001, 1_300, None));
        assert_eq!(last.open_after, None, "it is on this page");
        let none = pager(0, 1, &[]);
        assert_eq!((none.first, none.last, none.before, none.after), (0, 0, None, None));
        assert_eq!(pager(500, 0, &[]).after, None);
    }
}
