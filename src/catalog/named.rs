//! How a scenario refers to a data sheet: by catalog name, or by writing the sheet inline.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// One catalog entry.
#[derive(Debug)]
pub struct Entry<T: 'static> {
    /// The name a scenario uses.
    pub name: &'static str,
    /// What it stands for.
    pub sheet: T,
    /// Where its figures were read.
    pub source: &'static str,
}

/// The sheet of that name in `entries`.
#[must_use]
pub fn find<T>(entries: &'static [Entry<T>], name: &str) -> Option<&'static T> {
    entries.iter().find(|entry| entry.name == name).map(|entry| &entry.sheet)
}

/// The names of `entries`, in catalog order: what a wrong name is compared with.
#[must_use]
pub fn names<T>(entries: &'static [Entry<T>]) -> Vec<&'static str> {
    entries.iter().map(|entry| entry.name).collect()
}

/// A catalog name or an inline sheet.
#[derive(Debug, Clone, PartialEq)]
pub enum Named<T> {
    /// `node = "dgx-h100"`
    Name(Cow<'static, str>),
    /// `node = { gpu = …, … }`
    Inline(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Named<T>, D::Error> {
        struct Visitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Visitor<T> {
            type Value = Named<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a catalog name or an inline table")
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<Named<T>, E> {
                Ok(Named::Name(Cow::Owned(name.to_owned())))
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Named<T>, A::Error> {
                let sheet = T::deserialize(MapAccessDeserializer::new(&mut map))?;
                // An externally tagged sheet reads one key and would leave others unseen.
                match map.next_key::<String>()? {
                    Some(key) => Err(de::Error::custom(format!("unexpected key `{key}`: the sheet takes one key"))),
                    None => Ok(Named::Inline(sheet)),
                }
            }
        }
        deserializer.deserialize_any(Visitor(PhantomData))
    }
}

impl<T: Serialize> Serialize for Named<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Named::Name(name) => serializer.serialize_str(name),
            Named::Inline(sheet) => sheet.serialize(serializer),
        }
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("Named{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let inline = generator.subschema_for::<T>();
        schemars::json_schema!({ "anyOf": [{ "type": "string", "description": "a catalog name (tollway list)" }, inline] })
    }
}
