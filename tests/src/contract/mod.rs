//! [`Contract`]: one of Google's interfaces, as its own discovery document describes it.
//!
//! The documents are those that Google ships with `google-api-python-client`. A document says which methods there
//! are, at which path, with which parameters, and what bodies go there and back. It says nothing about headers and
//! errors, nor about what a server does: that is for the stand-in to get right.

mod schema;

use std::collections::BTreeMap;
use std::path::Path;

use regex::Regex;
use serde_json::{Map, Value, json};
use xtask::testbed::Server;

use self::schema::Schemas;
use crate::recorder::{Answer, Content, Recorded, decoded, query};
use crate::server;

/// One interface: its methods and schemas.
#[derive(Debug)]
pub struct Contract {
    name: String,
    methods: Vec<Method>,
    /// Query parameters that every method has.
    parameters: Map<String, Value>,
    schemas: Schemas,
}

#[derive(Debug)]
struct Method {
    id: String,
    http: String,
    path: Regex,
    /// The path's parameters, in its order.
    names: Vec<String>,
    /// Takes an object's bytes beside its description.
    upload: bool,
    parameters: Map<String, Value>,
    request: Option<Value>,
    response: Option<Value>,
}

/// A request that the contract knows.
#[derive(Clone, Debug)]
pub struct Call {
    /// `storage.buckets.insert`.
    pub id: String,
    /// Of path and query, decoded.
    pub parameters: BTreeMap<String, String>,
    /// The JSON that came, of a form or an upload's first part too.
    pub body: Value,
}

impl Contract {
    /// `storage.v1`, `sts.v1`, `iam.v1`, ...
    ///
    /// # Panics
    ///
    /// There is no such document, or Python cannot be had.
    pub async fn of_google(name: &str) -> Self {
        let python = server(Server::VendorClients).await;
        let environment = python.ancestors().nth(2).expect("the environment's folder");
        let file = documents(environment).join(format!("{name}.json"));
        let text = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        Self::new(name, serde_json::from_slice(&text).expect("a discovery document"))
    }

    fn new(name: &str, mut document: Value) -> Self {
        let base = format!("/{}", document["servicePath"].as_str().unwrap_or_default());
        let mut methods = Vec::new();
        collect(&base, &document, &mut methods);
        let mut take = |part: &str| match document[part].take() {
            Value::Object(part) => part,
            _ => Map::new(),
        };
        Self {
            name: name.to_owned(),
            methods,
            parameters: take("parameters"),
            schemas: Schemas(take("schemas")),
        }
    }

    /// The method that this request calls; what is wrong with it otherwise.
    ///
    /// # Errors
    ///
    /// Everything that the contract does not know: the method, a parameter, a field, a type.
    pub fn check_request(&self, request: &Recorded) -> Result<Call, Vec<String>> {
        let Some((method, mut parameters)) = self.method(&request.method, request.path()) else {
            let nothing = format!(
                "{} has no method {} {}",
                self.name,
                request.method,
                request.path()
            );
            return Err(vec![nothing]);
        };
        let mut violations = Vec::new();
        for (name, value) in query(&request.target) {
            match method
                .parameters
                .get(&name)
                .or_else(|| self.parameters.get(&name))
            {
                Some(known) => violations.extend(schema::check_parameter(&name, known, &value)),
                None => violations.push(format!("there is no parameter {name}")),
            }
            parameters.insert(name, value);
        }
        for (name, known) in &method.parameters {
            if known["required"] == json!(true) && !parameters.contains_key(name) {
                violations.push(format!("the parameter {name} is required"));
            }
        }
        let body = self.body(method, request, &mut violations);
        if violations.is_empty() {
            return Ok(Call {
                id: method.id.clone(),
                parameters,
                body,
            });
        }
        let named = violations
            .into_iter()
            .map(|what| format!("{}: {what}", method.id));
        Err(named.collect())
    }

    /// What is wrong with an answer to this call; nothing is known of errors.
    pub fn check_answer(&self, call: &Call, answer: &Answer) -> Vec<String> {
        let is_media = call.parameters.get("alt").is_some_and(|alt| alt == "media");
        if !(200..300).contains(&answer.status) || is_media {
            return Vec::new();
        }
        let method = self.methods.iter().find(|method| method.id == call.id);
        let mut violations = Vec::new();
        match method.and_then(|method| method.response.as_ref()) {
            None if answer.body.is_empty() => {}
            None => violations.push("an answer where there is none".to_owned()),
            Some(schema) => match serde_json::from_slice(&answer.body) {
                Ok(body) => self.schemas.check("", schema, &body, None, &mut violations),
                Err(_) => violations.push("the answer is not JSON".to_owned()),
            },
        }
        let named = violations.into_iter();
        named
            .map(|what| format!("answer of {}: {what}", call.id))
            .collect()
    }

