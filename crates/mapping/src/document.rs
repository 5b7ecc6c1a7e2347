//! Mapping documents, compiled.

use contract::{Code, EventType, VendorId};
use sha2::{Digest, Sha256};

use crate::expr::Expr;
use crate::fields::{Field, LINE, Need, QUANTITIES, TRANSFER_END, Takes, Type};
use crate::format::{self, Format};
use crate::schema::SourceSchema;
use crate::source::{Source, expr};
use crate::yaml::{Error, Kind, Members, Node, nearest};

/// Largest document, in bytes.
pub const MAX_DOCUMENT: usize = 128 * 1024;
/// Most rules of one document.
const MAX_RULES: usize = 16;

const DOCUMENT_KEYS: &[&str] = &[
    "mapping",
    "platform",
    "vendor",
    "eventType",
    "version",
    "title",
    "notes",
    "format",
    "lists",
    "loops",
    "source",
    "drift",
    "facts",
    "none",
];
const RULE_KEYS: &[&str] = &["type", "notes", "each", "when", "transfer", "fields"];

/// Whose events a mapping reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// Every vendor on this platform that has no mapping of its own.
    Platform(String),
    /// One vendor.
    Vendor(VendorId),
}

/// A compiled mapping document. It is shared between threads as it is.
pub struct Mapping {
    owner: Owner,
    event_types: Vec<EventType>,
    version: u32,
    title: Option<String>,
    source_hash: String,
    format: Format,
    pub(crate) schema: Option<SourceSchema>,
    pub(crate) report_drift: bool,
    pub(crate) body: Body,
}

pub(crate) enum Body {
    /// Events hold no fact, and this is why.
    Nothing(String),
    /// In order.
    Rules(Vec<Rule>),
}

/// One rule: what gives facts of one type.
pub(crate) struct Rule {
    /// Rules with the same `each` share it, and so their elements and lines.
    pub(crate) group: usize,
    pub(crate) each: Option<Expr>,
    pub(crate) when: Option<Expr>,
    pub(crate) gives: Type,
    pub(crate) transfer: Option<(Source, Source)>,
    pub(crate) fields: Fields,
    pub(crate) lines: Option<Lines>,
}

/// The lines of an order.
pub(crate) struct Lines {
    pub(crate) each: Expr,
    pub(crate) fields: Fields,
}

/// Sources by field.
pub(crate) struct Fields(Vec<(&'static str, Source)>);

impl Fields {
    pub(crate) fn get(&self, name: &str) -> Option<&Source> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, source)| source)
    }

    fn expressions(&self) -> impl Iterator<Item = &Expr> {
        self.0.iter().flat_map(|(_, source)| source.expressions())
    }
}

impl std::fmt::Debug for Mapping {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { owner, event_types, version, .. } = self;
        write!(formatter, "Mapping({owner:?}, {event_types:?}, version {version})")
    }
}

impl Mapping {
    /// Compiles a document; every mistake is told with its line, its key and what to write instead.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_DOCUMENT {
            return Err(Error {
                code: Code::MappingInvalid,
                line: None,
                place: String::new(),
                message: format!("the document has {} bytes; at most {MAX_DOCUMENT} are taken", text.len()),
            });
        }
        let node = Node::parse(text)?;
        let document = node.members(DOCUMENT_KEYS)?;
        let version = document.require("mapping", "a document starts with `mapping: v1`")?;
        if version.text()? != "v1" {
            return Err(version.error("must be v1, the version of the mapping language"));
        }
        let (schema, report_drift) = source_schema(&document)?;
        Ok(Self {
            owner: owner(&node, &document)?,
            event_types: event_types(&document)?,
            version: document_version(&document)?,
            title: document.get("title").map(|node| node.text().map(str::to_owned)).transpose()?,
            source_hash: Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect(),
            format: format::parse(&document)?,
            schema,
            report_drift,
            body: body(&node, &document)?,
        })
    }

    /// Whose events it reads.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// The event types it reads, at least one.
    pub fn event_types(&self) -> &[EventType] {
        &self.event_types
    }

    /// The document's version, from 1.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// What the document calls itself.
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// SHA-256 of the document's text, hexadecimal.
    pub fn source_hash(&self) -> &str {
        &self.source_hash
    }

    /// What its payloads are.
    pub fn format(&self) -> &Format {
        &self.format
    }

    /// Where its events hold no fact: why.
    pub fn none(&self) -> Option<&str> {
        match &self.body {
            Body::Nothing(reason) => Some(reason),
            Body::Rules(_) => None,
        }
    }
}

fn owner(node: &Node, document: &Members<'_>) -> Result<Owner, Error> {
    match (document.get("platform"), document.get("vendor")) {
        (Some(platform), None) => {
            let text = platform.text()?;
            let rule = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            if text.is_empty() || text.len() > 64 || !text.bytes().all(rule) {
                return Err(platform.error("must be 1 to 64 of a-z, 0-9 and -"));
            }
            Ok(Owner::Platform(text.to_owned()))
        }
        (None, Some(vendor)) => VendorId::parse(vendor.text()?)
            .map(Owner::Vendor)
            .map_err(|error| vendor.error(error.to_string())),
        (Some(_), Some(vendor)) => Err(vendor.error("a document has a platform or a vendor, not both")),
        (None, None) => {
            Err(node.error("`platform` (whose vendors share it) or `vendor` (whose own it is) is missing"))
        }
    }
}

