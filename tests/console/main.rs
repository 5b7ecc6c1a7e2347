//! The console in a real browser: Chromium without a screen, driven over WebDriver, on a real `dvss up`.
//!
//! It needs the Debian packages `chromium` and `chromium-driver`. Where they are absent the tests fail and say so;
//! `DVSS_NO_BROWSER=1` says that this is wanted. Screenshots are left in `target/tmp/console`.

mod browser;
mod documents;
mod drop;
mod keyboard;
mod looks;
mod tabs;

#[path = "../support/mod.rs"]
mod support;
