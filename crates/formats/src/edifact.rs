//! UN/EDIFACT interchanges (ISO 9735 syntax versions 1 to 4).
//!
//! Tolerant about the envelope as [`crate::x12`] is: what is wrong with it is noted, and a file that holds a bare
//! message without UNB and UNH is read with a note.

use std::borrow::Cow;

use contract::Json;

use crate::{Error, Problem};

/// Most segments of one file.
pub const MAX_SEGMENTS: usize = 1_000_000;
/// Most components of one segment.
pub const MAX_COMPONENTS: usize = 512;
/// Most components of all segments together.
pub const MAX_PARTS: usize = 2_000_000;
/// Most notes that are kept of one place.
const MAX_NOTES: usize = 16;

/// A file: one or several interchanges.
#[derive(Debug, Clone)]
pub struct File<'a> {
    /// The service characters (UNA), those of the first interchange.
    pub delimiters: Delimiters,
    /// The messages of all interchanges, in order.
    pub messages: Vec<Message<'a>>,
    /// UNB and UNG segments, in order.
    pub headers: Vec<Segment<'a>>,
    /// What is wrong with the envelope, in words.
    pub notes: Vec<String>,
}

/// One UNH … UNT.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    /// `INVOIC`; absent where there is no UNH.
    pub kind: Option<String>,
    /// Directory, as `D.96A`.
    pub directory: Option<String>,
    /// The message's reference number (UNH 0062).
    pub reference: String,
    /// What stands between UNH and UNT.
    pub segments: Vec<Segment<'a>>,
    /// What is wrong with it, in words.
    pub notes: Vec<String>,
}

/// One segment.
#[derive(Debug, Clone)]
pub struct Segment<'a> {
    /// `LIN`, `QTY`, …
    pub id: &'a str,
    /// Elements, each of its components, release characters resolved.
    pub elements: Vec<Vec<Cow<'a, str>>>,
    /// Its place in the file, from 1; UNA is not counted.
    pub position: u32,
}

impl Segment<'_> {
    /// A component by the numbers of its element and of itself, both from 1, trimmed; `None` where it is empty.
    pub fn component(&self, element: usize, component: usize) -> Option<&str> {
        let value = self.elements.get(element.checked_sub(1)?)?.get(component.checked_sub(1)?)?.trim();
        (!value.is_empty()).then_some(value)
    }
}

/// The service characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delimiters {
    /// Between components of an element.
    pub component: char,
    /// Between elements.
    pub element: char,
    /// The decimal mark that UNA announces. From syntax version 4 on it means nothing, and both marks are read
    /// wherever they stand: EDIFACT has no thousands separator, so neither can be mistaken (ISO 9735-1, 10).
    pub decimal: char,
    /// Before a character that is meant as itself.
    pub release: Option<char>,
    /// Behind a segment.
    pub segment: char,
}

impl Default for Delimiters {
    /// The characters of level A and B, which hold without UNA.
    fn default() -> Self {
        Self { component: ':', element: '+', decimal: '.', release: Some('?'), segment: '\'' }
    }
}

/// Whether a text is an EDIFACT file: it starts with UNA, UNB or UNH and a separator, or is a bare message, which
/// starts with its BGM and has a line, a total or a section segment behind it.
pub fn is_edifact(text: &str) -> bool {
    let text = text.trim_start();
    let bare = || text.starts_with("BGM+") && ["UNS+", "LIN+", "DTM+"].iter().any(|tag| text.contains(tag));
    text.starts_with("UNA") && una(text).is_some()
        || ["UNB", "UNH"].iter().any(|tag| {
            text.strip_prefix(tag)
                .and_then(|rest| rest.chars().next())
                .is_some_and(|c| c.is_ascii_punctuation())
        })
        || bare()
}

fn una(text: &str) -> Option<(Delimiters, usize)> {
    let rest = text.strip_prefix("UNA")?;
    let characters: Vec<char> = rest.chars().take(6).collect();
    let [component, element, decimal, release, _, segment] = characters[..] else { return None };
    // The characters themselves must be able to delimit.
    let distinct = component != element && component != segment && element != segment;
    if !distinct || [component, element, segment].iter().any(|c| c.is_alphanumeric()) {
        return None;
    }
    let release = (release != ' ').then_some(release);
    let length = "UNA".len() + characters.iter().map(|c| c.len_utf8()).sum::<usize>();
    Some((Delimiters { component, element, decimal, release, segment }, length))
}

