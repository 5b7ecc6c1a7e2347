//! What a mapping reads with: a plain path, looked up directly, or a filter, run by jaq.

use std::sync::Arc;

use contract::Code;
use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::Term;
use jaq_core::path::{Opt, Part};

use crate::Rejection;
use crate::filter::{self, Failure, Filter};
use crate::fuel::Stopped;
use crate::value::Value;

/// One step from a value to one below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// An object's member.
    Name(Arc<str>),
    /// An array's item.
    Index(usize),
}

impl Key {
    fn to_value(&self) -> Value {
        match self {
            Self::Name(name) => Value::String(name.clone()),
            Self::Index(index) => Value::from(*index),
        }
    }
}

/// The RFC 6901 pointer of a path from the payload's root.
pub fn pointer(path: &[Key]) -> String {
    let token = |key: &Key| match key {
        Key::Name(name) => format!("/{}", contract::json::escape_token(name)),
        Key::Index(index) => format!("/{index}"),
    };
    path.iter().map(token).collect()
}

/// A value of the payload and where it stands.
#[derive(Debug, Clone)]
pub struct Found {
    /// The value.
    pub value: Value,
    /// From the payload's root.
    pub path: Vec<Key>,
}

/// What an expression is evaluated in.
#[derive(Debug, Clone)]
pub struct Scope {
    /// `.`
    pub here: Found,
    /// `$root`
    pub root: Value,
    /// `$event`
    pub event: Value,
    /// `$parent`
    pub parent: Found,
}

impl Scope {
    /// `$key`: the last step to `.`, where a `[]` made it.
    fn key(&self) -> Value {
        let stepped = self.here.path.len() > self.parent.path.len();
        self.here.path.last().filter(|_| stepped).map_or(Value::Null, Key::to_value)
    }

    /// The scope of something found below `.`.
    pub fn within(&self, here: Found, parent: Option<Found>) -> Self {
        let parent = parent.unwrap_or_else(|| self.here.clone());
        Self { here, root: self.root.clone(), event: self.event.clone(), parent }
    }
}

/// An element of an `each`, and the next element further out.
pub struct Element {
    /// The element.
    pub found: Found,
    /// The element of the `[]` before, if the path has one.
    pub parent: Option<Found>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Base {
    Here,
    Root,
    Event,
    Parent,
    Key,
}

#[derive(Debug, Clone)]
enum Step {
    Name(Arc<str>),
    Index(isize),
    Each,
}

/// A path like `.a.b[0]."c d"[]`.
#[derive(Debug, Clone)]
struct Plain {
    base: Base,
    steps: Vec<(Step, Opt)>,
}

enum Kind {
    Plain(Plain),
    Filter(Filter),
}

/// A compiled path or filter.
pub struct Expr {
    /// As it was written.
    pub text: String,
    kind: Kind,
}

impl std::fmt::Debug for Expr {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:?}", self.text)
    }
}

impl Expr {
    /// Compiles a path or filter.
    pub fn compile(text: &str) -> Result<Self, String> {
        let term = filter::parse(text).map_err(|error| format!("`{text}`: {error}"))?;
        let kind = match plain(&term) {
            Some(plain) => Kind::Plain(plain),
            None => Kind::Filter(Filter::compile(text, &term).map_err(|error| format!("`{text}`: {error}"))?),
        };
        Ok(Self { text: text.to_owned(), kind })
    }

    /// Compiles an `each`: a filter must pick elements (`path(…)` must take it), not build new ones.
    pub fn compile_each(text: &str) -> Result<Self, String> {
        let term = filter::parse(text).map_err(|error| format!("`{text}`: {error}"))?;
        if let Some(plain) = plain(&term) {
            return match plain.base {
                Base::Here => Ok(Self { text: text.to_owned(), kind: Kind::Plain(plain) }),
                _ => Err(format!("`{text}`: each starts at `.`")),
            };
        }
        if filter::mentions(text, "$parent") || filter::mentions(text, "$key") {
            return Err(format!("`{text}`: there is no $parent or $key yet in each"));
        }
        let picked = format!("path({text})");
        let term = filter::parse(&picked).map_err(|error| format!("`{text}`: {error}"))?;
        let filter = Filter::compile(&picked, &term).map_err(|error| format!("`{text}`: {error}"))?;
        Ok(Self { text: text.to_owned(), kind: Kind::Filter(filter) })
    }

