//! Times as vendors write them.

use contract::{Decimal, Timestamp, time};
use jiff::civil;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::{Offset, TimeZone};

/// How a time is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// RFC 3339; `zone` is for texts without an offset, where it is given.
    Rfc3339,
    /// Seconds since 1970, with or without a fraction.
    Unix,
    /// Milliseconds since 1970.
    UnixMillis,
    /// A strptime pattern.
    Pattern(String),
}

/// How a time is written, and where it holds if it does not say so itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeFormat {
    format: Format,
    zone: Option<Offset>,
}

impl TimeFormat {
    /// RFC 3339 with an offset.
    pub fn rfc3339() -> Self {
        Self { format: Format::Rfc3339, zone: None }
    }

    /// Reads `format` and `zone` of a mapping document.
    pub fn parse(format: Option<&str>, zone: Option<&str>) -> Result<Self, String> {
        let zone = zone.map(parse_zone).transpose()?;
        let format = match format {
            None | Some("rfc3339") => Format::Rfc3339,
            Some("unix") => Format::Unix,
            Some("unix-millis") => Format::UnixMillis,
            Some(pattern) if pattern.contains('%') => Format::Pattern(pattern.to_owned()),
            Some(other) => {
                return Err(format!(
                    "`{other}` is not rfc3339, unix, unix-millis or a strptime pattern like \"%Y-%m-%d %H:%M:%S\""
                ));
            }
        };
        let says_offset = match &format {
            Format::Unix | Format::UnixMillis => true,
            Format::Pattern(pattern) => ["%z", "%:z", "%s"].iter().any(|part| pattern.contains(part)),
            Format::Rfc3339 => false,
        };
        match (&format, zone) {
            (_, Some(_)) if says_offset => Err("`zone` has no meaning here: the text says its offset itself".to_owned()),
            (Format::Pattern(_), None) if !says_offset => {
                Err("the pattern has no offset (%z); say `zone: UTC` or another fixed offset like `zone: \"+09:00\"`".to_owned())
            }
            (Format::Pattern(pattern), _) => match probe(pattern) {
                Ok(()) => Ok(Self { format, zone }),
                Err(error) => Err(format!("`{pattern}` is no strptime pattern: {error}")),
            },
            _ => Ok(Self { format, zone }),
        }
    }

    /// Reads a time.
    pub fn read(&self, text: &str) -> Result<Timestamp, String> {
        let shown = || text.chars().take(64).collect::<String>();
        let read = match &self.format {
            Format::Rfc3339 => match (Timestamp::parse(text), self.zone) {
                (Err(time::Error::NoOffset(_)), Some(zone)) => {
                    Timestamp::parse(&format!("{text}{}", offset_text(zone)))
                        .map_err(|error| error.to_string())
                }
                (result, _) => result.map_err(|error| error.to_string()),
            },
            Format::Unix => from_unix(text, 9),
            Format::UnixMillis => from_unix(text, 6),
            Format::Pattern(pattern) => self.by_pattern(pattern, text),
        }?;
        // Before 1970 there is no stock; such a time is a placeholder, like 0001-01-01 or 1900-01-01.
        if read.as_nanos() < 0 {
            return Err(format!("`{}` lies before 1970", shown()));
        }
        Ok(read)
    }

    fn by_pattern(&self, pattern: &str, text: &str) -> Result<Timestamp, String> {
        let fault = |error: jiff::Error| {
            format!(
                "`{}` does not have the format `{pattern}`: {error}",
                text.chars().take(64).collect::<String>()
            )
        };
        let parts = BrokenDownTime::parse(pattern, text).map_err(fault)?;
        let timestamp = match self.zone {
            None => parts.to_timestamp().map_err(fault)?,
            Some(zone) => {
                let date = parts.to_date().map_err(fault)?;
                let time = if parts.hour().is_some() {
                    parts.to_time().map_err(fault)?
                } else {
                    civil::Time::midnight()
                };
                date.to_datetime(time).to_zoned(TimeZone::fixed(zone)).map_err(fault)?.timestamp()
            }
        };
        Timestamp::from_nanos(timestamp.as_nanosecond()).ok_or_else(|| "is out of range".to_owned())
    }
}

/// Whether a time can be written with the pattern and read back.
fn probe(pattern: &str) -> Result<(), jiff::Error> {
    let probe = civil::date(2000, 2, 29).at(1, 2, 3, 4).to_zoned(TimeZone::UTC)?;
    let text = jiff::fmt::strtime::format(pattern, &probe)?;
    BrokenDownTime::parse(pattern, &text)?.to_date().map(|_| ())
}

