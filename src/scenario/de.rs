//! Deserializes sections from the tree. Each error knows the key or value that failed, its path, and what would do.

use super::complaint::{Origin, Source, instead, quoted};
use super::node::{Entry, Node, Table, Value};
use serde::de::{self, DeserializeSeed, Unexpected, Visitor};
use std::collections::btree_map;
use std::fmt;

/// Why a tree is not the asked type.
#[derive(Debug)]
pub(super) struct Error {
    /// What is wrong.
    pub what: What,
    /// The key or value that failed.
    pub at: Option<Origin>,
    /// What would do.
    pub help: Option<String>,
    /// Keys from the failing entry up to the root.
    pub path: Vec<String>,
}

/// What is wrong with a tree.
#[derive(Debug)]
pub(super) enum What {
    /// This value, in words that follow its path and a colon.
    Value(String),
    /// This key is none of the section's.
    UnknownKey(String),
    /// The section lacks this key.
    MissingKey(&'static str),
    /// A choice is an empty table.
    NoChoice,
    /// These variants of a choice come from lower layers than the variant that replaces them: no error, only to be dropped.
    Superseded(Vec<String>),
}

impl Error {
    fn new(what: What) -> Error {
        Error { what, at: None, help: None, path: Vec::new() }
    }

    fn value(words: impl Into<String>) -> Error {
        Error::new(What::Value(words.into()))
    }

    fn at(mut self, at: &Origin) -> Error {
        self.at.get_or_insert_with(|| at.clone());
        self
    }

    fn under(mut self, key: &str) -> Error {
        self.path.push(key.to_owned());
        self
    }

    fn help(mut self, help: impl Into<Option<String>>) -> Error {
        self.help = help.into();
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.what)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(words: T) -> Error {
        Error::value(words.to_string())
    }
    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Error {
        Error::value(format!("expected {}, found {}", plain_type(&expected.to_string()), plain_value(found)))
    }
    fn invalid_value(found: Unexpected<'_>, expected: &dyn de::Expected) -> Error {
        Error::invalid_type(found, expected)
    }
    fn unknown_variant(found: &str, expected: &'static [&'static str]) -> Error {
        Error::value(format!("{found:?} is none of the choices here")).help(instead(found, expected, "choices"))
    }
    fn unknown_field(found: &str, expected: &'static [&'static str]) -> Error {
        Error::new(What::UnknownKey(found.to_owned())).help(instead(found, expected, "known keys"))
    }
    fn missing_field(field: &'static str) -> Error {
        Error::new(What::MissingKey(field))
    }
}

/// Rust's name of a type in a newcomer's words.
fn plain_type(name: &str) -> String {
    let words = match name {
        "u8" | "u16" | "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number of zero or more",
        "i8" | "i16" | "i32" | "i64" => "a whole number",
        "f32" | "f64" => "a number",
        "a string" | "string" => "a text in quotes",
        "a boolean" => "true or false",
        "a map" => "a table",
        _ if name.starts_with("struct ") => "a table such as { key = value }",
        _ => name,
    };
    words.to_owned()
}

fn plain_value(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(yes) => yes.to_string(),
        Unexpected::Unsigned(number) => number.to_string(),
        Unexpected::Signed(number) => number.to_string(),
        Unexpected::Float(number) => number.to_string(),
        Unexpected::Str(text) => format!("the text {text:?}"),
        Unexpected::Map => "a table".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        other => other.to_string(),
    }
}

/// Reads one node; `sources` say which layer wins.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub node: &'a Node,
    pub sources: &'a [Source],
}

impl<'a> Reader<'a> {
    fn of(self, node: &'a Node) -> Reader<'a> {
        Reader { node, sources: self.sources }
    }

    fn visit<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Table(entries) => visitor.visit_map(TableReader { reader: self, rest: entries.iter(), value: None }),
            Value::Array(items) => visitor.visit_seq(ArrayReader { reader: self, rest: items.iter() }),
            Value::Text(text) => visitor.visit_borrowed_str(text),
            Value::Integer(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Boolean(yes) => visitor.visit_bool(*yes),
        }
    }

