//! Buckets: what they are, and who may do what with their objects.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::refusal;
use crate::contract::Call;
use crate::recorder::Answer;

/// The roles that are of use here, with their permissions on objects:
/// <https://cloud.google.com/storage/docs/access-control/iam-roles>.
const ROLES: [(&str, &[&str]); 7] = [
    ("roles/storage.legacyObjectReader", &["get"]),
    ("roles/storage.objectViewer", &["get", "list"]),
    ("roles/storage.objectCreator", &["create"]),
    (
        "roles/storage.objectUser",
        &["get", "list", "create", "delete", "update"],
    ),
    (
        "roles/storage.objectAdmin",
        &["get", "list", "create", "delete", "update"],
    ),
    ("roles/storage.legacyBucketReader", &["list"]),
    ("roles/storage.legacyBucketWriter", &["list", "create", "delete"]),
];

/// The buckets of all projects: a name is taken once.
#[derive(Default)]
pub(super) struct Buckets {
    buckets: BTreeMap<String, Bucket>,
    /// What somebody else binds after so many more readings of the policy: bucket, role, member.
    pub(super) behind: Option<(usize, [String; 3])>,
}

struct Bucket {
    /// As it was sent, and what the server adds.
    resource: Value,
    bindings: Value,
    version: u64,
    policy_version: u64,
}

impl Buckets {
    /// What is asked of a bucket, by somebody who may.
    pub(super) fn serve(&mut self, call: &Call) -> Answer {
        if call.id == "storage.buckets.insert" {
            return self.insert(call);
        }
        let name = call.parameters.get("bucket").cloned().unwrap_or_default();
        let Some(bucket) = self.buckets.get_mut(&name) else {
            return refusal(404, "notFound", "The specified bucket does not exist.");
        };
        let answer = match call.id.as_str() {
            "storage.buckets.get" => Answer::json(200, &bucket.described()),
            "storage.buckets.patch" => bucket.patch(call),
            "storage.buckets.getIamPolicy" => Answer::json(200, &bucket.policy(&name)),
            "storage.buckets.setIamPolicy" => bucket.set_policy(&name, &call.body),
            other => refusal(501, "notImplemented", other),
        };
        if call.id == "storage.buckets.getIamPolicy" {
            self.act_behind(&name);
        }
        answer
    }

    fn act_behind(&mut self, name: &str) {
        let Some((readings, [bucket, role, member])) = &mut self.behind else {
            return;
        };
        *readings -= usize::from(bucket == name);
        if *readings == 0 {
            self.buckets.get_mut(name).expect("the bucket").bind(role, member);
            self.behind = None;
        }
    }

    /// Whether the policy lets `principal`, or everybody, do this with an object.
    pub(super) fn allows(&self, bucket: &str, permission: &str, principal: Option<&str>) -> bool {
        let Some(bucket) = self.buckets.get(bucket) else {
            return false;
        };
        let members: BTreeSet<&str> = ["allUsers"].into_iter().chain(principal).collect();
        bucket.bindings.as_array().into_iter().flatten().any(|binding| {
            let role = binding["role"].as_str().unwrap_or_default();
            let grants = ROLES.iter().any(|(name, permissions)| {
                let verb = permission.strip_prefix("storage.objects.");
                *name == role && verb.is_some_and(|verb| permissions.contains(&verb))
            });
            let bound = binding["members"].as_array().into_iter().flatten();
            grants
                && bound
                    .filter_map(Value::as_str)
                    .any(|member| members.contains(member))
        })
    }

    pub(super) fn policy(&self, name: &str) -> Value {
        self.buckets
            .get(name)
            .map_or(Value::Null, |bucket| bucket.policy(name))
    }

    pub(super) fn describe(&self, name: &str) -> Value {
        self.buckets.get(name).map_or(Value::Null, Bucket::described)
    }

    fn insert(&mut self, call: &Call) -> Answer {
        let name = call.body["name"].as_str().unwrap_or_default();
        if self.buckets.contains_key(name) {
            let message =
                "Your previous request to create the named bucket succeeded and you already own it.";
            return refusal(409, "conflict", message);
        }
        Answer::json(200, &self.create(&call.parameters["project"], &call.body))
    }

