//! HTTP/1.1 as it comes through a forwarded port, piece by piece, and answers as they go back.

use crate::machinery::shell::HttpAnswer;

/// A request as it came.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// Whether the connection ends with its answer.
    pub(super) is_last: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    /// A request, and how many bytes it had.
    Whole(Request, usize),
    /// There must be more to come.
    Part,
    /// This is no HTTP.
    Nonsense,
}

/// Reads the request that bytes begin with.
pub(super) fn parse(bytes: &[u8]) -> Parsed {
    let Some(head_end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        let begins_well = bytes.iter().take(8).take_while(|byte| **byte != b' ').all(u8::is_ascii_uppercase);
        return if begins_well { Parsed::Part } else { Parsed::Nonsense };
    };
    let Ok(head) = std::str::from_utf8(&bytes[..head_end]) else { return Parsed::Nonsense };
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or("").split(' ');
    let (Some(method), Some(path), Some(version), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Parsed::Nonsense;
    };
    if !version.starts_with("HTTP/1.") {
        return Parsed::Nonsense;
    }
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    let header = |wanted: &str| {
        headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map_or("", |(_, value)| value.as_str())
    };
    let connection = header("connection").to_ascii_lowercase();
    let is_last = connection == "close" || (version == "HTTP/1.0" && connection != "keep-alive");
    let rest = &bytes[head_end + 4..];
    let body = if header("transfer-encoding").eq_ignore_ascii_case("chunked") {
        chunked(rest)
    } else {
        let length = header("content-length").parse().unwrap_or(0);
        rest.get(..length).map(|body| (body.to_vec(), length))
    };
    let Some((body, length)) = body else { return Parsed::Part };
    let (method, path) = (method.to_owned(), path.to_owned());
    Parsed::Whole(Request { method, path, headers, body, is_last }, head_end + 4 + length)
}

/// A body that comes in chunks, and how many bytes they had; nothing while it is not whole.
fn chunked(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let line_end = bytes[at..].windows(2).position(|two| two == b"\r\n")? + at;
        let size = std::str::from_utf8(&bytes[at..line_end]).ok()?;
        let size = usize::from_str_radix(size.split(';').next().unwrap_or("").trim(), 16).ok()?;
        at = line_end + 2;
        let chunk_end = at.checked_add(size)?;
        body.extend_from_slice(bytes.get(at..chunk_end)?);
        bytes.get(chunk_end..chunk_end + 2)?;
        at = chunk_end + 2;
        if size == 0 {
            return Some((body, at));
        }
    }
}

/// An answer as it goes over the wire.
pub(super) fn write(answer: &HttpAnswer, is_head: bool) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} {}\r\n", answer.status, answer.reason());
    for (name, value) in &answer.headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !answer.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
        head += &format!("Content-Length: {}\r\n", answer.body.len());
    }
    head += "\r\n";
    let mut bytes = head.into_bytes();
    if !is_head {
        bytes.extend_from_slice(&answer.body);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_one_after_another() {
        let both = b"GET /a?b HTTP/1.1\r\nHost: localhost:8080\r\n\r\nPOST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi";
        let Parsed::Whole(first, length) = parse(both) else { panic!("it is whole") };
        assert_eq!((first.method.as_str(), first.path.as_str(), first.is_last), ("GET", "/a?b", false));
        let rest = &both[length..];
        assert_eq!(parse(&rest[..rest.len() - 1]), Parsed::Part);
        let Parsed::Whole(second, length) = parse(rest) else { panic!("it is whole") };
        assert_eq!((second.body.as_slice(), second.is_last, length), (&b"hi"[..], true, rest.len()));
        let chunks = b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n";
        let Parsed::Whole(request, length) = parse(chunks) else { panic!("it is whole") };
        assert_eq!((request.body.as_slice(), length), (&b"abcd"[..], chunks.len()));
        for part in 0..chunks.len() {
            assert_eq!(parse(&chunks[..part]), Parsed::Part, "{part}");
        }
        for nonsense in [&b"\x16\x03\x01"[..], b"ping\r\n", b"A B\r\n\r\n", b"GET / FTP/1.1\r\n\r\n"] {
            assert_eq!(parse(nonsense), Parsed::Nonsense);
        }
    }
}
