//! ANSI X12 interchanges (X12.5 control structures, X12.6 syntax).
//!
//! Strict about what would change the meaning of an element, tolerant about the envelope: an ISA whose elements are
//! not padded, line breaks between segments, missing or miscounted trailers. What is wrong with the envelope stands
//! in the notes of the transaction or the interchange, so that a reader can flag it.

use contract::Json;

use crate::{Error, Problem};

/// Most segments of one file.
pub const MAX_SEGMENTS: usize = 1_000_000;
/// Most elements of one segment; the longest of the standard have some 40, but a lost terminator joins segments.
pub const MAX_ELEMENTS: usize = 4_096;
/// Most elements of all segments together.
pub const MAX_PARTS: usize = 4_000_000;
/// Most notes that are kept of one place; a broken file breaks everywhere.
const MAX_NOTES: usize = 16;

/// One ISA … IEA.
#[derive(Debug, Clone)]
pub struct Interchange<'a> {
    /// How its parts are told apart.
    pub delimiters: Delimiters,
    /// The ISA segment.
    pub header: Segment<'a>,
    /// The functional groups, in order.
    pub groups: Vec<Group<'a>>,
    /// What is wrong with the envelope, in words.
    pub notes: Vec<String>,
}

/// One GS … GE.
#[derive(Debug, Clone)]
pub struct Group<'a> {
    /// The GS segment; absent where transactions come without one.
    pub header: Option<Segment<'a>>,
    /// The transaction sets, in order.
    pub transactions: Vec<Transaction<'a>>,
}

/// One ST … SE.
#[derive(Debug, Clone)]
pub struct Transaction<'a> {
    /// ST01: `810`, `850`, …
    pub set_id: &'a str,
    /// ST02.
    pub control_number: &'a str,
    /// What stands between ST and SE.
    pub segments: Vec<Segment<'a>>,
    /// What is wrong with it, in words.
    pub notes: Vec<String>,
}

/// One segment.
#[derive(Debug, Clone)]
pub struct Segment<'a> {
    /// `IT1`, `N1`, …
    pub id: &'a str,
    /// The elements; the first is the one that X12 calls 01.
    pub elements: Vec<&'a str>,
    /// Its place in the file, from 1.
    pub position: u32,
}

impl<'a> Segment<'a> {
    /// The element of a number (`1` is 01), trimmed; `None` where it is empty or not there.
    pub fn element(&self, number: usize) -> Option<&'a str> {
        let value = self.elements.get(number.checked_sub(1)?)?.trim();
        (!value.is_empty()).then_some(value)
    }
}

/// How the parts of an interchange are told apart; the ISA segment says so by its own form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delimiters {
    /// Between elements: the character behind `ISA`.
    pub element: char,
    /// Between components of an element: ISA16.
    pub component: char,
    /// Between repetitions of an element: ISA11, from version 00402 on.
    pub repetition: Option<char>,
    /// Behind a segment: the character behind ISA16.
    pub segment: char,
}

/// Whether a text is an X12 file: `ISA` and a separator that is neither letter, digit nor blank.
pub fn is_x12(text: &str) -> bool {
    let mut rest = text.trim_start().strip_prefix("ISA").unwrap_or_default().chars();
    let Some(separator) = rest.next() else { return false };
    !separator.is_alphanumeric()
        && !separator.is_whitespace()
        && rest.filter(|c| *c == separator).take(15).count() == 15
}

/// Parses a file of one or several interchanges.
pub fn parse(text: &str) -> Result<Vec<Interchange<'_>>, Error> {
    let mut parser = Parser { text, offset: 0, count: 0, parts: 0 };
    let mut interchanges: Vec<Interchange<'_>> = Vec::new();
    let mut open: Option<Building<'_>> = None;
    while let Some(rest) = parser.rest() {
        if is_x12(rest) {
            interchanges.extend(open.take().map(Building::finish));
            open = Some(Building::new(parser.header()?));
            continue;
        }
        let Some(building) = &mut open else {
            return Err(Error::at(
                Problem::Syntax,
                "not X12: it does not start with an ISA segment",
                text,
                parser.offset,
            ));
        };
        let segment = parser.segment(building.interchange.delimiters)?;
        building.take(segment);
    }
    interchanges.extend(open.map(Building::finish));
    if interchanges.is_empty() {
        return Err(Error::new(Problem::Empty, "there is no interchange in it"));
    }
    Ok(interchanges)
}

struct Parser<'a> {
    text: &'a str,
    offset: usize,
    count: usize,
    parts: usize,
}

