use crate::failure::{Failure, FailureKind, Stage};

/// The failures of a list, one bit a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failures(u8);

impl Failures {
    pub(super) const NONE: Self = Self(0);
    pub(super) const CONNECT_ERROR: Self = Self(1);
    pub(super) const CONNECT_TIMEOUT: Self = Self(1 << 1);
    pub(super) const CONNECT_FAILURE: Self = Self::CONNECT_ERROR.and(Self::CONNECT_TIMEOUT);
    pub(super) const REFUSED_STREAM: Self = Self(1 << 2);
    pub(super) const RESET: Self = Self(1 << 3);
    pub(super) const RESET_REUSED: Self = Self(1 << 4);
    pub(super) const TIMEOUT: Self = Self(1 << 5);
    pub(super) const JUNK_RESPONSE: Self = Self(1 << 6);

    /// Their words, in the order of the text form; the one for two comes before both.
    pub(super) const WORDS: [(&'static str, Self); 8] = [
        ("connect-failure", Self::CONNECT_FAILURE),
        ("connect-error", Self::CONNECT_ERROR),
        ("connect-timeout", Self::CONNECT_TIMEOUT),
        ("refused-stream", Self::REFUSED_STREAM),
        ("reset", Self::RESET),
        ("reset-reused", Self::RESET_REUSED),
        ("timeout", Self::TIMEOUT),
        ("junk-response", Self::JUNK_RESPONSE),
    ];

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn is_none(self) -> bool {
        self.0 == 0
    }

    pub(super) const fn has_any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    const fn has_all(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The conditions that a failure meets.
    ///
    /// Whatever failed before anything was sent failed to connect too, as far as a list goes. Where it is
    /// not known how far the request got, "no connection" is no more than a guess, and the failure a reset.
    pub(super) fn met_by(failure: &Failure) -> Self {
        let not_sent = failure.stage() == Stage::NotSent;
        let (by_kind, timed_out) = match failure.kind() {
            FailureKind::Certificate | FailureKind::Request | FailureKind::RequestBody => {
                return Self::NONE;
            }
            FailureKind::ConnectTimeout if not_sent => (Self::NONE, true),
            FailureKind::ConnectTimeout | FailureKind::Timeout | FailureKind::Deadline => {
                (Self::TIMEOUT, true)
            }
            FailureKind::RefusedStream => (Self::REFUSED_STREAM, false),
            FailureKind::Junk => (Self::JUNK_RESPONSE, false),
            FailureKind::Reset => (Self::reset_of(failure), false),
            _ if not_sent => (Self::NONE, false),
            _ => (Self::reset_of(failure), false),
        };
        match (not_sent, timed_out) {
            (false, _) => by_kind,
            (true, false) => by_kind.and(Self::CONNECT_ERROR),
            (true, true) => by_kind.and(Self::CONNECT_TIMEOUT),
        }
    }

    fn reset_of(failure: &Failure) -> Self {
        match failure.connection_reused() {
            Some(true) => Self::RESET.and(Self::RESET_REUSED),
            _ => Self::RESET,
        }
    }

    /// The fewest words that say it.
    pub(super) fn words(self) -> impl Iterator<Item = &'static str> {
        let mut left = self;
        Self::WORDS.into_iter().filter_map(move |(word, set)| {
            let all = left.has_all(set);
            if all {
                left.0 &= !set.0;
            }
            all.then_some(word)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::failures_that_meet;
    use super::*;

    #[test]
    fn each_word_matches_its_failures_and_no_other() {
        let words = [
            (
                "connect-failure",
                "refused connect-timeout handed-back overloaded no-peer waited junk-unsent",
            ),
            (
                "connect-error",
                "refused handed-back overloaded no-peer junk-unsent",
            ),
            ("connect-timeout", "connect-timeout waited"),
            ("refused-stream", "refused-stream goaway"),
            (
                "reset",
                "handed-back reset reset-reused refused-unproved other",
            ),
            ("reset-reused", "reset-reused"),
            (
                "timeout",
                "waited timeout deadline connect-timeout-unproved",
            ),
            ("junk-response", "junk-unsent junk"),
        ];
        assert_eq!(
            words.map(|(word, _)| word),
            Failures::WORDS.map(|(word, _)| word)
        );
        for (word, failures) in words {
            assert_eq!(failures_that_meet(word), failures, "{word}");
        }
    }

    #[test]
    fn no_list_holds_a_bad_certificate_or_the_senders_fault() {
        let all = Failures::WORDS.map(|(word, _)| word).join(",");
        let met = failures_that_meet(&all);
        for never in ["certificate", "unsendable", "body"] {
            assert!(!met.split(' ').any(|met| met == never), "{never}");
        }
    }
}
