use std::{error::Error as StdError, fmt};

use super::super::{
    GrpcCode,
    words::{Excerpt, Listed, nearest},
};
use super::vocabulary;

/// An entry of a [`RetryOn`](super::RetryOn) list that means nothing.
///
/// It names the entry and its place, and the word that was probably meant:
///
/// ```
/// use tower_failover::policy::RetryOn;
///
/// let error = "503,conect-failure".parse::<RetryOn>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "entry 2, `conect-failure`, is no condition; did you mean `connect-failure`?"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseRetryOnError {
    pub(super) word: String,
    pub(super) position: usize,
    pub(super) fault: Fault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Empty,
    Unknown,
    Status,
    Range,
    HeaderName,
    HeaderValue,
    Grpc,
}

impl ParseRetryOnError {
    /// The entry.
    pub fn word(&self) -> &str {
        &self.word
    }

    /// Its place in the list, counted from 1.
    pub fn position(&self) -> usize {
        self.position
    }
}

impl fmt::Display for ParseRetryOnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            word,
            position,
            fault,
        } = self;
        if *fault == Fault::Empty {
            return write!(f, "entry {position} is empty");
        }
        write!(f, "entry {position}, {}, ", Excerpt(word))?;
        match fault {
            Fault::Empty => Ok(()),
            Fault::Unknown => unknown(f, word),
            Fault::Status => f.write_str("is no status: they are 100 to 999"),
            Fault::Range => f.write_str("ends before it begins"),
            Fault::HeaderName => f.write_str("names no header"),
            Fault::HeaderValue => {
                f.write_str("has no header value: `%` is written `%25`, and a comma `%2C`")
            }
            Fault::Grpc => grpc(f, word),
        }
    }
}

fn unknown(f: &mut fmt::Formatter<'_>, word: &str) -> fmt::Result {
    f.write_str("is no condition; ")?;
    if word.split_whitespace().nth(1).is_some() {
        return f.write_str("entries are set apart by commas");
    }
    if let Some((prefix, rest)) = word.split_once(':') {
        if let Some(prefix) = nearest(prefix, vocabulary::PREFIXES) {
            let meant = format!("{prefix}:{rest}");
            return write!(f, "did you mean {}?", Excerpt(&meant));
        }
    } else if let Some(prefix) = nearest(word, vocabulary::PREFIXES) {
        return write!(f, "did you mean `{prefix}:` and what to look for?");
    } else if let Some(meant) = nearest(word, vocabulary::words().chain(vocabulary::CLASSES)) {
        return write!(f, "did you mean `{meant}`?");
    }
    let words: Vec<_> = vocabulary::words().collect();
    write!(f, "the conditions are {}, ", Listed(&words))?;
    f.write_str("a status (503), a class (5xx), a range (500-504), header:NAME, ")?;
    f.write_str("header:NAME=VALUE, unless-header:NAME, unless-header:NAME=VALUE, grpc:CODE")
}

fn grpc(f: &mut fmt::Formatter<'_>, word: &str) -> fmt::Result {
    let code = word.split_once(':').map_or(word, |(_, code)| code);
    match GrpcCode::nearest(code) {
        Some(name) => write!(f, "is no gRPC code; did you mean `grpc:{name}`?"),
        None => {
            let names = GrpcCode::ALL.map(GrpcCode::name);
            write!(
                f,
                "is no gRPC code: a number from 0 to 16, or {}",
                Listed(&names)
            )
        }
    }
}

impl StdError for ParseRetryOnError {}
