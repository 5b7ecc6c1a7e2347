//! Strict XML: no DTD, hence no entities of its own and nothing from outside; bytes, nodes, attributes and depth are
//! bounded. The parser is `roxmltree`.

use std::collections::HashMap;

use contract::Json;
pub use roxmltree::Node;
use roxmltree::{NodeId, ParsingOptions};

use crate::{Error, Position, Problem};

/// Most nodes: elements, texts, comments.
pub const MAX_NODES: u32 = 2_000_000;
/// Deepest nesting of elements. In JSON an element may take two levels, and `contract::json` reads 64.
pub const MAX_DEPTH: usize = 31;
/// Most attributes of one element; the parser compares each with each.
pub const MAX_ATTRIBUTES: usize = 256;

/// A parsed document.
pub struct Document<'a> {
    tree: roxmltree::Document<'a>,
    /// By node: its place among the siblings of its name, from 1; 0 where it is the only one.
    places: Vec<u32>,
}

impl<'a> Document<'a> {
    /// Parses a text that [`crate::text::decode_xml`] gave.
    pub fn parse(text: &'a str) -> Result<Self, Error> {
        prescan(text)?;
        let options =
            ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
        let tree = roxmltree::Document::parse_with_options(text, options).map_err(refusal)?;
        let places = places(&tree);
        Ok(Self { tree, places })
    }

    /// The root element.
    pub fn root(&self) -> Node<'_, 'a> {
        self.tree.root_element()
    }

    /// The XPath of an element by local names, with a position where it has siblings of its name:
    /// `/Invoice/InvoiceLine[2]/ID`.
    pub fn xpath(&self, node: Node<'_, '_>) -> String {
        let mut steps: Vec<(&str, u32)> = node
            .ancestors()
            .filter(Node::is_element)
            .map(|element| (element.tag_name().name(), self.place(element.id())))
            .collect();
        steps.reverse();
        let mut path = String::with_capacity(steps.len() * 24);
        for (name, place) in steps {
            path.push('/');
            path.push_str(name);
            if place > 0 {
                path.push_str(&format!("[{place}]"));
            }
        }
        path
    }

    fn place(&self, id: NodeId) -> u32 {
        self.places.get(id.get_usize()).copied().unwrap_or_default()
    }

    /// The document as JSON, for mappings.
    ///
    /// - The document is an object with one member: the root element by its local name.
    /// - An element without attributes and child elements is its text, trimmed: `"<ID> 7 </ID>"` is `"7"`.
    /// - Any other element is an object: attributes by `@name`, child elements by local name in the order in which
    ///   each name comes first, and under `#text` its own text, trimmed, where there is some.
    /// - What occurs once is a value and what occurs several times is an array, as the document has it. Where a
    ///   mapping needs a list it either names the element in `lists`, and gets an array even for one, or writes
    ///   `[.InvoiceLine] | flatten` (jq), which is right for none, one and many; none is `[null]`, so that
    ///   `| map(values)` behind it is good style.
    /// - Namespaces, comments and processing instructions are left out; names that differ only in their namespace
    ///   are one name.
    pub fn to_json(&self, lists: &[&str]) -> Json {
        let root = self.root();
        let name = root.tag_name().name();
        let value = element_json(root, lists);
        let value = if lists.contains(&name) { Json::Array(vec![value]) } else { value };
        Json::Object(vec![(name.to_owned(), value)])
    }
}

/// The element's own text, trimmed: what stands between its child elements is joined.
pub fn text(node: Node<'_, '_>) -> String {
    let joined: String =
        node.children().filter_map(|child| child.text().filter(|_| child.is_text())).collect();
    joined.trim().to_owned()
}

/// Where an element stands in the text.
pub fn position(node: Node<'_, '_>) -> Position {
    let place = node.document().text_pos_at(node.range().start);
    Position { line: place.row, column: place.col }
}