fn event_types(document: &Members<'_>) -> Result<Vec<EventType>, Error> {
    let node = document.require("eventType", "the vendor's word for the kind of event, or a list of them")?;
    let nodes: Vec<&Node> = match &node.kind {
        Kind::List(items) if !items.is_empty() => items.iter().collect(),
        _ => vec![node],
    };
    let mut types = Vec::new();
    for node in nodes {
        let event_type = EventType::parse(node.text()?).map_err(|error| node.error(error.to_string()))?;
        if types.contains(&event_type) {
            return Err(node.error("is listed twice"));
        }
        types.push(event_type);
    }
    Ok(types)
}

fn document_version(document: &Members<'_>) -> Result<u32, Error> {
    let node = document.require("version", "a whole number; raise it with every change")?;
    let version = node.text()?.parse::<u32>().ok().filter(|version| *version > 0);
    version.ok_or_else(|| node.error("must be a whole number from 1"))
}

fn source_schema(document: &Members<'_>) -> Result<(Option<SourceSchema>, bool), Error> {
    for key in ["title", "notes"] {
        document.get(key).map(Node::text).transpose()?;
    }
    let schema = match document.get("source") {
        Some(node) => Some(SourceSchema::compile(node.to_json()).map_err(|error| node.error(error))?),
        None => None,
    };
    let report = match document.get("drift") {
        None => false,
        Some(node) => match node.text()? {
            "ignore" => false,
            "report" if schema.is_some() => true,
            "report" => return Err(node.error("there is no `source` schema that could know the members")),
            _ => return Err(node.error("must be report or ignore")),
        },
    };
    Ok((schema, report))
}

fn body(node: &Node, document: &Members<'_>) -> Result<Body, Error> {
    match (document.get("facts"), document.get("none")) {
        (Some(facts), None) => rules(facts).map(Body::Rules),
        (None, Some(none)) if none.text()?.trim().is_empty() => {
            Err(none.error("say why the events hold no fact"))
        }
        (None, Some(none)) => Ok(Body::Nothing(none.text()?.to_owned())),
        (Some(_), Some(none)) => Err(none.error("a document has facts or none, not both")),
        (None, None) => {
            Err(node.error("`facts` is missing (or `none: why`, where such events hold no fact)"))
        }
    }
}

fn rules(node: &Node) -> Result<Vec<Rule>, Error> {
    let Kind::List(items) = &node.kind else {
        return Err(node.error("is a list of rules; write `- type: …`"));
    };
    if items.is_empty() || items.len() > MAX_RULES {
        return Err(node.error(format!("has 1 to {MAX_RULES} rules (write `none: why` for none at all)")));
    }
    let mut rules: Vec<Rule> = Vec::new();
    for item in items {
        let mut rule = rule(item)?;
        let text = |rule: &Rule| rule.each.as_ref().map(|each| each.text.clone());
        let same = rules.iter().find(|other| text(other) == text(&rule)).map(|other| other.group);
        rule.group = same.unwrap_or_else(|| rules.iter().map(|rule| rule.group + 1).max().unwrap_or(0));
        rules.push(rule);
    }
    Ok(rules)
}

fn rule(node: &Node) -> Result<Rule, Error> {
    let members = node.members(RULE_KEYS)?;
    members.get("notes").map(Node::text).transpose()?;
    let type_node = members.require("type", "one of InventoryUpdated, InventoryAdjusted, OrderUpdated")?;
    let word = type_node.text()?;
    let Some((_, gives)) = Type::ALL.into_iter().find(|(name, _)| *name == word) else {
        let meant = nearest(word, Type::ALL.into_iter().map(|(name, _)| name))
            .map(|name| format!(" (did you mean {name}?)"));
        let meant = meant.unwrap_or_default();
        return Err(
            type_node.error(format!("must be InventoryUpdated, InventoryAdjusted or OrderUpdated{meant}"))
        );
    };
    let each = members.get("each").map(each).transpose()?;
    let when = members.get("when").map(expr).transpose()?;
    let transfer = members.get("transfer").map(|node| transfer(node, gives)).transpose()?;
    let fields_node = members.require("fields", "what each field of the fact comes from")?;
    let (fields, lines) = fields(fields_node, gives, transfer.is_some())?;
    let rule = Rule { group: 0, each, when, gives, transfer, fields, lines };
    check_parents(node, &rule)?;
    Ok(rule)
}

fn each(node: &Node) -> Result<Expr, Error> {
    let text = node.text()?;
    Expr::compile_each(text).map_err(|error| node.error(error))
}

