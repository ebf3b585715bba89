//! One bucket: objects, and what is granted of them.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde_json::{Value, json};

use super::{OCI_BUCKET, OCI_NAMESPACE, refusal};
use crate::recorder::{Answer, Recorded, query};

pub(super) struct Bucket {
    pub(super) exists: bool,
    /// As `GetBucket` answers.
    pub(super) properties: Value,
    /// Pre-authenticated requests, as they are listed.
    pub(super) preauthenticated: Vec<Value>,
    pub(super) granted: BTreeSet<String>,
    pub(super) objects: BTreeMap<String, Object>,
}

pub(super) struct Object {
    bytes: Bytes,
    etag: String,
    /// `content-type`, `cache-control`, `opc-meta-*`.
    headers: BTreeMap<String, String>,
}

impl Bucket {
    pub(super) fn new() -> Self {
        let granted =
            ["READ", "CREATE", "OVERWRITE", "INSPECT", "DELETE"].map(|name| format!("OBJECT_{name}"));
        let of_buckets = ["READ", "CREATE", "UPDATE"].map(|name| format!("BUCKET_{name}"));
        let of_buckets = of_buckets.into_iter().chain(["PAR_MANAGE".to_owned()]);
        Self {
            exists: true,
            properties: properties(),
            preauthenticated: Vec::new(),
            granted: granted.into_iter().chain(of_buckets).collect(),
            objects: BTreeMap::new(),
        }
    }

    /// A request without a signature: the access type decides.
    pub(super) fn public(&self, operation: &str, place: &[String]) -> Answer {
        let access = self.properties["publicAccessType"].as_str();
        if !access.is_some_and(|access| access.starts_with("ObjectRead")) {
            return hidden();
        }
        match (operation, place) {
            ("get_object" | "head_object", [namespace, bucket, name]) if self.is(namespace, bucket) => {
                self.get(name)
            }
            _ => hidden(),
        }
    }

    /// Each operation under the one lock: what a precondition saw is what is replaced.
    pub(super) fn serve(&mut self, operation: &str, place: &[String], request: &Recorded) -> Answer {
        if operation == "create_bucket" {
            return self.create(place, request);
        }
        let [namespace, bucket, rest @ ..] = place else {
            return hidden();
        };
        if !self.is(namespace, bucket) {
            return hidden();
        }
        let name = rest.first().map_or("", String::as_str);
        let permission = match operation {
            "get_bucket" => "BUCKET_READ",
            "update_bucket" => "BUCKET_UPDATE",
            "list_preauthenticated_requests" => "PAR_MANAGE",
            "list_objects" => "OBJECT_INSPECT",
            "delete_object" => "OBJECT_DELETE",
            "put_object" if self.objects.contains_key(name) => "OBJECT_OVERWRITE",
            "put_object" => "OBJECT_CREATE",
            _ => "OBJECT_READ",
        };
        if !self.granted.contains(permission) {
            return hidden();
        }
        match operation {
            "get_bucket" => self.answer(),
            "update_bucket" => self.update(request),
            "list_preauthenticated_requests" => Answer::new(200, json!(self.preauthenticated).to_string()),
            "list_objects" => self.list(request),
            "get_object" | "head_object" => self.get(name),
            "put_object" => self.put(name, request),
            _ => self.delete(name, request),
        }
    }

    fn create(&mut self, place: &[String], request: &Recorded) -> Answer {
        let details: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        if place != [OCI_NAMESPACE] || !self.granted.contains("BUCKET_CREATE") {
            return refusal(
                404,
                "BucketNotFound",
                "There is no such compartment, or you are not authorized",
            );
        }
        if self.exists {
            let text = format!("Either the bucket '{OCI_BUCKET}' already exists or you are not authorized");
            return refusal(409, "BucketAlreadyExists", &text);
        }
        if details["name"] != OCI_BUCKET {
            return refusal(400, "InvalidBucketName", "the stand-in has one bucket");
        }
        self.exists = true;
        self.properties = properties();
        self.set(&details);
        self.answer()
    }

    fn update(&mut self, request: &Recorded) -> Answer {
        let wanted = request.headers.get("if-match").map(String::as_str);
        if wanted.is_some_and(|wanted| self.properties["etag"] != wanted) {
            return refusal(412, "IfMatchFailed", "The If-Match header did not match");
        }
        self.set(&serde_json::from_slice(&request.body).unwrap_or_default());
        self.answer()
    }

    /// What a request says of the bucket, and no more.
    fn set(&mut self, details: &Value) {
        for (field, value) in details.as_object().into_iter().flatten() {
            self.properties[field] = value.clone();
        }
        self.properties["etag"] = json!(etag());
    }

