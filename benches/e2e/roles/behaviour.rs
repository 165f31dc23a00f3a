//! What an upstream does.

use std::{fmt, str::FromStr};

/// How an upstream behaves towards every connection or request, written as in `ok:1024`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// `ok:BYTES`: 200 with a body of so many bytes.
    Healthy(u64),
    /// `everywhere:BYTES`: the same, on every loopback address.
    Everywhere(u64),
    /// `503:PERCENT`: 503 to this share of the requests, evenly spread, and 200 with 1 KiB to the others.
    Unavailable(u64),
    /// `close`: accepts, and closes at once.
    Closes,
    /// `refuse`: has a port, and does not listen there.
    Refuses,
}

impl fmt::Display for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Healthy(bytes) => write!(f, "ok:{bytes}"),
            Self::Everywhere(bytes) => write!(f, "everywhere:{bytes}"),
            Self::Unavailable(percent) => write!(f, "503:{percent}"),
            Self::Closes => f.write_str("close"),
            Self::Refuses => f.write_str("refuse"),
        }
    }
}

impl FromStr for Behaviour {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, number) = text.split_once(':').unwrap_or((text, ""));
        let number = || {
            number
                .parse::<u64>()
                .map_err(|error| format!("{text}: {error}"))
        };
        match name {
            "ok" => Ok(Self::Healthy(number()?)),
            "everywhere" => Ok(Self::Everywhere(number()?)),
            "503" => Ok(Self::Unavailable(number()?)),
            "close" => Ok(Self::Closes),
            "refuse" => Ok(Self::Refuses),
            _ => Err(format!("no behaviour: {text}")),
        }
    }
}
