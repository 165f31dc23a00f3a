//! Comma-separated entries in one string, an array of entries, or a status alone.

use std::{
    fmt::{self, Display},
    marker::PhantomData,
    str::FromStr,
};

use serde::{
    Deserialize, Deserializer, Serializer,
    de::{Error, SeqAccess, Unexpected, Visitor},
};

pub(super) struct List<T>(pub(super) T);

pub(super) fn serialize<T, S>(list: &T, serializer: S) -> Result<S::Ok, S::Error>
where
    T: Display,
    S: Serializer,
{
    serializer.collect_str(list)
}

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Entries(PhantomData))
    }
}

struct Entries<T>(PhantomData<T>);

impl<'de, T: FromStr<Err: Display>> Visitor<'de> for Entries<T> {
    type Value = List<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a comma-separated list, an array of its entries, or a status")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<List<T>, E> {
        text.parse().map(List).map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, status: i64) -> Result<List<T>, E> {
        self.visit_str(&status.to_string())
    }

    fn visit_u64<E: Error>(self, status: u64) -> Result<List<T>, E> {
        self.visit_str(&status.to_string())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<List<T>, A::Error> {
        let mut entries = Vec::new();
        while let Some(Entry(entry)) = seq.next_element()? {
            entries.push(entry);
        }
        self.visit_str(&entries.join(","))
    }
}

/// A status may be written as the number that it is.
struct Entry(String);

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordOrStatus;

        impl Visitor<'_> for WordOrStatus {
            type Value = Entry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one entry: a word, or a status from 100 to 999")
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<Entry, E> {
                if word.trim().is_empty() || word.contains(',') {
                    return Err(E::invalid_value(Unexpected::Str(word), &self));
                }
                Ok(Entry(word.to_owned()))
            }

            fn visit_i64<E: Error>(self, status: i64) -> Result<Entry, E> {
                Ok(Entry(status.to_string()))
            }

            fn visit_u64<E: Error>(self, status: u64) -> Result<Entry, E> {
                Ok(Entry(status.to_string()))
            }
        }

        deserializer.deserialize_any(WordOrStatus)
    }
}
