//! The operator API, as commands use it.

use reqwest::{Method, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Why a call failed.
#[derive(Debug)]
pub enum Error {
    /// Nobody answers.
    Unreachable {
        /// The server's address.
        server: String,
        /// What the client says.
        reason: String,
    },
    /// Somebody answers, and not as dvss does.
    Foreign {
        /// The server's address.
        server: String,
        /// HTTP status.
        status: StatusCode,
    },
    /// The server says no.
    Refused {
        /// HTTP status.
        status: StatusCode,
        /// Stable code.
        code: String,
        /// What is wrong.
        detail: String,
    },
}

impl std::fmt::Display for Error {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreachable { server, reason } => {
                write!(
                    formatter,
                    "no answer from {server} ({reason}); is `dvss up` running there? --server names another"
                )
            }
            Self::Foreign { server, status } => {
                write!(
                    formatter,
                    "{server} answers HTTP {status}, and not as dvss does; is that the operator API of a `dvss \
                     up`, or something in between? --server names another"
                )
            }
            Self::Refused { status, code, detail } => {
                write!(formatter, "{detail} ({code}, HTTP {})", status.as_u16())?;
                if status.as_u16() == 503 && !detail.contains("again") {
                    formatter.write_str("; try again")?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for Error {}

/// A client of one server.
#[derive(Clone)]
pub struct Client {
    server: String,
    http: reqwest::Client,
}

impl Client {
    /// A client of the server at this base address.
    pub fn new(server: &str) -> Self {
        Self { server: server.trim_end_matches('/').to_owned(), http: reqwest::Client::new() }
    }

    /// `GET`, JSON back.
    pub async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Value, Error> {
        self.get_as(path, query).await
    }

    /// `GET`, and what comes back read as `T`: a [`Value`] rounds numbers, and refuses those that no
    /// double holds, so what vendors wrote is not read as one.
    pub async fn get_as<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<T, Error> {
        let request = self.http.request(Method::GET, self.url(path)).query(query);
        self.json(request).await
    }

    /// `POST` with a JSON body, JSON back.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Error> {
        let request = self.http.request(Method::POST, self.url(path)).json(body);
        self.json(request).await
    }

    /// `POST` or `PATCH` with a JSON body, on top of a version (RFC 9110, `If-Match`); JSON back.
    pub async fn at_version(
        &self,
        method: Method,
        path: &str,
        version: u64,
        body: &Value,
    ) -> Result<Value, Error> {
        let request = self.http.request(method, self.url(path)).json(body);
        self.json(request.header("if-match", format!("\"{version}\""))).await
    }

    /// Sends bytes as an answer of the server's says: method, url, headers. Whoever answers may be an object store.
    pub async fn send(&self, signed: &Value, bytes: Vec<u8>) -> Result<(), Error> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let method = Method::from_bytes(text(&signed["method"]).as_bytes()).unwrap_or(Method::PUT);
        let mut request = self.http.request(method, text(&signed["url"])).body(bytes);
        for (name, value) in signed["headers"].as_object().into_iter().flatten() {
            request = request.header(name, text(value));
        }
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let body = answer.bytes().await.map_err(|error| self.unreachable(&error))?;
        let detail = String::from_utf8_lossy(&body).chars().take(500).collect();
        let refused = || Error::Refused { status, code: "upload-forbidden".to_owned(), detail };
        match read::<Value>(status, &body) {
            Some(Err(error)) => Err(error),
            _ => Err(refused()),
        }
    }

    /// `POST` with a text body, JSON back.
    pub async fn post_text(
        &self,
        path: &str,
        query: &[(&str, String)],
        body: String,
    ) -> Result<Value, Error> {
        let request = self.http.request(Method::POST, self.url(path)).query(query);
        self.json(request.header("content-type", "application/yaml").body(body)).await
    }

    fn unreachable(&self, error: &reqwest::Error) -> Error {
        Error::Unreachable {
            server: self.server.clone(),
            reason: std::iter::successors(std::error::Error::source(error), |error| error.source())
                .last()
                .map_or_else(|| error.to_string(), ToString::to_string),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}/api/v1{path}", self.server)
    }

    async fn json<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<T, Error> {
        let answer: Response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = answer.status();
        let bytes = answer.bytes().await.map_err(|error| self.unreachable(&error))?;
        read(status, &bytes).ok_or_else(|| Error::Foreign { server: self.server.clone(), status })?
    }
}

/// What an answer says; `None` where dvss would not answer so.
fn read<T: DeserializeOwned>(status: StatusCode, body: &[u8]) -> Option<Result<T, Error>> {
    if status.is_success() {
        return Some(Ok(serde_json::from_slice(body).ok()?));
    }
    let body: Value = serde_json::from_slice(body).ok()?;
    let text = |name: &str| body[name].as_str().map(str::to_owned);
    Some(Err(Error::Refused { status, code: text("code")?, detail: text("detail")? }))
}

/// The address of a server: `http://` may be left out.
pub fn server(text: &str) -> Result<String, String> {
    let full = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let usual = "write it as http://127.0.0.1:8081, or without the http://";
    let url = reqwest::Url::parse(&full).map_err(|error| format!("{error}; {usual}"))?;
    match url.scheme() {
        "http" => Ok(full),
        "https" => Err(format!("dvss speaks HTTP to the operator API, not https; {usual}")),
        other => Err(format!("{other}:// is no address of the operator API; {usual}")),
    }
}

/// Percent-encodes one segment of a path.
pub fn segment(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_dvss_answers_as_dvss_does() {
        let (good, bad) = (StatusCode::OK, StatusCode::BAD_GATEWAY);
        assert!(matches!(read::<Value>(good, b"{\"a\":1}"), Some(Ok(_))));
        let refused = read::<Value>(StatusCode::NOT_FOUND, br#"{"code":"not-found","detail":"no"}"#);
        assert!(matches!(refused, Some(Err(Error::Refused { code, .. })) if code == "not-found"));
        for (status, body) in [
            (good, &b"<html>"[..]),
            (good, b""),
            (bad, b"<html>"),
            (bad, b""),
            (bad, b"{}"),
            (bad, br#"{"detail":"no"}"#),
            (bad, br#"["code"]"#),
        ] {
            assert!(read::<Value>(status, body).is_none(), "{status} {body:?}");
        }
        let said = Error::Foreign { server: "http://proxy".to_owned(), status: bad }.to_string();
        assert!(said.contains("http://proxy answers HTTP 502 Bad Gateway"), "{said}");
    }

    #[test]
    fn a_server_needs_no_scheme() {
        for (text, address) in [
            ("localhost:8081", "http://localhost:8081"),
            ("127.0.0.1:8081", "http://127.0.0.1:8081"),
            ("[::1]:8081", "http://[::1]:8081"),
            ("http://ops.example/dvss", "http://ops.example/dvss"),
        ] {
            assert_eq!(server(text).as_deref(), Ok(address));
        }
        for (text, why) in
            [("", "empty host"), ("ftp://x", "ftp://"), ("http://x:port", "port"), ("https://x", "not https")]
        {
            let error = server(text).expect_err("no address");
            assert!(error.contains(why) && error.contains("http://127.0.0.1:8081"), "{text:?}: {error}");
        }
    }
}
