//! [`Value`] as jaq's value type: indexing, updating and exact arithmetic.

use std::ops::{Add, Div, Mul, Neg, Range, Rem, Sub};

use jaq_core::path::Opt;
use jaq_core::{Error, Exn, ValR, ValX, ops};

use crate::fuel::charge;
use crate::number::Number;
use crate::value::{Members, Value};

type Results<T> = Box<dyn Iterator<Item = ValR<T, Value>>>;

fn calculated(result: Result<Number, String>) -> ValR<Value> {
    charge(2);
    result.map(Value::Number).map_err(Error::str)
}

/// The place of `index` in something of `length` items; negative counts from the end.
pub fn place(index: isize, length: usize) -> Option<usize> {
    let index = if index < 0 { length.checked_sub(index.unsigned_abs())? } else { index.unsigned_abs() };
    (index < length).then_some(index)
}

/// The bounds of a slice, cut to `length`.
fn bounds(range: &Range<Option<&Value>>, length: usize) -> ValR<Range<usize>, Value> {
    let bound = |bound: Option<&Value>, otherwise: usize| match bound {
        None | Some(Value::Null) => Ok(otherwise),
        Some(Value::Number(number)) => match number.as_isize() {
            Some(index) if index < 0 => Ok(length.saturating_sub(index.unsigned_abs())),
            Some(index) => Ok(index.unsigned_abs().min(length)),
            None => Err(Error::str("a slice's bounds are whole numbers")),
        },
        Some(_) => Err(Error::str("a slice's bounds are whole numbers")),
    };
    let start = bound(range.start, 0)?;
    Ok(start..bound(range.end, length)?.max(start))
}

fn not_iterable(value: Value) -> Error<Value> {
    Error::typ(value, "iterable (array or object)")
}

impl jaq_core::ValT for Value {
    fn from_num(text: &str) -> ValR<Self> {
        let exponent = text.split_once(['e', 'E']).map_or("0", |(_, exponent)| exponent);
        if exponent.parse::<i64>().map_or(u64::MAX, i64::unsigned_abs) > 1_000 {
            return Err(Error::str("a number literal is out of range"));
        }
        charge(1);
        Ok(Self::Number(Number::new(text)))
    }

    fn from_map<I: IntoIterator<Item = (Self, Self)>>(members: I) -> ValR<Self> {
        let member = |(key, value)| match key {
            Self::String(key) => Ok((key, value)),
            other => Err(Error::typ(other, "string")),
        };
        Ok(Self::object(members.into_iter().map(member).collect::<Result<Members, _>>()?))
    }

    fn key_values(self) -> Results<(Self, Self)> {
        match self {
            Self::Array(list) => Box::new((0..list.items.len()).map(move |index| {
                charge(1);
                Ok((Self::from(index), list.items[index].clone()))
            })),
            Self::Object(table) => Box::new((0..table.members.len()).filter_map(move |index| {
                charge(1);
                let (key, value) = table.members.get_index(index)?;
                Some(Ok((Self::String(key.clone()), value.clone())))
            })),
            other => Box::new(std::iter::once(Err(not_iterable(other)))),
        }
    }

    fn values(self) -> Results<Self> {
        Box::new(self.key_values().map(|result| result.map(|(_, value)| value)))
    }

    fn index(self, index: &Self) -> ValR<Self> {
        charge(1);
        match (&self, index) {
            (Self::Null, _) => Ok(Self::Null),
            (Self::Object(table), Self::String(key)) => {
                Ok(table.members.get(key).cloned().unwrap_or(Self::Null))
            }
            (Self::Object(_), _) => Ok(Self::Null),
            (Self::Array(list), Self::Number(number)) => {
                let at = number.as_isize().and_then(|index| place(index, list.items.len()));
                Ok(at.map_or(Self::Null, |at| list.items[at].clone()))
            }
            _ => Err(Error::index(self, index.clone())),
        }
    }

    fn range(self, range: Range<Option<&Self>>) -> ValR<Self> {
        match self {
            Self::Null => Ok(Self::Null),
            Self::Array(list) => {
                let range = bounds(&range, list.items.len())?;
                Ok(Self::array(list.items[range].to_vec()))
            }
            Self::String(text) => {
                charge(text.len() as u64 / 16);
                let range = bounds(&range, text.chars().count())?;
                let text: String = text.chars().skip(range.start).take(range.len()).collect();
                Ok(Self::from(text))
            }
            other => Err(Error::typ(other, "rangeable (array or string)")),
        }
    }

