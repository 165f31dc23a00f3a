use std::{fmt, time::Duration};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Unexpected, Visitor},
};

use super::time::{EXPECTED, Time, parse};
use crate::policy::RetryAfter;

/// How long a [`Retry-After`](RetryAfter) is heeded: a duration, or `false`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfterConfig {
    /// It is ignored: [`RetryAfter::IGNORED`].
    Ignored,
    /// It is heeded up to this time: [`RetryAfter::up_to`].
    UpTo(Duration),
}

impl Default for RetryAfterConfig {
    fn default() -> Self {
        Self::UpTo(RetryAfter::LONGEST)
    }
}

impl From<RetryAfterConfig> for RetryAfter {
    fn from(config: RetryAfterConfig) -> Self {
        match config {
            RetryAfterConfig::Ignored => Self::IGNORED,
            RetryAfterConfig::UpTo(longest) => Self::up_to(longest),
        }
    }
}

impl Serialize for RetryAfterConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Ignored => serializer.serialize_bool(false),
            Self::UpTo(longest) => Time(*longest).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for RetryAfterConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DurationOrFalse;

        impl Visitor<'_> for DurationOrFalse {
            type Value = RetryAfterConfig;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{EXPECTED}, or `false`")
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<RetryAfterConfig, E> {
                if value {
                    return Err(E::invalid_value(Unexpected::Bool(value), &self));
                }
                Ok(RetryAfterConfig::Ignored)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<RetryAfterConfig, E> {
                let longest = parse(text).map(RetryAfterConfig::UpTo);
                longest.ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_any(DurationOrFalse)
    }
}
