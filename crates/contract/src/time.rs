//! Instants as RFC 3339 writes them, exact to the nanosecond.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An instant: nanoseconds since 1970-01-01T00:00:00Z.
///
/// Shown in UTC with as many fractional digits as it needs, by threes: `2026-03-16T08:35:06Z`,
/// `2020-12-29T18:38:45.455006797Z`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(jiff::Timestamp);

/// Why a text is not an instant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The shape of RFC 3339 section 5.6 without an offset.
    #[error("`{0}` has no UTC offset (write `Z` or `+hh:mm`)")]
    NoOffset(String),
    /// Not RFC 3339 at all, or a day, hour, minute or second that no clock shows (24:00 is one).
    #[error("`{0}` is not an RFC 3339 date-time")]
    Syntax(String),
    /// Second 60. POSIX time has no place for it, and rounding it would invent another instant.
    #[error("`{0}` is a leap second, which dvss does not take; send the second before or after")]
    LeapSecond(String),
    /// More than nine fractional digits.
    #[error("`{0}` is finer than a nanosecond")]
    TooFine(String),
    /// An instant beyond those that can be kept, at the end of the year 9999.
    #[error("`{0}` is too far ahead to be kept")]
    TooFar(String),
}

impl Timestamp {
    /// Parses RFC 3339 strictly (section 5.6; `T` and `Z` may be lower case).
    pub fn parse(text: &str) -> Result<Self, Error> {
        let shown = || text.chars().take(64).collect::<String>();
        let bytes = text.as_bytes();
        let shape = b"dddd-dd-ddTdd:dd:dd";
        let date_time = bytes.get(..shape.len()).ok_or_else(|| Error::Syntax(shown()))?;
        let fits = |(byte, pattern): (&u8, &u8)| match pattern {
            b'd' => byte.is_ascii_digit(),
            b'T' => byte.eq_ignore_ascii_case(&b'T'),
            other => byte == other,
        };
        if !date_time.iter().zip(shape).all(fits) {
            return Err(Error::Syntax(shown()));
        }
        let mut rest = &text[shape.len()..];
        if let Some(fraction) = rest.strip_prefix('.') {
            let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
            match digits {
                0 => return Err(Error::Syntax(shown())),
                1..=9 => rest = &fraction[digits..],
                _ => return Err(Error::TooFine(shown())),
            }
        }
        if rest.is_empty() {
            return Err(Error::NoOffset(shown()));
        }
        if !is_offset(rest) {
            return Err(Error::Syntax(shown()));
        }
        if &bytes[17..19] == b"60" {
            return Err(Error::LeapSecond(shown()));
        }
        let is_date_time = || text[..shape.len()].parse::<jiff::civil::DateTime>().is_ok();
        let refused = |_| if is_date_time() { Error::TooFar(shown()) } else { Error::Syntax(shown()) };
        text.parse().map(Self).map_err(refused)
    }

    /// From milliseconds since the epoch; `None` outside of years -9999 to 9999.
    pub fn from_millis(millis: i64) -> Option<Self> {
        jiff::Timestamp::from_millisecond(millis).ok().map(Self)
    }

    /// From nanoseconds since the epoch; `None` outside of years -9999 to 9999.
    pub fn from_nanos(nanos: i128) -> Option<Self> {
        jiff::Timestamp::from_nanosecond(nanos).ok().map(Self)
    }

    /// Whole milliseconds since the epoch (rounded towards the past).
    pub fn as_millis(self) -> i64 {
        i64::try_from(self.as_nanos().div_euclid(1_000_000)).unwrap_or(i64::MAX)
    }

    /// Nanoseconds since the epoch.
    pub fn as_nanos(self) -> i128 {
        self.0.as_nanosecond()
    }

    /// The instant `duration` later (saturating).
    pub fn plus(self, duration: std::time::Duration) -> Self {
        let nanos = self.as_nanos().saturating_add(i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX));
        Self::from_nanos(nanos).unwrap_or(Self(jiff::Timestamp::MAX))
    }

    /// Time from `earlier` to here; zero where `earlier` is not earlier.
    pub fn since(self, earlier: Self) -> std::time::Duration {
        let nanos = (self.as_nanos() - earlier.as_nanos()).clamp(0, i128::from(u64::MAX));
        std::time::Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
    }

    /// `YYYY/MM/DD` in UTC, as object keys carry it.
    pub fn date_path(self) -> String {
        self.0.strftime("%Y/%m/%d").to_string()
    }

    /// Fixed width, so that text order is time order: `2026-03-16T08:35:06.000000000Z`.
    pub fn sortable(self) -> String {
        format!("{:.9}", self.0)
    }
}

fn is_offset(text: &str) -> bool {
    match text.as_bytes() {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => {
            let digits = [h1, h2, m1, m2].iter().all(|byte| byte.is_ascii_digit());
            digits && (*h1, *h2) <= (b'2', b'3') && *m1 <= b'5'
        }
        _ => false,
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.subsec_nanosecond() {
            0 => write!(formatter, "{:.0}", self.0),
            nanos if nanos % 1_000_000 == 0 => write!(formatter, "{:.3}", self.0),
            nanos if nanos % 1_000 == 0 => write!(formatter, "{:.6}", self.0),
            _ => write!(formatter, "{:.9}", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for Timestamp {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_rfc_3339_and_nothing_else() {
        for (text, shown) in [
            ("2026-03-16T15:35:06+07:00", "2026-03-16T08:35:06Z"),
            ("2020-12-29T18:38:45.455006797Z", "2020-12-29T18:38:45.455006797Z"),
            ("2020-12-29t18:38:45.10296z", "2020-12-29T18:38:45.102960Z"),
            ("1985-04-12T23:20:50.52Z", "1985-04-12T23:20:50.520Z"),
            ("2000-02-29T00:00:00-00:00", "2000-02-29T00:00:00Z"),
        ] {
            assert_eq!(Timestamp::parse(text).map(|time| time.to_string()).as_deref(), Ok(shown));
        }
        use Error::*;
        let kind = |text: &str| Timestamp::parse(text).expect_err(text);
        assert!(matches!(kind("2026-03-16T15:35:06"), NoOffset(_)));
        assert!(matches!(kind("2016-12-31T23:59:60Z"), LeapSecond(_)));
        assert!(matches!(kind("2016-12-31T23:59:59.1234567890Z"), TooFine(_)));
        assert!(matches!(kind("9999-12-31T23:59:59Z"), TooFar(_)), "what some write for \"never\"");
        for text in [
            "",
            "2026",
            "2026-03-16",
            "2026-03-16 15:35:06Z",
            "2026-03-16T24:00:00Z",
            "2026-02-30T00:00:00Z",
            "2026-03-16T15:35Z",
            "2026-03-16T15:35:06+0700",
            "2026-03-16T15:35:06+24:00",
            "2026-03-16T15:35:06.Z",
            "2026-03-16T15:35:06Z[Europe/Berlin]",
            "２026-03-16T15:35:06Z",
            "2026-03-16T25:44:22.837Z",
        ] {
            assert!(matches!(kind(text), Syntax(_)), "{text}");
        }
    }

    #[test]
    fn sortable_has_one_width() {
        let at = |text| Timestamp::parse(text).expect("a time").sortable();
        assert_eq!(at("2026-03-16T15:35:06+07:00"), "2026-03-16T08:35:06.000000000Z");
        assert!(at("2026-03-16T08:35:06.1Z") > at("2026-03-16T08:35:06Z"));
    }
}