/// Recursion is bounded: `prescan` has refused what is deeper than [`MAX_DEPTH`].
fn element_json(node: Node<'_, '_>, lists: &[&str]) -> Json {
    let own = text(node);
    if node.attributes().len() == 0 && !node.children().any(|child| child.is_element()) {
        return Json::String(own);
    }
    let mut members: Vec<(String, Vec<Json>)> = Vec::new();
    let mut index: HashMap<String, usize> = HashMap::new();
    let mut add = |name: String, value: Json| {
        let at = *index.entry(name.clone()).or_insert_with(|| {
            members.push((name, Vec::new()));
            members.len() - 1
        });
        members[at].1.push(value);
    };
    for attribute in node.attributes() {
        add(format!("@{}", attribute.name()), Json::String(attribute.value().to_owned()));
    }
    for child in node.children().filter(Node::is_element) {
        add(child.tag_name().name().to_owned(), element_json(child, lists));
    }
    if !own.is_empty() {
        add("#text".to_owned(), Json::String(own));
    }
    let member = |(name, mut values): (String, Vec<Json>)| {
        let single = if values.len() == 1 && !lists.contains(&name.as_str()) { values.pop() } else { None };
        (name, single.unwrap_or(Json::Array(values)))
    };
    Json::Object(members.into_iter().map(member).collect())
}

