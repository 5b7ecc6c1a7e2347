//! UN/EDIFACT INVOIC, by the directories D.93A to D.14B and the EANCOM subset; the elements read here are the same
//! in all of them. For the totals also CEN/TS 16931-3-4, the EDIFACT binding of EN 16931.
//!
//! | what | where |
//! |---|---|
//! | number, kind | BGM 1004, 1001 |
//! | date | DTM 137, else 3 |
//! | currency | CUX of usage 2, else that of all totals |
//! | supplier, buyer | NAD of SE or SU; of BY or IV; RFF+VA and RFF+GN, XA behind it |
//! | line | LIN, PIA, IMD, QTY+47, PRI, MOA+203, ALC, TAX until the next LIN |
//! | totals | MOA behind UNS+S: 79 lines, 389 or 125 net, 176 tax, 388, 77 or 39 gross, 113 prepaid, 9 payable, 86 |
//! | number of lines | CNT+2 |

use contract::Decimal;
use formats::edifact::{self, Message, Segment};

use crate::draft::{
    Found, MAX_INVOICES, Scope, blank, brings_no_goods, check_lines, compact_day, currency, day, decimal,
    flag, kind_of_code, put_ids,
};
use crate::invoice::{FlagCode, Format, Invoice, Kind, Line, Party, Place, Reading};
use crate::{Reason, Unreadable, check};

mod amounts;

pub(crate) fn read(bytes: &[u8]) -> Result<Reading, Unreadable> {
    let text = formats::text::decode(bytes)?;
    let file = edifact::parse(&text)?;
    let (mut invoices, mut others, mut lines) = (Vec::new(), Vec::new(), 0);
    for message in &file.messages {
        if !is_invoice(message) {
            others.push(message.kind.as_deref().unwrap_or("message of unknown type"));
            continue;
        }
        lines += message.segments.iter().filter(|segment| segment.id == "LIN").count();
        check_lines(lines)?;
        if invoices.len() >= MAX_INVOICES {
            let message = format!("more than {MAX_INVOICES} invoices in one document");
            return Err(Unreadable::new(Reason::TooLarge, message));
        }
        invoices.push(invoice(message, &file.notes));
    }
    if !invoices.is_empty() {
        return Ok(Reading { invoices, pages: Vec::new() });
    }
    match others.first() {
        Some(other) => {
            let shown: String = other.chars().take(24).collect();
            Err(Unreadable::new(Reason::NotAnInvoice, format!("an EDIFACT {shown}, not an INVOIC")))
        }
        None => Err(Unreadable::new(Reason::Damaged, "an EDIFACT interchange without a message")),
    }
}

/// By the message type; a bare message by its document code and by having sections, as an INVOIC must.
fn is_invoice(message: &Message<'_>) -> bool {
    if let Some(kind) = &message.kind {
        return kind == "INVOIC";
    }
    let code =
        message.segments.iter().find(|segment| segment.id == "BGM").and_then(|bgm| bgm.component(1, 1));
    code.and_then(kind_of_code).is_some() && message.segments.iter().any(|segment| segment.id == "MOA")
}

/// A component with its place; `name` is the data element's number, as `C186.6060`.
fn found(segment: &Segment<'_>, element: usize, component: usize, name: &str) -> Option<Found> {
    let place = Place::Segment { segment: segment.position, element: format!("{}-{name}", segment.id) };
    Found::new(segment.component(element, component)?, place)
}

/// A number: a comma is a decimal mark as good as the point, and there is no thousands separator (ISO 9735-1, 10).
pub(super) fn number(text: &str) -> Option<Decimal> {
    let marks = text.matches([',', '.']).count();
    if marks > 1 {
        return None;
    }
    decimal(&text.replace(',', "."))
}

fn invoice(message: &Message<'_>, notes: &[String]) -> Invoice {
    let segments = &message.segments;
    let end_of_lines = segments.iter().position(|segment| segment.id == "UNS").unwrap_or(segments.len());
    let first_line =
        segments.iter().position(|segment| segment.id == "LIN").unwrap_or(end_of_lines).min(end_of_lines);
    let mut invoice = blank(Format::EdifactInvoic, Kind::Invoice);
    for note in notes.iter().chain(&message.notes) {
        invoice.flags.push(flag(FlagCode::Malformed, note.clone()));
    }
    let (header, lines, summary) =
        (&segments[..first_line], &segments[first_line..end_of_lines], &segments[end_of_lines..]);
    read_header(header, &mut invoice);
    let starts: Vec<usize> =
        lines.iter().enumerate().filter(|(_, segment)| segment.id == "LIN").map(|(at, _)| at).collect();
    for (index, start) in starts.iter().enumerate() {
        let end = starts.get(index + 1).copied().unwrap_or(lines.len());
        let line = line(&lines[*start..end], index, &mut invoice);
        invoice.lines.push(line);
    }
    if end_of_lines == segments.len() {
        invoice
            .flags
            .push(flag(FlagCode::Malformed, "there is no UNS segment, behind which the totals stand"));
    }
    if summary.iter().any(|segment| segment.id == "LIN") {
        invoice.flags.push(flag(FlagCode::Malformed, "lines stand behind the UNS segment, and are not read"));
    }
    amounts::of_invoice(header, summary, &mut invoice);
    count_lines(summary, &mut invoice);
    check::foot(&mut invoice);
    invoice
}

