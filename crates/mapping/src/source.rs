//! Where a field's value comes from, and what is done with it on the way.

use contract::canonical::OrderStatus;
use contract::{Code, Decimal, Timestamp};
use regex_lite::Regex;

use crate::Rejection;
use crate::expr::{Expr, Found, Scope, pointer};
use crate::fields::{Field, Need, Takes, is_currency, minor_digits};
use crate::number::Number;
use crate::time::TimeFormat;
use crate::value::Value;
use crate::yaml::{Error, Kind, Node};

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
    "format",
    "zone",
    "default",
    "optional",
];

/// Where a field's value comes from.
#[derive(Debug)]
enum Origin {
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
struct Words {
    known: Vec<(String, Value)>,
    other: Option<Value>,
}

/// A field's source, compiled.
#[derive(Debug)]
pub struct Source {
    name: String,
    takes: Takes,
    origin: Origin,
    matching: Option<Regex>,
    words: Option<Words>,
    negate: bool,
    times: Option<Decimal>,
    minor_units: Option<Expr>,
    time: TimeFormat,
    default: Option<Value>,
    optional: bool,
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
            time: TimeFormat::rfc3339(),
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
        only(Takes::Decimal, &["sum", "negate", "times", "minorUnits"])?;
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
        if let Some(place) = members.get("format").or(members.get("zone")) {
            let format = members.get("format").map(Node::text).transpose()?;
            let zone = members.get("zone").map(Node::text).transpose()?;
            source.time = TimeFormat::parse(format, zone).map_err(|error| place.error(error))?;
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

    /// The place to blame where it gives nothing.
    pub fn place(&self, scope: &Scope) -> String {
        match &self.origin {
            Origin::From(expressions) => expressions.first().map(|expr| expr.place(scope)),
            Origin::Sum(terms) => terms.first().map(|term| term.place(scope)),
            Origin::Const(_) | Origin::Unstated => None,
        }
        .unwrap_or_else(|| pointer(&scope.here.path))
    }

    /// That it gives nothing, as a rejection.
    pub fn missing(&self, scope: &Scope) -> Rejection {
        let written = match &self.origin {
            Origin::From(expressions) => {
                let texts: Vec<_> = expressions.iter().map(|expr| format!("`{}`", expr.text)).collect();
                format!(" ({})", texts.join(", then "))
            }
            _ => String::new(),
        };
        Rejection {
            code: Code::MappingFieldMissing,
            message: format!("{}: the payload does not say it{written}", self.name),
            pointer: self.place(scope),
        }
    }

    fn invalid(&self, found: &Found, problem: impl std::fmt::Display) -> Rejection {
        Rejection {
            code: Code::MappingFieldInvalid,
            message: format!("{}: {problem}", self.name),
            pointer: pointer(&found.path),
        }
    }

    /// What it gives, before `match` and `map`, without what is absent.
    fn raw(&self, scope: &Scope, left: &mut u64) -> Result<Vec<Found>, Rejection> {
        match &self.origin {
            Origin::From(expressions) => {
                for expr in expressions {
                    let mut found = expr.all(scope, left).map_err(|rejection| rejection.about(&self.name))?;
                    found.retain(|found| !found.value.is_absent());
                    if !found.is_empty() {
                        return Ok(found);
                    }
                }
                Ok(Vec::new())
            }
            Origin::Const(value) => Ok(vec![Found { value: value.clone(), path: scope.here.path.clone() }]),
            Origin::Sum(_) | Origin::Unstated => Ok(Vec::new()),
        }
    }

    /// One raw value, or none.
    fn raw_one(&self, scope: &Scope, left: &mut u64) -> Result<Option<Found>, Rejection> {
        let mut found = self.raw(scope, left)?;
        if found.len() > 1 {
            let problem = format!(
                "one value is needed, but there are {}; write first(…) or, for quantities, sum",
                found.len()
            );
            return Err(self.invalid(&found[1], problem));
        }
        Ok(found.pop())
    }

    fn translated(&self, mut found: Found) -> Result<Option<Found>, Rejection> {
        if let Some(pattern) = &self.matching {
            let text = text_of(&found.value).map_err(|problem| self.invalid(&found, problem))?;
            match pattern.captures(&text).and_then(|captures| captures.get(1)) {
                Some(part) => found.value = Value::string(part.as_str()),
                None => return Ok(None),
            }
        }
        if let Some(words) = &self.words {
            let word = text_of(&found.value).map_err(|problem| self.invalid(&found, problem))?;
            let meaning = words.known.iter().find(|(known, _)| *known == word).map(|(_, meaning)| meaning);
            let Some(meaning) = meaning.or(words.other.as_ref()) else {
                let known: Vec<_> = words.known.iter().map(|(known, _)| known.as_str()).collect();
                let problem = format!(
                    "{} is none of the words that `map` knows: {}",
                    found.value.shown(),
                    known.join(", ")
                );
                return Err(self.invalid(&found, problem.chars().take(400).collect::<String>()));
            };
            found.value = meaning.clone();
        }
        Ok(Some(found).filter(|found| !found.value.is_absent()))
    }

    fn or_default(&self, found: Option<Found>, scope: &Scope) -> Option<Found> {
        let default = || {
            let value = self.default.clone()?;
            Some(Found { value, path: scope.here.path.clone() })
        };
        found.or_else(default)
    }

    fn one(&self, scope: &Scope, left: &mut u64) -> Result<Option<Found>, Rejection> {
        let found = match self.raw_one(scope, left)? {
            Some(found) => self.translated(found)?,
            None => None,
        };
        Ok(self.or_default(found, scope))
    }

    /// The vendor's own word, before `map`.
    pub fn word(&self, scope: &Scope, left: &mut u64) -> Result<Option<String>, Rejection> {
        let found = self.raw_one(scope, left)?;
        found.map(|found| text_of(&found.value).map_err(|problem| self.invalid(&found, problem))).transpose()
    }

    /// As text.
    pub fn text(&self, scope: &Scope, left: &mut u64) -> Result<Option<String>, Rejection> {
        let Some(found) = self.one(scope, left)? else { return Ok(None) };
        let text = id_of(&found.value).map_err(|problem| self.invalid(&found, problem))?;
        if self.takes == Takes::Currency && !is_currency(&text) {
            return Err(self.invalid(&found, format!("{} is no ISO 4217 code like USD", found.value.shown())));
        }
        Ok(Some(text))
    }

    /// As texts, in order, each once.
    pub fn texts(&self, scope: &Scope, left: &mut u64) -> Result<Vec<String>, Rejection> {
        let mut texts = Vec::new();
        for found in self.raw(scope, left)? {
            if let Some(found) = self.translated(found)? {
                texts.push(id_of(&found.value).map_err(|problem| self.invalid(&found, problem))?);
            }
        }
        if let (true, Some(default)) = (texts.is_empty(), &self.default) {
            texts.extend(text_of(default).ok());
        }
        Ok(texts)
    }

    /// As an exact decimal.
    pub fn decimal(&self, scope: &Scope, left: &mut u64) -> Result<Option<Decimal>, Rejection> {
        let read = |found: &Found| decimal_of(&found.value).map_err(|problem| self.invalid(found, problem));
        let amount = match &self.origin {
            Origin::Sum(terms) => self.sum(terms, scope, left)?,
            _ => match self.raw_one(scope, left)? {
                Some(found) => self.translated(found)?.map(|found| read(&found)).transpose()?,
                None => None,
            },
        };
        match amount {
            Some(amount) => self.scaled(amount, scope, left).map(Some),
            None => self.or_default(None, scope).map(|found| read(&found)).transpose(),
        }
    }

    fn sum(&self, terms: &[Self], scope: &Scope, left: &mut u64) -> Result<Option<Decimal>, Rejection> {
        let mut total = None;
        for term in terms {
            for amount in term.amounts(scope, left)? {
                total = Some(total.map_or(amount.clone(), |total: Decimal| total.plus(&amount)));
            }
        }
        Ok(total)
    }

    /// As a term of a sum: everything it gives, each of which must be there.
    fn amounts(&self, scope: &Scope, left: &mut u64) -> Result<Vec<Decimal>, Rejection> {
        let Origin::From(expressions) = &self.origin else {
            return Ok(self.decimal(scope, left)?.into_iter().collect());
        };
        let default = self.default.as_ref().map(decimal_of).transpose();
        let here = Found { value: Value::Null, path: scope.here.path.clone() };
        let default = default.map_err(|problem| self.invalid(&here, problem))?;
        let mut first_absent = None;
        for expr in expressions {
            let found = expr.all(scope, left).map_err(|rejection| rejection.about(&self.name))?;
            let absent = found.iter().find(|found| found.value.is_absent()).map(|found| pointer(&found.path));
            let mut amounts = Vec::new();
            for found in found {
                let translated = if found.value.is_absent() { None } else { self.translated(found)? };
                match (translated, &default) {
                    (Some(found), _) => {
                        let amount =
                            decimal_of(&found.value).map_err(|problem| self.invalid(&found, problem))?;
                        amounts.push((true, self.scaled(amount, scope, left)?));
                    }
                    (None, Some(default)) => amounts.push((false, default.clone())),
                    (None, None) => {}
                }
            }
            let present = amounts.iter().any(|(present, _)| *present);
            match absent {
                Some(pointer) if present && default.is_none() && !self.optional => {
                    return Err(self.absent_term(pointer));
                }
                Some(pointer) if !present => drop(first_absent.get_or_insert(pointer)),
                _ => {}
            }
            if present {
                return Ok(amounts.into_iter().map(|(_, amount)| amount).collect());
            }
        }
        match (default, first_absent) {
            (Some(default), _) => Ok(vec![default]),
            (None, Some(pointer)) if !self.optional => Err(self.absent_term(pointer)),
            (None, _) => Ok(Vec::new()),
        }
    }

    fn absent_term(&self, pointer: String) -> Rejection {
        let hint = "a term of the sum is absent; where that means 0, write {from: …, default: 0}";
        Rejection { code: Code::MappingFieldMissing, message: format!("{}: {hint}", self.name), pointer }
    }

    fn scaled(&self, amount: Decimal, scope: &Scope, left: &mut u64) -> Result<Decimal, Rejection> {
        let mut amount = amount;
        if let Some(factor) = &self.times {
            amount = amount.times(factor);
        }
        if let Some(currency) = &self.minor_units {
            let found = currency.all(scope, left).map_err(|rejection| rejection.about(&self.name))?;
            let code =
                found.first().and_then(|found| text_of(&found.value).ok()).filter(|code| is_currency(code));
            let code = code.ok_or_else(|| Rejection {
                code: Code::MappingFieldInvalid,
                message: format!("{}: minorUnits needs an ISO 4217 code from `{}`", self.name, currency.text),
                pointer: currency.place(scope),
            })?;
            for _ in 0..minor_digits(&code) {
                amount = amount.times(&tenth());
            }
        }
        if self.negate {
            amount = amount.negated();
        }
        if !amount.within_bounds() {
            return Err(Rejection {
                code: Code::MappingFieldInvalid,
                message: format!("{}: more than {} digits", self.name, contract::decimal::MAX_DIGITS),
                pointer: self.place(scope),
            });
        }
        Ok(amount)
    }

    /// As true or false.
    pub fn boolean(&self, scope: &Scope, left: &mut u64) -> Result<Option<bool>, Rejection> {
        let Some(found) = self.one(scope, left)? else { return Ok(None) };
        match &found.value {
            Value::Bool(value) => Ok(Some(*value)),
            Value::String(text) if **text == *"true" => Ok(Some(true)),
            Value::String(text) if **text == *"false" => Ok(Some(false)),
            other => Err(self.invalid(
                &found,
                format!("{} is neither true nor false; translate it with `map`", other.shown()),
            )),
        }
    }

    /// As a whole number from 0.
    pub fn sequence(&self, scope: &Scope, left: &mut u64) -> Result<Option<u64>, Rejection> {
        let Some(found) = self.one(scope, left)? else { return Ok(None) };
        let number = text_of(&found.value).ok().and_then(|text| text.parse().ok());
        number.map(Some).ok_or_else(|| {
            self.invalid(&found, format!("{} is not a whole number from 0 to 2^64-1", found.value.shown()))
        })
    }

    /// As an instant.
    pub fn time(&self, scope: &Scope, left: &mut u64) -> Result<Option<Timestamp>, Rejection> {
        let Some(found) = self.one(scope, left)? else { return Ok(None) };
        let text = text_of(&found.value).map_err(|problem| self.invalid(&found, problem))?;
        self.time.read(&text).map(Some).map_err(|problem| self.invalid(&found, problem))
    }

    /// As a state of an order.
    pub fn status(&self, scope: &Scope, left: &mut u64) -> Result<Option<OrderStatus>, Rejection> {
        if self.is_unstated() {
            return Ok(Some(OrderStatus::Unstated));
        }
        let Some(found) = self.one(scope, left)? else { return Ok(None) };
        let status = text_of(&found.value).ok().and_then(|text| status_of(&text));
        status.map(Some).ok_or_else(|| {
            self.invalid(&found, format!("{} is no status; translate it with `map`", found.value.shown()))
        })
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

fn tenth() -> Decimal {
    Decimal::parse("0.1").expect("a constant")
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

fn origin(node: &Node, members: &crate::yaml::Members<'_>, field: &Field) -> Result<Origin, Error> {
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

/// A value written in the document, checked against what the field takes. `null` means absent.
fn literal(node: &Node, field: &Field) -> Result<Value, Error> {
    let Kind::Scalar { text, plain } = &node.kind else {
        return Err(node.error(format!("must be a plain value, not {}", node.kind_name())));
    };
    let value = match (plain, text.as_str()) {
        (true, "" | "~" | "null") => Value::Null,
        (true, "true") => Value::Bool(true),
        (true, "false") => Value::Bool(false),
        (true, text) if serde_json::from_str::<serde_json::Number>(text).is_ok() => {
            Value::Number(Number::new(text))
        }
        (_, text) => Value::string(text),
    };
    if value.is_absent() {
        return Ok(Value::Null);
    }
    let shown = value.shown();
    let problem = match field.takes {
        Takes::Decimal => decimal_of(&value).err(),
        Takes::Status => match text_of(&value).ok().and_then(|text| status_of(&text)) {
            Some(_) => None,
            None => {
                Some(format!("{shown} is no status; they are {}", STATUSES.map(|(name, _)| name).join(", ")))
            }
        },
        Takes::Boolean if !matches!(value, Value::Bool(_)) => {
            Some(format!("{shown} is neither true nor false"))
        }
        Takes::Currency if !is_currency(text) => Some(format!("{shown} is no ISO 4217 code like USD")),
        Takes::Sequence if text.parse::<u64>().is_err() => {
            Some(format!("{shown} is not a whole number from 0"))
        }
        Takes::Text | Takes::Texts => id_of(&value).err(),
        _ => None,
    };
    problem.map_or(Ok(value), |problem| Err(node.error(problem)))
}

/// Text, or a number's digits as they were written.
fn id_of(value: &Value) -> Result<String, String> {
    match value {
        Value::Bool(_) => {
            Err("text or a number is needed, not a boolean; translate it with `map`".to_owned())
        }
        other => text_of(other),
    }
}

/// The word by which `map` and `match` know a value.
fn text_of(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(value) => Ok(value.to_string()),
        other => Err(format!("text or a number is needed, not {}", other.kind())),
    }
}

fn decimal_of(value: &Value) -> Result<Decimal, String> {
    match value {
        Value::String(text) => Decimal::parse(text).map_err(|error| error.to_string()),
        Value::Number(number) => Decimal::parse(&number.to_string()).map_err(|error| error.to_string()),
        other => Err(format!("a number or a numeric text is needed, not {}", other.kind())),
    }
}

const STATUSES: [(&str, OrderStatus); 11] = [
    ("PENDING", OrderStatus::Pending),
    ("OPEN", OrderStatus::Open),
    ("ON_HOLD", OrderStatus::OnHold),
    ("PARTIALLY_SHIPPED", OrderStatus::PartiallyShipped),
    ("SHIPPED", OrderStatus::Shipped),
    ("DELIVERED", OrderStatus::Delivered),
    ("COMPLETED", OrderStatus::Completed),
    ("CANCELLED", OrderStatus::Cancelled),
    ("REFUNDED", OrderStatus::Refunded),
    ("RETURNED", OrderStatus::Returned),
    ("UNSTATED", OrderStatus::Unstated),
];

fn status_of(text: &str) -> Option<OrderStatus> {
    STATUSES.iter().find(|(name, _)| *name == text).map(|(_, status)| *status)
}
