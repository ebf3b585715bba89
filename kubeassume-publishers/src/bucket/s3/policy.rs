//! The bucket policy: our statements, and what others' allow.

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{Dialect, S3Bucket};
use crate::bucket::{BucketError, Finding};

/// Bucket policies are limited to 20 KB (AWS General Reference, "Amazon S3 endpoints and quotas").
const MAX_POLICY_BYTES: usize = 20 << 10;
/// What makes or unmakes a document, or who may.
const WRITING: [&str; 8] = [
    "s3:PutObject",
    "s3:PutObjectAcl",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:ReplicateObject",
    "s3:PutBucketPolicy",
    "s3:DeleteBucketPolicy",
    "s3:PutBucketAcl",
];
const LISTING: [&str; 3] = [
    "s3:ListBucket",
    "s3:ListBucketVersions",
    "s3:ListBucketMultipartUploads",
];
const READING: [&str; 2] = ["s3:GetObject", "s3:GetObjectVersion"];

/// A policy with ours in it.
pub(super) struct Merged {
    pub(super) policy: Value,
    /// Whether it says anything else than what was there.
    pub(super) is_new: bool,
    pub(super) findings: Vec<Finding>,
    /// Whether others' statements grant something to everybody.
    pub(super) others_public: bool,
}

impl S3Bucket {
    /// Ours, for this prefix. On Amazon a denial wins over whatever else allows: an identity's own policy, an ACL.
    pub(super) fn statements(&self) -> Vec<Value> {
        let (documents, writer) = (self.documents(), self.writer.as_str());
        let listed: Vec<String> = match &self.config.prefix {
            Some(prefix) => vec![format!("{prefix}/*")],
            None => vec![".well-known/*".to_owned(), "openid/*".to_owned()],
        };
        let mut statements = vec![
            json!({
                "Sid": self.sid("PublicRead"),
                "Effect": "Allow",
                "Principal": "*",
                "Action": "s3:GetObject",
                "Resource": documents,
            }),
            json!({
                "Sid": self.sid("Writer"),
                "Effect": "Allow",
                "Principal": {"AWS": writer},
                "Action": ["s3:GetObject", "s3:PutObject"],
                "Resource": documents,
            }),
            // Without it, a document that is not there looks like one that may not be read.
            json!({
                "Sid": self.sid("WriterList"),
                "Effect": "Allow",
                "Principal": {"AWS": writer},
                "Action": "s3:ListBucket",
                "Resource": self.arn(""),
                "Condition": {"StringLike": {"s3:prefix": listed}},
            }),
        ];
        if self.dialect == Dialect::Amazon {
            statements.push(json!({
                "Sid": self.sid("OneWriter"),
                "Effect": "Deny",
                "Principal": "*",
                "Action": ["s3:PutObject", "s3:PutObjectAcl", "s3:DeleteObject", "s3:DeleteObjectVersion"],
                "Resource": documents,
                "Condition": {"ArnNotEquals": {"aws:PrincipalArn": writer}},
            }));
            // "Enforce conditional writes on Amazon S3 buckets": a key is null when the header is not sent.
            statements.push(json!({
                "Sid": self.sid("Conditional"),
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:PutObject",
                "Resource": documents,
                "Condition": {"Null": {"s3:if-match": "true", "s3:if-none-match": "true"}},
            }));
        }
        statements
    }

    /// Letters and digits, which is all that a `Sid` may have; the prefix is in it as a digest.
    fn sid(&self, purpose: &str) -> String {
        let prefix = self.config.prefix.as_deref().unwrap_or_default();
        let digest = Sha256::digest(prefix);
        let digest: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("KubeAssume{digest}{purpose}")
    }

    /// What is there with ours in the place of ours. `text` is the policy as the server has it.
    pub(super) fn merged(&self, text: Option<&str>) -> Result<Merged, BucketError> {
        let there: Option<Value> = match text {
            None => None,
            Some(text) => Some(serde_json::from_str(text).map_err(|error| {
                self.unsafe_policy(
                    format!("the bucket policy that is there is no JSON: {error}"),
                    "look at it: aws s3api get-bucket-policy",
                )
            })?),
        };
        let mut policy = match &there {
            None => json!({"Version": "2012-10-17", "Statement": []}),
            Some(there) => there.clone(),
        };
        let statements = match policy.get_mut("Statement").map(Value::take) {
            Some(Value::Array(statements)) => statements,
            Some(one @ Value::Object(_)) => vec![one],
            _ => Vec::new(),
        };
        let ours = self.statements();
        let sids: Vec<&Value> = ours.iter().filter_map(|statement| statement.get("Sid")).collect();
        // One that we no longer have (another dialect's) is ours all the same.
        let own = self.sid("");
        let is_ours = |statement: &Value| {
            let sid = statement.get("Sid");
            sid.is_some_and(|sid| sids.contains(&sid))
                || sid
                    .and_then(Value::as_str)
                    .is_some_and(|sid| sid.starts_with(&own))
        };
        let others: Vec<Value> = statements
            .into_iter()
            .filter(|statement| !is_ours(statement))
            .collect();
        let (findings, others_public) = self.others(&others)?;
        let all: Vec<Value> = others.into_iter().chain(ours).collect();
        if let Some(policy) = policy.as_object_mut() {
            policy.insert("Statement".to_owned(), Value::Array(all));
        }
        let size = policy.to_string().len();
        if size > MAX_POLICY_BYTES {
            return Err(self.unsafe_policy(
                format!("with this prefix the bucket policy would have {size} bytes, and S3 takes {MAX_POLICY_BYTES}"),
                "use another bucket for this cluster: some ten clusters fit into one policy",
            ));
        }
        let is_new = there.is_none_or(|there| normal(&there) != normal(&policy));
        Ok(Merged {
            policy,
            is_new,
            findings,
            others_public,
        })
    }

