//! Payloads that are not JSON: from a text in the document's format to the tree that paths walk.
//!
//! The room `formats` decodes; here loops of segments become lists, for its segments stand in one row as they were
//! sent, and a mapping needs what belongs to an item together.

use contract::event::Opaque;
use contract::{Code, Json, json};

use crate::document::Mapping;
use crate::{Format, Rejection};

/// Most bytes of names and values of a decoded table: a header is repeated with every row.
const MAX_TABLE: usize = 32 * 1024 * 1024;

/// What opens a loop of segments, outermost first: the loop reaches to the next segment that opens this loop or one
/// further out, or to the summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loop {
    /// The member that has the loops, as a list.
    pub name: String,
    /// The opening segment.
    pub segment: String,
    /// An element of it and what it must be, where that decides.
    pub element: Option<(String, String)>,
}

/// Segments with which the summary starts, so that none of it belongs to the last item: X12's transaction totals
/// (table 3 of all sets with items), EDIFACT's section control.
const X12_SUMMARY: &str = "CTT";
const EDIFACT_SUMMARY: &str = "UNS";

/// Segments of X12 with pairs of Product/Service ID Qualifier (235) and Product/Service ID (234), and the number of
/// the first qualifier.
const X12_IDS: [(&str, usize); 6] = [("LIN", 2), ("PO1", 6), ("POC", 8), ("IT1", 6), ("SLN", 9), ("ACK", 7)];

impl Mapping {
    /// The tree that a payload in the document's [`Format`] is, for [`Mapping::apply`].
    ///
    /// A payload that is not of the format is refused with its place in words; whatever is refused, nothing of it
    /// is mapped.
    pub fn decode(&self, payload: &Opaque<'_>) -> Result<Json, Rejection> {
        let tree =
            match self.format() {
                Format::Json => {
                    Json::parse(payload.bytes()).map_err(|json::Error { code, message, pointer }| {
                        Rejection { code, message, pointer: pointer.unwrap_or_default() }
                    })?
                }
                Format::Xml { lists } => xml(payload, lists).map_err(|error| refusal("XML", &error))?,
                Format::X12 { loops } => x12(payload, loops).map_err(|error| refusal("X12", &error))?,
                Format::Edifact { loops } => {
                    edifact(payload, loops).map_err(|error| refusal("EDIFACT", &error))?
                }
                Format::Csv => {
                    let table = text(payload).and_then(|text| formats::csv::parse(&text));
                    table_json(&table.map_err(|error| refusal("CSV", &error))?)?
                }
            };
        match depth(&tree) {
            deep if deep > json::MAX_DEPTH => Err(Rejection {
                code: Code::JsonTooDeep,
                message: format!("decoded, the payload is nested deeper than {} levels", json::MAX_DEPTH),
                pointer: String::new(),
            }),
            _ => Ok(tree),
        }
    }
}

fn refusal(format: &str, error: &formats::Error) -> Rejection {
    let code = match error.problem {
        formats::Problem::TooLarge => Code::RecordTooLarge,
        _ => Code::SourceSchemaMismatch,
    };
    let message: String = error.to_string().chars().take(300).collect();
    Rejection { code, message: format!("the mapping reads {format}: {message}"), pointer: String::new() }
}

type Text<'a> = std::borrow::Cow<'a, str>;

/// What came inside of a JSON string is text already; bytes say themselves how they are encoded.
fn text<'a>(payload: &'a Opaque<'_>) -> Result<Text<'a>, formats::Error> {
    match payload {
        Opaque::Text(text) => Ok(Text::Borrowed(text)),
        Opaque::Bytes(bytes) => formats::text::decode(bytes),
    }
}

fn xml(payload: &Opaque<'_>, lists: &[String]) -> Result<Json, formats::Error> {
    let text = match payload {
        // Whatever encoding its declaration names: that was undone when it became a string.
        Opaque::Text(text) => Text::Borrowed(text.as_str()),
        Opaque::Bytes(bytes) => formats::text::decode_xml(bytes)?,
    };
    let lists: Vec<&str> = lists.iter().map(String::as_str).collect();
    Ok(formats::xml::Document::parse(&text)?.to_json(&lists))
}