/// Parses a file.
pub fn parse(text: &str) -> Result<File<'_>, Error> {
    let mut parser = Parser { text, offset: 0, count: 0, parts: 0, delimiters: Delimiters::default() };
    let mut building = Building::default();
    let mut first = None;
    while let Some(rest) = parser.rest() {
        if let Some((delimiters, length)) = una(rest) {
            parser.delimiters = delimiters;
            parser.offset += length;
            continue;
        }
        let segment = parser.segment()?;
        let is_object = segment.id == "UNO";
        first.get_or_insert(parser.delimiters);
        building.take(segment);
        if is_object {
            parser.skip_object();
        }
    }
    building.close_message(None);
    if building.open {
        building.note("the interchange has no UNZ".to_owned());
    }
    if building.file_is_empty() {
        return Err(Error::new(Problem::Syntax, "not EDIFACT: there is no message in it"));
    }
    let Building { messages, headers, notes, .. } = building;
    Ok(File { delimiters: first.unwrap_or_default(), messages, headers, notes })
}

struct Parser<'a> {
    text: &'a str,
    offset: usize,
    count: u32,
    parts: usize,
    delimiters: Delimiters,
}

impl<'a> Parser<'a> {
    fn rest(&mut self) -> Option<&'a str> {
        let rest = &self.text[self.offset..];
        let trimmed = rest.trim_start();
        self.offset += rest.len() - trimmed.len();
        (!trimmed.is_empty()).then_some(trimmed)
    }

    /// Binary data between UNO and UNP obey no syntax (ISO 9735-8).
    fn skip_object(&mut self) {
        if let Some(at) = self.text[self.offset..].find("UNP") {
            self.offset += at;
        }
    }

    fn segment(&mut self) -> Result<Segment<'a>, Error> {
        let Delimiters { component, element, release, segment, .. } = self.delimiters;
        let rest = &self.text[self.offset..];
        let (mut elements, mut components) = (Vec::new(), Vec::new());
        let (mut start, mut released, mut count) = (0, false, 0_usize);
        let mut end = rest.len();
        let mut length = rest.len();
        for (index, character) in rest.char_indices() {
            if std::mem::take(&mut released) {
                continue;
            }
            if Some(character) == release {
                released = true;
                continue;
            }
            if character != component && character != element && character != segment {
                continue;
            }
            if character == segment {
                end = index;
                length = index + character.len_utf8();
                break;
            }
            count += 1;
            if count > MAX_COMPONENTS {
                let message = format!("a segment of more than {MAX_COMPONENTS} components");
                return Err(Error::at(Problem::TooLarge, message, self.text, self.offset));
            }
            components.push(resolve(&rest[start..index], release));
            start = index + character.len_utf8();
            if character == element {
                // Most elements have one component, and room for four would be left over a million times.
                components.shrink_to_fit();
                elements.push(std::mem::take(&mut components));
            }
        }
        components.push(resolve(&rest[start..end], release));
        components.shrink_to_fit();
        elements.push(components);
        elements.shrink_to_fit();
        self.parts += count + 1;
        let position = self.position()?;
        self.offset += length;
        let id_end = rest.find([component, element, segment]).unwrap_or(rest.len()).min(end);
        elements.remove(0);
        Ok(Segment { id: rest[..id_end].trim(), elements, position })
    }

    fn position(&mut self) -> Result<u32, Error> {
        self.count += 1;
        if self.count as usize > MAX_SEGMENTS || self.parts > MAX_PARTS {
            let message = format!("more than {MAX_SEGMENTS} segments or {MAX_PARTS} components");
            return Err(Error::at(Problem::TooLarge, message, self.text, self.offset));
        }
        Ok(self.count)
    }
}

/// Takes the release characters out. A line break inside a value stands for a blank.
fn resolve(raw: &str, release: Option<char>) -> Cow<'_, str> {
    let Some(release) = release.filter(|release| raw.contains(*release)) else { return Cow::Borrowed(raw) };
    let mut text = String::with_capacity(raw.len());
    let mut released = false;
    for character in raw.chars() {
        if character == release && !released {
            released = true;
            continue;
        }
        released = false;
        text.push(character);
    }
    Cow::Owned(text)
}

#[derive(Default)]
struct Building<'a> {
    messages: Vec<Message<'a>>,
    headers: Vec<Segment<'a>>,
    notes: Vec<String>,
    message: Option<(u32, Message<'a>)>,
    open: bool,
    in_interchange: usize,
}

impl<'a> Building<'a> {
    fn note(&mut self, note: String) {
        if self.notes.len() < MAX_NOTES {
            self.notes.push(note);
        }
    }

    fn file_is_empty(&self) -> bool {
        self.messages.is_empty() && self.headers.is_empty()
    }

