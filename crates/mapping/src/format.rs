//! What a document says of its payloads' format.

use crate::decode::Loop;
use crate::yaml::{Error, Kind, Members, Node, nearest};

/// Most elements in `lists`, and most `loops`.
const MAX_LISTS: usize = 64;
const MAX_LOOPS: usize = 8;

/// What a mapping's payloads are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Format {
    /// JSON, and nothing else.
    #[default]
    Json,
    /// XML without DTD; the named elements are arrays even where there is one.
    Xml {
        /// Local names.
        lists: Vec<String>,
    },
    /// X12 interchanges.
    X12 {
        /// What belongs together, outermost first.
        loops: Vec<Loop>,
    },
    /// EDIFACT interchanges.
    Edifact {
        /// What belongs together, outermost first.
        loops: Vec<Loop>,
    },
    /// Delimited text with a header row.
    Csv,
}

/// Members that segments and their sets have anyway.
const TAKEN: [&str; 9] =
    ["id", "ids", "segments", "setId", "controlNumber", "notes", "type", "directory", "reference"];

/// Reads `format`, `lists` and `loops`.
pub fn parse(document: &Members<'_>) -> Result<Format, Error> {
    let word = document.get("format").map(|node| Ok((node, node.text()?))).transpose()?;
    let format = match word {
        None | Some((_, "json")) => Format::Json,
        Some((_, "xml")) => Format::Xml { lists: lists(document.get("lists"))? },
        Some((_, "x12")) => Format::X12 { loops: loops(document.get("loops"))? },
        Some((_, "edifact")) => Format::Edifact { loops: loops(document.get("loops"))? },
        Some((_, "csv")) => Format::Csv,
        Some((node, other)) => {
            let meant = nearest(other, ["json", "xml", "x12", "edifact", "csv"].into_iter());
            let meant = meant.map(|name| format!(" (did you mean {name}?)")).unwrap_or_default();
            return Err(node.error(format!("must be json, xml, x12, edifact or csv{meant}")));
        }
    };
    let misplaced = |key: &str, fits: bool| document.get(key).filter(|_| !fits);
    if let Some(node) = misplaced("lists", matches!(format, Format::Xml { .. })) {
        return Err(node.error("names elements of XML; write `format: xml`"));
    }
    if let Some(node) = misplaced("loops", matches!(format, Format::X12 { .. } | Format::Edifact { .. })) {
        return Err(node.error("names loops of segments; write `format: x12` or `format: edifact`"));
    }
    Ok(format)
}

fn lists(node: Option<&Node>) -> Result<Vec<String>, Error> {
    let Some(node) = node else { return Ok(Vec::new()) };
    let Kind::List(items) = &node.kind else {
        return Err(node.error("is a list of elements' names: [OrderLine, Note]"));
    };
    if items.len() > MAX_LISTS {
        return Err(node.error(format!("has at most {MAX_LISTS} names")));
    }
    items.iter().map(|item| item.text().map(str::to_owned)).collect()
}

fn loops(node: Option<&Node>) -> Result<Vec<Loop>, Error> {
    let Some(node) = node else { return Ok(Vec::new()) };
    let Kind::Map(members) = &node.kind else {
        return Err(node.error("is written {item: LIN, quantity: QTY}, outermost first"));
    };
    if members.len() > MAX_LOOPS {
        return Err(node.error(format!("has at most {MAX_LOOPS} loops")));
    }
    members.iter().map(|(name, node)| one_loop(name, node)).collect()
}

/// `LIN`, or `HL.03=O`: this segment where this element is that.
fn one_loop(name: &str, node: &Node) -> Result<Loop, Error> {
    if TAKEN.contains(&name) || !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Err(
            node.error(format!("a loop's name starts with a letter and is none of {}", TAKEN.join(", ")))
        );
    }
    let text = node.text()?;
    let (place, wanted) = text.split_once('=').map_or((text, None), |(place, wanted)| (place, Some(wanted)));
    let (segment, element) =
        place.split_once('.').map_or((place, None), |(segment, element)| (segment, Some(element)));
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let element = match (element, wanted) {
        (None, None) => None,
        (Some(element), Some(wanted)) if plain(element) && !wanted.is_empty() => {
            Some((element.to_owned(), wanted.to_owned()))
        }
        _ => return Err(node.error("is written SEGMENT or SEGMENT.ELEMENT=VALUE, as HL.03=O")),
    };
    if !plain(segment) || segment.len() > 3 {
        return Err(node.error("starts with the id of a segment, as LIN"));
    }
    Ok(Loop { name: name.to_owned(), segment: segment.to_owned(), element })
}