    /// Whether it is looked up without jaq.
    pub fn is_plain(&self) -> bool {
        matches!(self.kind, Kind::Plain(_))
    }

    /// Whether it names the variable.
    pub fn mentions(&self, variable: &str) -> bool {
        filter::mentions(&self.text, variable)
    }

    /// Everything it gives. What a filter makes has the element's place.
    pub fn all(&self, scope: &Scope, left: &mut u64) -> Result<Vec<Found>, Rejection> {
        match &self.kind {
            Kind::Plain(plain) => {
                let mut found = Vec::with_capacity(1);
                plain.look_up(&self.text, scope, &mut |value| found.push(value))?;
                Ok(found)
            }
            Kind::Filter(filter) => {
                let outputs = self.run(filter, scope, left)?;
                Ok(outputs.into_iter().map(|value| Found { value, path: scope.here.path.clone() }).collect())
            }
        }
    }

    /// Whether it surely gives nothing but an absent value: most fields of most payloads, found out without a
    /// copy of anything. False where that takes more than looking members up.
    pub fn is_surely_absent(&self, scope: &Scope) -> bool {
        let Kind::Plain(Plain { base, steps }) = &self.kind else { return false };
        let start = match base {
            Base::Here => &scope.here.value,
            Base::Root => &scope.root,
            Base::Parent => &scope.parent.value,
            Base::Event | Base::Key => return false,
        };
        let mut value = Some(start);
        for (step, _) in steps {
            value = match (step, value) {
                (Step::Name(name), Some(Value::Object(table))) => table.members.get(name),
                (Step::Name(_), None | Some(Value::Null)) => None,
                _ => return false,
            };
        }
        value.is_none_or(Value::is_absent)
    }

    /// The place to blame where it gives nothing.
    pub fn place(&self, scope: &Scope) -> String {
        let Kind::Plain(plain) = &self.kind else { return pointer(&scope.here.path) };
        let Some(start) = plain.start(scope) else { return pointer(&scope.here.path) };
        let mut path = start.path;
        for (step, _) in &plain.steps {
            match step {
                Step::Name(name) => path.push(Key::Name(name.clone())),
                Step::Index(index) if *index >= 0 => path.push(Key::Index(index.unsigned_abs())),
                Step::Index(_) | Step::Each => break,
            }
        }
        pointer(&path)
    }

    /// The elements of an `each`, in order, with their places.
    pub fn elements(&self, scope: &Scope, left: &mut u64) -> Result<Vec<Element>, Rejection> {
        match &self.kind {
            Kind::Plain(plain) => plain.elements(&self.text, scope),
            Kind::Filter(filter) => {
                let paths = self.run(filter, scope, left)?;
                paths.iter().map(|path| self.element(path, scope)).collect()
            }
        }
    }

    fn element(&self, path: &Value, scope: &Scope) -> Result<Element, Rejection> {
        let steps: &[Value] = match path {
            Value::Array(list) => &list.items,
            _ => &[],
        };
        let mut found = scope.here.clone();
        for step in steps {
            let next = match (&found.value, step) {
                (Value::Object(table), Value::String(name)) => {
                    let value = table.members.get(name).cloned().unwrap_or_default();
                    Some((value, Key::Name(name.clone())))
                }
                (Value::Array(list), Value::Number(number)) => number
                    .as_isize()
                    .and_then(|index| crate::jq::place(index, list.items.len()))
                    .map(|index| (list.items[index].clone(), Key::Index(index))),
                (Value::Null, Value::String(name)) => Some((Value::Null, Key::Name(name.clone()))),
                _ => None,
            };
            let (value, key) = next.ok_or_else(|| Rejection {
                code: Code::MappingFieldInvalid,
                message: format!("each `{}` picks something that is no element of the payload", self.text),
                pointer: pointer(&found.path),
            })?;
            found.value = value;
            found.path.push(key);
        }
        Ok(Element { found, parent: None })
    }

