//! The YAML that mapping documents are written in: a tree that knows its lines and keeps scalars
//! as they were written, so that `007` stays `007` and every mistake is told with its place.
//!
//! Left out on purpose, because a reader should see what a document says: anchors, aliases, tags,
//! merge keys, several documents in one file, and keys that occur twice.

use std::fmt;

use contract::Code;
use granit_parser::{Event, Parser, ScalarStyle};

/// A mistake in a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}{message}", .line.map(|line| format!("line {line}: ")).unwrap_or_default(), At(.place))]
pub struct Error {
    /// Always [`Code::MappingInvalid`].
    pub code: Code,
    /// From 1, where one line is to blame.
    pub line: Option<usize>,
    /// The key to blame, for example `facts[0].fields.sku.from`; empty for the whole document.
    pub place: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

struct At<'a>(&'a str);

impl fmt::Display for At<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(formatter, "{}: ", self.0) }
    }
}

/// A node and where it stands.
#[derive(Debug, Clone)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// From 1.
    pub line: usize,
    /// Its key, from the root.
    pub place: String,
}

/// What a node is.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A scalar; `plain` where it has no quotes and is no block.
    Scalar {
        /// The text, unescaped.
        text: String,
        /// Whether it may mean a number, a boolean or null.
        plain: bool,
    },
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in order.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// A mistake at this node.
    pub fn error(&self, message: impl Into<String>) -> Error {
        Error {
            code: Code::MappingInvalid,
            line: Some(self.line),
            place: self.place.clone(),
            message: message.into(),
        }
    }

    /// Parses a document.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut reader = Reader { parser: Parser::new_from_str(text), depth: 0 };
        reader.expect("the start", |event| matches!(event, Event::StreamStart))?;
        reader.expect("a document", |event| matches!(event, Event::DocumentStart(..)))?;
        let (event, line) = reader.next()?;
        let node = reader.node(event, line, String::new())?;
        reader.expect("the end of the document", |event| matches!(event, Event::DocumentEnd))?;
        reader.expect("one document a file", |event| matches!(event, Event::StreamEnd))?;
        Ok(node)
    }

    /// What it is, for messages.
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            Kind::Scalar { .. } => "a scalar",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a mapping of keys",
        }
    }

    /// The text of a scalar.
    pub fn text(&self) -> Result<&str, Error> {
        match &self.kind {
            Kind::Scalar { text, .. } => Ok(text),
            _ => Err(self.error(format!("must be text, not {}", self.kind_name()))),
        }
    }

    /// `true` or `false`.
    pub fn boolean(&self) -> Result<bool, Error> {
        match &self.kind {
            Kind::Scalar { text, plain: true } if text == "true" => Ok(true),
            Kind::Scalar { text, plain: true } if text == "false" => Ok(false),
            _ => Err(self.error("must be true or false")),
        }
    }

    /// The members of a mapping, of which all keys must be among `known`.
    pub fn members(&self, known: &'static [&'static str]) -> Result<Members<'_>, Error> {
        let Kind::Map(members) = &self.kind else {
            return Err(self.error(format!("must be a mapping of keys, not {}", self.kind_name())));
        };
        for (key, node) in members {
            if !known.contains(&key.as_str()) {
                let meant = nearest(key, known.iter().copied());
                let meant = meant.map(|meant| format!(" (did you mean `{meant}`?)")).unwrap_or_default();
                if matches!(&node.kind, Kind::Scalar { text, plain: true } if ["", "~"].contains(&text.as_str()))
                    && key.contains(' ')
                {
                    let message = format!(
                        "`{key}` stands behind a comma, which within {{…}} starts a key; quote the text"
                    );
                    return Err(Error { place: self.place.clone(), ..node.error(message) });
                }
                let message = format!("unknown key `{key}`{meant}; the keys here are {}", known.join(", "));
                return Err(Error { place: self.place.clone(), ..node.error(message) });
            }
        }
        Ok(Members { node: self, members })
    }

    /// As JSON, where plain scalars mean what YAML 1.2's core schema says.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value;
        match &self.kind {
            Kind::Scalar { text, plain: false } => Value::String(text.clone()),
            Kind::Scalar { text, plain: true } => match text.as_str() {
                "" | "~" | "null" => Value::Null,
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                // What JSON takes for a number is one; anything else is text.
                text => match serde_json::from_str::<serde_json::Number>(text) {
                    Ok(number) => Value::Number(number),
                    Err(_) => Value::String(text.to_owned()),
                },
            },
            Kind::List(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Kind::Map(members) => {
                Value::Object(members.iter().map(|(key, node)| (key.clone(), node.to_json())).collect())
            }
        }
    }
}

/// The members of a mapping whose keys are known.
pub struct Members<'a> {
    node: &'a Node,
    members: &'a [(String, Node)],
}

impl<'a> Members<'a> {
    /// The member, where there is one.
    pub fn get(&self, key: &str) -> Option<&'a Node> {
        self.members.iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// The member; its absence is a mistake, and `why` tells what to write.
    pub fn require(&self, key: &str, why: &str) -> Result<&'a Node, Error> {
        self.get(key).ok_or_else(|| self.node.error(format!("`{key}` is missing: {why}")))
    }

    /// The members, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a Node)> {
        self.members.iter().map(|(key, node)| (key.as_str(), node))
    }
}

