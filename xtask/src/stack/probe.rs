//! One real request to each server: what a ready check asks.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// A server that takes longer to answer one small request is not ready.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Lists the broker's topics, with the broker itself registered in the cluster.
pub fn lists_topics(port: u16) -> bool {
    let exchange = || -> std::io::Result<Vec<u8>> {
        let mut stream = connect(port)?;
        stream.write_all(&metadata_request())?;
        let mut size = [0; 4];
        stream.read_exact(&mut size)?;
        let mut answer = Vec::new();
        stream.take(u64::from(u32::from_be_bytes(size))).read_to_end(&mut answer)?;
        Ok(answer)
    };
    exchange().is_ok_and(|answer| broker_ports(&answer).is_some_and(|ports| ports.contains(&i32::from(port))))
}

/// Whether the HTTP server answers this request with 200.
pub fn answers(port: u16, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> bool {
    let mut request = format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    request.push_str(body);
    let exchange = || -> std::io::Result<[u8; 12]> {
        let mut stream = connect(port)?;
        stream.write_all(request.as_bytes())?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(status)
    };
    exchange().is_ok_and(|status| &status == b"HTTP/1.1 200")
}

fn connect(port: u16) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Kafka's Metadata request, version 1, for all topics.
fn metadata_request() -> Vec<u8> {
    let (key, version, correlation, client) = (3_i16, 1_i16, 1_i32, "xtask");
    let mut body = Vec::new();
    body.extend(key.to_be_bytes());
    body.extend(version.to_be_bytes());
    body.extend(correlation.to_be_bytes());
    body.extend([0, 5]);
    body.extend(client.as_bytes());
    // Null instead of a list of names: every topic.
    body.extend((-1_i32).to_be_bytes());
    let mut request = vec![0, 0, 0];
    request.extend(u8::try_from(body.len()));
    request.extend(body);
    request
}

/// Ports of the brokers in the answer to [`metadata_request`]. A broker that is not yet let in lists none.
fn broker_ports(answer: &[u8]) -> Option<Vec<i32>> {
    let mut rest = answer;
    number(&mut rest)?; // correlation
    let mut ports = Vec::new();
    for _ in 0..number(&mut rest)? {
        number(&mut rest)?; // node
        text(&mut rest)?; // host
        ports.push(number(&mut rest)?);
        text(&mut rest)?; // rack
    }
    Some(ports)
}

fn number(rest: &mut &[u8]) -> Option<i32> {
    let (bytes, after) = rest.split_first_chunk::<4>()?;
    *rest = after;
    Some(i32::from_be_bytes(*bytes))
}

fn text(rest: &mut &[u8]) -> Option<()> {
    let (bytes, after) = rest.split_first_chunk::<2>()?;
    // A negative length is null: no bytes follow.
    let length = usize::try_from(i16::from_be_bytes(*bytes)).unwrap_or(0);
    *rest = after.get(length..)?;
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_says_its_length() {
        let request = metadata_request();
        assert_eq!(request[..4], [0, 0, 0, 19]);
        assert_eq!(request.len(), 4 + 19);
    }

    #[test]
    fn finds_the_brokers_of_an_answer() {
        let mut answer = vec![0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 7, 0, 9];
        answer.extend(b"127.0.0.1");
        answer.extend(21_001_i32.to_be_bytes());
        answer.extend([0xff, 0xff, 0, 0, 0, 7, 0, 0, 0, 0]);
        assert_eq!(broker_ports(&answer), Some(vec![21_001]));
        assert_eq!(broker_ports(&answer[..20]), None, "cut short");
        assert_eq!(broker_ports(&[0, 0, 0, 1, 0, 0, 0, 0]), Some(Vec::new()), "no broker yet");
    }
}
