//! What an upstream does with one attempt, and the strings that say it.

use std::{fmt, str::FromStr, time::Duration};

/// Header fields, or trailer fields, in the order they are sent.
pub(crate) type Fields = Vec<(String, String)>;

/// What an upstream does with one attempt.
///
/// The answers are those of HTTP/1.1; "read" always means the whole request with its trailers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// `refuse`: the port is bound and nobody listens.
    Refuse,
    /// `blackhole`: the SYN is dropped.
    Blackhole,
    /// `accept_close`: the connection is closed with nothing read.
    AcceptClose,
    /// `reset_after_headers_read`: the head is read, then RST.
    ResetAfterHeaders,
    /// `reset_after_first_data`: at least one byte of the body is read, then RST.
    ResetAfterFirstData,
    /// `read_close`: read, then closed without an answer.
    ReadClose,
    /// `reused_read_close`: the same, once an uncounted warm-up has been answered with 200.
    ReusedReadClose,
    /// `partial_headers`: read, then half a response head, then closed.
    PartialHeaders,
    /// `garbage`: read, then bytes that are no HTTP, then closed.
    Garbage,
    /// `status:N[:BODY][;NAME=VALUE]`: read, then answered; a `BODY` of `512B` is that many bytes.
    Status(Answer),
    /// `early_status:N[;reset]`: answered once the head is read, and the body is never read.
    ///
    /// With `reset` the connection is reset as soon as the answer is flushed, without it the
    /// connection stays open and unread for 200 ms.
    EarlyStatus { status: u16, reset: bool },
    /// `echo`: read, then answered with 200 and the request's body.
    Echo,
    /// `slow:MS:status..` or `slow:MS:read_close`: read, and after that long the other behaviour.
    Slow {
        delay: Duration,
        then: Box<Behaviour>,
    },
    /// `hang`: read, and never answered.
    Hang,
    /// `hang_until_released`: read, and answered with 200 once released.
    HangUntilReleased,
    /// `head_then_hang:N`: read, then a head that announces a body which never comes.
    HeadThenHang(u16),
    /// `head_then_slow_body:N:MS`: read, then the head, and the body after that long.
    HeadThenSlowBody { status: u16, delay: Duration },
    /// `body_cut:N:LEN:SENT`: read, then `SENT` bytes of the body announced, then closed.
    ///
    /// `length` is `None` for a `LEN` of `chunked`: one chunk, and no last chunk.
    BodyCut {
        status: u16,
        length: Option<usize>,
        sent: usize,
    },
    /// `informational:1xx;read_close`: an interim answer after the head, then as `read_close`.
    Informational(u16),
    /// `frames:A,B[;NAME=VALUE]` and `trailers_only:NAME=VALUE`: 200, a chunk each, trailers.
    Frames {
        chunks: Vec<String>,
        trailers: Fields,
    },
}

/// A whole response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Fields,
    pub(crate) body: Vec<u8>,
}

/// Why a string is no behaviour; it always names the token at fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ParseBehaviour {
    text: String,
    token: String,
    why: &'static str,
}

impl fmt::Display for ParseBehaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text, token, why } = self;
        write!(f, "behaviour `{text}`: {why}: `{token}`")
    }
}

impl std::error::Error for ParseBehaviour {}

impl FromStr for Behaviour {
    type Err = ParseBehaviour;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map_err(|(token, why)| ParseBehaviour {
            text: text.to_owned(),
            token: token.to_owned(),
            why,
        })
    }
}

/// The token at fault, and what is wrong with it.
type Fault<'a> = (&'a str, &'static str);