    fn run(&self, filter: &Filter, scope: &Scope, left: &mut u64) -> Result<Vec<Value>, Rejection> {
        let variables = [scope.root.clone(), scope.event.clone(), scope.parent.value.clone(), scope.key()];
        filter.run(scope.here.value.clone(), variables, left).map_err(|failure| {
            let text = &self.text;
            let (code, message) = match failure {
                Failure::Failed(error) => {
                    (Code::MappingFilterFailed, format!("the filter `{text}`: {error}"))
                }
                Failure::Stopped(Stopped::Steps) => {
                    (Code::MappingFilterFailed, format!("the filter `{text}` did not end within its steps"))
                }
                Failure::Stopped(Stopped::Depth) => {
                    (Code::MappingFilterFailed, format!("the filter `{text}` went too deep"))
                }
                Failure::TooManyOutputs => (
                    Code::MappingTooManyFacts,
                    format!("the filter `{text}` gives more than {} values", filter::MAX_OUTPUTS),
                ),
            };
            Rejection { code, message, pointer: pointer(&scope.here.path) }
        })
    }
}

impl Plain {
    fn start(&self, scope: &Scope) -> Option<Found> {
        match self.base {
            Base::Here => Some(scope.here.clone()),
            Base::Root => Some(Found { value: scope.root.clone(), path: Vec::new() }),
            Base::Parent => Some(scope.parent.clone()),
            Base::Event | Base::Key => None,
        }
    }

    fn look_up(&self, text: &str, scope: &Scope, take: &mut dyn FnMut(Found)) -> Result<(), Rejection> {
        if let Some(mut start) = self.start(scope) {
            let value = std::mem::take(&mut start.value);
            return descend(text, &value, &mut start.path, &self.steps, &mut |value, path| {
                take(Found { value: value.clone(), path: path.to_vec() });
            });
        }
        // What does not come from the payload has the place of the element that asks for it.
        let value = if self.base == Base::Event { scope.event.clone() } else { scope.key() };
        let mut path = scope.here.path.clone();
        descend(text, &value, &mut path, &self.steps, &mut |value, _| {
            take(Found { value: value.clone(), path: scope.here.path.clone() });
        })
    }

    fn elements(&self, text: &str, scope: &Scope) -> Result<Vec<Element>, Rejection> {
        let last_each = self.steps.iter().rposition(|(step, _)| matches!(step, Step::Each));
        let outer_each = last_each
            .and_then(|last| self.steps[..last].iter().rposition(|(step, _)| matches!(step, Step::Each)));
        let (outer, inner) = self.steps.split_at(outer_each.map_or(0, |outer| outer + 1));
        let mut elements = Vec::new();
        let mut outers = Vec::new();
        let mut start = scope.here.path.clone();
        descend(text, &scope.here.value, &mut start, outer, &mut |value, path| {
            outers.push(Found { value: value.clone(), path: path.to_vec() });
        })?;
        for outer in outers {
            let parent = outer_each.map(|_| outer.clone());
            descend(text, &outer.value, &mut outer.path.clone(), inner, &mut |value, path| {
                let found = Found { value: value.clone(), path: path.to_vec() };
                elements.push(Element { found, parent: parent.clone() });
            })?;
        }
        Ok(elements)
    }
}