struct Reader<'a> {
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, usize), Error> {
        loop {
            let error = |line, message: String| Error {
                code: Code::MappingInvalid,
                line,
                place: String::new(),
                message: format!("not YAML: {message}{}", hint(&message)),
            };
            let next = self.parser.next_event().ok_or_else(|| error(None, "it ends too early".to_owned()))?;
            let (event, span) =
                next.map_err(|fault| error(Some(fault.marker().line().max(1)), fault.info().to_owned()))?;
            if !matches!(event, Event::Comment(..)) {
                return Ok((event, span.start.line().max(1)));
            }
        }
    }

    fn expect(&mut self, what: &str, is: impl Fn(&Event<'_>) -> bool) -> Result<(), Error> {
        let (event, line) = self.next()?;
        if is(&event) {
            return Ok(());
        }
        let message = format!("expected {what}");
        Err(Error { code: Code::MappingInvalid, line: Some(line), place: String::new(), message })
    }

    fn node(&mut self, event: Event<'a>, line: usize, place: String) -> Result<Node, Error> {
        let fault = |message: &str| Error {
            code: Code::MappingInvalid,
            line: Some(line),
            place: place.clone(),
            message: message.to_owned(),
        };
        if event.anchor_id().is_some_and(|id| id != 0) || event.is_alias() {
            return Err(fault("anchors and aliases are not taken; write the text out"));
        }
        if event.tag().is_some() {
            return Err(fault("tags (`!…`) are not taken"));
        }
        if self.depth > 64 {
            return Err(fault("nested deeper than 64 levels"));
        }
        self.depth += 1;
        let kind = match event {
            Event::Scalar(text, style, ..) => {
                Kind::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain }
            }
            Event::SequenceStart(..) => {
                let mut items = Vec::new();
                loop {
                    let (event, line) = self.next()?;
                    if matches!(event, Event::SequenceEnd) {
                        break;
                    }
                    items.push(self.node(event, line, format!("{place}[{}]", items.len()))?);
                }
                Kind::List(items)
            }
            Event::MappingStart(..) => {
                let mut members: Vec<(String, Node)> = Vec::new();
                loop {
                    let (event, line) = self.next()?;
                    if matches!(event, Event::MappingEnd) {
                        break;
                    }
                    let Kind::Scalar { text: key, .. } = self.node(event, line, place.clone())?.kind else {
                        return Err(fault("keys are text"));
                    };
                    let inner = if place.is_empty() { key.clone() } else { format!("{place}.{key}") };
                    let (event, line) = self.next()?;
                    let node = self.node(event, line, inner)?;
                    if members.iter().any(|(other, _)| *other == key) {
                        return Err(node.error("this key occurs twice"));
                    }
                    members.push((key, node));
                }
                Kind::Map(members)
            }
            _ => return Err(fault("expected a value")),
        };
        self.depth -= 1;
        Ok(Node { kind, line, place })
    }
}

/// What most often lies behind a message of the parser.
fn hint(message: &str) -> &'static str {
    if message.contains("mapping values") {
        "; text that holds `: ` needs quotes, or a block (`>-`)"
    } else {
        ""
    }
}

/// The one of `known` that is most like `word`, if any is.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let best = known.map(|known| (distance(word, known), known)).min();
    best.filter(|(distance, _)| *distance <= 1 + word.chars().count() / 3).map(|(_, known)| known)
}

/// How many letters to insert, drop, replace or swap with their neighbour; without regard to case.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) =
        (a.to_lowercase().chars().collect(), b.to_lowercase().chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_scalars_and_lines() {
        let node = Node::parse("# a comment\na: 007\nb:\n  - '1.0' # why\n  - |\n    x\n").expect("yaml");
        let members = node.members(&["a", "b"]).expect("known");
        let a = members.get("a").expect("a");
        assert_eq!((a.text(), a.line), (Ok("007"), 2));
        let json = serde_json::json!({"a": "007", "b": ["1.0", "x\n"]});
        assert_eq!(node.to_json(), json);
        let json = Node::parse("{a: 1, b: -1.5, c: yes, d: ~, e: true, f: '2'}").expect("yaml").to_json();
        assert_eq!(json, serde_json::json!({"a": 1, "b": -1.5, "c": "yes", "d": null, "e": true, "f": "2"}));
    }

    #[test]
    fn mistakes_have_their_place() {
        let message = |text: &str| match Node::parse(text) {
            Ok(node) => node.members(&["from", "else"]).map(|_| ()).expect_err(text).to_string(),
            Err(error) => error.to_string(),
        };
        assert_eq!(message("from: 1\nfrom: 2\n"), "line 2: from: this key occurs twice");
        assert!(message("from: [1\n").starts_with("line "), "{}", message("from: [1\n"));
        assert!(message("from: &x 1").contains("anchors"));
        assert!(message("from: !!str 1").contains("tags"));
        assert!(message("from: 1\n---\nfrom: 2").contains("one document"));
        assert!(message("").contains("expected"), "{}", message(""));
        assert_eq!(
            message("from: 1\nform: 2"),
            "line 2: unknown key `form` (did you mean `from`?); the keys here are from, else"
        );
        let message_of_comma = message("{from: why, because of this}");
        assert!(message_of_comma.contains("quote the text"), "{message_of_comma}");
        assert!(message(&format!("{}{}", "[".repeat(100), "]".repeat(100))).contains("deeper"));
    }
}
