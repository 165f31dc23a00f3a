use std::{fmt, sync::Arc};

use http::{HeaderName, header};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::Candidates;

type Closure = dyn Fn(&Candidates<'_>) -> Option<u64> + Send + Sync;

/// What of a request decides where it belongs.
#[derive(Clone)]
pub(super) enum Key {
    Header(HeaderName),
    Cookie(Arc<str>),
    Path,
    By(Arc<Closure>),
}

impl Key {
    /// The request's key, if it has one.
    pub(super) fn of(&self, candidates: &Candidates<'_>) -> Option<u64> {
        match self {
            Self::Header(name) => {
                let values = candidates.headers().get_all(name).iter();
                let key = values.fold(None, |key, value| {
                    Some(xxh3_64_with_seed(value.as_bytes(), key.unwrap_or(0)))
                });
                // In HTTP/2 and HTTP/3 the host is in the URI.
                let host = candidates
                    .uri()
                    .authority()
                    .filter(|_| name == header::HOST);
                key.or_else(|| host.map(|host| xxh3_64(host.as_str().as_bytes())))
            }
            Self::Cookie(name) => cookie(candidates, name).map(xxh3_64),
            Self::Path => Some(xxh3_64(candidates.uri().path().as_bytes())),
            Self::By(key) => key(candidates),
        }
    }
}

/// The value of a request's cookie (RFC 6265, section 4.2).
fn cookie<'a>(candidates: &Candidates<'a>, name: &str) -> Option<&'a [u8]> {
    let headers = candidates.headers().get_all(header::COOKIE).iter();
    let pairs = headers.flat_map(|header| header.as_bytes().split(|byte| *byte == b';'));
    pairs.map(<[u8]>::trim_ascii).find_map(|pair| {
        let value = pair.strip_prefix(name.as_bytes())?;
        value.strip_prefix(b"=")
    })
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header {name}"),
            Self::Cookie(name) => write!(f, "cookie {name}"),
            Self::Path => f.write_str("path"),
            Self::By(_) => f.write_str("closure"),
        }
    }
}