fn parse(text: &str) -> Result<Behaviour, Fault<'_>> {
    let (spec, options) = match text.split_once(';') {
        Some((spec, options)) => (spec, Some(options)),
        None => (text, None),
    };
    let (name, args) = match spec.split_once(':') {
        Some((name, args)) => (name, Some(args)),
        None => (spec, None),
    };
    let plain = |behaviour| match (args, options) {
        (None, None) => Ok(behaviour),
        (Some(extra), _) | (_, Some(extra)) => Err((extra, "takes no arguments")),
    };
    let args = args.unwrap_or_default();
    let no_options = match options {
        None => Ok(()),
        Some(extra) => Err((extra, "takes no options")),
    };
    match name {
        "refuse" => plain(Behaviour::Refuse),
        "blackhole" => plain(Behaviour::Blackhole),
        "accept_close" => plain(Behaviour::AcceptClose),
        "reset_after_headers_read" => plain(Behaviour::ResetAfterHeaders),
        "reset_after_first_data" => plain(Behaviour::ResetAfterFirstData),
        "read_close" => plain(Behaviour::ReadClose),
        "reused_read_close" => plain(Behaviour::ReusedReadClose),
        "partial_headers" => plain(Behaviour::PartialHeaders),
        "garbage" => plain(Behaviour::Garbage),
        "echo" => plain(Behaviour::Echo),
        "hang" => plain(Behaviour::Hang),
        "hang_until_released" => plain(Behaviour::HangUntilReleased),
        "status" => {
            let (code, body) = args.split_once(':').unwrap_or((args, ""));
            let status = status(code)?;
            if !body.is_empty() && matches!(status, 100..200 | 204 | 304) {
                return Err((body, "a status that has no body"));
            }
            Ok(Behaviour::Status(Answer {
                status,
                headers: fields(options)?,
                body: body_of(body),
            }))
        }
        "early_status" => {
            let reset = match options {
                None => false,
                Some("reset") => true,
                Some(other) => return Err((other, "not `reset`")),
            };
            let status = status(args)?;
            Ok(Behaviour::EarlyStatus { status, reset })
        }
        "slow" => {
            let (delay, then) = pair(args)?;
            let delay = millis(delay)?;
            // The options belong to the behaviour inside, so it is cut from the whole text.
            let inner = &text[text.len() - then.len() - options.map_or(0, |o| o.len() + 1)..];
            let then = parse(inner)?;
            if !matches!(then, Behaviour::Status(_) | Behaviour::ReadClose) {
                return Err((inner, "cannot be slow"));
            }
            let then = Box::new(then);
            Ok(Behaviour::Slow { delay, then })
        }
        "head_then_hang" => {
            no_options?;
            Ok(Behaviour::HeadThenHang(status(args)?))
        }
        "head_then_slow_body" => {
            no_options?;
            let (code, delay) = pair(args)?;
            Ok(Behaviour::HeadThenSlowBody {
                status: status(code)?,
                delay: millis(delay)?,
            })
        }
        "body_cut" => {
            no_options?;
            let (code, rest) = pair(args)?;
            let (length, sent) = pair(rest)?;
            let status = status(code)?;
            let bytes = size(sent)?;
            let length = match length {
                "chunked" => None,
                length => Some(size(length)?),
            };
            if length.is_some_and(|length| bytes >= length) {
                return Err((sent, "cuts nothing off"));
            }
            Ok(Behaviour::BodyCut {
                status,
                length,
                sent: bytes,
            })
        }
        "informational" => match options {
            Some("read_close") => match status(args)? {
                code @ (100 | 102..200) => Ok(Behaviour::Informational(code)),
                _ => Err((args, "not an interim status")),
            },
            other => Err((other.unwrap_or(text), "not `;read_close`")),
        },
        "trailers_only" => {
            no_options?;
            Ok(Behaviour::Frames {
                chunks: Vec::new(),
                trailers: fields(Some(args))?,
            })
        }
        "frames" => {
            let chunks: Vec<_> = args.split(',').map(str::to_owned).collect();
            if chunks.iter().any(String::is_empty) {
                return Err((args, "an empty chunk would end the body"));
            }
            let trailers = fields(options)?;
            Ok(Behaviour::Frames { chunks, trailers })
        }
        unknown => Err((unknown, "unknown behaviour")),
    }
}

fn pair(args: &str) -> Result<(&str, &str), Fault<'_>> {
    args.split_once(':').ok_or((args, "an argument is missing"))
}

fn size(token: &str) -> Result<usize, Fault<'_>> {
    token.parse().map_err(|_| (token, "not a number"))
}

fn millis(token: &str) -> Result<Duration, Fault<'_>> {
    let millis = token.parse().map_err(|_| (token, "not milliseconds"))?;
    Ok(Duration::from_millis(millis))
}

fn status(token: &str) -> Result<u16, Fault<'_>> {
    match token.parse() {
        Ok(status @ 100..1000) => Ok(status),
        _ => Err((token, "not a status")),
    }
}

fn body_of(text: &str) -> Vec<u8> {
    match text.strip_suffix('B').map(str::parse) {
        Some(Ok(length)) => vec![b'x'; length],
        _ => text.as_bytes().to_vec(),
    }
}

fn fields(options: Option<&str>) -> Result<Fields, Fault<'_>> {
    let Some(options) = options else {
        return Ok(Fields::new());
    };
    let field = |option| match str::split_once(option, '=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err((option, "not NAME=VALUE")),
    };
    options.split(';').map(field).collect()
}
