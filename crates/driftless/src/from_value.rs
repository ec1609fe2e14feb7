//! From a value to a serde type.
//!
//! Texts read as strings, counters and timestamps as numbers, sets as sequences in their order.

use driftless_document::{Scalar, Value};
use serde::de::value::{MapAccessDeserializer, MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use crate::error::ValueError;

/// Returns the type that a value is.
pub(crate) fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, ValueError> {
    T::deserialize(FromValue(value))
}

struct FromValue(Value);

fn entries(
    map: impl IntoIterator<Item = (String, Value)>,
) -> impl Iterator<Item = (String, FromValue)> {
    map.into_iter().map(|(key, value)| (key, FromValue(value)))
}

impl<'de> Deserializer<'de> for FromValue {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self.0 {
            Value::Scalar(scalar) => visit_scalar(scalar, visitor),
            Value::Counter(total) => visitor.visit_i64(total),
            Value::Text(text) => visitor.visit_string(text),
            Value::List(values) => {
                let values = values.into_iter().map(FromValue);
                visitor.visit_seq(SeqDeserializer::new(values))
            }
            Value::Map(map) => visitor.visit_map(MapDeserializer::new(entries(map))),
            Value::Set(members) => {
                let members = members.into_iter().map(Value::Scalar).map(FromValue);
                visitor.visit_seq(SeqDeserializer::new(members))
            }
            _ => Err(ValueError::custom("a value of an unknown kind")),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self.0 {
            Value::Scalar(Scalar::Null) => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        match self.0 {
            Value::Scalar(Scalar::String(name)) | Value::Text(name) => {
                visitor.visit_enum(name.into_deserializer())
            }
            Value::Map(map) => {
                let map = MapDeserializer::new(entries(map));
                visitor.visit_enum(MapAccessDeserializer::new(map))
            }
            _ => Err(ValueError::custom(
                "an enum is a string or a map of one key",
            )),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

fn visit_scalar<'de, V: Visitor<'de>>(scalar: Scalar, visitor: V) -> Result<V::Value, ValueError> {
    match scalar {
        Scalar::Null => visitor.visit_unit(),
        Scalar::Bool(value) => visitor.visit_bool(value),
        Scalar::Int(number) | Scalar::Timestamp(number) | Scalar::Counter(number) => {
            visitor.visit_i64(number)
        }
        Scalar::Uint(number) => visitor.visit_u64(number),
        Scalar::Float(number) => visitor.visit_f64(number),
        Scalar::String(text) => visitor.visit_string(text),
        Scalar::Bytes(bytes) => visitor.visit_byte_buf(bytes),
        _ => Err(ValueError::custom("a scalar of an unknown type")),
    }
}

impl IntoDeserializer<'_, ValueError> for FromValue {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}
