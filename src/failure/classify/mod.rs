//! Reads what the errors of known libraries prove.
//!
//! Three rules hold for every file here:
//!
//! - *Proof or nothing.* [`Stage::NotSent`] and [`Stage::Refused`] are answered only where the library's
//!   source shows that no other case has this error. Texts of errors may withhold a proof, never add one.
//! - *The outermost known error decides.* What stands below a known error is read only by that error's own
//!   rules: below a connect error a refusal is a reason, below a failed body it is somebody else's.
//! - *An unknown error may wrap anything*, a failed body too. Below one, only errors that no body can fail
//!   with keep their proof.

use std::error::Error as StdError;
use std::io as std_io;

use super::{Classify, Evidence, FailureKind, Stage};

#[cfg(feature = "hyper")]
mod connect;
#[cfg(feature = "hyper")]
mod h2;
#[cfg(feature = "hyper")]
mod hyper;
mod io;
mod own;
#[cfg(feature = "reqwest")]
mod reqwest;
#[cfg(feature = "rustls")]
mod rustls;
mod tower;

/// Knows the errors of this crate, of `std::io` and of tower, and, behind their features, of hyper, hyper-util and h2, of
/// reqwest, and of rustls.
///
/// | error | stage | kind |
/// |---|---|---|
/// | no connection, no TLS session | `NotSent` | `Connect` |
/// | no HTTP handshake, or a connection that ended before the request was given to it | `NotSent` | `Reset` |
/// | the same, out of time | `NotSent` | `ConnectTimeout` |
/// | the same, for the certificate (feature `rustls`) | `NotSent` | `Certificate` |
/// | the client hands back a request that it had only queued | `NotSent` | `Reset` |
/// | load shed | `NotSent` | `Overload` |
/// | REFUSED_STREAM | `Refused` | `RefusedStream` |
/// | a stream above GOAWAY's last one, as far as hyper can say | `MaybeProcessed` | `RefusedStream` |
/// | closed or reset before a response head | `MaybeProcessed` | `Reset` |
/// | the body failed before its first byte, below a [`PeekLayer`](crate::peek::PeekLayer) | `MaybeProcessed` | `Reset`, or what the body says |
/// | not a response | `MaybeProcessed` | `Junk` |
/// | out of time | `MaybeProcessed` | `Timeout` |
/// | the request's own body failed | `MaybeProcessed` | `RequestBody` |
/// | the request cannot be sent as it is | `NotSent`, or `MaybeProcessed` through reqwest | `Request` |
/// | an inner failover's, a balancer's without a peer | what they say | what they say |
///
/// Everything else is `None`.
///
/// # What it trusts
///
/// That the error is about one attempt. A client that follows redirects or retries by itself reports only
/// its last hop: a POST that was processed and answered with a redirect to a closed port ends in a connect
/// error. Turn both off in the client below.
///
/// # Examples
///
/// ```
/// use std::io;
/// use tower_failover::failure::{Classify, FailureKind, KnownErrors, Stage};
///
/// let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
/// let evidence = KnownErrors.classify(&refused).expect("an error of std");
/// assert_eq!(evidence.stage, Stage::NotSent);
/// assert_eq!(evidence.kind, FailureKind::Connect);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct KnownErrors;

/// What an error of a known type says.
enum Reading {
    /// Only an exchange can fail with this error.
    Exchange(Evidence),
    /// A body can fail with this error too, or a connection that other requests share.
    Shared(Evidence),
    /// Nothing; and what stands below it is not about this exchange.
    #[cfg(feature = "hyper")]
    Opaque,
}

impl Classify for KnownErrors {
    fn classify(&self, error: &(dyn StdError + 'static)) -> Option<Evidence> {
        let mut chain = chain(error).enumerate();
        let (depth, reading) = chain.find_map(|(depth, link)| Some((depth, read(link)?)))?;
        match reading {
            Reading::Exchange(evidence) => Some(evidence),
            Reading::Shared(evidence) if depth == 0 => Some(evidence),
            Reading::Shared(Evidence { kind, .. }) => Some(maybe_processed(kind)),
            #[cfg(feature = "hyper")]
            Reading::Opaque => None,
        }
    }
}

fn read(error: &(dyn StdError + 'static)) -> Option<Reading> {
    let reading = own::read(error).or_else(|| tower::read(error));
    #[cfg(feature = "reqwest")]
    let reading = reading.or_else(|| reqwest::read(error));
    #[cfg(feature = "hyper")]
    let reading = reading
        .or_else(|| hyper::read(error))
        .or_else(|| h2::read(error));
    // Before `io`: rustls' errors travel inside those of `io`.
    #[cfg(feature = "rustls")]
    let reading = reading.or_else(|| rustls::read(error));
    reading.or_else(|| io::read(error))
}

/// Walks an error from the outside in.
pub(crate) fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| below(error))
}

fn below<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    // `io::Error::source` is the source of what it wraps and leaves out the wrapped error itself, which is
    // how rustls' errors travel.
    let wrapped = error
        .downcast_ref::<std_io::Error>()
        .and_then(std_io::Error::get_ref);
    match wrapped {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

const fn not_sent(kind: FailureKind) -> Evidence {
    Evidence {
        stage: Stage::NotSent,
        kind,
    }
}

const fn maybe_processed(kind: FailureKind) -> Evidence {
    Evidence {
        stage: Stage::MaybeProcessed,
        kind,
    }
}
