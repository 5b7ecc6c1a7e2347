//! The operator API, as commands use it.

use reqwest::{Method, Response, StatusCode};
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
    /// The server says no.
    Refused {
        /// HTTP status.
        status: StatusCode,
        /// Stable code, where the answer has one.
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
            Self::Refused { status, code, detail } => {
                write!(formatter, "{detail} ({code}, HTTP {})", status.as_u16())
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
        let request = self.http.request(Method::GET, self.url(path)).query(query);
        self.json(request).await
    }

    /// `POST` with a JSON body, JSON back.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Error> {
        let request = self.http.request(Method::POST, self.url(path)).json(body);
        self.json(request).await
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

    fn url(&self, path: &str) -> String {
        format!("{}/api/v1{path}", self.server)
    }

    async fn json(&self, request: reqwest::RequestBuilder) -> Result<Value, Error> {
        let unreachable = |error: reqwest::Error| Error::Unreachable {
            server: self.server.clone(),
            reason: std::iter::successors(std::error::Error::source(&error), |error| error.source())
                .last()
                .map_or_else(|| error.to_string(), ToString::to_string),
        };
        let answer: Response = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        let body: Value = match answer.bytes().await {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            Err(error) => return Err(unreachable(error)),
        };
        if status.is_success() {
            return Ok(body);
        }
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let detail = if text("detail").is_empty() { status.to_string() } else { text("detail") };
        Err(Error::Refused { status, code: text("code"), detail })
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