    /// Describes it.
    pub(super) fn create(&mut self, project: &str, resource: &Value) -> Value {
        let mut resource = resource.clone();
        let name = resource["name"].as_str().unwrap_or_default().to_owned();
        let added = json!({
            "kind": "storage#bucket", "id": name, "projectNumber": "1234567890", "locationType": "multi-region",
            "timeCreated": "2026-01-01T00:00:00.000Z", "updated": "2026-01-01T00:00:00.000Z",
        });
        merge(&mut resource, &added);
        let missing = [("location", "US"), ("storageClass", "STANDARD")];
        for (field, value) in missing {
            if resource.get(field).is_none() {
                resource[field] = json!(value);
            }
        }
        let owners = [
            format!("projectEditor:{project}"),
            format!("projectOwner:{project}"),
        ];
        let bucket = Bucket {
            resource,
            bindings: json!([
                {"role": "roles/storage.legacyBucketOwner", "members": owners},
                {"role": "roles/storage.legacyBucketReader", "members": [format!("projectViewer:{project}")]},
            ]),
            version: 1,
            policy_version: 1,
        };
        let described = bucket.described();
        self.buckets.insert(name, bucket);
        described
    }

    pub(super) fn bind(&mut self, name: &str, role: &str, member: &str) {
        let bucket = self.buckets.get_mut(name).expect("the bucket");
        bucket.bind(role, member);
    }
}

impl Bucket {
    fn described(&self) -> Value {
        let mut resource = self.resource.clone();
        resource["metageneration"] = json!(self.version.to_string());
        resource["etag"] = json!(etag(self.version));
        resource
    }

    fn patch(&mut self, call: &Call) -> Answer {
        let wanted = call.parameters.get("ifMetagenerationMatch");
        if wanted.is_some_and(|wanted| *wanted != self.version.to_string()) {
            return stale();
        }
        merge(&mut self.resource, &call.body);
        self.version += 1;
        Answer::json(200, &self.described())
    }

    fn policy(&self, name: &str) -> Value {
        json!({"kind": "storage#policy", "resourceId": format!("projects/_/buckets/{name}"), "version": 1,
            "etag": etag(self.policy_version), "bindings": self.bindings})
    }

    /// With an etag only if it is this policy's; without one in any case, as Google does.
    fn set_policy(&mut self, name: &str, policy: &Value) -> Answer {
        let wanted = policy.get("etag");
        if wanted.is_some_and(|wanted| *wanted != json!(etag(self.policy_version))) {
            return stale();
        }
        self.bindings = policy["bindings"].clone();
        self.policy_version += 1;
        Answer::json(200, &self.policy(name))
    }

    fn bind(&mut self, role: &str, member: &str) {
        let bindings = self.bindings.as_array_mut().expect("bindings");
        bindings.push(json!({"role": role, "members": [member]}));
        self.policy_version += 1;
    }
}

/// The permission that a method needs.
pub(super) fn permission(method: &str) -> &'static str {
    match method {
        "storage.objects.get" => "storage.objects.get",
        "storage.objects.insert" => "storage.objects.create",
        "storage.objects.delete" => "storage.objects.delete",
        "storage.objects.list" => "storage.objects.list",
        "storage.buckets.insert" => "storage.buckets.create",
        "storage.buckets.get" => "storage.buckets.get",
        "storage.buckets.patch" => "storage.buckets.update",
        "storage.buckets.getIamPolicy" => "storage.buckets.getIamPolicy",
        "storage.buckets.setIamPolicy" => "storage.buckets.setIamPolicy",
        other => panic!("the stand-in has no {other}"),
    }
}

fn stale() -> Answer {
    let message = "At least one of the pre-conditions you specified did not hold.";
    refusal(412, "conditionNotMet", message)
}

fn etag(version: u64) -> String {
    STANDARD.encode([0x08, u8::try_from(version).expect("a few changes")])
}

/// RFC 7396.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (field, value) in fields {
        match value {
            Value::Null => drop(target.as_object_mut().expect("an object").remove(field)),
            value => merge(&mut target[field], value),
        }
    }
}
