use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;
use tracing::debug;

use crate::{ConfigError, own_header::own_header};

/// A request extension that shortens the layer's deadline for this request; the earliest one wins.
///
/// The instant is tokio's, whose clock can be stopped in tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline(pub Instant);

impl Deadline {
    /// The end of a time from now on; one too far away to be named is a year away.
    pub fn after(time: Duration) -> Self {
        const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
        let now = Instant::now();
        Self(now.checked_add(time).unwrap_or(now + YEAR))
    }
}

impl From<std::time::Instant> for Deadline {
    fn from(at: std::time::Instant) -> Self {
        Self(at.into())
    }
}

/// A request header that tells how much time is left for the request.
///
/// Times and not dates, so that clocks need not agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadlineHeader {
    name: HeaderName,
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Grpc,
    Milliseconds,
}

/// The units of `grpc-timeout`, from the finest on, in nanoseconds.
const GRPC_UNITS: [(u8, u128); 6] = [
    (b'n', 1),
    (b'u', 1_000),
    (b'm', 1_000_000),
    (b'S', 1_000_000_000),
    (b'M', 60_000_000_000),
    (b'H', 3_600_000_000_000),
];

/// How many digits a `grpc-timeout` may have.
const GRPC_DIGITS: usize = 8;

impl DeadlineHeader {
    /// `grpc-timeout`: up to eight digits and a unit, as in `250m`.
    pub const fn grpc_timeout() -> Self {
        Self {
            name: HeaderName::from_static("grpc-timeout"),
            format: Format::Grpc,
        }
    }

    /// The header of this name: `grpc-timeout` in its own format, and any other with a whole number of
    /// milliseconds, such as Envoy's `x-envoy-upstream-rq-timeout-ms`. 0 milliseconds are no deadline, as
    /// there.
    ///
    /// # Errors
    ///
    /// The name is nearly `grpc-timeout`, or that of a header that frames or routes a message.
    pub fn named(name: HeaderName) -> Result<Self, ConfigError> {
        let name = own_header("deadline header", name)?;
        let grpc = Self::grpc_timeout();
        match strsim::damerau_levenshtein(name.as_str(), grpc.name.as_str()) {
            0 => Ok(grpc),
            1 | 2 if name.as_str().starts_with("grpc") => {
                let expected = "a header in milliseconds; did you mean `grpc-timeout`?";
                Err(ConfigError::new("deadline header", name, expected))
            }
            _ => Ok(Self {
                name,
                format: Format::Milliseconds,
            }),
        }
    }

    /// The header's name.
    pub fn name(&self) -> &HeaderName {
        &self.name
    }

    /// The shortest time that a request's headers of this name leave.
    ///
    /// A value that means nothing sets no deadline; it is shown as a `tracing` event.
    pub(crate) fn read(&self, headers: &HeaderMap) -> Option<Duration> {
        let time = |value: &HeaderValue| {
            let time = self.parse(value.as_bytes().trim_ascii());
            if time.is_none() {
                debug!(header = %self.name, ?value, "no deadline can be read");
            }
            time
        };
        let times = headers.get_all(&self.name).into_iter().filter_map(time);
        times.flatten().min()
    }

    /// `None`: it means nothing. `Some(None)`: no deadline.
    fn parse(&self, value: &[u8]) -> Option<Option<Duration>> {
        match self.format {
            Format::Milliseconds => match number(value)? {
                0 => Some(None),
                number => Some(Some(Duration::from_millis(number))),
            },
            Format::Grpc => {
                let (unit, digits) = value.split_last()?;
                let (_, nanos) = GRPC_UNITS.iter().find(|(name, _)| name == unit)?;
                let number = number(digits).filter(|_| digits.len() <= GRPC_DIGITS)?;
                let nanos = u128::from(number) * nanos;
                let time = Duration::from_secs(u64::try_from(nanos / 1_000_000_000).ok()?);
                let rest = u32::try_from(nanos % 1_000_000_000).ok()?;
                Some(Some(time + Duration::from_nanos(u64::from(rest))))
            }
        }
    }

    /// Tells a request how much time is left. What is not a whole unit is left out, so that no more
    /// is told than there is; but at least one is.
    pub(crate) fn write(&self, left: Duration, headers: &mut HeaderMap) {
        let value = match self.format {
            Format::Milliseconds => {
                let millis = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
                HeaderValue::from(millis.max(1))
            }
            Format::Grpc => grpc(left),
        };
        headers.insert(&self.name, value);
    }
}

