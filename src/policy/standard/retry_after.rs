use std::time::{Duration, SystemTime};

use http::{
    HeaderMap, HeaderValue,
    header::{DATE, RETRY_AFTER},
    response,
};

use crate::peek::grpc_header;

/// What becomes of an upstream's word on when to come again: `Retry-After` (RFC 9110, section 10.2.3),
/// in seconds or as a date, and gRPC's `grpc-retry-pushback-ms`.
///
/// # `Retry-After`
///
/// A request does not call the peer again earlier. To the time that was asked for, up to half of it is
/// added by chance, as Envoy does, so that those who were told the same do not all come at once; but no
/// more than fits. A peer that did not ask for it needs no wait. A time that does not fit into the
/// deadline or the retry window, or is longer than [the longest wait](Self::up_to), is not waited for:
/// if no other peer is left, the response is delivered at once. A time of 0, a date in the past, and what
/// cannot be read say nothing. A date counts from the response's own `Date`, where it has one: clocks
/// differ.
///
/// # `grpc-retry-pushback-ms`
///
/// It speaks for the whole service (gRPC's A6): the next attempt begins after exactly this time,
/// whatever its peer; a value that is negative or no number forbids any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryAfter {
    rule: Rule,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Ignore,
    Heed { longest: Duration, or_backoff: bool },
}

/// What a response says about when to come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hint {
    /// Nothing.
    None,
    /// To any peer, in exactly this time.
    Pushback(Duration),
    /// To the same peer, in no less than this time.
    After(Duration),
    /// To the same peer, in a longer time than anybody waits.
    TooLate,
    /// Not at all.
    Never,
}

impl RetryAfter {
    /// It is not heeded at all.
    pub const IGNORED: Self = Self { rule: Rule::Ignore };

    pub(crate) const LONGEST: Duration = Duration::from_secs(5);

    /// It is heeded when it asks for no longer than this, and nothing is waited for longer; a peer that
    /// asks for more is not called again.
    #[must_use]
    pub const fn up_to(longest: Duration) -> Self {
        Self {
            rule: Rule::Heed {
                longest,
                or_backoff: false,
            },
        }
    }

    /// Takes what asks for longer than that for a mistake, as Envoy does: the request is tried again
    /// after the usual backoff.
    #[must_use]
    pub const fn or_backoff(mut self) -> Self {
        if let Rule::Heed { or_backoff, .. } = &mut self.rule {
            *or_backoff = true;
        }
        self
    }

    /// The longest time that is waited for.
    pub(super) fn longest(self) -> Duration {
        match self.rule {
            Rule::Ignore => Duration::ZERO,
            Rule::Heed { longest, .. } => longest,
        }
    }

    pub(super) fn hint(self, response: &response::Parts) -> Hint {
        let Rule::Heed {
            longest,
            or_backoff,
        } = self.rule
        else {
            return Hint::None;
        };
        let hint = match pushback(response) {
            Hint::None => retry_after(&response.headers).map_or(Hint::None, Hint::After),
            hint => hint,
        };
        match hint {
            Hint::After(wait) | Hint::Pushback(wait) if wait <= longest => hint,
            Hint::After(_) | Hint::Pushback(_) if or_backoff => Hint::None,
            Hint::After(_) => Hint::TooLate,
            Hint::Pushback(_) => Hint::Never,
            _ => hint,
        }
    }
}

impl Default for RetryAfter {
    /// Up to 5 s, the time for which a connection is waited for by default: who is to come later than that
    /// is better told so.
    fn default() -> Self {
        Self::up_to(Self::LONGEST)
    }
}

fn pushback(response: &response::Parts) -> Hint {
    let (headers, extensions) = (&response.headers, &response.extensions);
    let mut values = grpc_header(headers, extensions, "grpc-retry-pushback-ms").iter();
    match (values.next(), values.next()) {
        (None, _) => Hint::None,
        (Some(value), None) => match whole_number(value) {
            Some(millis) => Hint::Pushback(Duration::from_millis(millis)),
            None => Hint::Never,
        },
        (Some(_), Some(_)) => Hint::Never,
    }
}

