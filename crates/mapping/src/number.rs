//! Exact numbers inside filters: what a payload wrote is kept, and arithmetic never rounds.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bigdecimal::{BigDecimal, RoundingMode, Zero};

/// Longest number, and largest exponent, that is calculated with; beyond it a filter fails.
const MAX_CALCULATED: usize = 1_000;
/// Most fractional digits a quotient may need; beyond it the division is not exact, and refused.
const MAX_QUOTIENT_SCALE: i64 = 60;

/// A number: a machine integer where it is written as one, else the text as it was written.
#[derive(Clone, Debug)]
pub enum Number {
    /// Written without sign of zero, fraction or exponent, and fits.
    Int(i64),
    /// Everything else in JSON's number grammar.
    Text(Arc<str>),
}

/// Sign, exponent of the leading digit and the digits without zeros at either end.
struct Shape<'a> {
    negative: bool,
    magnitude: i64,
    digits: Cow<'a, str>,
}

impl Number {
    /// From a text in JSON's number grammar.
    pub fn new(text: &str) -> Self {
        match text.parse::<i64>() {
            Ok(value) if text != "-0" && !text.starts_with('+') => Self::Int(value),
            _ => Self::Text(text.into()),
        }
    }

    /// The number as a whole machine integer, if it is one.
    pub fn as_isize(&self) -> Option<isize> {
        match self {
            Self::Int(value) => isize::try_from(*value).ok(),
            Self::Text(_) => None,
        }
    }

    /// Whether it has no fractional part.
    pub fn is_whole(&self) -> bool {
        match self {
            Self::Int(_) => true,
            Self::Text(_) => {
                let shape = self.shape();
                shape.digits.is_empty() || shape.magnitude + 1 >= shape.digits.len() as i64
            }
        }
    }

