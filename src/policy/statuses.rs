use http::StatusCode;
use std::{fmt, ops::RangeInclusive, str::FromStr};
/// Stub.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statuses(Vec<RangeInclusive<u16>>);
impl Statuses {
    /// None.
    pub const fn none() -> Self {
        Self(Vec::new())
    }
    /// Whether.
    pub fn contains(&self, status: StatusCode) -> bool {
        self.0.iter().any(|r| r.contains(&status.as_u16()))
    }
}
impl FromStr for Statuses {
    type Err = super::ParseRetryOnError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let mut v = Vec::new();
        for w in s.split(',').filter(|w| !w.trim().is_empty()) {
            let (a, b) = w.split_once('-').unwrap_or((w, w));
            v.push(a.trim().parse().unwrap()..=b.trim().parse().unwrap());
        }
        Ok(Self(v))
    }
}
impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}