/// The time in the finest unit in which it has no more digits than there may be.
fn grpc(left: Duration) -> HeaderValue {
    let most = 10_u128.pow(8) - 1;
    let fits = |(_, nanos): &&(u8, u128)| left.as_nanos() / nanos <= most;
    let (unit, nanos) = GRPC_UNITS.iter().find(fits).unwrap_or(&GRPC_UNITS[5]);
    let number = (left.as_nanos() / nanos).clamp(1, most);
    let text = format!("{number}{}", char::from(*unit));
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("1n"))
}

/// A number of nothing but digits; one too large to be counted is the largest.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let text = std::str::from_utf8(digits).ok()?;
    Some(text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn headers(name: &'static str, values: &[&'static str]) -> HeaderMap {
        let name = HeaderName::from_static(name);
        let value = |value: &&'static str| (name.clone(), HeaderValue::from_static(value));
        values.iter().map(value).collect()
    }

    fn grpc_timeout(value: &'static str) -> Option<Duration> {
        DeadlineHeader::grpc_timeout().read(&headers("grpc-timeout", &[value]))
    }

    #[test]
    fn reads_every_unit_of_grpc() {
        let read = [
            ("3H", 3 * 3_600_000 * MS),
            ("2M", 120_000 * MS),
            ("1S", 1_000 * MS),
            ("250m", 250 * MS),
            ("5000u", 5 * MS),
            ("1000000n", MS),
            ("99999999H", 99_999_999 * Duration::from_secs(3_600)),
            ("0n", Duration::ZERO),
        ];
        for (value, time) in read {
            assert_eq!(grpc_timeout(value), Some(time), "{value}");
        }
    }

    #[test]
    fn what_means_nothing_sets_no_deadline() {
        for value in [
            "",
            "m",
            "1",
            "1s",
            "-1m",
            "+1m",
            "1.5S",
            "100000000m",
            "1 m",
            "1mm",
        ] {
            assert_eq!(grpc_timeout(value), None, "{value}");
        }
        let header = DeadlineHeader::named(HeaderName::from_static("x-left")).unwrap();
        for value in ["", "0", "-1", "1.5", "1s", "ten"] {
            assert_eq!(header.read(&headers("x-left", &[value])), None, "{value}");
        }
    }

    #[test]
    fn name_that_was_misspelt_is_not_one_in_milliseconds() {
        let named = |name| DeadlineHeader::named(HeaderName::from_static(name));
        assert_eq!(named("grpc-timeout"), Ok(DeadlineHeader::grpc_timeout()));
        let error = named("grpc-timout").unwrap_err().to_string();
        assert!(error.contains("grpc-timout is not"), "{error}");
        assert!(named("rpc-timeout").is_ok() && named("x-grpc-timeout").is_ok());
    }

    #[test]
    fn shortest_of_several_wins() {
        let header = DeadlineHeader::named(HeaderName::from_static("x-left")).unwrap();
        let headers = headers("x-left", &["900", "x", "0", " 30 ", "99999999999999999999"]);
        assert_eq!(header.read(&headers), Some(30 * MS));
    }

    #[test]
    fn writes_what_it_reads_and_never_more() {
        let times = [
            (Duration::ZERO, "1n"),
            (Duration::from_nanos(99_999_999), "99999999n"),
            (Duration::from_nanos(100_000_999), "100000u"),
            (Duration::from_secs(100), "100000m"),
            (Duration::from_secs(100_000_000), "1666666M"),
            (Duration::MAX, "99999999H"),
        ];
        let header = DeadlineHeader::grpc_timeout();
        for (time, text) in times {
            let mut headers = headers("grpc-timeout", &["5S", "6S"]);
            header.write(time, &mut headers);
            let written: Vec<_> = headers.get_all("grpc-timeout").iter().collect();
            assert_eq!(written, [text]);
            let read = header.read(&headers).unwrap();
            assert!(read <= time.max(Duration::from_nanos(1)), "{time:?}");
        }
        let header = DeadlineHeader::named(HeaderName::from_static("x-left")).unwrap();
        let mut headers = HeaderMap::new();
        header.write(Duration::from_micros(1_999), &mut headers);
        assert_eq!(headers["x-left"], "1");
    }
}
