use std::{fmt, str::FromStr};

use http::{Extensions, HeaderMap, response};

use super::words::{Excerpt, nearest};
use crate::{ConfigError, peek::grpc_header};

/// A gRPC status code.
///
/// It is read from its name, in lower case and with hyphens as Envoy writes it, or from its number:
///
/// ```
/// use tower_failover::policy::GrpcCode;
///
/// assert_eq!("unavailable".parse(), Ok(GrpcCode::Unavailable));
/// assert_eq!("14".parse(), Ok(GrpcCode::Unavailable));
/// assert_eq!(GrpcCode::DeadlineExceeded.to_string(), "deadline-exceeded");
/// assert!("17".parse::<GrpcCode>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum GrpcCode {
    /// `ok`, 0.
    Ok,
    /// `cancelled`, 1.
    Cancelled,
    /// `unknown`, 2.
    Unknown,
    /// `invalid-argument`, 3.
    InvalidArgument,
    /// `deadline-exceeded`, 4.
    DeadlineExceeded,
    /// `not-found`, 5.
    NotFound,
    /// `already-exists`, 6.
    AlreadyExists,
    /// `permission-denied`, 7.
    PermissionDenied,
    /// `resource-exhausted`, 8.
    ResourceExhausted,
    /// `failed-precondition`, 9.
    FailedPrecondition,
    /// `aborted`, 10.
    Aborted,
    /// `out-of-range`, 11.
    OutOfRange,
    /// `unimplemented`, 12.
    Unimplemented,
    /// `internal`, 13.
    Internal,
    /// `unavailable`, 14.
    Unavailable,
    /// `data-loss`, 15.
    DataLoss,
    /// `unauthenticated`, 16.
    Unauthenticated,
}

impl GrpcCode {
    /// Finds a response's status, as far as it is known when the head arrives: one that has neither
    /// message nor error in its body carries it there, or below a [`Peek`](crate::peek::Peek) in trailers
    /// that came first.
    ///
    /// A status that is there twice is none: nobody knows which one counts.
    pub fn of(response: &response::Parts) -> Option<Self> {
        Self::of_head(&response.headers, &response.extensions)
    }

    /// The same, of the parts of a head that matter.
    pub(crate) fn of_head(headers: &HeaderMap, extensions: &Extensions) -> Option<Self> {
        let mut values = grpc_header(headers, extensions, "grpc-status").iter();
        match (values.next(), values.next()) {
            (Some(value), None) => Self::from_digits(value.as_bytes().trim_ascii()),
            _ => None,
        }
    }

    /// All of them, by their numbers.
    pub const ALL: [Self; 17] = [
        Self::Ok,
        Self::Cancelled,
        Self::Unknown,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::OutOfRange,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::DataLoss,
        Self::Unauthenticated,
    ];

    /// Its number, as it stands in `grpc-status`.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
            Self::InvalidArgument => "invalid-argument",
            Self::DeadlineExceeded => "deadline-exceeded",
            Self::NotFound => "not-found",
            Self::AlreadyExists => "already-exists",
            Self::PermissionDenied => "permission-denied",
            Self::ResourceExhausted => "resource-exhausted",
            Self::FailedPrecondition => "failed-precondition",
            Self::Aborted => "aborted",
            Self::OutOfRange => "out-of-range",
            Self::Unimplemented => "unimplemented",
            Self::Internal => "internal",
            Self::Unavailable => "unavailable",
            Self::DataLoss => "data-loss",
            Self::Unauthenticated => "unauthenticated",
        }
    }

    /// Reads a name or a number, without space around it.
    pub(super) fn read(text: &str) -> Option<Self> {
        if let Some(code) = Self::from_digits(text.as_bytes()) {
            return Some(code);
        }
        Self::ALL.into_iter().find(|code| code.name() == text)
    }

    /// Reads a number as gRPC writes it: digits, and no number above those that it defines.
    pub(super) fn from_digits(digits: &[u8]) -> Option<Self> {
        let digit = |byte: &u8| byte.is_ascii_digit().then(|| usize::from(byte - b'0'));
        let number = match digits {
            [units] => digit(units)?,
            [tens, units] => digit(tens)? * 10 + digit(units)?,
            _ => return None,
        };
        Self::ALL.get(number).copied()
    }

    /// The name that was probably meant.
    pub(super) fn nearest(text: &str) -> Option<&'static str> {
        nearest(text, Self::ALL.into_iter().map(Self::name))
    }
}

impl fmt::Display for GrpcCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for GrpcCode {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        Self::read(text).ok_or_else(|| {
            let expected = match Self::nearest(text) {
                Some(name) => format!("a code; did you mean `{name}`?"),
                None => String::from("a number from 0 to 16 or a name such as `unavailable`"),
            };
            ConfigError::new("gRPC code", Excerpt(text), expected)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_reads_back_from_its_name_and_its_number() {
        for (number, code) in GrpcCode::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(code.number()), number);
            assert_eq!(code.to_string().parse(), Ok(code));
            assert_eq!(number.to_string().parse(), Ok(code));
            assert_eq!(format!("{number:02}").parse(), Ok(code));
        }
    }

    #[test]
    fn what_is_no_code_is_none() {
        for text in [
            "",
            "17",
            "014",
            "-1",
            "+1",
            " 1",
            "1x",
            "Unavailable",
            "not_found",
            "４",
        ] {
            assert_eq!(GrpcCode::read(text), None, "{text}");
        }
        let error = |text: &str| text.parse::<GrpcCode>().unwrap_err().to_string();
        assert_eq!(
            error("UNAVAILABLE"),
            "gRPC code: `UNAVAILABLE` is not a code; did you mean `unavailable`?"
        );
        assert_eq!(
            error("17"),
            "gRPC code: `17` is not a number from 0 to 16 or a name such as `unavailable`"
        );
    }
}