    fn map_values<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        opt: Opt,
        update: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        match self {
            Self::Array(list) => list.items.iter().cloned().flat_map(update).collect(),
            Self::Object(table) => {
                let member = |(key, value): (&std::sync::Arc<str>, &Self)| {
                    update(value.clone()).next().map(|value| Ok((key.clone(), value?)))
                };
                let members = table.members.iter().filter_map(member).collect::<Result<_, Exn<_>>>()?;
                Ok(Self::object(members))
            }
            other => opt.fail(other, |other| Exn::from(not_iterable(other))),
        }
    }

    fn map_index<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        index: &Self,
        opt: Opt,
        update: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        match (&self, index) {
            (Self::Object(table), Self::String(key)) => {
                let mut members = table.members.clone();
                let old = members.get(key).cloned().unwrap_or(Self::Null);
                match update(old).next().transpose()? {
                    Some(new) => members.insert(key.clone(), new),
                    None => members.shift_remove(key),
                };
                Ok(Self::object(members))
            }
            (Self::Array(list), Self::Number(number)) => {
                let Some(at) = number.as_isize().and_then(|index| place(index, list.items.len())) else {
                    let fault = || Exn::from(Error::str(format!("there is no item {number}")));
                    return opt.fail(self.clone(), |_| fault());
                };
                let mut items = list.items.clone();
                match update(items[at].clone()).next().transpose()? {
                    Some(new) => items[at] = new,
                    None => drop(items.remove(at)),
                }
                Ok(Self::array(items))
            }
            _ => opt.fail(self, |this| Exn::from(Error::index(this, index.clone()))),
        }
    }

    fn map_range<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        range: Range<Option<&Self>>,
        opt: Opt,
        update: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        let Self::Array(list) = &self else {
            return opt.fail(self, |_| Exn::from(Error::str("only slices of arrays can be updated")));
        };
        let range = match bounds(&range, list.items.len()) {
            Ok(range) => range,
            Err(error) => return opt.fail(self, |_| Exn::from(error)),
        };
        let slice = Self::array(list.items[range.clone()].to_vec());
        let new = match update(slice).next().transpose()? {
            Some(Self::Array(new)) => new.items.clone(),
            Some(other) => return Err(Exn::from(Error::typ(other, "array"))),
            None => Vec::new(),
        };
        let mut items = list.items.clone();
        items.splice(range, new);
        Ok(Self::array(items))
    }

    fn as_bool(&self) -> bool {
        !matches!(self, Self::Null | Self::Bool(false))
    }

    fn into_string(self) -> Self {
        match self {
            Self::String(_) => self,
            other => Self::from(other.to_string()),
        }
    }
}

impl jaq_std::ValT for Value {
    fn into_seq<S: FromIterator<Self>>(self) -> Result<S, Self> {
        match self {
            Self::Array(list) => {
                charge(list.items.len() as u64);
                Ok(list.items.iter().cloned().collect())
            }
            other => Err(other),
        }
    }

    fn is_int(&self) -> bool {
        matches!(self, Self::Number(number) if number.is_whole())
    }

    fn as_isize(&self) -> Option<isize> {
        match self {
            Self::Number(number) => number.as_isize(),
            _ => None,
        }
    }

    fn as_f64(&self) -> Option<f64> {
        // Only jaq's own mathematics asks, and filters have none of it.
        None
    }

    fn is_utf8_str(&self) -> bool {
        matches!(self, Self::String(_))
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::String(text) => {
                charge(1 + text.len() as u64 / 16);
                Some(text.as_bytes())
            }
            _ => None,
        }
    }

    fn as_sub_str(&self, part: &[u8]) -> Self {
        Self::from_utf8_bytes(part.to_vec())
    }

    fn from_utf8_bytes(bytes: impl AsRef<[u8]> + Send + 'static) -> Self {
        Self::from(String::from_utf8_lossy(bytes.as_ref()).into_owned())
    }
}

impl Add for Value {
    type Output = ValR<Self>;
    fn add(self, other: Self) -> ValR<Self> {
        match (self, other) {
            (Self::Null, value) | (value, Self::Null) => Ok(value),
            (Self::Number(a), Self::Number(b)) => calculated(a.plus(&b)),
            (Self::String(a), Self::String(b)) => Ok(Self::from(format!("{a}{b}"))),
            (Self::Array(a), Self::Array(b)) => {
                Ok(Self::array(a.items.iter().chain(&b.items).cloned().collect()))
            }
            (Self::Object(a), Self::Object(b)) => {
                let mut members = a.members.clone();
                members.extend(b.members.iter().map(|(key, value)| (key.clone(), value.clone())));
                Ok(Self::object(members))
            }
            (a, b) => Err(Error::math(a, ops::Math::Add, b)),
        }
    }
}

impl Sub for Value {
    type Output = ValR<Self>;
    fn sub(self, other: Self) -> ValR<Self> {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => calculated(a.minus(&b)),
            (Self::Array(a), Self::Array(b)) => {
                Ok(Self::array(a.items.iter().filter(|item| !b.items.contains(item)).cloned().collect()))
            }
            (a, b) => Err(Error::math(a, ops::Math::Sub, b)),
        }
    }
}

impl Mul for Value {
    type Output = ValR<Self>;
    fn mul(self, other: Self) -> ValR<Self> {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => calculated(a.times(&b)),
            (a, b) => Err(Error::math(a, ops::Math::Mul, b)),
        }
    }
}

impl Div for Value {
    type Output = ValR<Self>;
    fn div(self, other: Self) -> ValR<Self> {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => calculated(a.divided_by(&b)),
            (Self::String(a), Self::String(b)) if a.is_empty() => {
                charge(b.len() as u64 / 16);
                Ok(Self::array(Vec::new()))
            }
            (Self::String(a), Self::String(b)) if b.is_empty() => {
                Ok(a.chars().map(|character| Self::from(character.to_string())).collect())
            }
            (Self::String(a), Self::String(b)) => {
                Ok(a.split(&*b).map(|part| Self::from(part.to_owned())).collect())
            }
            (a, b) => Err(Error::math(a, ops::Math::Div, b)),
        }
    }
}

impl Rem for Value {
    type Output = ValR<Self>;
    fn rem(self, other: Self) -> ValR<Self> {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => calculated(a.remainder(&b)),
            (a, b) => Err(Error::math(a, ops::Math::Rem, b)),
        }
    }
}

impl Neg for Value {
    type Output = ValR<Self>;
    fn neg(self) -> ValR<Self> {
        match self {
            Self::Number(number) => calculated(number.negated()),
            other => Err(Error::typ(other, "number")),
        }
    }
}