    fn choice<V: Visitor<'a>>(self, variants: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Text(text) => visitor.visit_enum(Choice { reader: self, name: text, content: None }),
            Value::Table(entries) => {
                let (name, entry) = self.only(entries, variants)?;
                visitor.visit_enum(Choice { reader: self, name, content: Some(entry) })
            }
            _ => Err(Error::value(format!("expected one of {}", choices(variants)))),
        }
    }

    /// The single variant of a choice, or what to do with the others.
    fn only(self, entries: &'a Table, variants: &[&str]) -> Result<(&'a String, &'a Entry), Error> {
        let layer = |entry: &Entry| self.sources[entry.key_at.source].layer;
        let Some(top) = entries.values().map(layer).max() else {
            return Err(Error::new(What::NoChoice).help(format!("write one of {}", choices(variants))));
        };
        let below: Vec<String> =
            entries.iter().filter(|(_, entry)| layer(entry) < top).map(|(key, _)| key.clone()).collect();
        if !below.is_empty() {
            return Err(Error::new(What::Superseded(below)));
        }
        let mut all = entries.iter();
        match (all.next(), all.next()) {
            (Some(only), None) => Ok(only),
            _ => {
                let given: Vec<&str> = entries.keys().map(String::as_str).collect();
                let words = format!("takes one choice, found {}", quoted(&given));
                Err(Error::value(words).help("keep one of them".to_owned()))
            }
        }
    }
}

fn choices(variants: &[&str]) -> String {
    quoted(variants)
}

impl<'de> de::Deserializer<'de> for Reader<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.visit(visitor).map_err(|error| error.at(&self.node.at))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.choice(variants, visitor).map_err(|error| error.at(&self.node.at))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier
    }
}

struct TableReader<'a> {
    reader: Reader<'a>,
    rest: btree_map::Iter<'a, String, Entry>,
    value: Option<(&'a String, &'a Entry)>,
}

impl<'de> de::MapAccess<'de> for TableReader<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        self.value = self.rest.next();
        let Some((key, entry)) = self.value else { return Ok(None) };
        let name = de::value::BorrowedStrDeserializer::<Error>::new(key);
        seed.deserialize(name).map(Some).map_err(|error| error.at(&entry.key_at).under(key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let (key, entry) = self.value.take().expect("serde asks for a value after its key");
        seed.deserialize(self.reader.of(&entry.node)).map_err(|error| error.at(&entry.node.at).under(key))
    }
}

struct ArrayReader<'a> {
    reader: Reader<'a>,
    rest: std::slice::Iter<'a, Node>,
}

impl<'de> de::SeqAccess<'de> for ArrayReader<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some(item) = self.rest.next() else { return Ok(None) };
        // A list fails as a whole: its elements have no names.
        let whole = |error: Error| Error { path: Vec::new(), ..error };
        seed.deserialize(self.reader.of(item)).map(Some).map_err(whole)
    }
}

/// A variant: its name, and what stands under it where it is a table.
struct Choice<'a> {
    reader: Reader<'a>,
    name: &'a str,
    content: Option<&'a Entry>,
}

impl<'de> de::EnumAccess<'de> for Choice<'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let at = self.content.map_or(&self.reader.node.at, |entry| &entry.key_at);
        let name = de::value::BorrowedStrDeserializer::<Error>::new(self.name);
        seed.deserialize(name).map(|value| (value, self)).map_err(|error| error.at(at))
    }
}

impl<'de> Choice<'de> {
    fn content(&self) -> Result<Reader<'de>, Error> {
        match self.content {
            Some(entry) => Ok(self.reader.of(&entry.node)),
            None => Err(Error::value(format!("{:?} needs its settings", self.name))
                .help(format!("write {{ {} = … }}, with {{}} for its defaults", self.name))),
        }
    }
}

impl<'de> de::VariantAccess<'de> for Choice<'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.content {
            None => Ok(()),
            Some(entry) => Err(Error::value(format!("{:?} has no settings", self.name))
                .at(&entry.key_at)
                .help(format!("write \"{}\"", self.name))),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        let content = self.content()?;
        seed.deserialize(content).map_err(|error| error.under(self.name))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        let content = self.content()?;
        de::Deserializer::deserialize_any(content, visitor).map_err(|error| error.under(self.name))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        let content = self.content()?;
        de::Deserializer::deserialize_any(content, visitor).map_err(|error| error.under(self.name))
    }
}