fn x12(payload: &Opaque<'_>, loops: &[Loop]) -> Result<Json, formats::Error> {
    let text = text(payload)?;
    let interchanges = formats::x12::parse(&text)?;
    check_delimiters(&interchanges)?;
    let mut tree = formats::x12::to_json(&interchanges);
    drop(interchanges);
    for interchange in items(Some(&mut tree)) {
        for group in items(member(interchange, "groups")) {
            for transaction in items(member(group, "transactions")) {
                for segment in items(member(transaction, "segments")) {
                    add_ids(segment);
                }
                nest(transaction, loops, X12_SUMMARY);
            }
        }
    }
    Ok(tree)
}

/// Refuses what tolerance would turn into other values: a decoder that reads on cannot know it, and a fact would not
/// show it.
fn check_delimiters(interchanges: &[formats::x12::Interchange<'_>]) -> Result<(), formats::Error> {
    let syntax =
        |message: String| formats::Error { problem: formats::Problem::Syntax, message, position: None };
    for interchange in interchanges {
        let headers = interchange.groups.iter().filter_map(|group| group.header.as_ref());
        let sets = interchange.groups.iter().flat_map(|group| &group.transactions);
        for segment in headers.chain(sets.flat_map(|set| &set.segments)) {
            // The standard's character sets have no line breaks: a terminator is lost, or the text was wrapped.
            if segment.elements.iter().any(|element| element.trim().contains(['\r', '\n'])) {
                return Err(syntax(format!("segment {}: a line break within an element", segment.position)));
            }
            let ends_in_component =
                |element: &&str| element.trim_end().ends_with(interchange.delimiters.component);
            if segment.id == "GS" && segment.elements.last().is_some_and(ends_in_component) {
                let message = "ISA16 is missing, so that the segment terminator stands in its place";
                return Err(syntax(message.to_owned()));
            }
        }
    }
    Ok(())
}

fn edifact(payload: &Opaque<'_>, loops: &[Loop]) -> Result<Json, formats::Error> {
    let text = text(payload)?;
    let mut tree = formats::edifact::to_json(&formats::edifact::parse(&text)?);
    for message in items(member(&mut tree, "messages")) {
        nest(message, loops, EDIFACT_SUMMARY);
    }
    Ok(tree)
}

fn table_json(table: &formats::csv::Table) -> Result<Json, Rejection> {
    let header = table.header.and_then(|header| table.rows.get(header));
    let names: usize = header.map_or(0, |row| row.cells.iter().map(|cell| cell.len() + 1).sum());
    if names.saturating_mul(table.data().len()) > MAX_TABLE {
        return Err(Rejection {
            code: Code::RecordTooLarge,
            message: format!("decoded, the table has more than {MAX_TABLE} bytes; send it in parts"),
            pointer: String::new(),
        });
    }
    // A lone row is a header without data behind it: a report that has nothing to report.
    if table.header.is_none() && table.rows.len() == 1 {
        return Ok(Json::Array(Vec::new()));
    }
    Ok(table.to_json())
}

fn items(value: Option<&mut Json>) -> impl Iterator<Item = &mut Json> {
    match value {
        Some(Json::Array(items)) => items.iter_mut(),
        _ => [].iter_mut(),
    }
}

fn member<'a>(value: &'a mut Json, name: &str) -> Option<&'a mut Json> {
    match value {
        Json::Object(members) => members.iter_mut().find(|(key, _)| key == name).map(|(_, value)| value),
        _ => None,
    }
}

/// Adds `ids`: by qualifier the id, or all of them where one qualifier stands before several.
fn add_ids(segment: &mut Json) {
    let id = segment.get("id").and_then(Json::as_str).unwrap_or_default();
    let Some((_, first)) = X12_IDS.iter().find(|(known, _)| *known == id) else { return };
    let element = |number: usize| segment.get(&format!("{number:02}")).and_then(Json::as_str);
    let pairs = |first: usize| -> Vec<(&str, &str)> {
        let numbers = (first..first + 30).step_by(2);
        numbers.filter_map(|number| element(number).zip(element(number + 1))).collect()
    };
    // A qualifier has two characters (element 235 is ID 2/2). Some leave the optional LIN01 out together with its
    // separator; then only one place later would all of them be qualifiers.
    let fits = |pairs: &[(&str, &str)]| {
        !pairs.is_empty() && pairs.iter().all(|(qualifier, _)| qualifier.chars().count() == 2)
    };
    let mut found = pairs(*first);
    if id == "LIN" && !fits(&found) {
        let shifted = pairs(1);
        if fits(&shifted) {
            found = shifted;
        }
    }
    let mut ids: Vec<(String, Vec<Json>)> = Vec::new();
    for (qualifier, value) in found {
        let value = Json::String(value.to_owned());
        match ids.iter_mut().find(|(known, _)| known == qualifier) {
            Some((_, values)) if values.contains(&value) => {}
            Some((_, values)) => values.push(value),
            None => ids.push((qualifier.to_owned(), vec![value])),
        }
    }
    let single = |(qualifier, mut values): (String, Vec<Json>)| {
        let single = if values.len() == 1 { values.pop() } else { None };
        (qualifier, single.unwrap_or(Json::Array(values)))
    };
    let ids = Json::Object(ids.into_iter().map(single).collect());
    if let Json::Object(members) = segment {
        members.push(("ids".to_owned(), ids));
    }
}

