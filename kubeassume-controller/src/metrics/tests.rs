use kubeassume_core::PublishError;
use kubeassume_core::clock::SystemClock;
use kubeassume_core::rotation::KeyName;
use kubeassume_core::store::{DocumentPath, StoreError};

use super::*;

fn metrics() -> Metrics {
    Metrics::new(&[("s3", "s3://keys".to_owned())], Arc::new(SystemClock::new()))
}

fn lines(text: &str, metric: &str) -> Vec<String> {
    let of_metric = |line: &&str| {
        line.strip_prefix(metric)
            .is_some_and(|rest| rest.starts_with(['{', ' ']))
    };
    let mut lines: Vec<String> = text.lines().filter(of_metric).map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn the_names_and_labels_are_those_of_the_interface() {
    let text = metrics().encode(&Status::default());
    let count = |metric: &str| lines(&text, metric);
    assert_eq!(
        count("kubeassume_sync_total"),
        [
            "kubeassume_sync_total{status=\"error\",publisher=\"s3\",location=\"s3://keys\"} 0",
            "kubeassume_sync_total{status=\"success\",publisher=\"s3\",location=\"s3://keys\"} 0"
        ]
    );
    let rotation = count("kubeassume_rotation_total");
    assert_eq!(
        rotation,
        [
            "kubeassume_rotation_total{type=\"key_expired\"} 0",
            "kubeassume_rotation_total{type=\"new_key\"} 0"
        ]
    );
    assert_eq!(count("kubeassume_active_keys"), ["kubeassume_active_keys 0"]);
    assert_eq!(
        count("kubeassume_publish_errors_total"),
        ["kubeassume_publish_errors_total{publisher=\"s3\",location=\"s3://keys\"} 0"]
    );
    assert_eq!(
        count("kubeassume_foreign_keys_total"),
        ["kubeassume_foreign_keys_total 0"]
    );
    assert_eq!(count("kubeassume_last_publish_timestamp").len(), 1);
    assert_eq!(count("kubeassume_verify_failures_total").len(), 2);
    let buckets = count("kubeassume_sync_duration_seconds_bucket");
    for phase in ["fetch", "publish"] {
        assert!(
            buckets
                .iter()
                .any(|line| line.contains(&format!("phase=\"{phase}\"")))
        );
    }
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn notices_are_counted() {
    let metrics = metrics();
    let key = KeyName {
        kid: "a".to_owned(),
        thumbprint: "cbnwDDFIPAR3KsTvTLpBrB0OV4BiFkOXoJQRqMHWqBI".parse().unwrap(),
    };
    let took = Duration::from_millis(20);
    metrics.notice(&Notice::Rotation(&Event::NewKey(key.clone())));
    metrics.notice(&Notice::Rotation(&Event::Removed(key)));
    metrics.notice(&Notice::Polled { took, complete: true });
    let error = PublishError::Store {
        document: DocumentPath::JWKS,
        error: StoreError::Unavailable("down".to_owned()),
    };
    metrics.notice(&Notice::PublishFailed {
        publisher: "s3",
        location: "s3://keys",
        took,
        error: &error,
    });
    let text = metrics.encode(&Status::default());
    for line in [
        "kubeassume_rotation_total{type=\"new_key\"} 1",
        "kubeassume_rotation_total{type=\"key_expired\"} 1",
        "kubeassume_sync_total{status=\"error\",publisher=\"s3\",location=\"s3://keys\"} 1",
        "kubeassume_publish_errors_total{publisher=\"s3\",location=\"s3://keys\"} 1",
        "kubeassume_sync_duration_seconds_count{phase=\"fetch\"} 1",
        "kubeassume_sync_duration_seconds_count{phase=\"publish\"} 1",
        "kubeassume_last_publish_timestamp{publisher=\"s3\",location=\"s3://keys\"} 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
}

#[test]
fn what_is_gone_from_the_status_is_gone_from_the_metrics() {
    let metrics = metrics();
    let mut status = Status::default();
    status.endpoints.insert("10.0.0.1:6443".to_owned(), None);
    status
        .endpoints
        .insert("10.0.0.2:6443".to_owned(), Some("refused".to_owned()));
    let text = metrics.encode(&status);
    let reachable = lines(&text, "kubeassume_endpoint_reachable");
    assert_eq!(
        reachable,
        [
            "kubeassume_endpoint_reachable{endpoint=\"10.0.0.1:6443\"} 1",
            "kubeassume_endpoint_reachable{endpoint=\"10.0.0.2:6443\"} 0"
        ]
    );
    assert!(lines(&text, "kubeassume_public_copy_age_seconds").is_empty());
    status.endpoints.clear();
    let text = metrics.encode(&status);
    assert!(lines(&text, "kubeassume_endpoint_reachable").is_empty());
}
