//! A browser of its own for each test, and what must be so whenever one is through.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use thirtyfour::prelude::*;
use thirtyfour::{BrowserLogEntry, LoggingPrefsLogLevel};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::support::PATIENCE;

const CHROMIUM: &str = "/usr/bin/chromium";
const DRIVER: &str = "/usr/bin/chromedriver";
/// Nothing that goes out, and nothing that a machine without a screen has not.
const FLAGS: [&str; 8] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// A browser, on one console.
pub struct Browser {
    pub page: WebDriver,
    /// The console's address.
    origin: String,
    _driver: Child,
    _profile: TempDir,
}

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// Which colours a person asks their system for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    Light,
    Dark,
}

impl Browser {
    /// A browser on the console at this address; `None` where nobody wants one.
    #[expect(clippy::disallowed_methods, reason = "whoever runs the tests says that there is no browser")]
    pub async fn on(origin: &str) -> Option<Self> {
        if std::env::var_os("DVSS_NO_BROWSER").is_some() {
            println!("no browser is wanted (DVSS_NO_BROWSER): the console was not looked at");
            return None;
        }
        let absent: Vec<_> =
            [CHROMIUM, DRIVER].into_iter().filter(|path| !PathBuf::from(path).exists()).collect();
        assert!(
            absent.is_empty(),
            "{absent:?} absent: `apt-get install --no-install-recommends chromium chromium-driver` (Debian), or set \
             DVSS_NO_BROWSER=1 to leave the console unlooked at"
        );
        let (driver, port) = start_driver().await;
        let profile = tempfile::tempdir().expect("a temporary directory");
        let mut wanted = DesiredCapabilities::chrome();
        wanted.set_binary(CHROMIUM).expect("a path");
        for flag in FLAGS {
            wanted.add_arg(flag).expect("a flag");
        }
        wanted.add_arg(&format!("--user-data-dir={}", profile.path().display())).expect("a flag");
        for log in ["browser", "performance"] {
            wanted.set_logging_prefs(log, LoggingPrefsLogLevel::All).expect("a level");
        }
        let page = WebDriver::new(format!("http://127.0.0.1:{port}"), wanted).await.expect("a browser");
        let browser = Self { page, origin: origin.to_owned(), _driver: driver, _profile: profile };
        browser.look(1_440, Scheme::Light).await;
        Some(browser)
    }

    /// Goes to a page of the console.
    pub async fn go(&self, path: &str) {
        self.page.goto(format!("{}{path}", self.origin)).await.expect("a page");
    }

    /// So wide, in these colours.
    pub async fn look(&self, width: u32, scheme: Scheme) {
        let devtools = self.page.cdp();
        let size = json!({ "width": width, "height": if width < 500 { 740 } else { 900 }, "deviceScaleFactor": 1, "mobile": false });
        devtools.send_raw("Emulation.setDeviceMetricsOverride", size).await.expect("a size");
        let scheme = format!("{scheme:?}").to_lowercase();
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        devtools.send_raw("Emulation.setEmulatedMedia", media).await.expect("a scheme");
    }

    /// What a script says of the page.
    pub async fn ask(&self, script: &str) -> Value {
        let said = self.page.execute(script, Vec::new()).await;
        said.unwrap_or_else(|error| panic!("{script}: {error}")).json().clone()
    }

    /// Waits until a script says yes.
    pub async fn until(&self, script: &str) {
        let says_so = async {
            while self.ask(&format!("return Boolean({script})")).await != true {
                sleep(LOOK).await;
            }
        };
        if timeout(PATIENCE, says_so).await.is_err() {
            self.picture("in-vain").await;
            let shown =
                self.ask("return `${location} says: ${document.querySelector('.bar').innerText}`").await;
            panic!("waited {PATIENCE:?} in vain: {script}; {shown}; the last picture is in-vain.png");
        }
    }

    /// Presses keys, one after the other, wherever the focus is.
    pub async fn press(&self, keys: &str) {
        self.page.action_chain().send_keys(keys).perform().await.expect("pressed");
    }

