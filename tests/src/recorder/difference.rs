//! How our requests differ from those of a vendor's own client.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Content, Recorded, query};

/// What a client says about itself and its HTTP library; no server may answer differently for it.
const TELEMETRY: [&str; 21] = [
    "accept",
    "accept-encoding",
    "amz-sdk-invocation-id",
    "amz-sdk-request",
    "connection",
    "opc-client-info",
    "opc-request-id",
    "user-agent",
    "x-amz-user-agent",
    "x-client-cpu",
    "x-client-current-telemetry",
    "x-client-last-telemetry",
    "x-client-os",
    "x-client-sku",
    "x-client-ver",
    "x-goog-api-client",
    "x-goog-gcs-idempotency-token",
    "x-ms-client-request-id",
    "x-ms-lib-capability",
    "x-ms-client-name",
    "x-ms-client-version",
];

/// A request by its parts: method, path, each parameter, each header that is no telemetry, the body. JSON is compared
/// as JSON, so that neither the order of keys nor that of parameters matters.
pub type Essence = BTreeMap<String, Value>;

/// The parts of a request. `normal` takes the name of a part and its value, and gives the value without what is new
/// each time: times, tokens, versions.
pub fn essence(request: &Recorded, normal: impl Fn(&str, &str) -> String) -> Essence {
    let mut parts = vec![
        ("method".to_owned(), request.method.clone()),
        ("path".to_owned(), request.path().to_owned()),
        ("status".to_owned(), request.status.to_string()),
    ];
    let parameters = query(&request.target).into_iter();
    parts.extend(parameters.map(|(name, value)| (format!("?{name}"), value)));
    for (name, value) in &request.headers {
        if !TELEMETRY.contains(&name.as_str()) && name != "content-length" {
            // A boundary is drawn anew each time; what it separates is compared.
            let value = value.split("; boundary=").next().unwrap_or_default();
            parts.push((name.clone(), value.to_owned()));
        }
    }
    let mut json = Vec::new();
    match request.content() {
        Content::Empty => {}
        Content::Json(value) => json.push(("body".to_owned(), value)),
        Content::Form(form) => {
            let fields = form.into_iter();
            parts.extend(fields.map(|(name, value)| (format!("body {name}"), value)));
        }
        Content::Multipart(found) => {
            for (number, part) in found.into_iter().enumerate() {
                // With or without a charset: it is JSON.
                let kind = part.content_type.split(';').next().unwrap_or_default().to_owned();
                parts.push((format!("part {number} content-type"), kind));
                match serde_json::from_str(&part.body) {
                    Ok(value) => json.push((format!("part {number}"), value)),
                    Err(_) => parts.push((format!("part {number}"), part.body)),
                }
            }
        }
        Content::Text(text) => parts.push(("body".to_owned(), text)),
    }
    let mut essence: Essence = parts
        .into_iter()
        .map(|(name, value)| (name, Value::String(value)))
        .collect();
    for (name, value) in json {
        flatten(&name, value, &mut essence);
    }
    for (name, value) in &mut essence {
        if let Value::String(text) = value {
            *text = normal(name, text);
        }
    }
    essence
}

/// Each difference once, as `NAME: ours VALUE, theirs VALUE`; a value that only one has is `ours alone` or `theirs
/// alone`.
///
/// # Panics
///
/// There are more of one than of the other: they were not asked for the same.
pub fn differences(ours: &[Essence], theirs: &[Essence]) -> BTreeSet<String> {
    let names = |requests: &[Essence]| -> Vec<String> {
        let one = |request: &Essence| format!("{} {}", request["method"], request["path"]);
        requests.iter().map(one).collect()
    };
    assert_eq!(
        ours.len(),
        theirs.len(),
        "{:#?} and {:#?}",
        names(ours),
        names(theirs)
    );
    let mut found = BTreeSet::new();
    for (ours, theirs) in ours.iter().zip(theirs) {
        for name in ours.keys().chain(theirs.keys()) {
            let difference = match (ours.get(name), theirs.get(name)) {
                (Some(ours), Some(theirs)) if ours == theirs => continue,
                (Some(ours), Some(theirs)) => format!("ours {}, theirs {}", plain(ours), plain(theirs)),
                (Some(ours), None) => format!("ours alone, {}", plain(ours)),
                (None, Some(theirs)) => format!("theirs alone, {}", plain(theirs)),
                (None, None) => continue,
            };
            found.insert(format!("{name}: {difference}"));
        }
    }
    found
}

/// An object field by field, so that a difference names the field.
fn flatten(name: &str, value: Value, essence: &mut Essence) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (field, value) in fields {
                flatten(&format!("{name}.{field}"), value, essence);
            }
        }
        value => drop(essence.insert(name.to_owned(), value)),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
