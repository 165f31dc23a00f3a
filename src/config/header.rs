//! Names of headers.

use http::HeaderName;
use serde::{Deserialize, Deserializer, Serializer, de};

use crate::limits::DeadlineHeader;

fn parse<E: de::Error>(text: &str) -> Result<HeaderName, E> {
    text.parse()
        .map_err(|_| E::invalid_value(de::Unexpected::Str(text), &"a header's name"))
}

/// One header, if there is any.
pub(super) mod name {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        name: &Option<HeaderName>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(name.as_ref().map_or("", HeaderName::as_str))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<HeaderName>, D::Error> {
        parse(&String::deserialize(deserializer)?).map(Some)
    }
}

/// One header with a time, if there is any.
pub(super) mod deadline {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        header: &Option<DeadlineHeader>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        name::serialize(
            &header.as_ref().map(|header| header.name().clone()),
            serializer,
        )
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<DeadlineHeader>, D::Error> {
        let name = name::deserialize(deserializer)?;
        name.map(DeadlineHeader::named)
            .transpose()
            .map_err(de::Error::custom)
    }
}

/// Several headers with times.
pub(super) mod deadlines {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        headers: &[DeadlineHeader],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(headers.iter().map(|header| header.name().as_str()))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<DeadlineHeader>, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        let named = |text: &String| DeadlineHeader::named(parse(text)?).map_err(de::Error::custom);
        names.iter().map(named).collect()
    }
}