/// jq's meaning of a plain path: what is not there is null, what cannot be indexed is an error,
/// and `?` turns the error into nothing.
fn descend(
    text: &str,
    value: &Value,
    path: &mut Vec<Key>,
    steps: &[(Step, Opt)],
    take: &mut dyn FnMut(&Value, &[Key]),
) -> Result<(), Rejection> {
    let Some(((step, opt), rest)) = steps.split_first() else {
        take(value, path);
        return Ok(());
    };
    let mut next = |value: &Value, key: Option<Key>| {
        let pushed = key.map(|key| path.push(key)).is_some();
        let result = descend(text, value, path, rest, take);
        if pushed {
            path.pop();
        }
        result
    };
    let wanted = match (step, value) {
        (Step::Name(name), Value::Object(table)) => {
            let member = table.members.get(name).unwrap_or(&Value::Null);
            return next(member, Some(Key::Name(name.clone())));
        }
        (Step::Name(name), Value::Null) => return next(&Value::Null, Some(Key::Name(name.clone()))),
        (Step::Index(index), Value::Array(list)) => {
            return match crate::jq::place(*index, list.items.len()) {
                Some(place) => next(&list.items[place], Some(Key::Index(place))),
                None => next(&Value::Null, usize::try_from(*index).ok().map(Key::Index)),
            };
        }
        (Step::Index(index), Value::Null) => {
            return next(&Value::Null, usize::try_from(*index).ok().map(Key::Index));
        }
        // As in jq: an object has no member under a number.
        (Step::Index(_), Value::Object(_)) => return next(&Value::Null, None),
        (Step::Each, Value::Array(list)) => {
            let mut items = list.items.iter().enumerate();
            return items.try_for_each(|(index, item)| next(item, Some(Key::Index(index))));
        }
        (Step::Each, Value::Object(table)) => {
            let mut members = table.members.iter();
            return members.try_for_each(|(name, member)| next(member, Some(Key::Name(name.clone()))));
        }
        (Step::Name(_), _) => "an object",
        (Step::Index(_), _) => "an array",
        (Step::Each, _) => "an array or object",
    };
    match opt {
        Opt::Optional => Ok(()),
        Opt::Essential => Err(Rejection {
            code: Code::MappingFieldInvalid,
            message: format!("`{text}` needs {wanted} here, not {}", value.kind()),
            pointer: pointer(path),
        }),
    }
}

/// The plain path that a term is, if it is one.
fn plain(term: &Term<&str>) -> Option<Plain> {
    match term {
        Term::Id => Some(Plain { base: Base::Here, steps: Vec::new() }),
        Term::Var(name) => {
            let base = match *name {
                "$root" => Base::Root,
                "$event" => Base::Event,
                "$parent" => Base::Parent,
                "$key" => Base::Key,
                _ => return None,
            };
            Some(Plain { base, steps: Vec::new() })
        }
        Term::Path(start, path) => {
            let mut start = plain(start)?;
            for (part, opt) in &path.0 {
                start.steps.push((step(part)?, *opt));
            }
            Some(start)
        }
        _ => None,
    }
}

fn step(part: &Part<Term<&str>>) -> Option<Step> {
    match part {
        Part::Range(None, None) => Some(Step::Each),
        Part::Range(..) => None,
        Part::Index(Term::Num(number)) => number.parse().ok().map(Step::Index),
        Part::Index(Term::Neg(number)) => match &**number {
            Term::Num(number) => number.parse::<isize>().ok().map(|index| Step::Index(-index)),
            _ => None,
        },
        Part::Index(Term::Str(None, parts)) => {
            let mut name = String::new();
            for part in parts {
                match part {
                    StrPart::Str(text) => name.push_str(text),
                    StrPart::Char(character) => name.push(*character),
                    StrPart::Term(_) => return None,
                }
            }
            Some(Step::Name(name.into()))
        }
        Part::Index(_) => None,
    }
}

#[cfg(test)]
#[path = "expr_tests.rs"]
mod tests;
