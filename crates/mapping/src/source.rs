//! Where a field's value comes from, and what is done with it on the way.

use contract::Decimal;
use regex_lite::Regex;

use crate::expr::Expr;
use crate::fields::{Field, Need, Takes};
use crate::literal::literal;
use crate::time::TimeFormat;
use crate::value::Value;
use crate::yaml::{Error, Kind, Members, Node};

const KEYS: &[&str] = &[
    "from",
    "const",
    "sum",
    "unstated",
    "match",
    "map",
    "else",
    "negate",
    "times",
    "minorUnits",
    "decimalMark",
    "format",
    "zone",
    "default",
    "optional",
];

/// Where a field's value comes from.
#[derive(Debug)]
pub(crate) enum Origin {
    /// The first of these that gives something.
    From(Vec<Expr>),
    /// Always the same.
    Const(Value),
    /// All of these, added up.
    Sum(Vec<Source>),
    /// The payload cannot say it.
    Unstated,
}

/// Words of a vendor and what they mean here.
#[derive(Debug)]
pub(crate) struct Words {
    pub(crate) known: Vec<(String, Value)>,
    pub(crate) other: Option<Value>,
}

/// What stands before the fraction of a number that is sent as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Mark {
    /// `1.5`
    #[default]
    Point,
    /// `1,5`
    Comma,
    /// Either: for formats without a thousands separator, which can be mistaken for none.
    Either,
}

/// A field's source, compiled.
#[derive(Debug)]
pub struct Source {
    pub(crate) name: String,
    pub(crate) takes: Takes,
    pub(crate) origin: Origin,
    pub(crate) matching: Option<Regex>,
    pub(crate) words: Option<Words>,
    pub(crate) negate: bool,
    pub(crate) times: Option<Decimal>,
    pub(crate) minor_units: Option<Expr>,
    pub(crate) mark: Mark,
    /// How a time may be written; the first that fits.
    pub(crate) time: Vec<TimeFormat>,
    pub(crate) default: Option<Value>,
    pub(crate) optional: bool,
}

impl Source {
    /// Compiles what a document says of `field`: a path, or a mapping with `from` and the like.
    pub fn parse(node: &Node, field: &Field) -> Result<Self, Error> {
        let mut source = Self {
            name: field.name.to_owned(),
            takes: field.takes,
            origin: Origin::Unstated,
            matching: None,
            words: None,
            negate: false,
            times: None,
            minor_units: None,
            mark: Mark::default(),
            time: vec![TimeFormat::rfc3339()],
            default: None,
            optional: field.need == Need::May,
        };
        if matches!(node.kind, Kind::Scalar { .. }) {
            source.origin = Origin::From(vec![expr(node)?]);
            return Ok(source);
        }
        if matches!(node.kind, Kind::List(_)) {
            return Err(node
                .error("several alternatives are written {from: [.a, .b]}, several terms {sum: [.a, .b]}"));
        }
        let members = node.members(KEYS)?;
        let only = |takes: Takes, keys: &[&str]| match keys.iter().find_map(|key| members.get(key)) {
            Some(node) if takes != field.takes => Err(node.error(format!(
                "has no meaning for `{}`, which takes {}",
                field.name,
                field.takes.in_words()
            ))),
            _ => Ok(()),
        };
        only(Takes::Decimal, &["sum", "negate", "times", "minorUnits", "decimalMark"])?;
        only(Takes::Time, &["format", "zone"])?;
        source.origin = origin(node, &members, field)?;
        if let Some(node) = members.get("match") {
            source.matching = Some(matching(node)?);
        }
        if let Some(node) = members.get("map") {
            source.words = Some(words(node, members.get("else"), field)?);
        } else if let Some(node) = members.get("else") {
            return Err(node.error("says what an unknown word of `map` means; there is no `map` here"));
        }
        if let Some(node) = members.get("negate") {
            source.negate = node.boolean()?;
        }
        if let Some(node) = members.get("times") {
            let factor = Decimal::parse(node.text()?).map_err(|error| node.error(error.to_string()))?;
            source.times = Some(factor);
        }
        if let Some(node) = members.get("minorUnits") {
            source.minor_units = Some(expr(node)?);
        }
        if let Some(node) = members.get("decimalMark") {
            source.mark = match node.text()? {
                "point" => Mark::Point,
                "comma" => Mark::Comma,
                "either" => Mark::Either,
                _ => return Err(node.error("must be point, comma or either")),
            };
        }
        if let Some(place) = members.get("format").or(members.get("zone")) {
            source.time = time_formats(place, &members)?;
        }
        if let Some(node) = members.get("default") {
            source.default = Some(literal(node, field)?);
        }
        if let Some(node) = members.get("optional") {
            source.optional = node.boolean()?;
            if source.optional && field.need == Need::Always {
                return Err(node.error(format!(
                    "`{}` cannot be optional: a fact without it says nothing. Give a `default`, or leave elements out with `when`",
                    field.name
                )));
            }
        }
        Ok(source)
    }

    /// Whether the field may be absent.
    pub fn optional(&self) -> bool {
        self.optional
    }

    /// Whether the document says that the payload cannot say the field.
    pub fn is_unstated(&self) -> bool {
        matches!(self.origin, Origin::Unstated)
    }

    /// Whether it translates the vendor's words.
    pub fn has_words(&self) -> bool {
        self.words.is_some()
    }

