//! Filters: jq programs, checked, compiled once, and run on a budget.

use jaq_core::data::HasLut;
use jaq_core::load::lex::{Lexer, StrPart};
use jaq_core::load::parse::{BinaryOp, Def, Parser, Pattern, Term};
use jaq_core::load::{Arena, File, Loader};
use jaq_core::path::Part;
use jaq_core::{Compiler, Ctx, DataT, Lut, Vars};

use crate::fuel::{self, Stopped, charge};
use crate::functions;
use crate::value::{Value, shown};

/// Longest filter, in bytes. It bounds how deep a filter can nest, and so the parser's stack.
pub const MAX_FILTER: usize = 2_000;
/// Most brackets, `if`s and signs that a filter may have open at once.
const MAX_NESTING: usize = 40;
/// What operators are written with.
const OPERATORS: &[char] = &['|', ',', '+', '*', '%', '=', '<', '>', '?', '/'];
/// Most outputs that are taken from one run.
pub const MAX_OUTPUTS: usize = 10_000;
/// Most operators that a filter may have one after the other.
const MAX_OPERATORS: usize = 150;
/// What filters find beside their input, in the order in which [`Filter::run`] takes the values.
pub const VARIABLES: [&str; 4] = ["$root", "$event", "$parent", "$key"];

/// The data kinds of our filters.
pub struct Engine;

impl DataT for Engine {
    type V<'a> = Value;
    type Data<'a> = Code<'a>;
}

/// The compiled terms. jaq fetches each term from here before it evaluates it, so this is where
/// steps are counted.
#[derive(Clone)]
pub struct Code<'a>(&'a Lut<Engine>);

impl<'a> HasLut<'a, Engine> for Code<'a> {
    fn lut(&self) -> &'a Lut<Engine> {
        charge(1);
        self.0
    }
}

/// A compiled filter.
pub struct Filter {
    code: jaq_core::Filter<Engine>,
}

/// Why a filter gave no outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// It failed on this input, in jq's words.
    Failed(String),
    /// It was stopped.
    Stopped(Stopped),
    /// More than [`MAX_OUTPUTS`].
    TooManyOutputs,
}

/// Parses the text of a filter, with jq's grammar and our limits.
pub fn parse(text: &str) -> Result<Term<&str>, String> {
    if text.len() > MAX_FILTER {
        return Err(format!("the filter has {} bytes; at most {MAX_FILTER} are taken", text.len()));
    }
    if nesting(text) > MAX_NESTING {
        return Err(format!(
            "the filter nests deeper than {MAX_NESTING} levels; split it, or use `each` and `when`"
        ));
    }
    if text.matches(OPERATORS).count() > MAX_OPERATORS {
        return Err(format!("the filter has more than {MAX_OPERATORS} operators"));
    }
    let tokens = Lexer::new(text).lex().map_err(|errors| match errors.first() {
        Some((expected, rest)) => format!("expected {} at `{}`", expected.as_str(), start_of(rest)),
        None => "it cannot be read".to_owned(),
    })?;
    Parser::new(&tokens).parse(|parser| parser.term()).map_err(|errors| match errors.first() {
        Some((expected, Some(found))) => format!("expected {} at `{}`", expected.as_str(), start_of(found.0)),
        Some((expected, None)) => format!("expected {} at its end", expected.as_str()),
        None => "it cannot be parsed".to_owned(),
    })
}

fn start_of(text: &str) -> String {
    let start: String = text.chars().take(30).collect();
    if start.is_empty() { "its end".to_owned() } else { start }
}

