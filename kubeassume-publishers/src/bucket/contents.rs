//! What may stand in a bucket of which everything is public.

use kubeassume_core::store::DocumentPath;

use super::BucketError;

/// The most that is listed; a bucket with more holds something else.
pub(super) const MAX_NAMES: usize = 10_000;

/// Refuses a bucket that holds anything but discovery documents and key sets: whatever is in it is public.
pub(super) fn only_documents<'a>(
    field: &'static str,
    location: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Result<(), BucketError> {
    let Some(name) = names.into_iter().find(|name| !is_document(name)) else {
        return Ok(());
    };
    let shown: String = name.escape_debug().take(200).collect();
    Err(BucketError::Unsafe {
        field,
        found: format!(
            "{location} holds {shown:?}, which would be public: this cloud grants reading by the bucket"
        ),
        next: "choose a bucket of its own; `kubeassume bucket name` makes up a name".to_owned(),
    })
}

/// The two documents, under any prefix.
fn is_document(name: &str) -> bool {
    [DocumentPath::DISCOVERY, DocumentPath::JWKS].iter().any(|path| {
        let before = name.strip_suffix(path.to_string().as_str());
        before.is_some_and(|before| before.is_empty() || before.ends_with('/'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_under_any_prefix_and_nothing_else() {
        let mine = [
            "openid/v1/jwks",
            "c1/.well-known/openid-configuration",
            "a/b/openid/v1/jwks",
        ];
        assert_eq!(only_documents("gcs.bucket", "gs://b", mine), Ok(()));
        for other in [
            "secret",
            "c1/openid/v1/jwks.bak",
            "xopenid/v1/jwks",
            "openid/v1/",
            "",
        ] {
            let names = mine.into_iter().chain([other]);
            assert!(only_documents("gcs.bucket", "gs://b", names).is_err(), "{other}");
        }
    }
}