    /// Every expression in it.
    pub fn expressions(&self) -> Vec<&Expr> {
        let mut all: Vec<&Expr> = self.minor_units.iter().collect();
        match &self.origin {
            Origin::From(expressions) => all.extend(expressions),
            Origin::Sum(terms) => all.extend(terms.iter().flat_map(Self::expressions)),
            Origin::Const(_) | Origin::Unstated => {}
        }
        all
    }
}

impl Takes {
    /// For messages.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Texts => "texts",
            Self::Decimal => "a decimal",
            Self::Boolean => "true or false",
            Self::Sequence => "a whole number",
            Self::Time => "a time",
            Self::Currency => "a currency",
            Self::Status => "a status",
            Self::Lines => "lines",
        }
    }
}

/// Compiles the path or filter of a node.
pub fn expr(node: &Node) -> Result<Expr, Error> {
    let text = node.text()?;
    Expr::compile(text).map_err(|error| {
        let word = !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || " _-".contains(c));
        let hint = if word { format!("; a constant is written {{const: {text}}}") } else { String::new() };
        node.error(format!("{error}{hint}"))
    })
}

fn origin(node: &Node, members: &Members<'_>, field: &Field) -> Result<Origin, Error> {
    let origins = ["from", "const", "sum", "unstated"];
    let mut given = origins.into_iter().filter_map(|key| members.get(key).map(|node| (key, node)));
    let Some((key, origin)) = given.next() else {
        return Err(
            node.error("needs one of: from (a path), const, sum, unstated (why the payload cannot say it)")
        );
    };
    if let Some((other, node)) = given.next() {
        return Err(node.error(format!("`{key}` and `{other}` exclude one another")));
    }
    match (key, &origin.kind) {
        ("from", Kind::List(items)) if !items.is_empty() => {
            Ok(Origin::From(items.iter().map(expr).collect::<Result<_, _>>()?))
        }
        ("from", _) => Ok(Origin::From(vec![expr(origin)?])),
        ("const", _) => Ok(Origin::Const(literal(origin, field)?)),
        ("sum", kind) => {
            let term = Field { name: field.name, takes: Takes::Decimal, need: Need::Always };
            let terms = match kind {
                Kind::List(items) if !items.is_empty() => {
                    items.iter().map(|item| term_of(item, &term)).collect::<Result<Vec<_>, _>>()?
                }
                _ => vec![term_of(origin, &term)?],
            };
            Ok(Origin::Sum(terms))
        }
        _ => {
            if origin.text()?.trim().is_empty() {
                return Err(origin.error("say why the payload cannot say it"));
            }
            match (field.need, field.takes) {
                (Need::Stated, _) | (_, Takes::Status) => Ok(Origin::Unstated),
                (Need::Always, _) => Err(origin.error(format!("`{}` must come from somewhere", field.name))),
                (Need::May, _) => {
                    Err(origin
                        .error("leave the field out; only warehouseId and status are said to be unstated"))
                }
            }
        }
    }
}

/// One format, or several of which the first that fits reads a time. `zone` is for those that need one.
fn time_formats(place: &Node, members: &Members<'_>) -> Result<Vec<TimeFormat>, Error> {
    let zone = members.get("zone").map(Node::text).transpose()?;
    let formats = match members.get("format") {
        None => vec![None],
        Some(node) => match &node.kind {
            Kind::List(items) if !items.is_empty() => {
                items.iter().map(|item| item.text().map(Some)).collect::<Result<_, _>>()?
            }
            _ => vec![Some(node.text()?)],
        },
    };
    let mut refused = None;
    let mut compiled = Vec::new();
    for format in &formats {
        let with_zone = TimeFormat::parse(*format, zone);
        let read = match with_zone {
            Err(error) if zone.is_some() && formats.len() > 1 => {
                refused.get_or_insert(error);
                TimeFormat::parse(*format, None)
            }
            result => result,
        };
        compiled.push(read.map_err(|error| place.error(error))?);
    }
    match refused {
        // Some other format must have taken the zone.
        Some(error) if formats.iter().all(|format| TimeFormat::parse(*format, zone).is_err()) => {
            Err(place.error(error))
        }
        _ => Ok(compiled),
    }
}

/// A term of a sum may be optional, where a field of its kind may not.
fn term_of(node: &Node, field: &Field) -> Result<Source, Error> {
    let optional = Field { need: Need::Stated, ..*field };
    let term = Source::parse(node, &optional)?;
    if term.is_unstated() {
        return Err(node.error("a term of a sum comes from somewhere"));
    }
    Ok(term)
}

fn matching(node: &Node) -> Result<Regex, Error> {
    let pattern =
        Regex::new(node.text()?).map_err(|error| node.error(format!("not a regular expression: {error}")))?;
    match pattern.captures_len() {
        2 => Ok(pattern),
        _ => {
            Err(node
                .error("needs exactly one group (…): what it catches is taken; write (?:…) for other groups"))
        }
    }
}

fn words(node: &Node, other: Option<&Node>, field: &Field) -> Result<Words, Error> {
    let Kind::Map(members) = &node.kind else {
        return Err(node.error("is written {vendor's word: MEANING, …}"));
    };
    if members.is_empty() {
        return Err(node.error("is empty"));
    }
    let known = members.iter().map(|(word, meaning)| Ok((word.clone(), literal(meaning, field)?)));
    Ok(Words {
        known: known.collect::<Result<_, Error>>()?,
        other: other.map(|node| literal(node, field)).transpose()?,
    })
}
