//! The bucket's IAM policy: who has what, and who is one principal.

use serde_json::{Value, json};

use super::{GcsBucket, READER};
use crate::Invalid;
use crate::bucket::{BucketError, Finding};

/// Everybody, and everybody with a Google account.
const PUBLIC: [&str; 2] = ["allUsers", "allAuthenticatedUsers"];
/// Predefined roles that only read, and what they are beyond reading an object
/// (<https://cloud.google.com/storage/docs/access-control/iam-roles>).
const READING: [(&str, &str); 4] = [
    (READER, ""),
    ("roles/storage.objectViewer", "list"),
    ("roles/storage.legacyBucketReader", "list"),
    ("roles/storage.bucketViewer", "list"),
];

impl GcsBucket {
    /// The policy with both grants in it, and whether that is anything new.
    pub(super) fn merged(&self, policy: &Value) -> Result<(Value, bool, Vec<Finding>), BucketError> {
        let mut findings = Vec::new();
        let mut bindings = policy
            .get("bindings")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        for binding in &bindings {
            self.judge(binding, &mut findings)?;
        }
        let mut is_new = false;
        for (role, member) in self.grants() {
            let has = |binding: &Value| {
                binding.get("role").and_then(Value::as_str) == Some(role)
                    && binding.get("condition").is_none()
                    && members(binding).contains(&member)
            };
            if !bindings.iter().any(has) {
                is_new = true;
                bindings.push(json!({"role": role, "members": [member]}));
            }
        }
        let mut merged = policy.clone();
        match merged.as_object_mut() {
            Some(fields) => drop(fields.insert("bindings".to_owned(), Value::Array(bindings))),
            None => merged = json!({"bindings": bindings}),
        }
        Ok((merged, is_new, findings))
    }

    /// Whoever else may read more, or write.
    fn judge(&self, binding: &Value, findings: &mut Vec<Finding>) -> Result<(), BucketError> {
        let role = binding.get("role").and_then(Value::as_str).unwrap_or_default();
        let reads = READING.iter().find(|(reading, _)| *reading == role);
        let take = |member: &str| {
            format!(
                "gcloud storage buckets remove-iam-policy-binding gs://{} --member={member} --role={role}",
                self.config.bucket
            )
        };
        for member in members(binding) {
            let everybody = PUBLIC.contains(&member);
            match reads {
                Some((_, "")) => {}
                Some((_, more)) if everybody => {
                    findings.push(Finding::new(
                        format!("{member} has {role}: everybody may {more} the bucket"),
                        take(member),
                    ));
                }
                Some(_) => {}
                None if everybody => {
                    return Err(BucketError::Unsafe {
                        field: "gcs.bucket",
                        found: format!(
                            "{}: {member} has {role}: whoever writes the key set can be every workload",
                            self.location_name()
                        ),
                        next: take(member),
                    });
                }
                None if (role, member) == (self.role.as_str(), self.writer.as_str()) => {}
                None => findings.push(Finding::new(
                    format!("{member} has {role} and may write too"),
                    take(member),
                )),
            }
        }
        Ok(())
    }
}

/// One principal as an IAM policy names it.
pub(super) fn member(writer: &str) -> Result<String, Invalid> {
    let address = writer.strip_prefix("serviceAccount:").unwrap_or(writer);
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    if let Some((name, host)) = address.split_once('@')
        && host.ends_with(".gserviceaccount.com")
        && !name.is_empty()
        && address.bytes().all(|b| allowed(b) || b == b'@' || b == b':')
        && !host.contains(['@', ':'])
    {
        return Ok(format!("serviceAccount:{address}"));
    }
    let pool = writer.strip_prefix("principal://iam.googleapis.com/");
    let is_subject = pool.is_some_and(|pool| {
        let parts: Vec<&str> = pool.splitn(8, '/').collect();
        matches!(
            parts.as_slice(),
            ["projects", number, "locations", "global", "workloadIdentityPools", id, "subject", subject]
                if number.bytes().all(|b| b.is_ascii_digit()) && !number.is_empty() && !id.is_empty()
                    && !subject.is_empty() && subject.bytes().all(|b| b.is_ascii_graphic())
        )
    });
    if is_subject {
        return Ok(writer.to_owned());
    }
    let many = match writer.starts_with("principalSet://") || PUBLIC.contains(&writer) {
        true => " (one principal writes, not a set of them)",
        false => "",
    };
    Err(Invalid::new(
        "gcs.writer",
        format!(
            "must be a service account as publisher@PROJECT.iam.gserviceaccount.com, or \
             principal://iam.googleapis.com/projects/NUMBER/locations/global/workloadIdentityPools/POOL/subject/SUBJECT{many} \
             (https://cloud.google.com/iam/docs/principal-identifiers), not {writer:?}"
        ),
    ))
}

fn members(binding: &Value) -> Vec<&str> {
    let members = binding
        .get("members")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    members.filter_map(Value::as_str).collect()
}
