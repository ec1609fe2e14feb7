//! From a serde type to a value that can be put.
//!
//! What a type looks like is told first, as a [`Shape`]; then it is fitted to what stands there: a string becomes the text,
//! a number the counter or timestamp, a sequence of scalars the set that it is put onto, and fields that a struct does not
//! know, which a later version of an app has written, stay.

use std::collections::{BTreeMap, BTreeSet};

use driftless_document::{Scalar, Value};
use serde::Serialize;
use serde::ser::{self, Error as _};

use crate::error::ValueError;

/// Returns the value that a type is, put onto what is shown.
pub(crate) fn to_value<T: Serialize + ?Sized>(
    value: &T,
    shown: Option<&Value>,
) -> Result<Value, ValueError> {
    Ok(value.serialize(ToShape)?.fit(shown))
}

/// What a type looks like.
enum Shape {
    Scalar(Scalar),
    List(Vec<Self>),
    Map(BTreeMap<String, Self>),
    Struct(Fields),
}

/// The fields of a struct, and those that it leaves out on purpose.
#[derive(Default)]
struct Fields {
    written: BTreeMap<String, Shape>,
    skipped: BTreeSet<String>,
}

impl Shape {
    fn fit(self, shown: Option<&Value>) -> Value {
        match (self, shown) {
            (Self::Scalar(Scalar::String(text)), Some(Value::Text(_))) => Value::Text(text),
            (Self::Scalar(Scalar::Int(number)), Some(Value::Counter(_))) => Value::Counter(number),
            (Self::Scalar(Scalar::Int(number)), Some(Value::Scalar(Scalar::Timestamp(_)))) => {
                Value::Scalar(Scalar::Timestamp(number))
            }
            (Self::Scalar(scalar), _) => Value::Scalar(scalar),
            (Self::List(values), Some(Value::Set(_))) if values.iter().all(Self::is_scalar) => {
                Value::Set(values.into_iter().filter_map(Self::into_scalar).collect())
            }
            // Nobody knows which element became which.
            (Self::List(values), _) => {
                Value::List(values.into_iter().map(|value| value.fit(None)).collect())
            }
            (Self::Map(entries), shown) => Value::Map(fit_entries(entries, entries_of(shown))),
            (Self::Struct(Fields { written, skipped }), shown) => {
                let there = entries_of(shown);
                let mut fields = fit_entries(written, there);
                for (key, value) in there.into_iter().flatten() {
                    if !skipped.contains(key) {
                        fields.entry(key.clone()).or_insert_with(|| value.clone());
                    }
                }
                Value::Map(fields)
            }
        }
    }

    const fn is_scalar(&self) -> bool {
        matches!(self, Self::Scalar(_))
    }

    fn into_scalar(self) -> Option<Scalar> {
        match self {
            Self::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }
}

const fn entries_of(shown: Option<&Value>) -> Option<&BTreeMap<String, Value>> {
    match shown {
        Some(Value::Map(entries)) => Some(entries),
        _ => None,
    }
}

fn fit_entries(
    entries: BTreeMap<String, Shape>,
    shown: Option<&BTreeMap<String, Value>>,
) -> BTreeMap<String, Value> {
    let fit = |(key, shape): (String, Shape)| {
        let there = shown.and_then(|shown| shown.get(&key));
        let value = shape.fit(there);
        (key, value)
    };
    entries.into_iter().map(fit).collect()
}

struct ToShape;

type Told = Result<Shape, ValueError>;

const fn scalar(scalar: Scalar) -> Told {
    Ok(Shape::Scalar(scalar))
}

/// What a variant holds is told as in JSON: as a map with the name of the variant.
fn variant(name: &str, inside: Shape) -> Shape {
    Shape::Map(BTreeMap::from([(name.to_owned(), inside)]))
}

impl ser::Serializer for ToShape {
    type Ok = Shape;
    type Error = ValueError;
    type SerializeSeq = Elements;
    type SerializeTuple = Elements;
    type SerializeTupleStruct = Elements;
    type SerializeTupleVariant = Elements;
    type SerializeMap = Entries;
    type SerializeStruct = Named;
    type SerializeStructVariant = Named;

    fn serialize_bool(self, value: bool) -> Told {
        scalar(Scalar::Bool(value))
    }

    fn serialize_i8(self, value: i8) -> Told {
        self.serialize_i64(value.into())
    }

    fn serialize_i16(self, value: i16) -> Told {
        self.serialize_i64(value.into())
    }

