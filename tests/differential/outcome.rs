//! What came of one request, on either side.

use std::fmt;

use crate::{
    client::Answer,
    scenarios::{Bad, Scenario, Upstream},
};

/// What the client got, and how often which upstream was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) got: Got,
    /// The upstream whose response it is, unless it is the proxy's own.
    pub(crate) served_by: Option<String>,
    pub(crate) attempts: Attempts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Got {
    Status(u16),
    /// Part of a response, or nothing.
    Cut,
    NotHttp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempts {
    By([usize; 2]),
    /// Neither upstream sees who reaches for it.
    InAll(usize),
}

impl Outcome {
    /// `said` is how many attempts the proxy says it has made; it counts where upstreams cannot see them.
    ///
    /// # Panics
    ///
    /// If that is wrong where they do, or if a body that was sent again has changed.
    pub(crate) fn new(
        scenario: &Scenario,
        answer: &Answer,
        said: Option<usize>,
        upstreams: &[Upstream; 2],
    ) -> Self {
        let [first, second] = upstreams.each_ref().map(Upstream::attempts);
        let attempts = match ([0, 1].map(|index| scenario.sees(index)), said) {
            ([true, true], said) => {
                let made = first + second;
                assert!(
                    said.is_none_or(|said| said == made),
                    "{scenario}: {said:?} of {made}"
                );
                Attempts::By([first, second])
            }
            (_, None) => panic!("{scenario}: nothing said, in {answer:?}"),
            ([false, true], Some(said)) => Attempts::By([said - second, second]),
            ([_, false], Some(said)) => Attempts::InAll(said),
        };
        let response = answer.response();
        let served_by = response.and_then(|response| response.header("x-served-by"));
        if let (Some(response), Some("u2"), Bad::First) = (response, served_by, scenario.bad) {
            assert_eq!(response.body, scenario.method.body(), "{scenario}");
        }
        Self {
            got: match answer {
                Answer::Whole(response) => Got::Status(response.status),
                Answer::Cut => Got::Cut,
                Answer::NotHttp => Got::NotHttp,
            },
            served_by: served_by.map(str::to_owned),
            attempts,
        }
    }
}

impl Attempts {
    /// Whether there was a second one.
    pub(crate) fn are_many(self) -> bool {
        let (Self::By([made, 0]) | Self::By([0, made]) | Self::InAll(made)) = self else {
            return true;
        };
        made > 1
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.got)?;
        if let Some(upstream) = &self.served_by {
            write!(f, " of {upstream}")?;
        }
        write!(f, ", {}", self.attempts)
    }
}

impl fmt::Display for Got {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "{status}"),
            Self::Cut => f.write_str("cut"),
            Self::NotHttp => f.write_str("no HTTP"),
        }
    }
}

impl fmt::Display for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::By([first, second]) => write!(f, "{} ({first}+{second})", first + second),
            Self::InAll(attempts) => write!(f, "{attempts}"),
        }
    }
}