fn count_lines(summary: &[Segment<'_>], invoice: &mut Invoice) {
    let cnt = summary.iter().find(|segment| segment.id == "CNT" && segment.component(1, 1) == Some("2"));
    if let Some(declared) = cnt.and_then(|cnt| cnt.component(1, 2))
        && number(declared) != i64::try_from(invoice.lines.len()).ok().map(Decimal::from)
    {
        let message = format!("CNT+2 says {declared} lines, there are {}", invoice.lines.len());
        invoice.flags.push(flag(FlagCode::LineCount, message));
    }
}

fn read_header(header: &[Segment<'_>], invoice: &mut Invoice) {
    let bgm = header.iter().find(|segment| segment.id == "BGM");
    invoice.flags.extend(bgm.and_then(|bgm| brings_no_goods(bgm.component(1, 1)?)));
    // UN/EDIFACT 1225, message function: but for an original, it says something about another message.
    let function = bgm.and_then(|bgm| bgm.component(3, 1)).filter(|code| !matches!(*code, "" | "9"));
    invoice.flags.extend(function.map(|code| {
        let message = format!(
            "the message's function is {code}, not 9 (original): it cancels, replaces or repeats another"
        );
        flag(FlagCode::Uncertain, message)
    }));
    let mut scope = Scope::new(&mut invoice.evidence, &mut invoice.flags, String::new());
    if let Some(bgm) = bgm {
        invoice.number = scope.text("number", found(bgm, 2, 1, "C106.1004"));
        match bgm.component(1, 1).map(|code| (code, kind_of_code(code))) {
            Some((_, Some(kind))) => invoice.kind = kind,
            Some((code, None)) => {
                scope.flag(FlagCode::Uncertain, format!("document code `{code}` is not an invoice's"));
            }
            None => scope.flag(FlagCode::Uncertain, "no document code says which way the goods go"),
        }
    }
    // Dates of references stand behind their RFF; the document's own stand before.
    let own = || header.iter().take_while(|segment| !matches!(segment.id, "RFF" | "NAD" | "CUX"));
    let of = |qualifier: &str| own().find(|dtm| dtm.id == "DTM" && dtm.component(1, 1) == Some(qualifier));
    if let Some(dtm) = of("137").or_else(|| of("3")) {
        let format = dtm.component(1, 3).unwrap_or("102").to_owned();
        invoice.issue_date =
            scope.read("issueDate", found(dtm, 1, 2, "C507.2380"), |text| date(text, &format));
        if matches!(format.as_str(), "101" | "201" | "2") {
            scope.flag(FlagCode::Uncertain, "the date of issue has no century: taken as this one");
        }
    }
    let cux = header.iter().find(|segment| segment.id == "CUX" && segment.component(1, 1) == Some("2"));
    invoice.currency = scope.read("currency", cux.and_then(|cux| found(cux, 1, 2, "C504.6345")), currency);
    invoice.supplier = party(header, &["SE", "SU"], "/supplier", invoice);
    invoice.buyer = party(header, &["BY", "IV"], "/buyer", invoice);
}

/// By the format qualifier (UNTDID 2379).
fn date(text: &str, format: &str) -> Option<String> {
    match format {
        "102" => compact_day(text),
        "203" | "204" | "205" | "303" | "304" => compact_day(text.get(..8)?),
        "101" | "201" => day(&format!("20{}", text.get(..2)?), text.get(2..4)?, text.get(4..6)?),
        "2" => day(&format!("20{}", text.get(4..6)?), text.get(2..4)?, text.get(..2)?),
        "4" => day(text.get(4..8)?, text.get(2..4)?, text.get(..2)?),
        _ => None,
    }
}

fn party(header: &[Segment<'_>], qualifiers: &[&str], prefix: &str, invoice: &mut Invoice) -> Party {
    let start = qualifiers.iter().find_map(|qualifier| {
        header.iter().position(|segment| segment.id == "NAD" && segment.component(1, 1) == Some(qualifier))
    });
    let Some(start) = start else { return Party::default() };
    let nad = &header[start];
    // What is about a party stands behind it, until the next party or group.
    let about =
        |segment: &&Segment<'_>| !matches!(segment.id, "NAD" | "CUX" | "TAX" | "PAT" | "PYT" | "TDT" | "ALC");
    let group: Vec<&Segment<'_>> = header[start + 1..].iter().take_while(about).collect();
    let reference = |qualifiers: &[&str]| {
        let is = |rff: &&&Segment<'_>| {
            rff.id == "RFF" && rff.component(1, 1).is_some_and(|said| qualifiers.contains(&said))
        };
        group.iter().find(is).and_then(|rff| found(rff, 1, 2, "C506.1154"))
    };
    let vat = reference(&["VA"]);
    let id = found(nad, 2, 1, "C082.3039").or_else(|| reference(&["GN", "XA"])).or_else(|| vat.clone());
    let mut scope = Scope::new(&mut invoice.evidence, &mut invoice.flags, prefix.to_owned());
    Party { name: scope.text("name", name(nad)), id: scope.text("id", id), vat_id: scope.text("vatId", vat) }
}

/// The party's name (C080), of which a full first part of 35 characters goes on in the next; else the first line of
/// the unstructured name and address (C058).
fn name(nad: &Segment<'_>) -> Option<Found> {
    let Some(mut name) = found(nad, 4, 1, "C080.3036") else { return found(nad, 3, 1, "C058.3124") };
    if let Some(rest) = nad.component(4, 2)
        && name.text.chars().count() == 35
    {
        name.text.push_str(rest);
    }
    Some(name)
}

fn line(segments: &[Segment<'_>], index: usize, invoice: &mut Invoice) -> Line {
    let mut line = Line { line: u32::try_from(index + 1).unwrap_or(u32::MAX), ..Line::default() };
    let mut flags = Vec::new();
    let mut scope = Scope::new(&mut invoice.evidence, &mut flags, format!("/lines/{index}"));
    line.line_id = scope.text("lineId", found(&segments[0], 1, 1, "1082"));
    item_ids(segments, &mut line, &mut scope);
    line.description = scope.text("description", description(segments));
    let qty = segments.iter().find(|segment| segment.id == "QTY" && segment.component(1, 1) == Some("47"));
    line.quantity = scope.read("quantity", qty.and_then(|qty| found(qty, 1, 2, "C186.6060")), number);
    line.unit = scope.text("unit", qty.and_then(|qty| found(qty, 1, 3, "C186.6411")));
    // UNTDID 6063: goods that came and are not invoiced.
    let free = segments.iter().find(|segment| segment.id == "QTY" && segment.component(1, 1) == Some("192"));
    if let Some(free) = free.and_then(|qty| qty.component(1, 2)) {
        scope.flag(
            FlagCode::Uncertain,
            format!("{free} more came free of charge, which the quantity leaves out"),
        );
    }
    amounts::of_line(segments, &mut line, &mut scope);
    line.flags = flags;
    line
}

/// LIN's own number and those of PIA, by their type (UNTDID 7143).
fn item_ids(segments: &[Segment<'_>], line: &mut Line, scope: &mut Scope<'_>) {
    let lin = std::iter::once((&segments[0], 3, "C212.7140"));
    let pia = segments
        .iter()
        .filter(|segment| segment.id == "PIA")
        .flat_map(|pia| (2..=6).map(move |element| (pia, element, "C212.7140")));
    let all: Vec<(Found, Option<&str>)> = lin
        .chain(pia)
        .filter_map(|(segment, element, name)| {
            Some((found(segment, element, 1, name)?, segment.component(element, 2)))
        })
        .collect();
    let of = |types: &[&str]| {
        let known = all.iter().find(|(_, kind)| kind.is_some_and(|kind| types.contains(&kind)));
        known.map(|(found, _)| found.clone())
    };
    let standard = of(&["SRV", "EN", "UP", "GU"]);
    put_ids(line, scope, of(&["SA"]), standard, of(&["IN", "BP"]));
    if line.sku.is_none() {
        // The manufacturer's number, or LIN's own of no stated type.
        let own = || all.first().filter(|(_, kind)| kind.is_none()).map(|(found, _)| found.clone());
        line.sku = scope.text("sku", of(&["MF"]).or_else(own));
    }
}

/// The item's name: IMD of F (free form), else of any other kind; a text of two parts is one.
fn description(segments: &[Segment<'_>]) -> Option<Found> {
    let text = |imd: &Segment<'_>| {
        let first = found(imd, 3, 4, "C273.7008");
        let second = found(imd, 3, 5, "C273.7008");
        match (first, second) {
            (Some(mut first), Some(second)) => {
                // A full part of 35 characters is cut wherever it is full.
                let parted = if first.text.chars().count() == 35 { "" } else { " " };
                first.text = format!("{}{parted}{}", first.text, second.text);
                Some(first)
            }
            (first, second) => first.or(second),
        }
    };
    let imds = || segments.iter().filter(|segment| segment.id == "IMD");
    imds().filter(|imd| imd.component(1, 1) == Some("F")).find_map(text).or_else(|| imds().find_map(text))
}