/// Bounds depth and attributes, and refuses a DTD, before anything is built.
fn prescan(text: &str) -> Result<(), Error> {
    let too_large = |message: String, offset| Error::at(Problem::TooLarge, message, text, offset);
    let bytes = text.as_bytes();
    let (mut offset, mut depth) = (0, 0_usize);
    while let Some(at) = text[offset..].find('<').map(|found| offset + found) {
        let rest = &text[at..];
        let skipped = [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")]
            .into_iter()
            .find(|(open, _)| rest.starts_with(open));
        if let Some((open, close)) = skipped {
            // What is not closed is the parser's to complain about.
            let Some(end) = rest[open.len()..].find(close) else { return Ok(()) };
            offset = at + open.len() + end + close.len();
            continue;
        }
        if rest.starts_with("<!") {
            let message = "a DTD (`<!DOCTYPE`) is never read: entities and outside references are refused";
            return Err(Error::at(Problem::Forbidden, message, text, at));
        }
        let tag = Tag::scan(&bytes[at..]);
        if tag.attributes > MAX_ATTRIBUTES {
            return Err(too_large(format!("an element with more than {MAX_ATTRIBUTES} attributes"), at));
        }
        match tag.kind {
            TagKind::Start => depth += 1,
            TagKind::End => depth = depth.saturating_sub(1),
            TagKind::Empty => {}
        }
        if depth > MAX_DEPTH {
            return Err(too_large(format!("elements nested deeper than {MAX_DEPTH} levels"), at));
        }
        offset = at + tag.length;
    }
    Ok(())
}

struct Tag {
    kind: TagKind,
    attributes: usize,
    length: usize,
}

enum TagKind {
    Start,
    End,
    Empty,
}

impl Tag {
    /// A tag from its `<` to its `>`, or to the end.
    fn scan(bytes: &[u8]) -> Self {
        let (mut quote, mut attributes) = (None, 0);
        for (index, byte) in bytes.iter().enumerate() {
            match (quote, byte) {
                (Some(open), byte) if open == *byte => quote = None,
                (Some(_), _) => {}
                (None, b'"' | b'\'') => quote = Some(*byte),
                (None, b'=') => attributes += 1,
                (None, b'>') => {
                    let kind = match bytes {
                        [b'<', b'/', ..] => TagKind::End,
                        _ if index > 0 && bytes[index - 1] == b'/' => TagKind::Empty,
                        _ => TagKind::Start,
                    };
                    return Self { kind, attributes, length: index + 1 };
                }
                _ => {}
            }
        }
        Self { kind: TagKind::Start, attributes, length: bytes.len() }
    }
}

fn places(tree: &roxmltree::Document<'_>) -> Vec<u32> {
    let mut places = Vec::new();
    for parent in tree.descendants().filter(Node::has_children) {
        let mut seen: HashMap<&str, (u32, NodeId)> = HashMap::new();
        for child in parent.children().filter(Node::is_element) {
            let id = child.id().get_usize();
            if places.len() <= id {
                places.resize(id + 1, 0);
            }
            let (count, first) = seen.entry(child.tag_name().name()).or_insert((0, child.id()));
            *count += 1;
            if *count > 1 {
                places[id] = *count;
                places[first.get_usize()] = 1;
            }
        }
    }
    places
}

fn refusal(error: roxmltree::Error) -> Error {
    let problem = match error {
        roxmltree::Error::DtdDetected => Problem::Forbidden,
        // Without a DTD every entity but XML's own five is unknown.
        roxmltree::Error::UnknownEntityReference(..) | roxmltree::Error::EntityReferenceLoop(_) => {
            Problem::Forbidden
        }
        roxmltree::Error::NodesLimitReached
        | roxmltree::Error::AttributesLimitReached
        | roxmltree::Error::NamespacesLimitReached => Problem::TooLarge,
        _ => Problem::Syntax,
    };
    let place = error.pos();
    let position = Some(Position { line: place.row, column: place.col });
    // The parser's own message ends with the place, too.
    let message = error.to_string();
    let message = message.split(" at ").next().unwrap_or(&message).to_owned();
    Error { problem, message: format!("not XML that can be read: {message}"), position }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> Option<Problem> {
        Document::parse(text).err().map(|error| error.problem)
    }

    #[test]
    fn what_is_refused_and_why() {
        assert_eq!(problem("<a><b></a>"), Some(Problem::Syntax));
        assert_eq!(problem("no xml"), Some(Problem::Syntax));
        assert_eq!(
            problem("<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>"),
            Some(Problem::Forbidden)
        );
        assert_eq!(problem("<a>&x;</a>"), Some(Problem::Forbidden));
        assert_eq!(problem(&"<a>".repeat(100_000)), Some(Problem::TooLarge));
        let attributes: String = (0..1_000).map(|n| format!(" a{n}=''")).collect();
        assert_eq!(problem(&format!("<a{attributes}/>")), Some(Problem::TooLarge));
        assert_eq!(problem("<!-- <!DOCTYPE --><a b='>'><![CDATA[<!DOCTYPE]]></a>"), None);
        let error = Document::parse("<a>\n <b>\n</a>").err().expect("refused");
        assert_eq!(error.position.map(|position| position.line), Some(3));
    }

    #[test]
    fn paths_have_positions_where_there_are_several() {
        let document =
            Document::parse("<x:I xmlns:x='u'><L><ID>1</ID></L><L><ID>2</ID></L></x:I>").expect("xml");
        let ids: Vec<_> = document
            .root()
            .descendants()
            .filter(|node| node.has_tag_name("ID"))
            .map(|node| document.xpath(node))
            .collect();
        assert_eq!(ids, ["/I/L[1]/ID", "/I/L[2]/ID"]);
    }

    #[test]
    fn as_json() {
        let text = "<r a='1'><l>x</l><m/><l u='k'> y </l>tail<n><o> z </o></n></r>";
        let document = Document::parse(text).expect("xml");
        assert_eq!(
            document.to_json(&[]).to_string(),
            r##"{"r":{"@a":"1","l":["x",{"@u":"k","#text":"y"}],"m":"","n":{"o":"z"},"#text":"tail"}}"##
        );
        assert_eq!(
            document.to_json(&["m", "r"]).to_string(),
            r##"{"r":[{"@a":"1","l":["x",{"@u":"k","#text":"y"}],"m":[""],"n":{"o":"z"},"#text":"tail"}]}"##
        );
    }
}
