use std::{error::Error as StdError, fmt};

use super::{
    super::words::{Excerpt, Listed},
    beside::Beside,
};

/// A word of another proxy's retry line that means nothing there, or that cannot be honoured here.
///
/// It names the list, the word and its place, and the word that was probably meant:
///
/// ```
/// use tower_failover::policy::RetryLine;
///
/// let error = RetryLine::haproxy("retry-on 503 conn-failures").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "HAProxy retry-on, word 2: `conn-failures` is no condition; did you mean `conn-failure`?"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseRetryLineError {
    pub(super) proxy: &'static str,
    pub(super) list: &'static str,
    pub(super) word: String,
    pub(super) position: usize,
    pub(super) fault: Fault,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// No word at all, where the proxy wants one; the one that means "never".
    Empty(&'static str),
    Unclosed,
    AfterEnd,
    /// It begins a line of its own.
    Beside(Beside),
    Unknown {
        /// The proxy whose word it is.
        of: Option<&'static str>,
        hint: Hint,
    },
    /// Two words that are not set apart as the list has it.
    NotApart(&'static str),
    /// It must be the only word.
    NotAlone,
    /// It means nothing without another list.
    Needs(&'static str),
    Http3,
    NoNumber,
    NoStatus,
    NoHeader,
    NoText,
}

/// What is said of a word that is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hint {
    Near(&'static str),
    /// It is a status, and those stand in a list of their own.
    Statuses(&'static str),
    Known(Vec<&'static str>),
}

impl ParseRetryLineError {
    /// The proxy as it calls itself: `nginx`, `HAProxy` or `Envoy`.
    pub fn proxy(&self) -> &'static str {
        self.proxy
    }

    /// The directive, setting or header that the word stands in, by its name there.
    pub fn list(&self) -> &'static str {
        self.list
    }

    /// The word; empty where the whole list is meant.
    pub fn word(&self) -> &str {
        &self.word
    }

    /// The word's place in the list, counted from 1, the directive's own name not counted; 0 where
    /// the whole list is meant.
    pub fn position(&self) -> usize {
        self.position
    }
}

impl fmt::Display for ParseRetryLineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.proxy, self.list)?;
        if self.position > 0 {
            write!(f, ", word {}: {} ", self.position, Excerpt(&self.word))?;
        } else {
            f.write_str(": ")?;
        }
        match &self.fault {
            Fault::Empty(never) => {
                write!(f, "no condition; the one for never is `{never}`")
            }
            Fault::Unclosed => f.write_str("a quote is not closed"),
            Fault::AfterEnd => f.write_str("stands after its end"),
            Fault::Beside(where_to) => write!(f, "is a line of its own: {where_to}"),
            Fault::Unknown { of, hint } => {
                match of {
                    Some(proxy) => write!(f, "is a word of {proxy}'s; ")?,
                    None => f.write_str("is no condition; ")?,
                }
                match hint {
                    Hint::Near(word) => write!(f, "did you mean `{word}`?"),
                    Hint::Statuses(list) => write!(f, "statuses stand in {list}"),
                    Hint::Known(words) => write!(f, "the words are {}", Listed(words)),
                }
            }
            Fault::NotApart(by) => write!(f, "is no word; words are set apart by {by}"),
            Fault::NotAlone => f.write_str("must stand alone"),
            Fault::Needs(list) => write!(f, "means nothing without {list}"),
            Fault::Http3 => f.write_str("cannot be honoured: nothing is sent over HTTP/3"),
            Fault::NoNumber => f.write_str("is no number of retries"),
            Fault::NoStatus => f.write_str("is no status from 100 to 999"),
            Fault::NoHeader => f.write_str("names no header"),
            Fault::NoText => f.write_str("the value is no text"),
        }
    }
}

impl StdError for ParseRetryLineError {}