    fn serialize_i32(self, value: i32) -> Told {
        self.serialize_i64(value.into())
    }

    fn serialize_i64(self, value: i64) -> Told {
        scalar(Scalar::Int(value))
    }

    fn serialize_u8(self, value: u8) -> Told {
        self.serialize_i64(value.into())
    }

    fn serialize_u16(self, value: u16) -> Told {
        self.serialize_i64(value.into())
    }

    fn serialize_u32(self, value: u32) -> Told {
        self.serialize_i64(value.into())
    }

    fn serialize_u64(self, value: u64) -> Told {
        let number = i64::try_from(value);
        number.map_or_else(
            |_| Err(ValueError::custom("a number is above 2^63")),
            |number| self.serialize_i64(number),
        )
    }

    fn serialize_f32(self, value: f32) -> Told {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Told {
        scalar(Scalar::Float(value))
    }

    fn serialize_char(self, value: char) -> Told {
        scalar(Scalar::String(value.into()))
    }

    fn serialize_str(self, value: &str) -> Told {
        scalar(Scalar::String(value.to_owned()))
    }

    fn serialize_bytes(self, value: &[u8]) -> Told {
        scalar(Scalar::Bytes(value.to_vec()))
    }

    fn serialize_none(self) -> Told {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Told {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Told {
        scalar(Scalar::Null)
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Told {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, name: &'static str) -> Told {
        self.serialize_str(name)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Told {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        value: &T,
    ) -> Told {
        Ok(variant(name, value.serialize(self)?))
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<Elements, ValueError> {
        Ok(Elements::default())
    }

    fn serialize_tuple(self, _len: usize) -> Result<Elements, ValueError> {
        Ok(Elements::default())
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Elements, ValueError> {
        Ok(Elements::default())
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Elements, ValueError> {
        Ok(Elements {
            variant: Some(name),
            ..Elements::default()
        })
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Entries, ValueError> {
        Ok(Entries::default())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Named, ValueError> {
        Ok(Named::default())
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Named, ValueError> {
        Ok(Named {
            variant: Some(name),
            ..Named::default()
        })
    }
}

#[derive(Default)]
struct Elements {
    values: Vec<Shape>,
    variant: Option<&'static str>,
}

impl Elements {
    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
        self.values.push(value.serialize(ToShape)?);
        Ok(())
    }

    fn into_shape(self) -> Shape {
        let list = Shape::List(self.values);
        match self.variant {
            Some(name) => variant(name, list),
            None => list,
        }
    }
}

macro_rules! impl_elements {
    ($($of:ident: $push:ident),*) => {
        $(impl ser::$of for Elements {
            type Ok = Shape;
            type Error = ValueError;

            fn $push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
                self.push(value)
            }

            fn end(self) -> Told {
                Ok(self.into_shape())
            }
        })*
    };
}

impl_elements! {
    SerializeSeq: serialize_element,
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field,
    SerializeTupleVariant: serialize_field
}

#[derive(Default)]
struct Entries {
    entries: BTreeMap<String, Shape>,
    key: Option<String>,
}

impl ser::SerializeMap for Entries {
    type Ok = Shape;
    type Error = ValueError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), ValueError> {
        let Shape::Scalar(Scalar::String(key)) = key.serialize(ToShape)? else {
            return Err(ValueError::custom("the key of a map is no string"));
        };
        self.key = Some(key);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
        let key = self.key.take();
        let key = key.ok_or_else(|| ValueError::custom("a value of a map has no key"))?;
        self.entries.insert(key, value.serialize(ToShape)?);
        Ok(())
    }

    fn end(self) -> Told {
        Ok(Shape::Map(self.entries))
    }
}

#[derive(Default)]
struct Named {
    fields: Fields,
    variant: Option<&'static str>,
}

macro_rules! impl_named {
    ($($of:ident),*) => {
        $(impl ser::$of for Named {
            type Ok = Shape;
            type Error = ValueError;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), ValueError> {
                let shape = value.serialize(ToShape)?;
                self.fields.written.insert(key.to_owned(), shape);
                Ok(())
            }

            fn skip_field(&mut self, key: &'static str) -> Result<(), ValueError> {
                self.fields.skipped.insert(key.to_owned());
                Ok(())
            }

            fn end(self) -> Told {
                let fields = Shape::Struct(self.fields);
                Ok(match self.variant {
                    Some(name) => variant(name, fields),
                    None => fields,
                })
            }
        })*
    };
}

impl_named! { SerializeStruct, SerializeStructVariant }
