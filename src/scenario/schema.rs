//! The JSON schema of a scenario file, for editors.

use super::file::ScenarioFile;
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value};

/// The JSON schema (draft 2020-12) of a scenario file. It knows every key and choice, but asks for none: what a file leaves
/// out may come from the base that it extends, and `tollway check` says what is missing.
#[must_use]
pub fn schema() -> Value {
    let generator = SchemaGenerator::new(SchemaSettings::draft2020_12());
    let mut schema: Value = generator.into_root_schema_for::<ScenarioFile>().into();
    loosen(&mut schema);
    if let Some(root) = schema.as_object_mut() {
        root.insert("title".to_owned(), "tollway scenario".into());
    }
    schema
}

/// Takes `required` out of every table but the variants of a choice, which only their one key tells apart.
fn loosen(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            object.remove("required");
            for (key, inner) in object.iter_mut() {
                match (key.as_str(), inner) {
                    ("oneOf", Value::Array(variants)) => variants.iter_mut().for_each(loosen_variant),
                    (_, inner) => loosen(inner),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(loosen),
        _ => {}
    }
}

fn loosen_variant(variant: &mut Value) {
    let required = variant.as_object_mut().and_then(|object: &mut Map<String, Value>| object.get("required").cloned());
    loosen(variant);
    if let (Some(object), Some(required)) = (variant.as_object_mut(), required) {
        object.insert("required".to_owned(), required);
    }
}
