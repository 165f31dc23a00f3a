//! How values are written.

use std::time::Duration;

use tower_failover::ConfigError;

/// A time limit, or none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit(pub(crate) Option<Duration>);

/// The retries' share of the requests, or no bound.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share(pub(crate) Option<f64>);

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write it as in `500ms` or `2s`"))
}

pub(super) fn wait(text: &str) -> Result<Limit, String> {
    match text {
        "off" => Ok(Limit(None)),
        _ => match duration(text) {
            Ok(longest) => Ok(Limit(Some(longest))),
            Err(wrong) => Err(format!("{wrong}, or `off`")),
        },
    }
}

pub(super) fn limit(text: &str) -> Result<Limit, String> {
    match wait(text)? {
        Limit(Some(Duration::ZERO)) => Err("must be longer than 0s; `off` for none".into()),
        limit => Ok(limit),
    }
}

pub(super) fn longer_than_none(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("must be longer than 0s".into()),
        time => Ok(time),
    }
}

pub(super) fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("write it as in `0.5`: a share from 0 to 1".into()),
    }
}

pub(super) fn zone(text: &str) -> Result<String, String> {
    match text {
        "" => Err("a zone has a name".into()),
        name => Ok(name.to_owned()),
    }
}

pub(super) fn delays(text: &str) -> Result<(Duration, Duration), String> {
    let (base, max) = text
        .split_once("..")
        .ok_or("write it as in `25ms..250ms`")?;
    let delays = (duration(base)?, duration(max)?);
    checked(tower_failover::limits::Backoff::new(delays.0, delays.1))?;
    Ok(delays)
}

pub(super) fn budget(text: &str) -> Result<Share, String> {
    if text == "off" {
        return Ok(Share(None));
    }
    let ratio = text.parse().map_err(|_| "write it as in `0.2`, or `off`")?;
    checked(tower_failover::limits::Budget::new(ratio, 0))?;
    Ok(Share(Some(ratio)))
}

pub(super) fn checked<T>(value: Result<T, ConfigError>) -> Result<T, String> {
    value.map_err(|wrong| wrong.to_string())
}

/// The word that was probably meant.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let known = known.into_iter();
    let near = known.map(|known| (strsim::damerau_levenshtein(word, known), known));
    near.filter(|(distance, known)| *distance <= known.len() / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}
