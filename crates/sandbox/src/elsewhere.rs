//! Systems that are not Linux: nothing is confined, so nothing runs.

use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

use crate::{Confinement, Error, Input, Limits, Report, Run, exit};

/// Answers [`Error::Unsupported`].
pub fn confine(_limits: &Limits) -> Result<Confinement, Error> {
    Err(Error::Unsupported)
}

/// Says so on stderr, and ends with [`exit::UNCONFINED`].
pub fn serve<F>(_limits: &Limits, _probe: bool, _work: F) -> ExitCode
where
    F: FnOnce(Vec<u8>) -> Result<Vec<u8>, String>,
{
    eprintln!("{}", Error::Unsupported);
    ExitCode::from(exit::UNCONFINED)
}

/// Answers [`Error::Unsupported`].
pub async fn run(
    _program: &Path,
    _arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    _input: Input,
    _limits: &Limits,
) -> Result<Run, Error> {
    Err(Error::Unsupported)
}

/// Answers [`Error::Unsupported`].
pub async fn probe(
    _program: &Path,
    _arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    _limits: &Limits,
) -> Result<Report, Error> {
    Err(Error::Unsupported)
}
