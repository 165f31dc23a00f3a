use std::{fmt, ops::RangeInclusive};

use super::{FIRST, LAST};

/// One entry of the text form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) enum Entry {
    One(u16),
    /// By its first digit.
    Class(u16),
    Range(u16, u16),
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(status) => write!(f, "{status}"),
            Self::Class(digit) => write!(f, "{digit}xx"),
            Self::Range(first, last) => write!(f, "{first}-{last}"),
        }
    }
}

/// Why a text is no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) enum NoEntry {
    /// It does not look like one.
    Unlike,
    /// A number that is no status.
    OutOfBounds,
    /// A range that ends before it begins.
    Reversed,
}

impl NoEntry {
    pub(super) fn expected(self) -> &'static str {
        match self {
            Self::Unlike => "a status (503), a class (5xx) or a range (500-504)",
            Self::OutOfBounds => "from 100 to 999",
            Self::Reversed => "a range that ends after it begins",
        }
    }
}

/// Reads one entry, without space around it.
pub(in crate::policy) fn entry(text: &str) -> Result<RangeInclusive<u16>, NoEntry> {
    if let Some((first, last)) = text.split_once('-') {
        let (first, last) = (status(first)?, status(last)?);
        return if first <= last {
            Ok(first..=last)
        } else {
            Err(NoEntry::Reversed)
        };
    }
    if let Some(digit) = text.strip_suffix("xx") {
        return match digit.as_bytes() {
            [digit @ b'1'..=b'9'] => {
                let first = u16::from(digit - b'0') * 100;
                Ok(first..=first + 99)
            }
            _ => Err(NoEntry::Unlike),
        };
    }
    status(text).map(|status| status..=status)
}

fn status(text: &str) -> Result<u16, NoEntry> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NoEntry::Unlike);
    }
    match text.parse() {
        Ok(status @ FIRST..=LAST) if text.len() == 3 => Ok(status),
        _ => Err(NoEntry::OutOfBounds),
    }
}
