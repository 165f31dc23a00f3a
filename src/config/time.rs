//! Durations as people write them.

use std::{fmt, time::Duration};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Unexpected, Visitor},
};

pub(super) const EXPECTED: &str = "a duration with its unit, as in `10s`";

/// A number alone is none: its unit would be anybody's guess.
#[derive(Clone, Copy)]
pub(super) struct Time(pub(super) Duration);

/// `None` if it is not written as durations are.
pub(super) fn parse(text: &str) -> Option<Duration> {
    // `humantime` takes a bare 0.
    let has_unit = text.contains(char::is_alphabetic);
    humantime::parse_duration(text).ok().filter(|_| has_unit)
}

/// A time, if there is any.
pub(super) fn serialize<S: Serializer>(
    time: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    time.map(Time).serialize(serializer)
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(self.0))
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Time;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTED)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Time, E> {
                let time = parse(text).map(Time);
                time.ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_str(Text)
    }
}
