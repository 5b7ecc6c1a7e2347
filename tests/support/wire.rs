//! HTTP/1.1 by hand, for requests that no client library would send.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Dvss, PATIENCE, Vendor};

/// A request of which every byte is ours.
#[derive(Clone)]
pub struct Wire {
    /// Request line, without its end.
    pub line: String,
    /// Header lines, without their ends; `Host` and `Content-Length` are added where they are missing.
    pub headers: Vec<Vec<u8>>,
    /// The body.
    pub body: Vec<u8>,
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    /// Status; 0 where the connection was closed without an answer.
    pub status: u16,
    /// The head, in lower case.
    pub head: String,
    /// The body, as JSON where it is.
    pub body: Value,
}

impl Wire {
    /// `POST` to this path, as this media type, with the vendor's key.
    pub fn post(path: &str, vendor: &Vendor, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![
            format!("Authorization: Bearer {}", vendor.key).into_bytes(),
            format!("Content-Type: {media_type}").into_bytes(),
        ];
        Self { line: format!("POST {path} HTTP/1.1"), headers, body: body.into() }
    }

    /// An event, as JSON.
    pub fn event(vendor: &Vendor, body: impl Into<Vec<u8>>) -> Self {
        Self::post("/v1/events", vendor, "application/json", body)
    }

    /// The same with one more header line.
    pub fn with(mut self, header: impl Into<Vec<u8>>) -> Self {
        self.headers.push(header.into());
        self
    }

    /// The same without the headers of this name.
    pub fn without(mut self, name: &str) -> Self {
        let prefix = format!("{name}:").to_ascii_lowercase().into_bytes();
        self.headers.retain(|header| !header.to_ascii_lowercase().starts_with(&prefix));
        self
    }

    /// All bytes of the request.
    pub fn bytes(&self) -> Vec<u8> {
        let has = |name: &str| {
            let lower = |header: &Vec<u8>| String::from_utf8_lossy(header).to_ascii_lowercase();
            self.headers.iter().any(|header| lower(header).starts_with(name))
        };
        let mut bytes = format!("{}\r\n", self.line).into_bytes();
        let mut line = |text: &[u8]| bytes.extend([text, b"\r\n"].concat());
        if !has("host:") {
            line(b"Host: dvss.test");
        }
        if !has("content-length:") && !has("transfer-encoding:") {
            line(format!("Content-Length: {}", self.body.len()).as_bytes());
        }
        self.headers.iter().for_each(|header| line(header));
        line(b"");
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// Sends it over a connection of its own and reads the answer.
    pub async fn send(&self, dvss: &Dvss) -> Reply {
        let mut stream = connect(dvss).await;
        // A refused body is perhaps not read to its end; what matters is the answer.
        let _broken_pipe = stream.write_all(&self.bytes()).await;
        read(&mut stream).await
    }
}

/// A connection to the vendors' door.
pub async fn connect(dvss: &Dvss) -> TcpStream {
    let address = dvss.vendors.strip_prefix("http://").expect("an address");
    TcpStream::connect(address).await.expect("the vendors' door is open")
}

/// Reads one answer, whose length its head states, or until the connection is closed.
pub async fn read(stream: &mut TcpStream) -> Reply {
    timeout(PATIENCE, read_patiently(stream)).await.expect("an answer, or the end of the connection")
}

/// Whether the connection is closed within this time, without another byte.
pub async fn closes_within(stream: &mut TcpStream, limit: Duration) -> bool {
    let mut byte = [0];
    matches!(timeout(limit, stream.read(&mut byte)).await, Ok(Ok(0) | Err(_)))
}

async fn read_patiently(stream: &mut TcpStream) -> Reply {
    let mut bytes = Vec::new();
    loop {
        if let Some(reply) = complete(&bytes) {
            return reply;
        }
        if !matches!(stream.read_buf(&mut bytes).await, Ok(count) if count > 0) {
            assert!(bytes.is_empty(), "half an answer: {}", String::from_utf8_lossy(&bytes));
            return Reply { status: 0, head: String::new(), body: Value::Null };
        }
    }
}

fn complete(bytes: &[u8]) -> Option<Reply> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let head = head.to_ascii_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let length: usize = field("content-length:").map_or(Some(0), |text| text.parse().ok())?;
    if body.len() < length {
        return None;
    }
    let body = serde_json::from_str(&body[..length]).unwrap_or_else(|_| Value::String(body.to_owned()));
    Some(Reply { status, head, body })
}

impl Reply {
    /// Checks that it is a problem document with this status and code.
    #[track_caller]
    pub fn refused(&self, name: &str, status: u16, code: &str) {
        assert_eq!((self.status, self.body["code"].as_str()), (status, Some(code)), "{name}: {self:?}");
        assert!(self.head.contains("content-type: application/problem+json"), "{name}: {self:?}");
    }
}
