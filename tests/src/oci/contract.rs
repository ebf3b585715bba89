//! [`Contract`]: Object Storage as OCI's Python SDK has it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::recorder::{Recorded, decoded, query};
use crate::sdk;

/// The operations' methods, paths, headers and queries, and the models of what they answer, out of the code that
/// Oracle generates from its definition of the interface.
#[derive(Debug, Deserialize)]
pub(super) struct Contract {
    operations: BTreeMap<String, Operation>,
    models: BTreeMap<String, Model>,
}

#[derive(Debug, Deserialize)]
struct Operation {
    method: String,
    path: String,
    headers: Vec<String>,
    query: Vec<String>,
    /// Whether `opc-meta-*` may be sent.
    metadata: bool,
}

#[derive(Debug, Deserialize)]
struct Model {
    /// `name` -> `str`, `objects` -> `list[ObjectSummary]`.
    types: BTreeMap<String, String>,
    required: Vec<String>,
    /// What a field may be, where that is listed.
    values: BTreeMap<String, Vec<String>>,
}

/// What every request may carry: HTTP's own, the signature's, and telemetry.
const TRANSPORT: [&str; 14] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "date",
    "expect",
    "host",
    "opc-client-info",
    "opc-client-retries",
    "opc-request-id",
    "user-agent",
    "x-content-sha256",
    "accept",
];

/// Read once for all tests of a process: the SDK takes seconds to load.
pub(super) async fn of_sdk() -> Arc<Contract> {
    static CONTRACT: OnceCell<Arc<Contract>> = OnceCell::const_new();
    let read = async || {
        let contract = sdk("contract", &Value::Null, &[]).await;
        Arc::new(serde_json::from_value(contract).expect("the contract"))
    };
    CONTRACT.get_or_init(read).await.clone()
}

impl Contract {
    /// The operation at this path, and the path's parameters decoded. An object's name is all that is left of the
    /// path, with slashes or without.
    pub(super) fn operation(&self, method: &str, path: &str) -> Option<(&str, Vec<String>)> {
        let mut fits = self
            .operations
            .iter()
            .filter(|(_, operation)| operation.method == method);
        fits.find_map(|(name, operation)| Some((name.as_str(), parameters(&operation.path, path)?)))
    }

    pub(super) fn check_request(&self, name: &str, request: &Recorded) -> Vec<String> {
        let operation = &self.operations[name];
        let known = |header: &str| {
            TRANSPORT.contains(&header)
                || operation
                    .headers
                    .iter()
                    .any(|known| known.eq_ignore_ascii_case(header))
                || operation.metadata && header.starts_with("opc-meta-")
        };
        let headers = request.headers.keys().filter(|header| !known(header));
        let headers = headers.map(|header| format!("{name} has no header {header}"));
        let parameters = query(&request.target).into_keys();
        let parameters = parameters.filter(|parameter| !operation.query.contains(parameter));
        let model = match name {
            "create_bucket" => Some("CreateBucketDetails"),
            "update_bucket" => Some("UpdateBucketDetails"),
            _ => None,
        };
        let body = model.and_then(|model| self.check_body(model, &request.body).err());
        headers
            .chain(parameters.map(|parameter| format!("{name} has no query {parameter}")))
            .chain(body)
            .collect()
    }

    pub(super) fn check_body(&self, model: &str, body: &[u8]) -> Result<(), String> {
        let body = serde_json::from_slice(body).map_err(|error| format!("{model} is no JSON: {error}"))?;
        self.check(model, &body)
    }

    pub(super) fn check_answer(&self, name: &str, status: u16, body: &[u8]) -> Option<String> {
        let body = serde_json::from_slice(body).unwrap_or(Value::Null);
        let model = match (name, status) {
            ("list_preauthenticated_requests", 200) => {
                let mut requests = body.as_array().into_iter().flatten();
                return requests
                    .find_map(|request| self.check("PreauthenticatedRequestSummary", request).err());
            }
            ("list_objects", 200) => "ListObjects",
            ("create_bucket" | "get_bucket" | "update_bucket", 200) => "Bucket",
            _ => return None,
        };
        self.check(model, &body).err()
    }

    fn check(&self, name: &str, value: &Value) -> Result<(), String> {
        let model = &self.models[name];
        let fields = value.as_object().ok_or_else(|| format!("{name} is no object"))?;
        if let Some(missing) = model.required.iter().find(|field| !fields.contains_key(*field)) {
            return Err(format!("{name} lacks {missing}"));
        }
        for (field, value) in fields {
            let kind = model.types.get(field);
            let kind = kind.ok_or_else(|| format!("{name} has no field {field}"))?;
            let one = kind.strip_prefix("list[").and_then(|kind| kind.strip_suffix(']'));
            let values = match (one, value.as_array()) {
                (None, _) => std::slice::from_ref(value),
                (Some(_), Some(values)) => values,
                (Some(_), None) => return Err(format!("{name}.{field} is no list")),
            };
            let one = one.unwrap_or(kind);
            if let (Some(known), Some(value)) = (model.values.get(field), value.as_str())
                && !known.iter().any(|known| known == value)
            {
                return Err(format!("{name}.{field} cannot be {value}"));
            }
            for value in values {
                match one {
                    "str" | "datetime" if value.is_string() => {}
                    "int" if value.is_i64() => {}
                    "bool" if value.is_boolean() => {}
                    dictionary if dictionary.starts_with("dict(") && value.is_object() => {}
                    model if self.models.contains_key(model) => self.check(model, value)?,
                    _ => return Err(format!("{name}.{field} is no {one}")),
                }
            }
        }
        Ok(())
    }
}

/// `/n/{a}/o/{objectName}` against `/n/x/o/y%2Fz` or `/n/x/o/y/z`.
fn parameters(template: &str, path: &str) -> Option<Vec<String>> {
    let count = template.split('/').count();
    let mut found = Vec::new();
    let mut parts = path.splitn(count, '/');
    for expected in template.split('/') {
        let part = parts.next()?;
        match expected.starts_with('{') {
            true if part.contains('/') && expected != "{objectName}" => return None,
            true if !part.is_empty() => found.push(decoded(part)),
            false if part == expected => {}
            _ => return None,
        }
    }
    Some(found)
}
