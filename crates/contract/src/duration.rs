//! Durations as configuration writes them: a whole number and its unit, `250ms`, `5s`, `2m`, `1h`.
//!
//! For serde: `#[serde(with = "contract::duration")]`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer};

/// Longest unit first, so that a duration is shown in the fewest digits that are exact.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads a duration; `None` where the text is not a whole number and a unit.
pub fn parse(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, millis) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(millis).map(Duration::from_millis)
}

/// Shows a duration, cut to whole milliseconds.
pub fn show(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let exact = |(_, unit): &(&str, u64)| millis % unit == 0 && millis >= *unit;
    let (name, unit) = UNITS.into_iter().find(exact).unwrap_or(("ms", 1));
    format!("{}{name}", millis / unit)
}

/// For serde.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&show(*duration))
}

/// For serde.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).ok_or_else(|| {
        serde::de::Error::custom(format!("`{text}` is not a duration such as 250ms, 5s, 2m or 1h"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_shows() {
        for (text, millis) in [("0ms", 0), ("250ms", 250), ("5s", 5_000), ("90s", 90_000), ("2m", 120_000)] {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
            assert_eq!(show(Duration::from_millis(millis)), text);
        }
        for text in
            ["", "5", "s", "1.5s", "-1s", "5 s", "5d", "99999999999999999999s", "18446744073709551615h"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