impl<'a> Parser<'a> {
    /// What is left behind blanks and line breaks.
    fn rest(&mut self) -> Option<&'a str> {
        let rest = &self.text[self.offset..];
        let trimmed = rest.trim_start();
        self.offset += rest.len() - trimmed.len();
        (!trimmed.is_empty()).then_some(trimmed)
    }

    /// The ISA segment, which `is_x12` has seen to have sixteen separators.
    fn header(&mut self) -> Result<(Segment<'a>, Delimiters), Error> {
        let start = self.offset;
        let rest = &self.text[start..];
        let syntax = |message: &str| Error::at(Problem::Syntax, message, self.text, start);
        let element = rest.chars().nth(3).ok_or_else(|| syntax("the ISA segment is cut off"))?;
        let (at, _) = rest
            .match_indices(element)
            .nth(15)
            .ok_or_else(|| syntax("the ISA segment has fewer than 16 elements"))?;
        let mut tail = rest[at + element.len_utf8()..].char_indices();
        let (_, component) = tail.next().ok_or_else(|| syntax("the ISA segment is cut off"))?;
        let (behind, segment) =
            terminator(&mut tail).ok_or_else(|| syntax("the ISA segment is not terminated"))?;
        let body = &rest[4..at + element.len_utf8() + component.len_utf8()];
        let elements: Vec<&str> = body.split(element).collect();
        let repetition = elements
            .get(10)
            .and_then(|value| value.chars().next())
            .filter(|c| !c.is_alphanumeric() && !c.is_whitespace());
        let distinct = element != component && element != segment && component != segment;
        if !distinct || segment.is_alphanumeric() || component.is_alphanumeric() {
            return Err(syntax("the ISA segment's delimiters contradict one another"));
        }
        self.offset = start + at + element.len_utf8() + behind;
        let delimiters = Delimiters { element, component, repetition, segment };
        Ok((self.counted("ISA", elements)?, delimiters))
    }

    fn segment(&mut self, delimiters: Delimiters) -> Result<Segment<'a>, Error> {
        let rest = &self.text[self.offset..];
        let (body, length) = match rest.find(delimiters.segment) {
            Some(end) => (&rest[..end], end + delimiters.segment.len_utf8()),
            None => (rest, rest.len()),
        };
        let mut parts = body.trim_end().split(delimiters.element);
        let id = parts.next().unwrap_or_default();
        let elements: Vec<&str> = parts.take(MAX_ELEMENTS + 1).collect();
        if elements.len() > MAX_ELEMENTS {
            let message = format!("a segment of more than {MAX_ELEMENTS} elements");
            return Err(Error::at(Problem::TooLarge, message, self.text, self.offset));
        }
        self.offset += length;
        self.counted(id, elements)
    }

    fn counted(&mut self, id: &'a str, elements: Vec<&'a str>) -> Result<Segment<'a>, Error> {
        self.count += 1;
        self.parts += elements.len();
        if self.count > MAX_SEGMENTS || self.parts > MAX_PARTS {
            let message = format!("more than {MAX_SEGMENTS} segments or {MAX_PARTS} elements");
            return Err(Error::at(Problem::TooLarge, message, self.text, self.offset));
        }
        Ok(Segment { id, elements, position: u32::try_from(self.count).unwrap_or(u32::MAX) })
    }
}

/// The segment terminator behind ISA16, and the offset behind it.
///
/// Where only line breaks stand between segments, the line feed terminates (and a carriage return before it is a
/// blank). A blank before a line break is a blank as well: no one terminates segments by what every text is full of.
fn terminator(tail: &mut std::str::CharIndices<'_>) -> Option<(usize, char)> {
    let mut carriage_return = None;
    for (index, character) in tail {
        let found = Some((index + character.len_utf8(), character));
        match character {
            ' ' | '\t' => {}
            '\r' => carriage_return = found,
            '\n' => return found,
            _ if carriage_return.is_some() => return carriage_return,
            _ => return found,
        }
    }
    carriage_return
}

struct Building<'a> {
    interchange: Interchange<'a>,
    transaction: Option<(u32, Transaction<'a>)>,
    group_open: bool,
    closed: bool,
}