fn transfer(node: &Node, gives: Type) -> Result<(Source, Source), Error> {
    if gives != Type::InventoryAdjusted {
        return Err(node.error("a transfer gives InventoryAdjusted, a leg for each end"));
    }
    let members = node.members(&["from", "to"])?;
    let from = members.require("from", "the warehouse that the units leave")?;
    let to = members.require("to", "the warehouse that they reach")?;
    Ok((Source::parse(from, &TRANSFER_END)?, Source::parse(to, &TRANSFER_END)?))
}

fn fields(node: &Node, gives: Type, is_transfer: bool) -> Result<(Fields, Option<Lines>), Error> {
    let (mut found, mut lines) = (Vec::new(), None);
    for (name, node) in entries(node, gives.fields())? {
        let Some(field) = gives.fields().iter().find(|field| field.name == name) else { continue };
        if is_transfer && ["warehouseId", "counterpartWarehouseId"].contains(&name) {
            return Err(node.error("a transfer says its warehouses in `transfer: {from, to}`"));
        }
        match field.takes {
            Takes::Lines => lines = Some(order_lines(node)?),
            Takes::Texts => found.extend(texts(node, field)?),
            _ => found.push((field.name, Source::parse(node, field)?)),
        }
    }
    let given = |name: &str| found.iter().any(|(known, _)| *known == name);
    for field in gives.fields() {
        let stated_by_transfer = is_transfer && field.name == "warehouseId";
        if given(field.name) || stated_by_transfer || field.need == Need::May {
            continue;
        }
        return Err(match (field.need, field.name) {
            (Need::Stated, name) => node.error(format!(
                "`{name}` is missing; where the payload cannot say it, write {name}: {{unstated: \"why\"}}"
            )),
            (_, "status") => node.error(
                "`status` is missing; where the payload cannot say it, write status: {unstated: \"why\"}",
            ),
            (_, name) => node.error(format!("`{name}` is missing; a fact without it says nothing")),
        });
    }
    if gives == Type::InventoryUpdated && !QUANTITIES.into_iter().any(given) {
        return Err(node.error(format!("needs at least one quantity: {}", QUANTITIES.join(", "))));
    }
    Ok((Fields(found), lines))
}

/// The entries of a `fields`, of which every key must be a field of the type.
fn entries<'a>(node: &'a Node, known: &'static [Field]) -> Result<Vec<(&'a str, &'a Node)>, Error> {
    let Kind::Map(members) = &node.kind else {
        return Err(node.error("is a mapping from a field to where it comes from"));
    };
    let names = || known.iter().map(|field| field.name);
    for (key, member) in members {
        if !names().any(|name| name == key) {
            let meant =
                nearest(key, names()).map(|meant| format!(" (did you mean `{meant}`?)")).unwrap_or_default();
            let all = names().collect::<Vec<_>>().join(", ");
            let message = format!("there is no field `{key}`{meant}; the fields here are {all}");
            return Err(Error { place: node.place.clone(), ..member.error(message) });
        }
    }
    Ok(members.iter().map(|(key, node)| (key.as_str(), node)).collect())
}

/// A field of several texts: one source, or a list of them.
fn texts(node: &Node, field: &Field) -> Result<Vec<(&'static str, Source)>, Error> {
    match &node.kind {
        Kind::List(items) if !items.is_empty() => {
            items.iter().map(|item| Ok((field.name, Source::parse(item, field)?))).collect()
        }
        Kind::List(_) => Err(node.error("is empty; leave the field out")),
        _ => Ok(vec![(field.name, Source::parse(node, field)?)]),
    }
}

impl Fields {
    /// Every source of a field that takes several texts.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &Source> {
        self.0.iter().filter(move |(known, _)| *known == name).map(|(_, source)| source)
    }
}

fn order_lines(node: &Node) -> Result<Lines, Error> {
    let members = node.members(&["each", "fields"])?;
    let each_node = members.require("each", "the path of the lines, for example .line_items[]")?;
    let fields_node = members.require("fields", "what each field of a line comes from")?;
    let mut found = Vec::new();
    for (name, node) in entries(fields_node, LINE)? {
        if let Some(field) = LINE.iter().find(|field| field.name == name) {
            found.push((field.name, Source::parse(node, field)?));
        }
    }
    if found.is_empty() {
        return Err(fields_node.error("is empty"));
    }
    let lines = Lines { each: each(each_node)?, fields: Fields(found) };
    if !lines.each.is_plain() && lines.fields.expressions().any(|expr| expr.mentions("$parent")) {
        return Err(node.error(NO_PARENT));
    }
    Ok(lines)
}

const NO_PARENT: &str =
    "$parent is known where `each` is a plain path like .a[].b[]; move conditions from `each` to `when`";

/// `$parent` is the element one `[]` further out, which only a plain path tells.
fn check_parents(node: &Node, rule: &Rule) -> Result<(), Error> {
    let plain = rule.each.as_ref().is_none_or(Expr::is_plain);
    let ends = rule.transfer.iter().flat_map(|(from, to)| [from, to]).flat_map(Source::expressions);
    let mut expressions = rule.when.iter().chain(rule.fields.expressions()).chain(ends);
    if !plain && expressions.any(|expr| expr.mentions("$parent")) {
        return Err(node.error(NO_PARENT));
    }
    Ok(())
}
