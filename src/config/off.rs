//! A table, or `false` for none.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, MapAccess, Unexpected, Visitor, value::MapAccessDeserializer},
};

/// `None` is what is written `false`.
pub(super) struct OrFalse<T>(pub(super) Option<T>);

pub(super) fn serialize<T, S>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error>
where
    T: Serialize,
    S: Serializer,
{
    match value {
        Some(value) => value.serialize(serializer),
        None => serializer.serialize_bool(false),
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OrFalse<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TableOrFalse(PhantomData))
    }
}

struct TableOrFalse<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for TableOrFalse<T> {
    type Value = OrFalse<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table, or `false` for none")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<OrFalse<T>, E> {
        if value {
            return Err(E::invalid_value(Unexpected::Bool(value), &self));
        }
        Ok(OrFalse(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OrFalse<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|value| OrFalse(Some(value)))
    }
}