impl<'a> Building<'a> {
    fn new((header, delimiters): (Segment<'a>, Delimiters)) -> Self {
        let interchange = Interchange { delimiters, header, groups: Vec::new(), notes: Vec::new() };
        Self { interchange, transaction: None, group_open: false, closed: false }
    }

    fn note(&mut self, note: String) {
        if self.interchange.notes.len() < MAX_NOTES {
            self.interchange.notes.push(note);
        }
    }

    fn take(&mut self, segment: Segment<'a>) {
        match segment.id {
            "GS" => {
                self.close_transaction(None);
                if self.group_open {
                    self.note(format!(
                        "segment {}: a group starts where the last has no GE",
                        segment.position
                    ));
                }
                self.group_open = true;
                self.interchange.groups.push(Group { header: Some(segment), transactions: Vec::new() });
            }
            "ST" => {
                self.close_transaction(None);
                let (set_id, control_number) =
                    (segment.element(1).unwrap_or_default(), segment.element(2).unwrap_or_default());
                let mut notes = Vec::new();
                if !self.group_open {
                    notes.push(format!("segment {}: a transaction set outside a group", segment.position));
                    self.interchange.groups.push(Group { header: None, transactions: Vec::new() });
                    self.group_open = true;
                }
                let transaction = Transaction { set_id, control_number, segments: Vec::new(), notes };
                self.transaction = Some((segment.position, transaction));
            }
            "SE" => self.close_transaction(Some(&segment)),
            "GE" => {
                self.close_transaction(None);
                self.close_group(&segment);
            }
            "IEA" => {
                self.close_transaction(None);
                if self.group_open {
                    self.note(format!(
                        "segment {}: the interchange ends where a group has no GE",
                        segment.position
                    ));
                }
                self.group_open = false;
                self.close(&segment);
            }
            _ => match &mut self.transaction {
                Some((_, transaction)) => transaction.segments.push(segment),
                // Interchange acknowledgements may stand before the groups.
                None if segment.id == "TA1" => {}
                None => self.note(format!(
                    "segment {}: `{}` stands outside every transaction set",
                    segment.position,
                    segment.id.chars().take(16).collect::<String>()
                )),
            },
        }
    }

    fn close_transaction(&mut self, trailer: Option<&Segment<'a>>) {
        let Some((start, mut transaction)) = self.transaction.take() else {
            if let Some(trailer) = trailer {
                self.note(format!("segment {}: an SE without its ST", trailer.position));
            }
            return;
        };
        match trailer {
            None => transaction.notes.push(format!("segment {start}: the transaction set has no SE")),
            Some(trailer) => {
                let count = trailer.position - start + 1;
                if trailer.element(1).and_then(|said| said.parse().ok()) != Some(count) {
                    transaction.notes.push(format!(
                        "segment {}: SE says {} segments, there are {count}",
                        trailer.position,
                        trailer.element(1).unwrap_or("nothing of")
                    ));
                }
                if trailer.element(2).unwrap_or_default() != transaction.control_number {
                    transaction
                        .notes
                        .push(format!("segment {}: SE's control number is not that of ST", trailer.position));
                }
            }
        }
        if let Some(group) = self.interchange.groups.last_mut() {
            group.transactions.push(transaction);
        }
    }

    fn close_group(&mut self, trailer: &Segment<'a>) {
        let count = self.interchange.groups.last().map_or(0, |group| group.transactions.len());
        if !std::mem::take(&mut self.group_open) {
            self.note(format!("segment {}: a GE without its GS", trailer.position));
        } else if trailer.element(1).and_then(|said| said.parse().ok()) != Some(count) {
            self.note(format!("segment {}: GE does not say {count} transaction sets", trailer.position));
        }
    }

    fn close(&mut self, trailer: &Segment<'a>) {
        self.closed = true;
        let count = self.interchange.groups.len();
        if trailer.element(1).and_then(|said| said.parse().ok()) != Some(count) {
            self.note(format!("segment {}: IEA does not say {count} groups", trailer.position));
        }
    }

    fn finish(mut self) -> Interchange<'a> {
        self.close_transaction(None);
        if self.group_open {
            self.note("the last group has no GE".to_owned());
        }
        if !self.closed {
            self.note("the interchange has no IEA".to_owned());
        }
        self.interchange
    }
}

/// A file as JSON, for mappings.
///
/// An array of interchanges: `{"header": SEGMENT, "groups": [{"header": SEGMENT or null, "transactions": [{"setId",
/// "controlNumber", "segments": [SEGMENT]}]}], "notes": [text]}`. A SEGMENT is `{"id": "IT1", "01": "…", "02": "…"}`
/// without its empty elements: the same names that implementation guides use (IT102 is `.["02"]` of an `IT1`).
/// Lists are always arrays.
pub fn to_json(interchanges: &[Interchange<'_>]) -> Json {
    let texts = |notes: &[String]| Json::Array(notes.iter().cloned().map(Json::String).collect());
    let transaction = |transaction: &Transaction<'_>| {
        Json::Object(vec![
            ("setId".to_owned(), Json::String(transaction.set_id.to_owned())),
            ("controlNumber".to_owned(), Json::String(transaction.control_number.to_owned())),
            ("segments".to_owned(), Json::Array(transaction.segments.iter().map(segment_json).collect())),
            ("notes".to_owned(), texts(&transaction.notes)),
        ])
    };
    let group = |group: &Group<'_>| {
        Json::Object(vec![
            ("header".to_owned(), group.header.as_ref().map_or(Json::Null, segment_json)),
            ("transactions".to_owned(), Json::Array(group.transactions.iter().map(transaction).collect())),
        ])
    };
    let interchange = |interchange: &Interchange<'_>| {
        Json::Object(vec![
            ("header".to_owned(), segment_json(&interchange.header)),
            ("groups".to_owned(), Json::Array(interchange.groups.iter().map(group).collect())),
            ("notes".to_owned(), texts(&interchange.notes)),
        ])
    };
    Json::Array(interchanges.iter().map(interchange).collect())
}

fn segment_json(segment: &Segment<'_>) -> Json {
    let element = |number: usize| {
        let value = segment.element(number)?;
        Some((format!("{number:02}"), Json::String(value.to_owned())))
    };
    let id = ("id".to_owned(), Json::String(segment.id.to_owned()));
    Json::Object(std::iter::once(id).chain((1..=segment.elements.len()).filter_map(element)).collect())
}

#[cfg(test)]
mod tests;
