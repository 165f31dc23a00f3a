mod entry;

use std::{fmt, ops::RangeInclusive, str::FromStr};

use http::StatusCode;

pub(super) use self::entry::{Entry, NoEntry, entry};
use super::words::Excerpt;
use crate::ConfigError;

const FIRST: u16 = 100;
const LAST: u16 = 999;

/// A set of response statuses, of the 900 that there can be: 100 to 999.
///
/// It is built by its setters or read from a comma-separated list of statuses, classes and ranges.
/// Equal sets are equal however they were written; the text form is the shortest one.
///
/// ```
/// use http::StatusCode;
/// use tower_failover::policy::Statuses;
///
/// let statuses: Statuses = "425, 502-504, 500, 501".parse()?;
/// assert!(statuses.contains(StatusCode::BAD_GATEWAY));
/// assert!(!statuses.contains(StatusCode::OK));
/// assert_eq!(statuses.to_string(), "425,500-504");
///
/// let early = Statuses::none().with(StatusCode::TOO_EARLY);
/// assert_eq!(early.with_range(500..=504), statuses);
/// # Ok::<_, tower_failover::ConfigError>(())
/// ```
///
/// | entry | statuses |
/// |---|---|
/// | `503` | that one |
/// | `5xx`, `1xx` to `9xx` | all of the class: 500 to 599 |
/// | `500-504` | both ends included |
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Statuses {
    /// One bit a status, from the first one on.
    bits: [u64; Self::WORDS],
}

impl Statuses {
    const WORDS: usize = ((LAST - FIRST) / 64 + 1) as usize;

    /// No status.
    pub const fn none() -> Self {
        Self {
            bits: [0; Self::WORDS],
        }
    }

    /// Adds a status.
    #[must_use]
    pub const fn with(self, status: StatusCode) -> Self {
        self.with_range(status.as_u16()..=status.as_u16())
    }

    /// Adds a range of statuses, such as `500..=599`.
    ///
    /// What of it is below 100 or above 999 is no status and adds nothing, nor does a range that ends
    /// before it begins.
    #[must_use]
    pub const fn with_range(mut self, range: RangeInclusive<u16>) -> Self {
        let (mut status, last) = (*range.start(), *range.end());
        if status < FIRST {
            status = FIRST;
        }
        while status <= last && status <= LAST {
            let (word, bit) = Self::place(status);
            self.bits[word] |= bit;
            status += 1;
        }
        self
    }

    /// Adds all of another set.
    #[must_use]
    pub const fn union(mut self, other: Self) -> Self {
        let mut word = 0;
        while word < Self::WORDS {
            self.bits[word] |= other.bits[word];
            word += 1;
        }
        self
    }

    /// Whether a status is among them.
    pub const fn contains(&self, status: StatusCode) -> bool {
        self.has(status.as_u16())
    }

    /// Whether there are none.
    pub const fn is_none(&self) -> bool {
        let mut word = 0;
        while word < Self::WORDS {
            if self.bits[word] != 0 {
                return false;
            }
            word += 1;
        }
        true
    }

    /// They must be from 100 to 999, as every [`StatusCode`] is.
    const fn has(&self, status: u16) -> bool {
        let (word, bit) = Self::place(status);
        self.bits[word] & bit != 0
    }

    const fn place(status: u16) -> (usize, u64) {
        let index = status - FIRST;
        ((index / 64) as usize, 1 << (index % 64))
    }

    /// The fewest entries that say it.
    pub(super) fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        for (first, last) in self.runs() {
            match (first % 100, last % 100) {
                (0, 99) => entries.extend((first / 100..=last / 100).map(Entry::Class)),
                _ if first == last => entries.push(Entry::One(first)),
                _ => entries.push(Entry::Range(first, last)),
            }
        }
        entries
    }

    /// The ranges without a gap, in order.
    fn runs(&self) -> impl Iterator<Item = (u16, u16)> {
        let mut from = FIRST;
        std::iter::from_fn(move || {
            let first = (from..=LAST).find(|status| self.has(*status))?;
            let last = (first..=LAST)
                .take_while(|status| self.has(*status))
                .last()?;
            from = last + 1;
            Some((first, last))
        })
    }
}

impl FromStr for Statuses {
    type Err = ConfigError;

    /// Reads a comma-separated list; an empty one is no status.
    fn from_str(list: &str) -> Result<Self, ConfigError> {
        if list.trim().is_empty() {
            return Ok(Self::none());
        }
        let mut words = list.split(',').map(str::trim);
        words.try_fold(Self::none(), |set, word| match entry(word) {
            Ok(range) => Ok(set.with_range(range)),
            Err(why) => Err(ConfigError::new("statuses", Excerpt(word), why.expected())),
        })
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, entry) in self.entries().iter().enumerate() {
            f.write_str(if index == 0 { "" } else { "," })?;
            entry.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Statuses({self})")
    }
}

impl Default for Statuses {
    /// None.
    fn default() -> Self {
        Self::none()
    }
}

impl From<StatusCode> for Statuses {
    fn from(status: StatusCode) -> Self {
        Self::none().with(status)
    }
}

