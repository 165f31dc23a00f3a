//! A client that sends its request at once and takes whatever comes back.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::scenarios::Method;

/// Longer than any proxy here may take for all of its attempts.
const PATIENCE: Duration = Duration::from_secs(20);

/// What came back until the proxy closed.
#[derive(Debug)]
pub(crate) enum Answer {
    Whole(Response),
    /// Part of a response, or nothing.
    Cut,
    NotHttp,
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    /// Without its framing.
    pub(crate) body: String,
}

/// Sends the request for `host`, and reads until the proxy closes.
pub(crate) async fn send(proxy: SocketAddr, host: &str, method: Method) -> Answer {
    let body = method.body();
    let length = match method {
        Method::Get => String::new(),
        Method::Post => format!("content-length: {}\r\n", body.len()),
    };
    let name = method.name();
    let request =
        format!("{name} / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{length}\r\n{body}");
    let mut bytes = Vec::new();
    let exchange = timeout(PATIENCE, exchange(proxy, request.as_bytes(), &mut bytes)).await;
    // A reset takes nothing from what had come before.
    let _ = exchange.unwrap_or_else(|_| panic!("{proxy} does not end {request:?}"));
    let text = String::from_utf8_lossy(&bytes);
    match Response::parse(&text) {
        Some(response) => Answer::Whole(response),
        None if "HTTP/1.1 ".starts_with(&text[..text.len().min(9)]) => Answer::Cut,
        None => Answer::NotHttp,
    }
}

async fn exchange(proxy: SocketAddr, request: &[u8], answer: &mut Vec<u8>) -> io::Result<()> {
    let mut stream = TcpStream::connect(proxy).await?;
    // In one piece: HAProxy repeats only what it has whole when it first sends it.
    stream.write_all(request).await?;
    stream.read_to_end(answer).await?;
    Ok(())
}

impl Answer {
    pub(crate) fn response(&self) -> Option<&Response> {
        match self {
            Self::Whole(response) => Some(response),
            Self::Cut | Self::NotHttp => None,
        }
    }
}

impl Response {
    /// Reads a whole response; `None` if it is none, or not whole.
    fn parse(text: &str) -> Option<Self> {
        let (head, rest) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse();
        let field = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        let mut response = Self {
            status: status.ok()?,
            headers: lines.filter_map(field).collect(),
            body: String::new(),
        };
        response.body = match response.header("content-length") {
            Some(length) => rest.get(..length.parse().ok()?)?.to_owned(),
            None if response.header("transfer-encoding").is_some() => unchunked(rest)?,
            None => rest.to_owned(),
        };
        Some(response)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str())
    }
}

fn unchunked(mut rest: &str) -> Option<String> {
    let mut body = String::new();
    loop {
        let (size, after) = rest.split_once("\r\n")?;
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            return after.ends_with("\r\n").then_some(body);
        }
        body += after.get(..size)?;
        rest = after.get(size..)?.strip_prefix("\r\n")?;
    }
}