    /// What other statements let everybody do, and whom they let write our documents.
    fn others(&self, statements: &[Value]) -> Result<(Vec<Finding>, bool), BucketError> {
        let (mut findings, mut public) = (Vec::new(), false);
        for statement in statements
            .iter()
            .filter(|statement| text(statement, "Effect") == "Allow")
        {
            let name = match text(statement, "Sid") {
                "" => "a statement without Sid".to_owned(),
                sid => format!("statement {sid:?}"),
            };
            let conditional = match statement.get("Condition") {
                None => "",
                Some(_) => " under conditions",
            };
            let allows =
                |actions: &[&'static str]| actions.iter().find(|action| allows(statement, action)).copied();
            if is_public(statement) {
                let only_documents = reads_documents_only(statement);
                public |= !only_documents;
                if let Some(action) = allows(&WRITING) {
                    let found = format!("{name} of the bucket policy lets everybody {action}{conditional}");
                    let next =
                        "take it out of the bucket policy: whoever writes the key set can be every workload";
                    match conditional {
                        "" => return Err(self.unsafe_policy(found, next)),
                        _ => findings.push(Finding::new(found, next)),
                    }
                }
                if let Some(action) = allows(&LISTING) {
                    findings.push(Finding::new(
                        format!("{name} of the bucket policy lets everybody list the bucket ({action}){conditional}"),
                        "take it out of the bucket policy if that is not meant",
                    ));
                }
                if let Some(action) = allows(&READING).filter(|_| !only_documents) {
                    findings.push(Finding::new(
                        format!("{name} of the bucket policy lets everybody read more than documents ({action}){conditional}"),
                        "take it out of the bucket policy if that is not meant",
                    ));
                }
            } else if let Some(action) = allows(&WRITING).filter(|_| self.touches_documents(statement)) {
                let whom = statement
                    .get("Principal")
                    .map(Value::to_string)
                    .unwrap_or_default();
                let (but, next) = match self.dialect {
                    Dialect::Amazon => (
                        ", which ours denies it for the documents",
                        "nothing needs to be done",
                    ),
                    Dialect::Compatible => {
                        ("", "take it out of the bucket policy: one principal is to write")
                    }
                };
                let found =
                    format!("{name} of the bucket policy allows {action} to {whom}{conditional}{but}");
                findings.push(Finding::new(found, next));
            }
        }
        Ok((findings, public))
    }

    fn touches_documents(&self, statement: &Value) -> bool {
        let patterns = strings(statement.get("Resource"));
        let mut places = self.documents().into_iter().chain([self.arn("")]);
        statement.get("NotResource").is_some()
            || places.any(|place| patterns.iter().any(|pattern| fits(pattern, &place)))
    }
}

/// To everybody, signed in or not; `NotPrincipal` in an Allow is everybody but some.
fn is_public(statement: &Value) -> bool {
    let principal = statement.get("Principal");
    let named = match principal {
        Some(Value::Object(kinds)) => kinds.get("AWS"),
        other => other,
    };
    statement.get("NotPrincipal").is_some() || strings(named).contains(&"*")
}

fn allows(statement: &Value, action: &str) -> bool {
    let action = action.to_ascii_lowercase();
    let among = |name: &str| {
        let patterns = strings(statement.get(name));
        patterns
            .iter()
            .any(|pattern| fits(&pattern.to_ascii_lowercase(), &action))
    };
    match statement.get("NotAction") {
        Some(_) => !among("NotAction"),
        None => among("Action"),
    }
}

/// As ours for another prefix do.
fn reads_documents_only(statement: &Value) -> bool {
    let resources = strings(statement.get("Resource"));
    let documents = ["/.well-known/openid-configuration", "/openid/v1/jwks"];
    let is_document = |resource: &&str| {
        !resource.contains(['*', '?']) && documents.iter().any(|document| resource.ends_with(document))
    };
    statement.get("NotAction").is_none()
        && strings(statement.get("Action")) == ["s3:GetObject"]
        && !resources.is_empty()
        && resources.iter().all(is_document)
}

/// IAM's wildcards: `*` for any text, `?` for one character.
fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    // Which beginnings of the text fit the pattern so far.
    let mut reached = vec![false; text.len() + 1];
    if let Some(start) = reached.first_mut() {
        *start = true;
    }
    for symbol in pattern {
        let mut next = vec![false; text.len() + 1];
        let mut any = false;
        for (at, slot) in next.iter_mut().enumerate() {
            any |= reached.get(at).copied().unwrap_or_default();
            let before = at.checked_sub(1);
            let one = before.is_some_and(|before| {
                let same = symbol == '?' || text.get(before) == Some(&symbol);
                same && reached.get(before).copied().unwrap_or_default()
            });
            *slot = match symbol {
                '*' => any,
                _ => one,
            };
        }
        reached = next;
    }
    reached.last().copied().unwrap_or_default()
}

fn text<'a>(statement: &'a Value, name: &str) -> &'a str {
    statement.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// One text or a list of them.
fn strings(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// S3 gives a policy back with lists of one as one, and lists in another order.
fn normal(value: &Value) -> Value {
    match value {
        Value::Array(all) => {
            let mut all: Vec<Value> = all.iter().map(normal).collect();
            all.sort_by_key(Value::to_string);
            match all.as_slice() {
                [one] => one.clone(),
                _ => Value::Array(all),
            }
        }
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| (name.clone(), normal(value)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests;
