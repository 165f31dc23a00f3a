use std::{fmt, time::Duration};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};

use super::time::Time;
use crate::{ConfigError, limits::Backoff, policy::Standard};

/// The [delays](Standard::backoff) before a peer that may have been tried: a table, or a list.
///
/// ```
/// use std::time::Duration;
/// use tower_failover::config::{BackoffConfig, RetryConfig};
///
/// let file: RetryConfig = toml::from_str(r#"backoff = { base = "1s" }"#)?;
/// let base = Duration::from_secs(1);
/// assert_eq!(file.backoff, BackoffConfig::Exponential { base, max: None, multiplier: 2.0 });
///
/// let file: RetryConfig = toml::from_str(r#"backoff = ["0s", "1s"]"#)?;
/// assert_eq!(file.backoff, BackoffConfig::Exactly(vec![Duration::ZERO, base]));
/// # Ok::<_, toml::de::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum BackoffConfig {
    /// Growing delays, drawn by chance: a [`Backoff`].
    Exponential {
        /// The longest delay before the first retry; by default 25 ms, or `max` where that is shorter.
        base: Duration,
        /// The longest delay before any; by default 10 times `base`, as Envoy has it.
        max: Option<Duration>,
        /// By how much the bound grows with each retry, from 1 to 100; by default 2.
        multiplier: f64,
    },
    /// Exactly these delays, one after the other. Where they end, nothing that needs a delay is tried
    /// again.
    Exactly(Vec<Duration>),
}

impl BackoffConfig {
    pub(super) fn set(&self, policy: Standard) -> Result<Standard, ConfigError> {
        match self {
            Self::Exponential {
                base,
                max,
                multiplier,
            } => {
                let max = max.unwrap_or_else(|| base.saturating_mul(10));
                Ok(policy.backoff(Backoff::new(*base, max)?.multiplier(*multiplier)?))
            }
            Self::Exactly(delays) => {
                let delays = delays.clone();
                Ok(policy.backoff(move || delays.clone()))
            }
        }
    }
}

/// [`Backoff::default`].
impl Default for BackoffConfig {
    fn default() -> Self {
        Self::Exponential {
            base: Backoff::BASE,
            max: None,
            multiplier: Backoff::MULTIPLIER,
        }
    }
}

impl Serialize for BackoffConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Exponential {
                base,
                max,
                multiplier,
            } => Table {
                base: Some(Time(*base)),
                max: max.map(Time),
                multiplier: Some(*multiplier),
            }
            .serialize(serializer),
            Self::Exactly(delays) => serializer.collect_seq(delays.iter().copied().map(Time)),
        }
    }
}

impl<'de> Deserialize<'de> for BackoffConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TableOrList;

        impl<'de> Visitor<'de> for TableOrList {
            type Value = BackoffConfig;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table with `base` and `max`, or a list of delays")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<BackoffConfig, A::Error> {
                let table = Table::deserialize(MapAccessDeserializer::new(map))?;
                let max = table.max.map(|Time(max)| max);
                let usual = max.map_or(Backoff::BASE, |max| max.min(Backoff::BASE));
                Ok(BackoffConfig::Exponential {
                    base: table.base.map_or(usual, |Time(base)| base),
                    max,
                    multiplier: table.multiplier.unwrap_or(Backoff::MULTIPLIER),
                })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<BackoffConfig, A::Error> {
                let mut delays = Vec::new();
                while let Some(Time(delay)) = seq.next_element()? {
                    delays.push(delay);
                }
                Ok(BackoffConfig::Exactly(delays))
            }
        }

        deserializer.deserialize_any(TableOrList)
    }
}

/// What stands in the table; the rest is as by default.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Table {
    base: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<Time>,
    multiplier: Option<f64>,
}