/// The longest time that a response's `Retry-After` asks for, if it asks for any.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let wait = |value: &HeaderValue| match whole_number(value) {
        Some(seconds) => Some(Duration::from_secs(seconds)),
        None => {
            let at = date(value)?;
            let now = headers.get(DATE).and_then(date);
            at.duration_since(now.unwrap_or_else(SystemTime::now)).ok()
        }
    };
    let waits = headers.get_all(RETRY_AFTER).iter().filter_map(wait);
    waits.max().filter(|wait| !wait.is_zero())
}

fn date(value: &HeaderValue) -> Option<SystemTime> {
    httpdate::parse_http_date(value.to_str().ok()?.trim()).ok()
}

/// A number of nothing but digits; one too large to be counted is the largest.
fn whole_number(value: &HeaderValue) -> Option<u64> {
    let digits = value.to_str().ok()?.trim();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use http::Response;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn hint(rule: RetryAfter, headers: &[(&str, &str)]) -> Hint {
        let mut response = Response::builder();
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        rule.hint(&response.body(()).unwrap().into_parts().0)
    }

    fn after(value: &str) -> Hint {
        let now = ("date", "Fri, 20 Nov 2026 10:00:00 GMT");
        hint(
            RetryAfter::up_to(60 * SECOND),
            &[("retry-after", value), now],
        )
    }

    #[test]
    fn reads_seconds() {
        assert_eq!(after("7"), Hint::After(7 * SECOND));
        assert_eq!(after(" 60 "), Hint::After(60 * SECOND));
    }

    #[test]
    fn reads_every_form_of_date() {
        for date in [
            "Fri, 20 Nov 2026 10:00:05 GMT",
            "Friday, 20-Nov-26 10:00:05 GMT",
            "Fri Nov 20 10:00:05 2026",
        ] {
            assert_eq!(after(date), Hint::After(5 * SECOND), "{date}");
        }
    }

    #[test]
    fn date_of_a_response_without_one_counts_from_now() {
        let soon = SystemTime::now() + 30 * SECOND;
        let date = httpdate::fmt_http_date(soon);
        let hint = hint(RetryAfter::up_to(60 * SECOND), &[("retry-after", &date)]);
        let Hint::After(wait) = hint else {
            panic!("{hint:?}");
        };
        assert!(wait > 20 * SECOND && wait <= 30 * SECOND, "{wait:?}");
    }

    #[test]
    fn what_says_nothing_is_nothing() {
        for value in [
            "0",
            "-1",
            "1.5",
            "soon",
            "",
            "Fri, 20 Nov 2026 09:59:59 GMT",
            "+3",
        ] {
            assert_eq!(after(value), Hint::None, "{value}");
        }
    }

    #[test]
    fn longest_of_several_counts() {
        let values = [("retry-after", "3"), ("retry-after", "9")];
        assert_eq!(
            hint(RetryAfter::up_to(60 * SECOND), &values),
            Hint::After(9 * SECOND)
        );
    }

    #[test]
    fn what_is_too_long_is_told_from_what_is_ignored() {
        let values = [
            "61",
            "99999999999999999999",
            "Sat, 21 Nov 2026 10:00:00 GMT",
        ];
        for value in values {
            assert_eq!(after(value), Hint::TooLate, "{value}");
        }
        let rule = RetryAfter::up_to(300 * SECOND).or_backoff();
        assert_eq!(hint(rule, &[("retry-after", "301")]), Hint::None);
        assert_eq!(
            hint(rule, &[("retry-after", "300")]),
            Hint::After(300 * SECOND)
        );
    }

    #[test]
    fn pushback_speaks_before_retry_after() {
        let pushback = |value| {
            let headers = [("grpc-retry-pushback-ms", value), ("retry-after", "9")];
            hint(RetryAfter::up_to(60 * SECOND), &headers)
        };
        assert_eq!(pushback("2000"), Hint::Pushback(2 * SECOND));
        assert_eq!(pushback("0"), Hint::Pushback(Duration::ZERO));
        for value in ["60001", "-1", "", "soon", "1.5"] {
            assert_eq!(pushback(value), Hint::Never, "{value}");
        }
    }

    #[test]
    fn ignored_is_ignored() {
        let headers = [("grpc-retry-pushback-ms", "-1"), ("retry-after", "9")];
        assert_eq!(hint(RetryAfter::IGNORED, &headers), Hint::None);
        assert_eq!(hint(RetryAfter::IGNORED.or_backoff(), &headers), Hint::None);
    }
}
