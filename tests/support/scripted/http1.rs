//! A strict reader of HTTP/1.1 requests.

use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::behaviour::Fields;

/// A longer head, chunk line or trailer section is refused.
const MAX_HEAD: usize = 64 * 1024;

/// A request's head.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) headers: Fields,
    pub(super) body: BodyReader,
    /// Whether another request may follow on the connection.
    pub(super) keep_alive: bool,
}

/// A connection, and what was read from it and not used yet.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    buf: Vec<u8>,
}

impl Wire {
    pub(super) fn new(stream: TcpStream) -> Self {
        let buf = Vec::new();
        Self { stream, buf }
    }

    /// Waits for the next request without reading it; false if the client closed instead.
    pub(super) async fn has_input(&self) -> io::Result<bool> {
        Ok(!self.buf.is_empty() || self.stream.peek(&mut [0]).await? > 0)
    }

    /// Reads a head; `None` if the client closed before its first byte.
    pub(super) async fn head(&mut self) -> io::Result<Option<Head>> {
        loop {
            if let Some(end) = find(&self.buf, b"\r\n\r\n") {
                let bytes: Vec<u8> = self.buf.drain(..end + 4).collect();
                return parse_head(text(&bytes[..end])?).map(Some);
            }
            if self.buf.len() > MAX_HEAD {
                return Err(malformed("head too long"));
            }
            if !self.fill().await? {
                return match self.buf.is_empty() {
                    true => Ok(None),
                    false => Err(io::ErrorKind::UnexpectedEof.into()),
                };
            }
        }
    }

    /// Resolves once the client closed its side, keeping what it sent before that.
    pub(super) async fn closed(&mut self) {
        while self.buf.len() <= MAX_HEAD && matches!(self.fill().await, Ok(true)) {}
    }

    /// Writes and flushes.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Makes the close that follows a reset.
    pub(super) fn reset_on_close(&self) -> io::Result<()> {
        self.stream.set_zero_linger()
    }

    /// Reads more; false at the end.
    async fn fill(&mut self) -> io::Result<bool> {
        self.buf.reserve(16 * 1024);
        Ok(self.stream.read_buf(&mut self.buf).await? > 0)
    }

    async fn fill_or_fail(&mut self) -> io::Result<()> {
        match self.fill().await? {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = find(&self.buf, b"\r\n") {
                let bytes: Vec<u8> = self.buf.drain(..end + 2).collect();
                return Ok(text(&bytes[..end])?.to_owned());
            }
            if self.buf.len() > MAX_HEAD {
                return Err(malformed("line too long"));
            }
            self.fill_or_fail().await?;
        }
    }

    /// Takes what has arrived of the next `limit` bytes, at least one.
    async fn some(&mut self, limit: u64) -> io::Result<Vec<u8>> {
        if self.buf.is_empty() {
            self.fill_or_fail().await?;
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let length = self.buf.len().min(limit);
        Ok(self.buf.drain(..length).collect())
    }
}

/// A piece of a request's body.
#[derive(Debug)]
pub(super) enum Piece {
    Data(Vec<u8>),
    Trailers(Fields),
}

/// What of a request's body is still to come.
#[derive(Debug)]
pub(super) enum BodyReader {
    Length(u64),
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Done,
}

impl BodyReader {
    /// The next piece as soon as it arrived; `None` when, and only when, the body is complete.
    pub(super) async fn next(&mut self, wire: &mut Wire) -> io::Result<Option<Piece>> {
        loop {
            match self {
                Self::Done | Self::Length(0) => return Ok(None),
                Self::Length(left) => {
                    let data = wire.some(*left).await?;
                    *left -= data.len() as u64;
                    return Ok(Some(Piece::Data(data)));
                }
                Self::ChunkSize => *self = chunk(&wire.line().await?)?,
                Self::Chunk(0) => {
                    let trailers = trailers(wire).await?;
                    *self = Self::Done;
                    if !trailers.is_empty() {
                        return Ok(Some(Piece::Trailers(trailers)));
                    }
                }
                Self::ChunkEnd => {
                    if !wire.line().await?.is_empty() {
                        return Err(malformed("chunk longer than its size"));
                    }
                    *self = Self::ChunkSize;
                }
                Self::Chunk(left) => {
                    let data = wire.some(*left).await?;
                    *left -= data.len() as u64;
                    if *left == 0 {
                        *self = Self::ChunkEnd;
                    }
                    return Ok(Some(Piece::Data(data)));
                }
            }
        }
    }
}

fn chunk(line: &str) -> io::Result<BodyReader> {
    let size = line.split(';').next().unwrap_or_default().trim_end();
    match u64::from_str_radix(size, 16) {
        Ok(size) if !line.starts_with('+') => Ok(BodyReader::Chunk(size)),
        _ => Err(malformed("chunk size")),
    }
}

async fn trailers(wire: &mut Wire) -> io::Result<Fields> {
    let mut fields = Fields::new();
    let mut length = 0;
    loop {
        let line = wire.line().await?;
        length += line.len();
        match line.as_str() {
            "" => return Ok(fields),
            _ if length > MAX_HEAD => return Err(malformed("trailers too long")),
            line => fields.push(field(line)?),
        }
    }
}

fn parse_head(head: &str) -> io::Result<Head> {
    let mut lines = head.split("\r\n");
    let request: Vec<_> = lines.next().unwrap_or_default().split(' ').collect();
    let &[method, target, version @ ("HTTP/1.1" | "HTTP/1.0")] = request.as_slice() else {
        return Err(malformed("request line"));
    };
    if !is_token(method) || target.is_empty() {
        return Err(malformed("request line"));
    }
    let headers: Fields = lines.map(field).collect::<io::Result<_>>()?;
    let all = |wanted: &str| -> Vec<&str> {
        let named = |(name, _): &&(String, String)| name.eq_ignore_ascii_case(wanted);
        headers
            .iter()
            .filter(named)
            .map(|(_, v)| v.as_str())
            .collect()
    };
    let body = match (
        all("transfer-encoding").as_slice(),
        all("content-length").as_slice(),
    ) {
        ([], []) => BodyReader::Length(0),
        ([coding], []) if coding.eq_ignore_ascii_case("chunked") => BodyReader::ChunkSize,
        ([], [length]) if length.bytes().all(|b| b.is_ascii_digit()) => {
            BodyReader::Length(length.parse().map_err(|_| malformed("content-length"))?)
        }
        // A request that two readers could cut in two ways is refused.
        _ => return Err(malformed("framing")),
    };
    let close = |value: &str| {
        value
            .split(',')
            .any(|v| v.trim().eq_ignore_ascii_case("close"))
    };
    let keep_alive = version == "HTTP/1.1" && !all("connection").into_iter().any(close);
    Ok(Head {
        method: method.to_owned(),
        target: target.to_owned(),
        body,
        keep_alive,
        headers,
    })
}

fn field(line: &str) -> io::Result<(String, String)> {
    match line.split_once(':') {
        Some((name, value)) if is_token(name) && !value.contains(is_control) => {
            let value = value.trim_matches([' ', '\t']);
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err(malformed("header field")),
    }
}

fn is_control(c: char) -> bool {
    c.is_ascii_control() && c != '\t'
}

fn is_token(name: &str) -> bool {
    let in_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.bytes().all(in_token)
}

fn find(buf: &[u8], end: &[u8]) -> Option<usize> {
    buf.windows(end.len()).position(|window| window == end)
}

fn text(bytes: &[u8]) -> io::Result<&str> {
    std::str::from_utf8(bytes).map_err(|_| malformed("not UTF-8"))
}

/// The error of a request that is answered with 400.
pub(super) fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
