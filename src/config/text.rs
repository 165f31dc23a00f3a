//! What has a text form of its own.

/// Comma-separated entries in one string, or an array of entries.
pub(super) mod list {
    use std::{
        fmt::{self, Display, Write},
        marker::PhantomData,
        str::FromStr,
    };

    use serde::{
        Deserialize, Deserializer, Serializer,
        de::{Error, SeqAccess, Visitor},
    };

    pub(crate) fn serialize<T, S>(list: &T, serializer: S) -> Result<S::Ok, S::Error>
    where
        T: Display,
        S: Serializer,
    {
        serializer.collect_str(list)
    }

    pub(crate) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        deserializer.deserialize_any(Entries(PhantomData))
    }

    struct Entries<T>(PhantomData<T>);

    impl<'de, T: FromStr<Err: Display>> Visitor<'de> for Entries<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a comma-separated list, or an array of its entries")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(E::custom)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<T, A::Error> {
            let mut text = String::new();
            while let Some(entry) = seq.next_element::<Entry>()? {
                let comma = if text.is_empty() { "" } else { "," };
                let written = match &entry {
                    Entry::Number(status) => write!(text, "{comma}{status}"),
                    Entry::Word(word) => write!(text, "{comma}{word}"),
                };
                written.map_err(A::Error::custom)?;
            }
            text.parse().map_err(A::Error::custom)
        }
    }

    /// A status may be written as the number that it is.
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a word, or a status")]
    enum Entry {
        Number(i64),
        Word(String),
    }
}