    fn method(&self, http: &str, path: &str) -> Option<(&Method, BTreeMap<String, String>)> {
        let mut found = self.methods.iter().filter(|method| method.http == http);
        found.find_map(|method| {
            let values = method.path.captures(path)?;
            let values = values.iter().skip(1).flatten();
            let named = method.names.iter().cloned();
            let parameters = named.zip(values.map(|value| decoded(value.as_str())));
            Some((method, parameters.collect()))
        })
    }

    fn body(&self, method: &Method, request: &Recorded, violations: &mut Vec<String>) -> Value {
        let body = match request.content() {
            Content::Empty => Value::Null,
            Content::Json(body) => body,
            Content::Form(form) => Value::Object(
                form.into_iter()
                    .map(|(name, value)| (camel_case(&name), Value::String(value)))
                    .collect(),
            ),
            Content::Multipart(parts) if method.upload && parts.len() == 2 => {
                serde_json::from_str(&parts[0].body).unwrap_or_else(|_| json!(parts[0].body))
            }
            Content::Text(_) if method.upload => return Value::Null,
            other => {
                violations.push(format!("a body that is no JSON: {other:?}"));
                return Value::Null;
            }
        };
        match &method.request {
            None if body.is_null() => {}
            None => violations.push("a body where there is none".to_owned()),
            Some(_) if body.is_null() => violations.push("there is no body".to_owned()),
            Some(schema) => self
                .schemas
                .check("", schema, &body, Some(&method.id), violations),
        }
        body
    }
}

/// Each method, under its own path and under those of uploads and downloads.
fn collect(base: &str, part: &Value, methods: &mut Vec<Method>) {
    for method in part["methods"].as_object().into_iter().flat_map(Map::values) {
        let path = method["path"].as_str().expect("a path");
        methods.push(Method::new(&format!("{base}{path}"), method, false));
        if let Some(path) = method.pointer("/mediaUpload/protocols/simple/path") {
            methods.push(Method::new(path.as_str().expect("a path"), method, true));
        }
        if method["useMediaDownloadService"] == json!(true) {
            methods.push(Method::new(&format!("/download{base}{path}"), method, false));
        }
    }
    for part in part["resources"].as_object().into_iter().flat_map(Map::values) {
        collect(base, part, methods);
    }
}

impl Method {
    fn new(template: &str, method: &Value, upload: bool) -> Self {
        let text = |name: &str| method[name].as_str().expect(name).to_owned();
        let parameters = method["parameters"].as_object().cloned().unwrap_or_default();
        let (path, names) = path(template, &parameters);
        Self {
            id: text("id"),
            http: text("httpMethod"),
            path,
            names,
            upload,
            parameters,
            request: method.get("request").cloned(),
            response: method.get("response").cloned(),
        }
    }
}

/// RFC 6570: `{name}` is one segment, `{+name}` as many as the parameter's pattern says.
fn path(template: &str, parameters: &Map<String, Value>) -> (Regex, Vec<String>) {
    let (mut expression, mut names) = ("^".to_owned(), Vec::new());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').expect("a closing brace");
        expression.push_str(&regex::escape(before));
        match name.strip_prefix('+') {
            None => expression.push_str("([^/]+)"),
            Some(name) => {
                let pattern = parameters[name]["pattern"].as_str().unwrap_or(".+");
                let pattern = pattern.trim_start_matches('^').trim_end_matches('$');
                expression.push_str(&format!("({pattern})"));
            }
        }
        names.push(name.trim_start_matches('+').to_owned());
        rest = after;
    }
    expression.push_str(&regex::escape(rest));
    expression.push('$');
    (Regex::new(&expression).expect("an expression"), names)
}

/// Forms have RFC 8693's names, `grant_type`, and the documents those of JSON, `grantType`.
fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let (first, rest) = word.split_at(word.len().min(1));
        camel.push_str(&first.to_ascii_uppercase());
        camel.push_str(rest);
    }
    camel
}

fn documents(environment: &Path) -> std::path::PathBuf {
    let libraries = std::fs::read_dir(environment.join("lib")).expect("the environment's libraries");
    let mut libraries = libraries.filter_map(|entry| Some(entry.ok()?.path()));
    let python = libraries.next().expect("a version of Python");
    python.join("site-packages/googleapiclient/discovery_cache/documents")
}
