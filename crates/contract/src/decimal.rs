//! Exact decimals. Quantities and amounts are never floats, on no path.

use std::fmt;
use std::str::FromStr;

use bigdecimal::{BigDecimal, Signed, Zero};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Most significant digits a quantity or an amount may have (plain notation, zeros included).
///
/// DynamoDB keeps 38; 28 leaves room for the sums of a fold.
pub const MAX_DIGITS: u64 = 28;

/// An exact decimal, kept with the scale it was written in (`"15.00"` stays `"15.00"`).
///
/// Serialized as a JSON string. Equality and order are numeric (`15 == 15.00`). Minus zero is zero.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal(BigDecimal);

/// Why a text is not a quantity that dvss can keep.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not a decimal number in JSON's grammar (leading `+`, NaN, Infinity, blanks, hex are not).
    #[error("`{0}` is not a decimal number")]
    Syntax(String),
    /// More digits than [`MAX_DIGITS`].
    #[error("a number of {0} digits: at most {MAX_DIGITS} are kept exactly")]
    TooLong(u64),
}

impl Decimal {
    /// Zero.
    pub fn zero() -> Self {
        Self(BigDecimal::zero())
    }

    /// Parses JSON's number grammar (leading zeros are tolerated, as vendors pad them) and checks the bound.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let syntax = || Error::Syntax(text.chars().take(64).collect());
        if !is_decimal(text) {
            return Err(syntax());
        }
        let (_, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let exponent: i64 = exponent.parse().map_err(|_| syntax())?;
        // Checked before expansion: 1e999999999 must not become a gigabyte of zeros.
        if exponent.unsigned_abs() > 1_000 {
            return Err(Error::TooLong(exponent.unsigned_abs()));
        }
        let value = BigDecimal::from_str(text).map_err(|_| syntax())?;
        let value = if value.fractional_digit_count() < 0 { value.with_scale(0) } else { value };
        let scale = value.fractional_digit_count().max(0).unsigned_abs();
        let digits = value.digits().max(scale);
        if digits > MAX_DIGITS {
            return Err(Error::TooLong(digits));
        }
        Ok(Self(value))
    }

    /// Sum. Exact; may exceed [`MAX_DIGITS`], which [`Decimal::within_bounds`] tells.
    pub fn plus(&self, other: &Self) -> Self {
        Self(&self.0 + &other.0)
    }

    /// Difference. Exact.
    pub fn minus(&self, other: &Self) -> Self {
        Self(&self.0 - &other.0)
    }

    /// Product. Exact.
    pub fn times(&self, other: &Self) -> Self {
        Self(&self.0 * &other.0)
    }

    /// The number with the opposite sign.
    pub fn negated(&self) -> Self {
        Self(-&self.0)
    }

    /// Magnitude.
    pub fn abs(&self) -> Self {
        Self(self.0.abs())
    }

    /// Below zero.
    pub fn is_negative(&self) -> bool {
        self.0.is_negative()
    }

    /// Exactly zero.
    pub fn is_zero(&self) -> bool {
        self.0.is_zero()
    }

    /// Whether at most [`MAX_DIGITS`] digits are needed.
    pub fn within_bounds(&self) -> bool {
        self.0.digits().max(self.0.fractional_digit_count().max(0).unsigned_abs()) <= MAX_DIGITS
    }
}

/// JSON's number grammar, leading zeros tolerated.
fn is_decimal(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole)
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|text| digits(text.strip_prefix(['+', '-']).unwrap_or(text)))
}

impl fmt::Display for Decimal {
    /// Plain notation, never an exponent.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.to_plain_string())
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl From<i64> for Decimal {
    fn from(value: i64) -> Self {
        Self(BigDecimal::from(value))
    }
}

impl FromStr for Decimal {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    /// Reads a string of any length: what a store holds may be a sum beyond the bound of one quantity.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if !is_decimal(&text) {
            return Err(serde::de::Error::custom(Error::Syntax(text)));
        }
        BigDecimal::from_str(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_was_written_and_nothing_else() {
        for (text, shown) in [
            ("15", "15"),
            ("15.00", "15.00"),
            ("-0", "0"),
            ("1e3", "1000"),
            ("1.5E1", "15"),
            ("0.1", "0.1"),
            ("007", "7"),
            ("1e-3", "0.001"),
            ("9999999999999999999999999999", "9999999999999999999999999999"),
        ] {
            assert_eq!(Decimal::parse(text).map(|value| value.to_string()).as_deref(), Ok(shown), "{text}");
        }
        for text in ["", "NaN", "Infinity", "+1", "0x10", "1_000", " 1", "1.", ".5", "1e", "--1", "1,5"] {
            assert!(matches!(Decimal::parse(text), Err(Error::Syntax(_))), "{text}");
        }
        for text in [
            "1e400",
            "1e999999999",
            "10000000000000000000000000000",
            "1e-29",
            "0.00000000000000000000000000001",
        ] {
            assert!(matches!(Decimal::parse(text), Err(Error::TooLong(_))), "{text}");
        }
    }

    #[test]
    fn compares_as_numbers() {
        let parse = |text| Decimal::parse(text).expect("a decimal");
        assert_eq!(parse("15"), parse("15.00"));
        assert!(parse("2") < parse("10"));
        assert_eq!(parse("0.1").plus(&parse("0.2")), parse("0.3"));
    }
}