    fn answer(&self) -> Answer {
        let mut answer = Answer::new(200, self.properties.to_string());
        answer.set("content-type", "application/json");
        answer.set("etag", self.properties["etag"].as_str().unwrap_or_default());
        answer
    }

    fn is(&self, namespace: &str, bucket: &str) -> bool {
        self.exists && namespace == OCI_NAMESPACE && bucket == OCI_BUCKET
    }

    fn get(&self, name: &str) -> Answer {
        let Some(object) = self.objects.get(name) else {
            return no_object(name);
        };
        let mut answer = Answer::new(200, object.bytes.clone());
        answer.headers.clone_from(&object.headers);
        answer.set("etag", &object.etag);
        answer
    }

    fn put(&mut self, name: &str, request: &Recorded) -> Answer {
        if let Some(refused) = self.precondition(name, request) {
            return refused;
        }
        let kept =
            |name: &str| matches!(name, "content-type" | "cache-control") || name.starts_with("opc-meta-");
        let object = Object {
            bytes: request.body.clone(),
            etag: etag(),
            headers: request
                .headers
                .clone()
                .into_iter()
                .filter(|(name, _)| kept(name))
                .collect(),
        };
        let mut answer = Answer::new(200, "");
        answer.set("etag", &object.etag);
        self.objects.insert(name.to_owned(), object);
        answer
    }

    fn delete(&mut self, name: &str, request: &Recorded) -> Answer {
        if !self.objects.contains_key(name) {
            return no_object(name);
        }
        if let Some(refused) = self.precondition(name, request) {
            return refused;
        }
        self.objects.remove(name);
        Answer::new(204, "")
    }

    fn precondition(&self, name: &str, request: &Recorded) -> Option<Answer> {
        let there = self.objects.get(name).map(|object| object.etag.as_str());
        let header = |name: &str| request.headers.get(name).map(String::as_str);
        if let Some(wanted) = header("if-match")
            && there != Some(wanted)
        {
            return Some(refusal(412, "IfMatchFailed", "The If-Match header did not match"));
        }
        match header("if-none-match") {
            Some("*") if there.is_some() => {
                let text = "The If-None-Match header is '*' and there is such an object";
                Some(refusal(412, "IfNoneMatchFailed", text))
            }
            Some("*") | None => None,
            Some(_) => Some(refusal(400, "InvalidParameter", "The only valid value is '*'")),
        }
    }

    fn list(&self, request: &Recorded) -> Answer {
        let query: BTreeMap<String, String> = query(&request.target);
        let prefix = query.get("prefix").map_or("", String::as_str);
        let start = query.get("start").cloned().unwrap_or_default();
        let limit = query
            .get("limit")
            .map_or(1000, |limit| limit.parse().unwrap_or(1000));
        let mut names = self.objects.range(start..).map(|(name, _)| name);
        let mut names = names.by_ref().filter(|name| name.starts_with(prefix));
        let page: Vec<_> = names
            .by_ref()
            .take(limit)
            .map(|name| json!({"name": name}))
            .collect();
        let mut body = json!({"objects": page, "prefixes": []});
        if let Some(next) = names.next() {
            body["nextStartWith"] = json!(next);
        }
        let mut answer = Answer::new(200, body.to_string());
        answer.set("content-type", "application/json");
        answer
    }
}

/// A bucket as OCI makes one when nothing is said, but public.
fn properties() -> Value {
    json!({
        "namespace": OCI_NAMESPACE,
        "name": OCI_BUCKET,
        "compartmentId": "ocid1.compartment.oc1..aaaa",
        "metadata": {},
        "createdBy": "ocid1.user.oc1..aaaa",
        "timeCreated": "2026-11-22T10:00:00Z",
        "etag": etag(),
        "publicAccessType": "ObjectReadWithoutList",
        "versioning": "Disabled",
    })
}

/// What is not granted and what is not there look alike.
fn hidden() -> Answer {
    let text = format!(
        "Either the bucket named '{OCI_BUCKET}' does not exist in the namespace '{OCI_NAMESPACE}' or you are not authorized"
    );
    refusal(404, "BucketNotFound", &text)
}

fn no_object(name: &str) -> Answer {
    refusal(404, "ObjectNotFound", &format!("There is no object '{name}'"))
}

/// Never used twice.
fn etag() -> String {
    let [a, b] = [fastrand::u64(..), fastrand::u64(..)];
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        a >> 32,
        (a >> 16) & 0xffff,
        a & 0xffff,
        b >> 48,
        b & 0xffff_ffff_ffff
    )
}
