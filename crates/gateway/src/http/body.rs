//! Bodies: read within bounds of size and time, content coding undone.

use std::io::Read;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use contract::Code;
use contract::envelope::Refusal;
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt;
use hyper::body::Body as _;
use tokio::time::Instant;

/// What gzip may add to bytes that it cannot shrink.
const GZIP_OVERHEAD: usize = 4_096;
/// How much of a refused body is read and thrown away, and for how long.
const DRAIN_BYTES: usize = 8 * 1_024 * 1_024;
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// A body of at most `limit` bytes, decoded, that comes within `timeout`.
pub async fn read(
    headers: &HeaderMap,
    body: &mut Body,
    limit: usize,
    timeout: Duration,
) -> Result<Bytes, Refusal> {
    let gzip = is_gzip(headers)?;
    let raw_limit = if gzip { limit.saturating_add(GZIP_OVERHEAD) } else { limit };
    if body.size_hint().lower() > raw_limit as u64 {
        return Err(too_large(limit));
    }
    let deadline = Instant::now() + timeout;
    let mut bytes = BytesMut::new();
    loop {
        let frame = match tokio::time::timeout_at(deadline, body.frame()).await {
            Err(_) => {
                let message = format!("the body did not arrive within {} ms", timeout.as_millis());
                return Err(Refusal::new(Code::RequestTimeout, message));
            }
            Ok(None) => break,
            Ok(Some(Err(_))) => return Err(Refusal::new(Code::BodyIncomplete, "the body broke off")),
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > raw_limit {
            return Err(too_large(limit));
        }
        bytes.extend_from_slice(&data);
    }
    if gzip { inflate(&bytes, limit) } else { Ok(bytes.freeze()) }
}

/// Reads and drops what is left of a body that was refused, within bounds.
pub async fn drain(body: &mut Body) {
    let deadline = Instant::now() + DRAIN_TIME;
    let mut left = DRAIN_BYTES;
    while !body.is_end_stream() {
        match tokio::time::timeout_at(deadline, body.frame()).await {
            Ok(Some(Ok(frame))) => {
                let read = frame.data_ref().map_or(0, Bytes::len);
                left = match left.checked_sub(read) {
                    Some(left) => left,
                    None => return,
                };
            }
            _ => return,
        }
    }
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, Refusal> {
    let mut gzip = false;
    for value in headers.get_all(header::CONTENT_ENCODING) {
        match value.to_str().unwrap_or("?").trim().to_ascii_lowercase().as_str() {
            "identity" | "" => {}
            "gzip" | "x-gzip" if !gzip => gzip = true,
            _ => {
                let message = "the Content-Encoding is not taken; send gzip once, or none";
                return Err(Refusal::new(Code::ContentEncodingUnsupported, message));
            }
        }
    }
    Ok(gzip)
}

/// Stops as soon as there is one byte too many, so a bomb costs no more than an event.
fn inflate(bytes: &[u8], limit: usize) -> Result<Bytes, Refusal> {
    let mut plain = Vec::new();
    let mut decoder = MultiGzDecoder::new(bytes).take(limit as u64 + 1);
    if let Err(error) = decoder.read_to_end(&mut plain) {
        let message = format!("the body is not gzip, as its Content-Encoding says: {error}");
        return Err(Refusal::new(Code::ContentEncodingInvalid, message));
    }
    if plain.len() > limit {
        return Err(too_large(limit));
    }
    Ok(plain.into())
}

fn too_large(limit: usize) -> Refusal {
    Refusal::new(Code::BodyTooLarge, format!("the body is larger than {limit} bytes, decoded"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use axum::http::HeaderValue;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    #[test]
    fn inflating_is_bounded() {
        let code = |bytes: &[u8], limit| inflate(bytes, limit).map_err(|refusal| refusal.code);
        assert_eq!(code(&gzip(b"abc"), 3), Ok(Bytes::from_static(b"abc")));
        assert_eq!(code(&gzip(b"abcd"), 3), Err(Code::BodyTooLarge));
        let members = [gzip(b"ab"), gzip(b"cd")].concat();
        assert_eq!(
            code(&members, 10),
            Ok(Bytes::from_static(b"abcd")),
            "RFC 1952: members follow one another"
        );
        let bomb = gzip(&vec![0; 10_000_000]);
        assert!(bomb.len() < 20_000);
        assert_eq!(code(&bomb, 1_000), Err(Code::BodyTooLarge));
        let whole = gzip(b"abc");
        for broken in [&b"not gzip"[..], &whole[..whole.len() - 3], &whole[..5], b""] {
            assert_eq!(code(broken, 1_000), Err(Code::ContentEncodingInvalid), "{broken:?}");
        }
        assert_eq!(code(&[whole, b"trailing".to_vec()].concat(), 1_000), Err(Code::ContentEncodingInvalid));
    }

    #[test]
    fn codings() {
        let coding = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::CONTENT_ENCODING, HeaderValue::from_static(value));
            }
            is_gzip(&headers).map_err(|refusal| refusal.code)
        };
        for (values, expected) in [
            (&[][..], Ok(false)),
            (&["identity"], Ok(false)),
            (&["GZIP"], Ok(true)),
            (&["x-gzip"], Ok(true)),
            (&["gzip", "gzip"], Err(Code::ContentEncodingUnsupported)),
            (&["gzip, gzip"], Err(Code::ContentEncodingUnsupported)),
            (&["br"], Err(Code::ContentEncodingUnsupported)),
            (&["zstd"], Err(Code::ContentEncodingUnsupported)),
        ] {
            assert_eq!(coding(values), expected, "{values:?}");
        }
    }
}
