//! Names of headers.

use http::HeaderName;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::limits::DeadlineHeader;

pub(super) struct Name(pub(super) HeaderName);

/// A header with a time.
pub(super) struct Timed(pub(super) DeadlineHeader);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || de::Error::invalid_value(de::Unexpected::Str(&text), &"a header's name");
        text.parse().map(Self).map_err(|_| wrong())
    }
}

impl<'de> Deserialize<'de> for Timed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Name(name) = Name::deserialize(deserializer)?;
        let named = DeadlineHeader::named(name);
        named.map(Self).map_err(de::Error::custom)
    }
}

/// One header, if there is any.
pub(super) fn name<S: Serializer>(
    name: &Option<HeaderName>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    name.as_ref().map(HeaderName::as_str).serialize(serializer)
}

/// One header with a time, if there is any.
pub(super) fn deadline<S: Serializer>(
    header: &Option<DeadlineHeader>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    name(
        &header.as_ref().map(|header| header.name().clone()),
        serializer,
    )
}

/// Several headers with times.
pub(super) fn deadlines<S: Serializer>(
    headers: &[DeadlineHeader],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(headers.iter().map(|header| header.name().as_str()))
}