impl From<RangeInclusive<u16>> for Statuses {
    fn from(range: RangeInclusive<u16>) -> Self {
        Self::none().with_range(range)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(list: &str) -> Statuses {
        list.parse().unwrap()
    }

    fn has(statuses: &Statuses, status: u16) -> bool {
        statuses.contains(StatusCode::from_u16(status).unwrap())
    }

    #[test]
    fn entry_holds_its_statuses_and_no_other() {
        let entries = [
            ("503", 503..=503),
            ("100", 100..=100),
            ("999", 999..=999),
            ("1xx", 100..=199),
            ("5xx", 500..=599),
            ("9xx", 900..=999),
            ("500-504", 500..=504),
            ("451-451", 451..=451),
            ("100-999", 100..=999),
        ];
        for (entry, range) in entries {
            let statuses = read(entry);
            for status in FIRST..=LAST {
                let within = range.contains(&status);
                assert_eq!(has(&statuses, status), within, "{status} in {entry}");
            }
        }
    }

    #[test]
    fn text_is_the_shortest_that_says_the_same() {
        let texts = [
            ("", ""),
            (" ", ""),
            ("503", "503"),
            ("503,503 , 502", "502-503"),
            ("504,502,503", "502-504"),
            ("5xx,503", "5xx"),
            ("500-599", "5xx"),
            ("4xx,500-599", "4xx,5xx"),
            ("499,5xx", "499-599"),
            ("425, 5xx", "425,5xx"),
            ("100-999", "1xx,2xx,3xx,4xx,5xx,6xx,7xx,8xx,9xx"),
            ("200,204-206,404", "200,204-206,404"),
        ];
        for (text, short) in texts {
            assert_eq!(read(text).to_string(), short, "{text}");
            assert_eq!(read(short), read(text), "{text}");
        }
        assert_eq!(format!("{:?}", read("503,4xx")), "Statuses(4xx,503)");
    }

    #[test]
    fn setters_build_the_same() {
        const EARLY: Statuses = Statuses::none().with(StatusCode::TOO_EARLY);
        assert_eq!(EARLY, read("425"));
        assert_eq!(EARLY.with_range(500..=599), read("5xx,425"));
        assert_eq!(EARLY.union(read("404")), read("404,425"));
        assert_eq!(Statuses::from(StatusCode::TOO_EARLY), EARLY);
        assert_eq!(Statuses::from(502..=504), read("502-504"));
        assert!(Statuses::default().is_none() && !EARLY.is_none());
    }

    #[test]
    fn what_is_no_status_adds_nothing() {
        let none = Statuses::none();
        #[expect(clippy::reversed_empty_ranges, reason = "that is what is tested")]
        let reversed = none.with_range(504..=500);
        assert!(reversed.is_none());
        assert!(none.with_range(0..=99).is_none());
        assert!(none.with_range(1_000..=u16::MAX).is_none());
        assert_eq!(none.with_range(0..=u16::MAX), read("100-999"));
    }

    #[test]
    fn wrong_entry_is_named() {
        const UNLIKE: &str = "a status (503), a class (5xx) or a range (500-504)";
        const BOUNDS: &str = "from 100 to 999";
        let wrong = [
            ("5x", "`5x`", UNLIKE),
            ("503,5XX", "`5XX`", UNLIKE),
            ("0xx", "`0xx`", UNLIKE),
            ("55xx", "`55xx`", UNLIKE),
            ("503,", "``", UNLIKE),
            ("-503", "`-503`", UNLIKE),
            ("+503", "`+503`", UNLIKE),
            ("500-", "`500-`", UNLIKE),
            ("500..504", "`500..504`", UNLIKE),
            ("500 - 504", "`500 - 504`", UNLIKE),
            ("５０３", "`５０３`", UNLIKE),
            ("99", "`99`", BOUNDS),
            ("1000", "`1000`", BOUNDS),
            ("0503", "`0503`", BOUNDS),
            ("500-1000", "`500-1000`", BOUNDS),
            ("504-500", "`504-500`", "a range that ends after it begins"),
        ];
        for (list, value, expected) in wrong {
            let error = list.parse::<Statuses>().unwrap_err();
            assert_eq!(error.value(), value);
            assert_eq!(
                error.to_string(),
                format!("statuses: {value} is not {expected}")
            );
        }
        let long = "9".repeat(1 << 20);
        let error = long.parse::<Statuses>().unwrap_err().to_string();
        assert!(error.len() < 200, "{}", error.len());
    }

    proptest! {
        #[test]
        fn text_reads_back(ranges in prop::collection::vec((90..1_010_u16, 0..300_u16), 0..9)) {
            let statuses = ranges.iter().fold(Statuses::none(), |set, (first, length)| {
                set.with_range(*first..=first + length)
            });
            prop_assert_eq!(statuses.to_string().parse::<Statuses>().unwrap(), statuses);
            for status in FIRST..=LAST {
                let within = |(first, length): &(u16, u16)| (*first..=first + length).contains(&status);
                prop_assert_eq!(has(&statuses, status), ranges.iter().any(within));
            }
        }

        #[test]
        fn no_text_is_too_strange(text in "[0-9x, -]{0,24}|.*") {
            match text.parse::<Statuses>() {
                Ok(statuses) => prop_assert_eq!(read(&statuses.to_string()), statuses),
                Err(error) => prop_assert!(error.to_string().len() < 600),
            }
        }
    }
}
