//! `publisher.gcs`: a bucket of Google Cloud Storage.

use kubeassume_publishers::gcs::GcsConfig;

use super::Role;
use crate::config::section::Section;

pub(super) fn read(gcs: &mut Section, role: &Role<'_>) -> Option<GcsConfig> {
    let config = GcsConfig {
        bucket: gcs
            .required("bucket", "write the name of the bucket", "The bucket's name.")
            .unwrap_or_default(),
        project: gcs.text(
            "project",
            "The id of the project that the bucket belongs to. Publishing does not need it.",
        ),
        use_workload_identity: gcs.flag(
            "useWorkloadIdentity",
            "`true`: credentials come from workload identity federation (a file of type `external_account`) or the \
             metadata server alone; `false`: never from there. Unset: Application Default Credentials.",
        ),
        endpoint: gcs.text(
            "endpoint",
            "Another server than `https://storage.googleapis.com`: `https://HOST[:PORT]`; with http, no credentials \
             are sent. Unset: `STORAGE_EMULATOR_HOST` if that is set, else Google's.",
        ),
        prefix: gcs.text(
            "prefix",
            "What goes before both names in the bucket, without slashes at its ends. Unset: nothing.",
        ),
        public_url: gcs.text(
            "publicURL",
            "Where the public reads the bucket: the issuer, byte for byte. Unset: \
             `https://storage.googleapis.com/BUCKET[/PREFIX]`, which then has to be the issuer.",
        ),
    };
    if config.bucket.is_empty() {
        return None;
    }
    role.allows(gcs, config.public_url.as_deref())?;
    if let Err(invalid) = config.check() {
        let name = invalid.field.trim_start_matches("gcs.");
        let fix = match name {
            "bucket" => "write the name alone, without gs:// and without a path",
            "project" => "write the project's id, as `gcloud projects list` shows it",
            "prefix" => "write for example prefix: clusters/one",
            "endpoint" => "write for example endpoint: https://storage-mine.p.googleapis.com",
            _ => "correct it",
        };
        gcs.problem(name, &invalid.rule, fix);
        return None;
    }
    role.leads_to(gcs, "bucket", config.public_url().map(Some))?;
    Some(config)
}