/// An upper bound of how deep the parser will recurse, without parsing.
fn nesting(text: &str) -> usize {
    let opening = ["if", "try", "reduce", "foreach", "label", "as", "def"];
    let words = text.split(|character: char| !character.is_alphanumeric() && character != '_');
    let words = words.filter(|word| opening.contains(word)).count();
    let (mut open, mut deepest) = (0_usize, 0);
    let (mut signs, mut most_signs) = (0_usize, 0);
    for character in text.chars() {
        match character {
            '(' | '[' | '{' => open += 1,
            ')' | ']' | '}' => open = open.saturating_sub(1),
            _ => {}
        }
        match character {
            '-' => signs += 1,
            ' ' => {}
            _ => signs = 0,
        }
        deepest = deepest.max(open);
        most_signs = most_signs.max(signs);
    }
    deepest + words + most_signs
}

impl Filter {
    /// Compiles a parsed filter (`text` is what it was parsed from).
    pub fn compile(text: &str, term: &Term<&str>) -> Result<Self, String> {
        let mut calls = Vec::new();
        collect(term, Origin::Mapping, &mut calls)?;
        let definitions = needed(calls)?;
        let arena = Arena::default();
        let loader = Loader::new(definitions.into_iter().cloned());
        let modules = loader
            .load(&arena, File { code: text, path: () })
            .map_err(|_| "it cannot be loaded; `import` and `include` are not available".to_owned())?;
        let compiler = Compiler::default().with_funs(functions::natives()).with_global_vars(VARIABLES);
        let code = compiler.compile(modules).map_err(|errors| {
            let error = errors.iter().flat_map(|(_, errors)| errors).next();
            match error {
                Some((name, jaq_core::compile::Undefined::Var)) => {
                    format!("there is no variable `{name}`; filters have {}", VARIABLES.join(", "))
                }
                Some((name, kind)) => format!("there is no {} `{name}`", kind.as_str()),
                None => "it cannot be compiled".to_owned(),
            }
        })?;
        Ok(Self { code })
    }

    /// Every output on `input`, with the values of [`VARIABLES`]; takes from the budget `left`.
    pub fn run(&self, input: Value, variables: [Value; 4], left: &mut u64) -> Result<Vec<Value>, Failure> {
        let run = || {
            let context = Ctx::<Engine>::new(Code(&self.code.lut), Vars::new(variables));
            let mut outputs = Vec::new();
            for output in self.code.id.run((context, input)) {
                match output.map_err(jaq_core::Exn::get_err) {
                    Ok(_) if outputs.len() == MAX_OUTPUTS => return Err(Failure::TooManyOutputs),
                    Ok(value) => outputs.push(value),
                    Err(Ok(error)) => return Err(Failure::Failed(shown(&error))),
                    Err(Err(_)) => return Err(Failure::Failed("it broke off".to_owned())),
                }
            }
            Ok(outputs)
        };
        fuel::metered(left, run).unwrap_or_else(|stopped| Err(Failure::Stopped(stopped)))
    }
}

type Call = (String, usize);

/// The definitions that `calls` need, and those that these need, in their order.
fn needed(calls: Vec<Call>) -> Result<Vec<&'static Def<&'static str>>, String> {
    let all = functions::definitions();
    let known = |def: &Def<&str>, (name, arguments): &Call| def.name == name && def.args.len() == *arguments;
    for (name, arguments) in &calls {
        let signature = functions::signature(name, *arguments);
        if !functions::PUBLIC.contains(&signature.as_str()) {
            let hint = functions::similar(name, *arguments).map(|name| format!(" (did you mean `{name}`?)"));
            return Err(format!("there is no function `{signature}`{}", hint.unwrap_or_default()));
        }
    }
    let mut wanted = vec![false; all.len()];
    let mut open = calls;
    while let Some(call) = open.pop() {
        for (def, wanted) in all.iter().zip(&mut wanted).filter(|(def, _)| known(def, &call)) {
            if !std::mem::replace(wanted, true) {
                collect(&def.body, Origin::Prelude, &mut open)?;
            }
        }
    }
    Ok(all.iter().zip(wanted).filter(|(_, wanted)| *wanted).map(|(def, _)| def).collect())
}