/// A loop that is being read: its opening segment, the segments behind it, the loops in it.
struct Open {
    level: usize,
    members: Vec<(String, Json)>,
    segments: Vec<Json>,
    inner: Vec<Vec<Json>>,
}

impl Open {
    fn new(level: usize, members: Vec<(String, Json)>, levels: usize) -> Self {
        Self { level, members, segments: Vec::new(), inner: (0..levels).map(|_| Vec::new()).collect() }
    }

    /// The segment with `segments` and a list, perhaps empty, for each loop further in.
    fn close(self, loops: &[Loop], outermost: usize) -> Json {
        let Self { mut members, segments, inner, .. } = self;
        members.push(("segments".to_owned(), Json::Array(segments)));
        let lists = loops.iter().zip(inner).skip(outermost);
        members.extend(lists.map(|(known, found)| (known.name.clone(), Json::Array(found))));
        Json::Object(members)
    }
}

/// Takes the loops out of a row of segments: `segments` keeps what stands before the first and in the summary.
fn nest(set: &mut Json, loops: &[Loop], summary: &str) {
    let Json::Object(members) = set else { return };
    let Some(place) = members.iter().position(|(name, _)| name == "segments") else { return };
    if loops.is_empty() {
        return;
    }
    let Json::Array(segments) = std::mem::replace(&mut members[place].1, Json::Null) else { return };
    members.remove(place);
    let mut root = Open::new(0, std::mem::take(members), loops.len());
    let mut open: Vec<Open> = Vec::new();
    let mut at_end = false;
    for segment in segments {
        at_end |= segment.get("id").and_then(Json::as_str) == Some(summary);
        let level = if at_end { Some(0) } else { loops.iter().position(|known| known.opens(&segment)) };
        let Some(level) = level else {
            open.last_mut().unwrap_or(&mut root).segments.push(segment);
            continue;
        };
        while open.last().is_some_and(|last| last.level >= level) {
            close_last(&mut open, &mut root, loops);
        }
        match segment {
            Json::Object(members) if !at_end => open.push(Open::new(level, members, loops.len())),
            other => root.segments.push(other),
        }
    }
    while !open.is_empty() {
        close_last(&mut open, &mut root, loops);
    }
    *set = root.close(loops, 0);
}

fn close_last(open: &mut Vec<Open>, root: &mut Open, loops: &[Loop]) {
    let Some(last) = open.pop() else { return };
    let level = last.level;
    let closed = last.close(loops, level + 1);
    if let Some(list) = open.last_mut().unwrap_or(root).inner.get_mut(level) {
        list.push(closed);
    }
}

impl Loop {
    fn opens(&self, segment: &Json) -> bool {
        if segment.get("id").and_then(Json::as_str) != Some(self.segment.as_str()) {
            return false;
        }
        let Some((element, wanted)) = &self.element else { return true };
        let found = match segment.get(element) {
            // EDIFACT: the first component.
            Some(Json::Array(components)) => components.first().and_then(Json::as_str),
            other => other.and_then(Json::as_str),
        };
        found == Some(wanted)
    }
}

/// Levels of nesting, without recursion: what is checked may be deeper than a stack.
fn depth(tree: &Json) -> usize {
    let (mut deepest, mut open) = (0, vec![(tree, 0)]);
    while let Some((value, depth)) = open.pop() {
        match value {
            Json::Array(items) => {
                deepest = deepest.max(depth + 1);
                open.extend(items.iter().map(|item| (item, depth + 1)));
            }
            Json::Object(members) => {
                deepest = deepest.max(depth + 1);
                open.extend(members.iter().map(|(_, value)| (value, depth + 1)));
            }
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
