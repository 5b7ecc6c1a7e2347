//! Logs to standard error.

use std::io::IsTerminal;
use std::str::FromStr;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// One JSON object a line, for collectors.
    Json,
    /// One line of text, for people.
    #[default]
    Text,
}

impl FromStr for LogFormat {
    type Err = LogsError;

    fn from_str(text: &str) -> Result<Self, LogsError> {
        match text {
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            other => Err(LogsError::Format(other.to_owned())),
        }
    }
}

/// Logs could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// Neither `json` nor `text`.
    #[error("`{0}` is not a log format: write json or text")]
    Format(String),
    /// The filter is not one.
    #[error("`{filter}` is not a log filter (for example `info,runtime=debug`): {source}")]
    Filter {
        /// As given.
        filter: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// Somebody set logs up before.
    #[error("logs are set up already: {0}")]
    Twice(String),
}

/// Sets up the process's logs, once. `filter` is a list of `level` and `target=level`, for example
/// `info,runtime=debug`. A line that cannot be written is lost; nothing waits for it.
pub fn init_logs(format: LogFormat, filter: &str) -> Result<(), LogsError> {
    let parsed = EnvFilter::try_new(filter)
        .map_err(|source| LogsError::Filter { filter: filter.to_owned(), source })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let done = match format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.try_init(),
    };
    done.map_err(|error| LogsError::Twice(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_wrong_with_a_setting() {
        assert_eq!("json".parse::<LogFormat>().ok(), Some(LogFormat::Json));
        let error = "xml".parse::<LogFormat>().expect_err("not a format").to_string();
        assert!(error.contains("`xml`"), "{error}");
        let error = init_logs(LogFormat::Json, "runtime=loud").expect_err("not a level").to_string();
        assert!(error.contains("`runtime=loud`"), "{error}");
        init_logs(LogFormat::Json, "off").expect("the first time");
        assert!(matches!(init_logs(LogFormat::Text, "off"), Err(LogsError::Twice(_))));
    }
}