    fn shape(&self) -> Shape<'_> {
        let text: Cow<'_, str> = match self {
            Self::Int(value) => value.to_string().into(),
            Self::Text(text) => Cow::Borrowed(text),
        };
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.as_ref()),
        };
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        let leading = all.bytes().take_while(|byte| *byte == b'0').count();
        let digits = all[leading..].trim_end_matches('0').to_owned();
        // JSON texts were checked to have |exponent| <= 100,000; literals are checked in `literal`.
        let exponent: i64 = exponent.parse().unwrap_or(0);
        let magnitude = exponent + whole.len() as i64 - leading as i64 - 1;
        Shape { negative: negative && !digits.is_empty(), magnitude, digits: digits.into() }
    }

    fn exact(&self) -> Result<BigDecimal, String> {
        match self {
            Self::Int(value) => Ok(BigDecimal::from(*value)),
            Self::Text(text) => {
                let exponent = text.split_once(['e', 'E']).map_or("0", |(_, exponent)| exponent);
                let exponent = exponent.parse::<i64>().unwrap_or(i64::MAX).unsigned_abs();
                if text.len() > MAX_CALCULATED || exponent > MAX_CALCULATED as u64 {
                    return Err("a number is too large to calculate with".to_owned());
                }
                BigDecimal::from_str(text).map_err(|error| error.to_string())
            }
        }
    }

    fn from_exact(value: BigDecimal) -> Result<Self, String> {
        let value = if value.fractional_digit_count() < 0 { value.with_scale(0) } else { value };
        let text = value.to_plain_string();
        if text.len() > 2 * MAX_CALCULATED {
            return Err("a number became too large to calculate with".to_owned());
        }
        Ok(Self::new(&text))
    }

    /// Sum.
    pub fn plus(&self, other: &Self) -> Result<Self, String> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) if a.checked_add(*b).is_some() => Ok(Self::Int(a + b)),
            _ => Self::from_exact(self.exact()? + other.exact()?),
        }
    }

    /// Difference.
    pub fn minus(&self, other: &Self) -> Result<Self, String> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) if a.checked_sub(*b).is_some() => Ok(Self::Int(a - b)),
            _ => Self::from_exact(self.exact()? - other.exact()?),
        }
    }

    /// Product.
    pub fn times(&self, other: &Self) -> Result<Self, String> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) if a.checked_mul(*b).is_some() => Ok(Self::Int(a * b)),
            _ => Self::from_exact(self.exact()? * other.exact()?),
        }
    }

    /// Quotient, where it is a finite decimal.
    pub fn divided_by(&self, other: &Self) -> Result<Self, String> {
        let (dividend, divisor) = (self.exact()?, other.exact()?);
        if divisor.is_zero() {
            return Err("division by zero".to_owned());
        }
        let quotient = (&dividend / &divisor).with_scale_round(MAX_QUOTIENT_SCALE, RoundingMode::HalfEven);
        if &quotient * &divisor != dividend {
            return Err(format!("{self} / {other} is no finite decimal; nothing is rounded here"));
        }
        Self::from_exact(quotient.normalized())
    }

    /// Remainder of whole numbers.
    pub fn remainder(&self, other: &Self) -> Result<Self, String> {
        if !self.is_whole() || !other.is_whole() {
            return Err("% takes whole numbers".to_owned());
        }
        let (dividend, divisor) = (self.exact()?, other.exact()?);
        if divisor.is_zero() {
            return Err("division by zero".to_owned());
        }
        Self::from_exact(dividend % divisor)
    }

    /// The number with the opposite sign.
    pub fn negated(&self) -> Result<Self, String> {
        Self::Int(0).minus(self)
    }

    /// Rounded to a whole number.
    pub fn rounded(&self, mode: RoundingMode) -> Result<Self, String> {
        match self {
            Self::Int(_) => Ok(self.clone()),
            Self::Text(_) => Self::from_exact(self.exact()?.with_scale_round(0, mode)),
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    /// Numeric and exact, whatever the size: nothing is expanded.
    fn cmp(&self, other: &Self) -> Ordering {
        if let (Self::Int(a), Self::Int(b)) = (self, other) {
            return a.cmp(b);
        }
        let (a, b) = (self.shape(), other.shape());
        let sign = |shape: &Shape<'_>| match (shape.digits.is_empty(), shape.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        let size = || a.magnitude.cmp(&b.magnitude).then_with(|| a.digits.cmp(&b.digits));
        match sign(&a).cmp(&sign(&b)) {
            Ordering::Equal if sign(&a) == 0 => Ordering::Equal,
            Ordering::Equal if a.negative => size().reverse(),
            Ordering::Equal => size(),
            unequal => unequal,
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(value) => write!(formatter, "{value}"),
            Self::Text(text) => formatter.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        Number::new(text)
    }

    #[test]
    fn order_is_numeric_and_exact() {
        for (smaller, larger) in [
            ("1", "2"),
            ("9", "10"),
            ("-2", "-1"),
            ("-1", "0"),
            ("0.1", "0.11"),
            ("1e-99999", "1e99999"),
            ("1234567890123456789.1", "1234567890123456789.2"),
            ("-1e400", "1"),
            ("99", "1e2"),
            ("0.009", "0.01"),
        ] {
            assert!(number(smaller) < number(larger), "{smaller} < {larger}");
        }
        for (a, b) in [("1", "1.0"), ("100", "1e2"), ("-0", "0"), ("0.10", "1e-1"), ("0e5", "0")] {
            assert_eq!(number(a), number(b));
        }
    }

    #[test]
    fn arithmetic_is_exact_or_refused() {
        let shown = |result: Result<Number, String>| result.map(|number| number.to_string());
        assert_eq!(shown(number("0.1").plus(&number("0.2"))).as_deref(), Ok("0.3"));
        assert_eq!(
            shown(number("9223372036854775807").plus(&number("1"))).as_deref(),
            Ok("9223372036854775808")
        );
        assert_eq!(shown(number("4550").times(&number("0.01"))).as_deref(), Ok("45.50"));
        assert_eq!(shown(number("7").divided_by(&number("2"))).as_deref(), Ok("3.5"));
        assert_eq!(shown(number("1e3").divided_by(&number("10"))).as_deref(), Ok("100"));
        assert!(number("1").divided_by(&number("3")).is_err());
        assert!(number("1").divided_by(&number("0.0")).is_err());
        assert_eq!(shown(number("-7").remainder(&number("3"))).as_deref(), Ok("-1"));
        assert!(number("7.5").remainder(&number("2")).is_err());
        assert!(number("1e2000").plus(&number("1")).is_err());
        assert_eq!(shown(number("1.50").negated()).as_deref(), Ok("-1.50"));
        assert_eq!(shown(number("2.5").rounded(RoundingMode::Floor)).as_deref(), Ok("2"));
        assert_eq!(shown(number("-2.5").rounded(RoundingMode::Floor)).as_deref(), Ok("-3"));
    }
}