    /// Presses a key that leads to another page, where a key does something else. chromedriver repeats a key whose
    /// page goes while it is pressed, so that the page gets this one a moment later.
    pub async fn press_and_leave(&self, key: char) {
        let event = format!("new KeyboardEvent('keydown', {{ key: '{key}', bubbles: true }})");
        self.ask(&format!("setTimeout(() => document.activeElement.dispatchEvent({event}), 50)")).await;
    }

    /// Presses a key.
    pub async fn hit(&self, key: Key) {
        self.press(&String::from(key.value())).await;
    }

    /// Presses a key while `Ctrl` is down.
    pub async fn with_control(&self, key: Key) {
        let keys = self.page.action_chain().key_down(Key::Control).send_keys(String::from(key.value()));
        keys.key_up(Key::Control).perform().await.expect("pressed");
    }

    /// The text of an element, by its id.
    pub async fn text(&self, id: &str) -> String {
        let text = self.ask(&format!("return document.getElementById('{id}')?.innerText ?? ''")).await;
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Leaves a picture of what a person sees.
    pub async fn picture(&self, name: &str) {
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("console");
        std::fs::create_dir_all(&directory).expect("a directory");
        let png = self.page.screenshot_as_png().await.expect("a picture");
        std::fs::write(directory.join(format!("{name}.png")), png).expect("kept");
    }

    /// Closes it, and holds that nothing was asked of anybody but the console, nothing broke its policy, and no
    /// script failed. Answers that the test asked for are named by their status.
    pub async fn close(self, expected: &[u16]) {
        let asked = self.page.get_log("performance").await.expect("a log");
        let asked: Vec<String> = asked.iter().filter_map(address).collect();
        let own = asked.iter().filter(|url| url.starts_with(&format!("{}/", self.origin))).count();
        assert!(own > 0, "the log has no request at all, so that it would show no foreign one: {asked:?}");
        let foreign: Vec<_> = asked
            .iter()
            .filter(|url| !url.starts_with(&format!("{}/", self.origin)) && leaves(url))
            .collect();
        assert!(foreign.is_empty(), "requests left the origin: {foreign:?}");
        let said = self.page.get_log("browser").await.expect("a log");
        let is_expected = |entry: &&BrowserLogEntry| {
            expected
                .iter()
                .any(|status| entry.message.contains(&format!("responded with a status of {status}")))
        };
        let said: Vec<_> = said.iter().filter(|entry| !is_expected(entry)).collect();
        assert!(said.is_empty(), "the browser says: {said:?}");
        self.page.quit().await.expect("it ends");
    }
}

/// What a line of the performance log says was asked for.
fn address(entry: &BrowserLogEntry) -> Option<String> {
    let line: Value = serde_json::from_str(&entry.message).ok()?;
    let message = &line["message"];
    let url = match message["method"].as_str()? {
        "Network.requestWillBeSent" => &message["params"]["request"]["url"],
        "Network.webSocketCreated" => &message["params"]["url"],
        _ => return None,
    };
    url.as_str().map(str::to_owned)
}

/// Whether a request for this goes anywhere; a browser's own pages do not.
fn leaves(url: &str) -> bool {
    !["about:", "chrome:", "data:", "blob:", "devtools:"].iter().any(|scheme| url.starts_with(scheme))
}

async fn start_driver() -> (Child, u16) {
    let mut driver = Command::new(DRIVER)
        .arg("--port=0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("chromedriver starts");
    let mut lines = BufReader::new(driver.stdout.take().expect("piped")).lines();
    let port = async {
        // ChromeDriver was started successfully on port 40123.
        while let Some(line) = lines.next_line().await.expect("text") {
            if let Some(port) = line.split("successfully on port ").nth(1) {
                return port.trim_end_matches('.').parse().expect("a port");
            }
        }
        panic!("chromedriver ended without a word about its port");
    };
    let port = timeout(PATIENCE, port).await.expect("chromedriver says its port");
    // Whoever stops reading breaks its standard output.
    tokio::spawn(async move { while lines.next_line().await.is_ok_and(|line| line.is_some()) {} });
    (driver, port)
}