/// Who wrote a term.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Mapping,
    Prelude,
}

/// Collects what a term calls; refuses what a mapping must not contain.
fn collect(term: &Term<&str>, origin: Origin, calls: &mut Vec<Call>) -> Result<(), String> {
    let mut all =
        |terms: Vec<&Term<&str>>| terms.into_iter().try_for_each(|term| collect(term, origin, calls));
    match term {
        Term::Id | Term::Recurse | Term::Num(_) | Term::Arr(None) | Term::Break(_) | Term::Var(_) => Ok(()),
        Term::Str(format, parts) => {
            let terms = parts.iter().filter_map(|part| match part {
                StrPart::Term(term) => Some(term),
                StrPart::Str(_) | StrPart::Char(_) => None,
            });
            all(terms.collect())?;
            calls.extend(format.map(|format| (format.to_owned(), 0)));
            Ok(())
        }
        Term::Arr(Some(term)) | Term::Neg(term) | Term::Label(_, term) => all(vec![term]),
        Term::Obj(members) => {
            all(members.iter().flat_map(|(key, value)| [Some(key), value.as_ref()]).flatten().collect())
        }
        Term::BinOp(left, operator, right) => {
            all(vec![left, right])?;
            match operator {
                BinaryOp::Pipe(Some(pattern)) => collect_pattern(pattern, origin, calls),
                _ => Ok(()),
            }
        }
        Term::Fold(_, source, pattern, steps) => {
            all(std::iter::once(&**source).chain(steps).collect())?;
            collect_pattern(pattern, origin, calls)
        }
        Term::TryCatch(tried, caught) => {
            all(std::iter::once(tried).chain(caught).map(|term| &**term).collect())
        }
        Term::IfThenElse(branches, otherwise) => {
            let branches = branches.iter().flat_map(|(condition, then)| [condition, then]);
            all(branches.chain(otherwise.as_deref()).collect())
        }
        // The prelude's own local definitions are known to end; a mapping's might not.
        Term::Def(..) if origin == Origin::Mapping => Err("`def` is not available here".to_owned()),
        Term::Def(definitions, body) => {
            let inner: Vec<_> = definitions.iter().map(|def| (def.name, def.args.len())).collect();
            let mut found = Vec::new();
            for def in definitions {
                collect(&def.body, origin, &mut found)?;
            }
            collect(body, origin, &mut found)?;
            found.retain(|(name, arguments)| !inner.contains(&(name.as_str(), *arguments)));
            calls.extend(found);
            Ok(())
        }
        Term::Call(name, arguments) => {
            all(arguments.iter().collect())?;
            calls.push(((*name).to_owned(), arguments.len()));
            Ok(())
        }
        Term::Path(start, path) => {
            let parts = path.0.iter().flat_map(|(part, _)| match part {
                Part::Index(index) => vec![index],
                Part::Range(from, upto) => from.iter().chain(upto).collect(),
            });
            all(std::iter::once(&**start).chain(parts).collect())
        }
    }
}

fn collect_pattern(pattern: &Pattern<&str>, origin: Origin, calls: &mut Vec<Call>) -> Result<(), String> {
    match pattern {
        Pattern::Var(_) => Ok(()),
        Pattern::Arr(patterns) => {
            patterns.iter().try_for_each(|pattern| collect_pattern(pattern, origin, calls))
        }
        Pattern::Obj(members) => members.iter().try_for_each(|(key, pattern)| {
            collect(key, origin, calls)?;
            collect_pattern(pattern, origin, calls)
        }),
    }
}

/// Whether a term, anywhere, names the variable.
pub fn mentions(text: &str, variable: &str) -> bool {
    // Also true inside of a string literal, where the message will tell what to do.
    text.match_indices(variable).any(|(at, _)| {
        let rest = &text[at + variable.len()..];
        !rest.starts_with(|character: char| character.is_alphanumeric() || character == '_')
    })
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
