//! Plays behaviours on one connection.

use std::{future::pending, io, sync::Arc, time::Duration};

use tokio::{net::TcpStream, time::sleep};

use super::{
    Claim, Seen, Shared,
    behaviour::{Answer, Behaviour, Fields},
    http1::{BodyReader, Head, Piece, Wire, malformed},
};

/// A longer request body is refused.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// How long an upstream that answered early leaves the connection open and unread.
const UNREAD: Duration = Duration::from_millis(200);

/// Whether the connection may serve another request.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    KeepAlive,
    Close,
}

/// Serves a connection until either side closes it.
pub(super) async fn serve(stream: TcpStream, shared: Arc<Shared>, connection: usize) {
    let mut wire = Wire::new(stream);
    match converse(&mut wire, &shared, connection).await {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            let answer = response(&shared.name, 400, &[], Some(error.to_string().as_bytes()));
            // The client may be gone already, and there is nobody else to tell.
            let _ = wire.send(&answer).await;
        }
        _ => {}
    }
}

async fn converse(wire: &mut Wire, shared: &Shared, connection: usize) -> io::Result<()> {
    while wire.has_input().await? && !shared.closes_unread() {
        let Some(head) = wire.head().await? else {
            break;
        };
        let (attempt, behaviour) = match shared.claim() {
            Claim::Attempt(number, behaviour) => (Some(number), Some(behaviour)),
            Claim::WarmUp => (None, Some(Behaviour::Status(ok()))),
            Claim::Unannounced => (None, None),
        };
        let keep_alive = head.keep_alive;
        let mut exchange = Exchange::begin(wire, shared, head, connection, attempt);
        let played = match behaviour {
            Some(behaviour) => exchange.play(behaviour).await,
            None => exchange.refuse_unannounced().await,
        };
        let left = |error: &io::Error| error.kind() != io::ErrorKind::InvalidData;
        if played.as_ref().is_err_and(left) {
            exchange.update(|seen| seen.abandoned = true);
        }
        if played? == Next::Close || !keep_alive {
            break;
        }
    }
    Ok(())
}

/// One request, and its entry in the log.
#[derive(Debug)]
struct Exchange<'a> {
    wire: &'a mut Wire,
    shared: &'a Shared,
    body: BodyReader,
    index: usize,
    is_head: bool,
}

impl<'a> Exchange<'a> {
    fn begin(
        wire: &'a mut Wire,
        shared: &'a Shared,
        head: Head,
        connection: usize,
        attempt: Option<usize>,
    ) -> Self {
        let is_head = head.method == "HEAD";
        let mut index = 0;
        shared.log.send_modify(|log| {
            index = log.seen.len();
            log.seen.push(Seen {
                attempt,
                connection,
                method: head.method,
                target: head.target,
                headers: head.headers,
                body: Vec::new(),
                trailers: Fields::new(),
                complete: false,
                abandoned: false,
            });
        });
        let body = head.body;
        Self {
            wire,
            shared,
            body,
            index,
            is_head,
        }
    }

    async fn play(&mut self, behaviour: Behaviour) -> io::Result<Next> {
        match behaviour {
            Behaviour::ResetAfterHeaders => {
                self.wire.reset_on_close()?;
                return Ok(Next::Close);
            }
            Behaviour::ResetAfterFirstData => {
                self.read_some().await?;
                self.wire.reset_on_close()?;
                return Ok(Next::Close);
            }
            Behaviour::EarlyStatus { status, reset } => {
                self.respond(status, &[], b"").await?;
                match reset {
                    true => self.wire.reset_on_close()?,
                    false => sleep(UNREAD).await,
                }
                return Ok(Next::Close);
            }
            Behaviour::Informational(status) => {
                let interim = format!("HTTP/1.1 {status} Interim\r\n\r\n");
                self.wire.send(interim.as_bytes()).await?;
            }
            _ => {}
        }
        while self.read_some().await? {}
        let behaviour = match behaviour {
            Behaviour::Slow { delay, then } => {
                if !self.wait(sleep(delay)).await {
                    return Ok(Next::Close);
                }
                *then
            }
            other => other,
        };
        self.play_read(behaviour).await
    }