    fn take(&mut self, segment: Segment<'a>) {
        match segment.id {
            "UNB" => {
                self.close_message(None);
                if self.open {
                    self.note(format!(
                        "segment {}: an interchange starts where the last has no UNZ",
                        segment.position
                    ));
                }
                (self.open, self.in_interchange) = (true, 0);
                self.headers.push(segment);
            }
            "UNG" => self.headers.push(segment),
            "UNH" => {
                self.close_message(None);
                let part = |number| segment.component(2, number).map(str::to_owned);
                let directory = part(2).zip(part(3)).map(|(version, release)| format!("{version}.{release}"));
                let reference = segment.component(1, 1).unwrap_or_default().to_owned();
                let message =
                    Message { kind: part(1), directory, reference, segments: Vec::new(), notes: Vec::new() };
                self.message = Some((segment.position, message));
            }
            "UNT" => self.close_message(Some(&segment)),
            "UNZ" => {
                self.close_message(None);
                let count = self.in_interchange;
                if segment.component(1, 1).and_then(|said| said.parse().ok()) != Some(count) {
                    self.note(format!("segment {}: UNZ does not say {count} messages", segment.position));
                }
                self.open = false;
            }
            "UNE" | "UNO" | "UNP" => self.close_message(None),
            _ => self.content(segment),
        }
    }

    fn content(&mut self, segment: Segment<'a>) {
        if let Some((_, message)) = &mut self.message {
            message.segments.push(segment);
            return;
        }
        if segment.id != "BGM" {
            let id: String = segment.id.chars().take(16).collect();
            self.note(format!("segment {}: `{id}` stands outside every message", segment.position));
            return;
        }
        let notes = vec![format!("segment {}: the message has no UNH", segment.position)];
        let position = segment.position;
        let message =
            Message { kind: None, directory: None, reference: String::new(), segments: vec![segment], notes };
        self.message = Some((position, message));
    }

    fn close_message(&mut self, trailer: Option<&Segment<'a>>) {
        let Some((start, mut message)) = self.message.take() else {
            if let Some(trailer) = trailer {
                self.note(format!("segment {}: a UNT without its UNH", trailer.position));
            }
            return;
        };
        match trailer {
            // One without UNH has been noted already.
            None if message.kind.is_none() => {}
            None => message.notes.push(format!("segment {start}: the message has no UNT")),
            Some(trailer) => {
                let count = trailer.position - start + 1;
                if trailer.component(1, 1).and_then(|said| said.parse().ok()) != Some(count) {
                    let said = trailer.component(1, 1).unwrap_or("nothing of");
                    let note =
                        format!("segment {}: UNT says {said} segments, there are {count}", trailer.position);
                    message.notes.push(note);
                }
                if trailer.component(2, 1).unwrap_or_default() != message.reference {
                    let note = format!("segment {}: UNT's reference is not that of UNH", trailer.position);
                    message.notes.push(note);
                }
            }
        }
        self.in_interchange += 1;
        self.messages.push(message);
    }
}

/// A file as JSON, for mappings.
///
/// `{"headers": [SEGMENT], "messages": [{"type": "INVOIC" or null, "directory": "D.96A" or null, "reference",
/// "segments": [SEGMENT], "notes": [text]}], "notes": [text]}`. A SEGMENT is `{"id": "QTY", "1": ["47", "5", "PCE"]}`:
/// every element is an array of its components, always, and empty elements are left out. Decimal commas are left as
/// they are written: which components are numbers is the directory's knowledge, not the syntax's.
pub fn to_json(file: &File<'_>) -> Json {
    let text = |text: &str| Json::String(text.to_owned());
    let optional = |text: &Option<String>| text.clone().map_or(Json::Null, Json::String);
    let texts = |notes: &[String]| Json::Array(notes.iter().cloned().map(Json::String).collect());
    let message = |message: &Message<'_>| {
        Json::Object(vec![
            ("type".to_owned(), optional(&message.kind)),
            ("directory".to_owned(), optional(&message.directory)),
            ("reference".to_owned(), text(&message.reference)),
            ("segments".to_owned(), Json::Array(message.segments.iter().map(segment_json).collect())),
            ("notes".to_owned(), texts(&message.notes)),
        ])
    };
    Json::Object(vec![
        ("headers".to_owned(), Json::Array(file.headers.iter().map(segment_json).collect())),
        ("messages".to_owned(), Json::Array(file.messages.iter().map(message).collect())),
        ("notes".to_owned(), texts(&file.notes)),
    ])
}

fn segment_json(segment: &Segment<'_>) -> Json {
    let element = |(index, components): (usize, &Vec<Cow<'_, str>>)| {
        if components.iter().all(|component| component.is_empty()) {
            return None;
        }
        let components =
            components.iter().map(|component| Json::String(component.clone().into_owned())).collect();
        Some(((index + 1).to_string(), Json::Array(components)))
    };
    let id = ("id".to_owned(), Json::String(segment.id.to_owned()));
    Json::Object(std::iter::once(id).chain(segment.elements.iter().enumerate().filter_map(element)).collect())
}

#[cfg(test)]
mod tests;
