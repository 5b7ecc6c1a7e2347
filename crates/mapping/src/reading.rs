//! Reading a field from its source: from what a payload says to a value of the field's kind.

use contract::canonical::OrderStatus;
use contract::{Code, Decimal, Timestamp};

use crate::Rejection;
use crate::expr::{Found, Scope, pointer};
use crate::fields::{Takes, is_currency, minor_digits};
use crate::literal::{decimal_of, id_of, sequence_of, status_of, text_of};
use crate::source::{Mark, Origin, Source};
use crate::value::Value;

impl Source {
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
                for expr in expressions.iter().filter(|expr| !expr.is_surely_absent(scope)) {
                    let mut found = expr.all(scope, left).map_err(|rejection| rejection.about(&self.name))?;
                    found.iter_mut().for_each(|found| found.value.take_text());
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
        let read = |found: &Found| self.number(&found.value).map_err(|problem| self.invalid(found, problem));
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

    /// The payload's way to write a decimal, with its own mark.
    fn number(&self, value: &Value) -> Result<Decimal, String> {
        let Value::String(text) = value else { return decimal_of(value) };
        match (self.mark, text.contains(','), text.contains('.')) {
            (Mark::Comma, true, false) | (Mark::Either, true, false) => {
                decimal_of(&Value::string(text.replace(',', ".")))
            }
            (Mark::Comma, _, true) => Err(format!(
                "{} has a point, where the mapping says that commas mark fractions",
                value.shown()
            )),
            _ => decimal_of(value),
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
            let mut found = expr.all(scope, left).map_err(|rejection| rejection.about(&self.name))?;
            found.iter_mut().for_each(|found| found.value.take_text());
            let absent = found.iter().find(|found| found.value.is_absent()).map(|found| pointer(&found.path));
            let mut amounts = Vec::new();
            for found in found {
                let translated = if found.value.is_absent() { None } else { self.translated(found)? };
                match (translated, &default) {
                    (Some(found), _) => {
                        let amount =
                            self.number(&found.value).map_err(|problem| self.invalid(&found, problem))?;
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
        sequence_of(&found.value).map(Some).map_err(|problem| self.invalid(&found, problem))
    }

    /// As an instant.
    pub fn time(&self, scope: &Scope, left: &mut u64) -> Result<Option<Timestamp>, Rejection> {
        let Some(found) = self.one(scope, left)? else { return Ok(None) };
        let text = text_of(&found.value).map_err(|problem| self.invalid(&found, problem))?;
        let mut problem = None;
        for format in &self.time {
            match format.read(&text) {
                Ok(time) => return Ok(Some(time)),
                Err(error) => drop(problem.get_or_insert(error)),
            }
        }
        Err(self.invalid(&found, problem.unwrap_or_default()))
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

fn tenth() -> Decimal {
    Decimal::parse("0.1").expect("a constant")
}