    /// Plays what comes after the whole request was read.
    async fn play_read(&mut self, behaviour: Behaviour) -> io::Result<Next> {
        match behaviour {
            Behaviour::Status(answer) => self.answer(&answer).await,
            Behaviour::Echo => {
                let body = self.shared.log.borrow().seen[self.index].body.clone();
                self.answer(&Answer { body, ..ok() }).await
            }
            Behaviour::HangUntilReleased => match self.wait(self.shared.released()).await {
                true => self.answer(&ok()).await,
                false => Ok(Next::Close),
            },
            Behaviour::Hang => {
                self.wait(pending()).await;
                Ok(Next::Close)
            }
            Behaviour::HeadThenHang(status) => {
                self.start(status, &length(16)).await?;
                self.wait(pending()).await;
                Ok(Next::Close)
            }
            Behaviour::HeadThenSlowBody { status, delay } => {
                let body = b"slow body";
                self.start(status, &length(body.len())).await?;
                if !self.wait(sleep(delay)).await {
                    return Ok(Next::Close);
                }
                self.wire.send(body).await?;
                Ok(Next::KeepAlive)
            }
            Behaviour::BodyCut {
                status,
                length: announced,
                sent,
            } => {
                let body = "x".repeat(sent);
                let (framing, body) = match announced {
                    Some(announced) => (length(announced), body),
                    None if sent == 0 => (chunked(), body),
                    None => (chunked(), format!("{sent:x}\r\n{body}\r\n")),
                };
                self.start(status, &framing).await?;
                self.wire.send(body.as_bytes()).await?;
                Ok(Next::Close)
            }
            Behaviour::Frames { chunks, trailers } => {
                self.start(200, &chunked()).await?;
                for chunk in chunks {
                    let chunk = format!("{:x}\r\n{chunk}\r\n", chunk.len());
                    self.wire.send(chunk.as_bytes()).await?;
                }
                let end = format!("0\r\n{}\r\n", lines(&trailers));
                self.wire.send(end.as_bytes()).await?;
                Ok(Next::KeepAlive)
            }
            Behaviour::PartialHeaders => {
                self.wire.send(b"HTTP/1.1 200 OK\r\ncontent-le").await?;
                Ok(Next::Close)
            }
            Behaviour::Garbage => {
                self.wire.send(b"\x00\x01 no http here\r\n\r\n").await?;
                Ok(Next::Close)
            }
            Behaviour::ReadClose | Behaviour::ReusedReadClose | Behaviour::Informational(_) => {
                Ok(Next::Close)
            }
            // Played without reading the request to its end, or without a connection.
            Behaviour::Refuse
            | Behaviour::Blackhole
            | Behaviour::AcceptClose
            | Behaviour::ResetAfterHeaders
            | Behaviour::ResetAfterFirstData
            | Behaviour::EarlyStatus { .. }
            | Behaviour::Slow { .. } => unreachable!("{behaviour:?} was played before"),
        }
    }

    async fn refuse_unannounced(&mut self) -> io::Result<Next> {
        let why = b"no attempt was begun for this request";
        self.respond(500, &[], why).await?;
        Ok(Next::Close)
    }

    fn update(&self, change: impl FnOnce(&mut Seen)) {
        let log = &self.shared.log;
        log.send_modify(|log| change(&mut log.seen[self.index]));
    }

    /// Records the next piece of the request; false once it is complete.
    async fn read_some(&mut self) -> io::Result<bool> {
        let Some(piece) = self.body.next(self.wire).await? else {
            self.update(|seen| seen.complete = true);
            return Ok(false);
        };
        let mut length = 0;
        self.update(|seen| {
            match piece {
                Piece::Data(data) => seen.body.extend(data),
                Piece::Trailers(trailers) => seen.trailers = trailers,
            }
            length = seen.body.len();
        });
        match length {
            0..=MAX_BODY => Ok(true),
            _ => Err(malformed("body too long")),
        }
    }

    /// Waits for `until`; false if the client closed first.
    async fn wait(&mut self, until: impl Future<Output = ()>) -> bool {
        tokio::select! {
            () = until => true,
            () = self.wire.closed() => {
                self.update(|seen| seen.abandoned = true);
                false
            }
        }
    }

    async fn answer(&mut self, answer: &Answer) -> io::Result<Next> {
        self.respond(answer.status, &answer.headers, &answer.body)
            .await?;
        Ok(Next::KeepAlive)
    }

    async fn respond(&mut self, status: u16, headers: &[Field], body: &[u8]) -> io::Result<()> {
        let mut bytes = response(&self.shared.name, status, headers, Some(body));
        if self.is_head {
            bytes.truncate(bytes.len() - body.len());
        }
        self.wire.send(&bytes).await
    }

    /// Sends a head whose body is sent apart, or not at all.
    async fn start(&mut self, status: u16, framing: &[Field]) -> io::Result<()> {
        let head = response(&self.shared.name, status, framing, None);
        self.wire.send(&head).await
    }
}

type Field = (String, String);

fn field(name: &str, value: impl ToString) -> Field {
    (name.to_owned(), value.to_string())
}

fn length(length: usize) -> [Field; 1] {
    [field("content-length", length)]
}

fn chunked() -> [Field; 1] {
    [field("transfer-encoding", "chunked")]
}

fn lines(fields: &[Field]) -> String {
    let line = |(name, value): &Field| format!("{name}: {value}\r\n");
    fields.iter().map(line).collect()
}

fn ok() -> Answer {
    Answer {
        status: 200,
        headers: Fields::new(),
        body: Vec::new(),
    }
}

/// A response head, with `body` and its length unless the caller frames the body itself.
fn response(name: &str, status: u16, headers: &[Field], body: Option<&[u8]>) -> Vec<u8> {
    let known = http::StatusCode::from_u16(status).ok();
    let reason = known.and_then(|status| status.canonical_reason());
    let mut head = format!("HTTP/1.1 {status} {}\r\n", reason.unwrap_or("Scripted"));
    head += &lines(&[field("x-served-by", name)]);
    head += &lines(headers);
    // These have no body, whatever the headers say.
    let body = body.filter(|_| !matches!(status, 100..200 | 204 | 304));
    if let Some(body) = body {
        head += &lines(&length(body.len()));
    }
    let mut bytes = (head + "\r\n").into_bytes();
    bytes.extend(body.unwrap_or_default());
    bytes
}
