//! Values against the schemas of a discovery document.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::{Map, Value};

/// The schemas that a document names.
#[derive(Debug)]
pub(super) struct Schemas(pub(super) Map<String, Value>);

impl Schemas {
    /// What `value`, found at `place`, has against this schema. `method`: it is sent to this method, which may
    /// require fields that the same object does not need elsewhere.
    pub(super) fn check(
        &self,
        place: &str,
        schema: &Value,
        value: &Value,
        method: Option<&str>,
        violations: &mut Vec<String>,
    ) {
        if let Some(name) = schema["$ref"].as_str() {
            return self.check(place, &self.0[name], value, method, violations);
        }
        let kind = schema["type"].as_str().unwrap_or("any");
        let right = match (kind, value) {
            ("any", _) => true,
            ("array", Value::Array(items)) => {
                for (number, item) in items.iter().enumerate() {
                    self.check(
                        &format!("{place}[{number}]"),
                        &schema["items"],
                        item,
                        method,
                        violations,
                    );
                }
                true
            }
            ("object", Value::Object(fields)) => {
                self.check_fields(place, schema, fields, method, violations);
                true
            }
            ("string", Value::String(text)) => is_string(schema, text),
            ("integer", Value::Number(number)) => number.is_i64() || number.is_u64(),
            ("number", Value::Number(_)) | ("boolean", Value::Bool(_)) => true,
            _ => false,
        };
        if !right {
            let format = schema["format"].as_str().unwrap_or_default();
            violations.push(format!("{} is no {kind} {format}: {value}", name(place)));
        }
    }

    fn check_fields(
        &self,
        place: &str,
        schema: &Value,
        fields: &Map<String, Value>,
        method: Option<&str>,
        violations: &mut Vec<String>,
    ) {
        let properties = schema["properties"].as_object();
        let others = schema.get("additionalProperties");
        for (field, value) in fields {
            let inner = format!("{place}.{field}");
            let known = properties.and_then(|known| known.get(field)).or(others);
            match known {
                // In Google's JSON null is as good as nothing.
                Some(_) if value.is_null() => {}
                Some(known) => self.check(&inner, known, value, method, violations),
                None => violations.push(format!("there is no field {}", name(&inner))),
            }
        }
        for (field, known) in properties.into_iter().flatten() {
            let by = known.pointer("/annotations/required").and_then(Value::as_array);
            let required = by.into_iter().flatten().any(|by| by.as_str() == method);
            if required && method.is_some() && !fields.contains_key(field) {
                violations.push(format!("{} is required", name(&format!("{place}.{field}"))));
            }
        }
    }
}

/// What a parameter of the query has against its description.
pub(super) fn check_parameter(name: &str, known: &Value, value: &str) -> Option<String> {
    let right = match known["type"].as_str().unwrap_or_default() {
        "boolean" => matches!(value, "true" | "false"),
        "integer" => value.parse::<i64>().is_ok(),
        "number" => value.parse::<f64>().is_ok(),
        _ => is_string(known, value),
    };
    (!right).then(|| format!("the parameter {name} cannot be {value:?}"))
}

fn is_string(schema: &Value, text: &str) -> bool {
    let listed = schema["enum"].as_array();
    let is_listed = listed.is_none_or(|listed| listed.iter().any(|one| one.as_str() == Some(text)));
    is_listed
        && schema["format"]
            .as_str()
            .is_none_or(|format| is_format(format, text))
}

fn is_format(format: &str, text: &str) -> bool {
    match format {
        "int64" | "int32" => text.parse::<i64>().is_ok(),
        "uint64" | "uint32" => text.parse::<u64>().is_ok(),
        "byte" => STANDARD.decode(text).is_ok() || URL_SAFE.decode(text).is_ok(),
        "date-time" | "google-datetime" => {
            let time = text.split_once('T');
            time.is_some_and(|(day, time)| day.len() == 10 && time.len() >= 9 && time.ends_with('Z'))
        }
        "google-duration" => {
            let seconds = text.strip_suffix('s').map(str::parse::<f64>);
            seconds.is_some_and(|seconds| seconds.is_ok())
        }
        // Of no meaning to anything here: notice when one comes.
        _ => false,
    }
}

fn name(place: &str) -> &str {
    match place.trim_start_matches('.') {
        "" => "the body",
        name => name,
    }
}
