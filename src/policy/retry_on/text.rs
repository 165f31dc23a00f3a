//! A list as people keep it in configuration.

use std::{fmt, str::FromStr};

use super::super::{
    GrpcCode,
    statuses::{self, Entry, NoEntry},
};
use super::{
    ParseRetryOnError, RetryOn,
    error::Fault,
    failures::Failures,
    headers::{Header, NoHeader},
    vocabulary::{GATEWAY_ERROR, GRPC, HEADER, UNLESS_HEADER},
};

impl RetryOn {
    fn and_entry(self, entry: &str) -> Result<Self, Fault> {
        if entry.is_empty() {
            return Err(Fault::Empty);
        }
        if let Some((_, failures)) = Failures::WORDS.iter().find(|(word, _)| *word == entry) {
            return Ok(self.and_failures(*failures));
        }
        if entry == GATEWAY_ERROR {
            return Ok(self.gateway_error());
        }
        match entry.split_once(':') {
            Some((HEADER, header)) => Ok(self.and_header(Header::read(header)?)),
            Some((UNLESS_HEADER, header)) => Ok(self.and_unless(Header::read(header)?)),
            Some((GRPC, code)) => match GrpcCode::read(code.trim()) {
                Some(code) => Ok(self.grpc(code)),
                None => Err(Fault::Grpc),
            },
            _ => Ok(self.statuses(statuses::entry(entry)?)),
        }
    }
}

impl From<NoHeader> for Fault {
    fn from(why: NoHeader) -> Self {
        match why {
            NoHeader::Name => Self::HeaderName,
            NoHeader::Value => Self::HeaderValue,
        }
    }
}

impl From<NoEntry> for Fault {
    fn from(why: NoEntry) -> Self {
        match why {
            NoEntry::Unlike => Self::Unknown,
            NoEntry::OutOfBounds => Self::Status,
            NoEntry::Reversed => Self::Range,
        }
    }
}

impl FromStr for RetryOn {
    type Err = ParseRetryOnError;

    fn from_str(list: &str) -> Result<Self, Self::Err> {
        if list.trim().is_empty() {
            return Ok(Self::none());
        }
        let mut entries = list.split(',').map(str::trim).enumerate();
        entries.try_fold(Self::none(), |set, (index, entry)| {
            set.and_entry(entry).map_err(|fault| ParseRetryOnError {
                word: entry.to_owned(),
                position: index + 1,
                fault,
            })
        })
    }
}

impl fmt::Display for RetryOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = Commas { f, first: true };
        for word in self.failures.words() {
            list.entry(format_args!("{word}"))?;
        }
        for entry in self.statuses.entries() {
            match entry {
                Entry::Range(502, 504) => list.entry(format_args!("{GATEWAY_ERROR}"))?,
                _ => list.entry(format_args!("{entry}"))?,
            }
        }
        for header in self.headers.iter() {
            list.entry(format_args!("{HEADER}:{header}"))?;
        }
        for code in self.grpc.iter() {
            list.entry(format_args!("{GRPC}:{code}"))?;
        }
        for header in self.unless.iter() {
            list.entry(format_args!("{UNLESS_HEADER}:{header}"))?;
        }
        Ok(())
    }
}

impl fmt::Debug for RetryOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RetryOn({self})")
    }
}

struct Commas<'a, 'f> {
    f: &'a mut fmt::Formatter<'f>,
    first: bool,
}

impl Commas<'_, '_> {
    fn entry(&mut self, entry: fmt::Arguments<'_>) -> fmt::Result {
        if !self.first {
            self.f.write_str(",")?;
        }
        self.first = false;
        self.f.write_fmt(entry)
    }
}
