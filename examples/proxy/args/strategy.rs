use std::str::FromStr;

use http::HeaderName;
use tower_failover::balance::ConsistentHash;

use super::value::nearest;

/// How an upstream is chosen.
#[derive(Clone, Debug)]
pub(crate) enum Strategy {
    InOrder,
    RoundRobin,
    Random,
    LeastLoaded,
    Hash(ConsistentHash),
}

const WORDS: [&str; 5] = [
    "in-order",
    "round-robin",
    "random",
    "least-loaded",
    "hash-path",
];

/// What a name follows, behind a colon.
const PREFIXES: [&str; 2] = ["hash", "hash-cookie"];

impl FromStr for Strategy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (word, name) = match text.split_once(':') {
            Some((word, name)) => (word, Some(name)),
            None => (text, None),
        };
        Ok(match (word, name) {
            ("in-order", None) => Self::InOrder,
            ("round-robin", None) => Self::RoundRobin,
            ("random", None) => Self::Random,
            ("least-loaded", None) => Self::LeastLoaded,
            ("hash-path", None) => Self::Hash(ConsistentHash::path()),
            // No request would have such a header, and each would go to another upstream.
            ("hash", Some("path")) => return Err(meant(text, "hash-path")),
            ("hash", Some(name)) => Self::Hash(ConsistentHash::header(header(name)?)),
            // A cookie's name is a token, as a header's is.
            ("hash-cookie", Some(name)) => match HeaderName::try_from(name) {
                Ok(_) => Self::Hash(ConsistentHash::cookie(name)),
                Err(_) => return Err(format!("`{name}` names no cookie")),
            },
            (word, None) if PREFIXES.contains(&word) => {
                let name = if word == "hash" { "HEADER" } else { "NAME" };
                return Err(meant(text, &format!("{word}:{name}")));
            }
            (word, None) => return Err(unknown(text, nearest(word, WORDS).map(str::to_owned))),
            (word, Some(name)) => {
                let prefix = nearest(word, PREFIXES);
                return Err(unknown(text, prefix.map(|word| format!("{word}:{name}"))));
            }
        })
    }
}

fn header(name: &str) -> Result<HeaderName, String> {
    if let Some(cookie) = name.strip_prefix("cookie:") {
        return Err(meant(
            &format!("hash:{name}"),
            &format!("hash-cookie:{cookie}"),
        ));
    }
    HeaderName::try_from(name).map_err(|_| format!("`{name}` names no header"))
}

fn unknown(text: &str, nearest: Option<String>) -> String {
    match nearest {
        Some(nearest) => meant(text, &nearest),
        None => format!(
            "`{text}` is no strategy; they are {}, hash:HEADER, hash-cookie:NAME",
            WORDS.join(", "),
        ),
    }
}

fn meant(text: &str, nearest: &str) -> String {
    format!("`{text}` is no strategy; did you mean `{nearest}`?")
}