fn parse_zone(text: &str) -> Result<Offset, String> {
    if text == "UTC" || text == "Z" {
        return Ok(Offset::UTC);
    }
    let fault = || format!("`{text}` is not UTC or a fixed offset like \"+09:00\"");
    let (sign, rest) = match text.split_at_checked(1) {
        Some(("+", rest)) => (1, rest),
        Some(("-", rest)) => (-1, rest),
        _ => return Err(fault()),
    };
    let (hours, minutes) = rest.split_once(':').ok_or_else(fault)?;
    let two = |text: &str, most: i32| {
        text.parse::<i32>().ok().filter(|n| text.len() == 2 && (0..=most).contains(n))
    };
    let (hours, minutes) = (two(hours, 23).ok_or_else(fault)?, two(minutes, 59).ok_or_else(fault)?);
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).map_err(|_| fault())
}

fn offset_text(offset: Offset) -> String {
    let minutes = offset.seconds() / 60;
    let sign = if minutes < 0 { '-' } else { '+' };
    format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
}

/// From a decimal count of units of 10^-`digits` seconds' complement: nanoseconds are count × 10^digits.
fn from_unix(text: &str, digits: u32) -> Result<Timestamp, String> {
    let count = Decimal::parse(text).map_err(|error| error.to_string())?;
    let nanos = count.times(&Decimal::from(10_i64.pow(digits))).to_string();
    let (whole, fraction) = nanos.split_once('.').unwrap_or((&nanos, ""));
    if fraction.bytes().any(|byte| byte != b'0') {
        return Err(format!("`{text}` is finer than a nanosecond"));
    }
    let nanos: Option<i128> = whole.parse().ok();
    nanos.and_then(Timestamp::from_nanos).ok_or_else(|| format!("`{text}` is out of range"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_vendors_write() {
        for (format, zone, text, read) in [
            (None, None, "2026-03-16T15:35:06+07:00", "2026-03-16T08:35:06Z"),
            (None, Some("UTC"), "2017-03-22T19:28:02", "2017-03-22T19:28:02Z"),
            (None, Some("+09:00"), "2017-03-22T19:28:02Z", "2017-03-22T19:28:02Z"),
            (Some("unix"), None, "1682624640", "2023-04-27T19:44:00Z"),
            (Some("unix"), None, "1682624640.25", "2023-04-27T19:44:00.250Z"),
            (Some("unix-millis"), None, "1623796407000", "2021-06-15T22:33:27Z"),
            (Some("%Y-%m-%d %H:%M:%S"), Some("UTC"), "2025-02-03 13:19:30", "2025-02-03T13:19:30Z"),
            (Some("%Y-%m-%d %H:%M:%S"), Some("-05:30"), "2025-02-03 13:19:30", "2025-02-03T18:49:30Z"),
            (
                Some("%a, %d %b %Y %H:%M:%S %z"),
                None,
                "Tue, 05 Mar 2019 21:40:11 +0000",
                "2019-03-05T21:40:11Z",
            ),
            (Some("%Y%m%d"), Some("UTC"), "20200131", "2020-01-31T00:00:00Z"),
            (Some("%d.%m.%Y"), Some("+01:00"), "31.01.2020", "2020-01-30T23:00:00Z"),
        ] {
            let format = TimeFormat::parse(format, zone).expect(text);
            assert_eq!(format.read(text).map(|time| time.to_string()).as_deref(), Ok(read), "{text}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        let read = |format, zone, text| TimeFormat::parse(format, zone).expect("a format").read(text);
        assert!(read(None, None, "2017-03-22T19:28:02").is_err());
        assert!(read(None, None, "0001-01-01T00:00:00Z").is_err());
        assert!(read(Some("unix"), None, "soon").is_err());
        assert!(read(Some("unix"), None, "1e30").is_err());
        assert!(read(Some("%Y-%m-%d"), Some("UTC"), "2020-02-30").is_err());
        assert!(read(Some("%Y-%m-%d"), Some("UTC"), "2020-02-01 10:00").is_err());
        for (format, zone) in [
            (Some("iso"), None),
            (Some("%Y-%m-%d"), None),
            (Some("%!"), Some("UTC")),
            (Some("unix"), Some("UTC")),
            (None, Some("Europe/Berlin")),
            (None, Some("+9")),
        ] {
            assert!(TimeFormat::parse(format, zone).is_err(), "{format:?} {zone:?}");
        }
    }
}
