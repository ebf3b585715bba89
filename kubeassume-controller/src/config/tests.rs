use kubeassume_publishers::azure::AzureConfig;
use kubeassume_publishers::gcs::GcsConfig;
use kubeassume_publishers::oci::{OciAuth, OciConfig};
use kubeassume_publishers::s3::S3Config;

use super::*;

const EVERYTHING: &str = r#"
issuer: https://oidc.example.com/cluster1
source: {endpoints: ["10.0.0.1:6443", "10.0.0.2:6443"], directory: "", url: "", serverName: kubernetes.default.svc}
publisher:
  type: s3
  cacheMaxAge: 120s
  s3: {bucket: keys, region: r, endpoint: "https://s3.example.com", forcePathStyle: true, prefix: "cluster1", publicURL: "https://oidc.example.com/cluster1", useIRSA: true}
  file: {path: "", publicURL: ""}
tls: {caFile: "/etc/ca.pem"}
controller:
  syncPeriod: 30s
  rotation: {overlapPeriod: 48h, onStateLoss: drop, revoked: ["cbnwDDFIPAR3KsTvTLpBrB0OV4BiFkOXoJQRqMHWqBI"]}
  leaderElection: {leaseDuration: 30s, renewDeadline: 20s, retryPeriod: 500ms}
"#;

const LEAST: &str = "issuer: https://oidc.example.com\npublisher: {type: file, file: {path: /srv}}";

/// The rest of a valid configuration, below a line under test.
fn with(line: &str) -> String {
    format!("{line}\n{LEAST}")
}

fn problems(text: &str) -> Vec<String> {
    match Config::parse(text) {
        Err(ConfigError::Invalid(problems)) => problems.iter().map(ToString::to_string).collect(),
        other => panic!("expected problems, got {other:?}"),
    }
}

#[track_caller]
fn refused(text: &str, expected: &str) {
    assert_eq!(problems(text), [expected]);
}

#[test]
fn every_field_is_read() {
    let config = Config::parse(EVERYTHING).unwrap();
    let expected = Config {
        issuer: "https://oidc.example.com/cluster1".parse().unwrap(),
        source: SourceConfig::ApiServers {
            endpoints: vec!["10.0.0.1:6443".to_owned(), "10.0.0.2:6443".to_owned()],
            server_name: "kubernetes.default.svc".to_owned(),
        },
        publishers: vec![PublisherEntry {
            config: PublisherConfig::S3(S3Config {
                bucket: "keys".to_owned(),
                region: Some("r".to_owned()),
                endpoint: Some("https://s3.example.com".to_owned()),
                force_path_style: true,
                prefix: Some("cluster1".to_owned()),
                public_url: Some("https://oidc.example.com/cluster1".to_owned()),
                use_irsa: Some(true),
            }),
            mirror: false,
        }],
        cache_max_age: Duration::from_secs(120),
        ca_file: Some("/etc/ca.pem".into()),
        sync_period: Duration::from_secs(30),
        overlap_period: Duration::from_secs(48 * 3600),
        on_state_loss: OnStateLoss::Drop,
        revoked: ["cbnwDDFIPAR3KsTvTLpBrB0OV4BiFkOXoJQRqMHWqBI".parse().unwrap()].into(),
        leader_election: LeaderElection {
            lease_duration: Duration::from_secs(30),
            renew_deadline: Duration::from_secs(20),
            retry_period: Duration::from_millis(500),
        },
    };
    assert_eq!(config, expected);
    assert_eq!(config.headers().max_age_seconds, 120);
    assert_eq!(config.policy().revoked, expected.revoked);
}

#[test]
fn what_is_left_out_has_the_documented_default() {
    let config = Config::parse(LEAST).unwrap();
    assert_eq!(
        config.source,
        SourceConfig::ApiServers {
            endpoints: Vec::new(),
            server_name: "kubernetes.default.svc".to_owned()
        }
    );
    assert_eq!(config.cache_max_age, Duration::from_secs(300));
    assert_eq!(config.sync_period, Duration::from_secs(60));
    assert_eq!(config.overlap_period, Duration::from_secs(24 * 3600));
    assert_eq!(config.on_state_loss, OnStateLoss::Keep);
    assert_eq!(config.leader_election.lease_duration, Duration::from_secs(15));
    assert_eq!(config.leader_election.renew_deadline, Duration::from_secs(10));
    assert_eq!(config.leader_election.retry_period, Duration::from_secs(2));
    assert!(config.warnings().is_empty());
}

#[test]
fn an_unknown_field_is_named_with_the_nearest_known_one() {
    refused(
        &with("controller: {rotation: {overlapPeroid: 24h}}"),
        "controller.rotation.overlapPeroid is unknown; did you mean controller.rotation.overlapPeriod?",
    );
    refused(&with("sources: {}"), "sources is unknown; did you mean source?");
    refused(
        &with("controller: {leaderElection: {id: x}}"),
        "controller.leaderElection.id is unknown; known here: leaseDuration, renewDeadline, retryPeriod",
    );
    refused(
        "issuer: https://oidc.example.com\npublisher: {type: file, file: {path: /srv}, s3: {buckt: b}}",
        "publisher.s3.buckt is unknown; did you mean publisher.s3.bucket?",
    );
    refused(
        &with("tls: {cafile: /ca.pem}"),
        "tls.cafile is unknown; did you mean tls.caFile?",
    );
}

#[test]
fn what_has_to_be_there_is_named() {
    refused(
        "publisher: {type: file, file: {path: /srv}}",
        "issuer is missing; write the API server's --service-account-issuer",
    );
    refused(
        "issuer: https://oidc.example.com",
        "publisher.type is missing; write type: s3 or type: gcs or type: azure or type: oci or type: file or type: endpoint",
    );
    refused(
        "issuer: https://oidc.example.com\npublisher: {type: file}",
        "publisher.file.path is missing; write the directory that the web server serves as the issuer's URL",
    );
    refused(
        "issuer: https://oidc.example.com\npublisher: {type: s3}",
        "publisher.s3.bucket is missing; write the name of the bucket",
    );
    for (missing, expected) in [
        (
            "listen",
            "publisher.endpoint.listen is missing; write for example listen: 0.0.0.0:8443",
        ),
        (
            "certFile",
            "publisher.endpoint.certFile is missing; write the PEM file with the certificate for the issuer's host, \
             and its chain",
        ),
        (
            "keyFile",
            "publisher.endpoint.keyFile is missing; write the PEM file with the certificate's private key",
        ),
    ] {
        refused(&endpoint(missing, "\"\""), expected);
    }
}

/// A configuration of the built-in server with one field set to something else.
fn endpoint(field: &str, value: &str) -> String {
    let fields = [
        ("listen", "\"0.0.0.0:8443\""),
        ("certFile", "/tls/tls.crt"),
        ("keyFile", "/tls/tls.key"),
        ("publicURL", "\"\""),
    ];
    let fields = fields.map(|(name, usual)| {
        let value = if name == field { value } else { usual };
        format!("{name}: {value}")
    });
    format!(
        "issuer: https://oidc.example.com\npublisher: {{type: endpoint, endpoint: {{{}}}}}",
        fields.join(", ")
    )
}

#[test]
fn the_built_in_server_is_told_where_to_listen() {
    let config = Config::parse(&endpoint("", "")).unwrap();
    let PublisherConfig::Endpoint(config) = &config.publishers[0].config else {
        panic!("{:?}", config.publishers[0].config);
    };
    assert_eq!(config.listen, "0.0.0.0:8443".parse().unwrap());
    assert_eq!(config.public_url.as_str(), "https://oidc.example.com");
    for (text, reason) in [
        ("\"8443\"", "invalid socket address syntax"),
        ("\":8443\"", "invalid socket address syntax"),
        ("\"localhost:8443\"", "invalid socket address syntax"),
        ("\"0.0.0.0\"", "invalid socket address syntax"),
    ] {
        let expected = format!(
            "publisher.endpoint.listen is {text}: {reason}; write an IP address and a port: 0.0.0.0:8443"
        );
        refused(&endpoint("listen", text), &expected);
    }
    refused(
        &endpoint("listen", "8443"),
        "publisher.endpoint.listen must be a text, is 8443; put it in quotes: listen: \"8443\"",
    );
    refused(
        &endpoint("publicURL", "\"https://oidc.example.com/x\""),
        "publisher.endpoint.publicURL is \"https://oidc.example.com/x\", the issuer is \
         \"https://oidc.example.com\"; they must be equal byte for byte (OpenID Connect Discovery 1.0, section 4.3); \
         relying parties read below the issuer only: make the place public under that URL, or leave this empty",
    );
}

#[test]
fn a_bucket_that_the_issuer_does_not_lead_to_is_refused() {
    let s3 =
        |issuer: &str, fields: &str| format!("issuer: {issuer}\npublisher: {{type: s3, s3: {{{fields}}}}}");
    let own = "https://keys.s3.eu-west-1.amazonaws.com/one";
    Config::parse(&s3(own, "bucket: keys, region: eu-west-1, prefix: one")).unwrap();
    refused(
        &s3("https://oidc.example.com", "bucket: keys, region: eu-west-1"),
        "publisher.s3.publicURL is not given and the bucket's own address is \
         \"https://keys.s3.eu-west-1.amazonaws.com\", the issuer is \"https://oidc.example.com\"; if the \
         issuer's URL leads to this bucket, say so: publicURL: <the issuer>",
    );
}

#[test]
fn a_bucket_of_google_is_read() {
    let gcs =
        |issuer: &str, fields: &str| format!("issuer: {issuer}\npublisher: {{type: gcs, gcs: {{{fields}}}}}");
    let everything = "bucket: keys, project: my-project, useWorkloadIdentity: true, endpoint: \"https://storage-x.p.googleapis.com\", \
                      prefix: one, publicURL: \"https://oidc.example.com\"";
    let config = Config::parse(&gcs("https://oidc.example.com", everything)).unwrap();
    assert_eq!(
        config.publishers[0].config,
        PublisherConfig::Gcs(GcsConfig {
            bucket: "keys".to_owned(),
            project: Some("my-project".to_owned()),
            use_workload_identity: Some(true),
            endpoint: Some("https://storage-x.p.googleapis.com".to_owned()),
            prefix: Some("one".to_owned()),
            public_url: Some("https://oidc.example.com".to_owned()),
        })
    );
    let own = "https://storage.googleapis.com/keys/one";
    Config::parse(&gcs(own, "bucket: keys, prefix: one")).unwrap();
}

#[test]
fn a_bucket_of_oracle_is_read() {
    let oci =
        |issuer: &str, fields: &str| format!("issuer: {issuer}\npublisher: {{type: oci, oci: {{{fields}}}}}");
    let everything = "bucket: keys, namespace: ns, compartmentId: \"ocid1.compartment.oc1..aaaa\", region: eu-frankfurt-1, \
                      endpoint: \"https://storage.example.com\", prefix: one, publicURL: \"https://oidc.example.com\", \
                      auth: instancePrincipal";
    let config = Config::parse(&oci("https://oidc.example.com", everything)).unwrap();
    assert_eq!(
        config.publishers[0].config,
        PublisherConfig::Oci(OciConfig {
            bucket: "keys".to_owned(),
            namespace: "ns".to_owned(),
            compartment_id: Some("ocid1.compartment.oc1..aaaa".to_owned()),
            region: Some("eu-frankfurt-1".to_owned()),
            endpoint: Some("https://storage.example.com".to_owned()),
            prefix: Some("one".to_owned()),
            public_url: Some("https://oidc.example.com".to_owned()),
            auth: Some(OciAuth::InstancePrincipal),
        })
    );
    let own = "https://objectstorage.eu-frankfurt-1.oraclecloud.com/n/ns/b/keys/o/one";
    let least = "bucket: keys, namespace: ns, prefix: one";
    Config::parse(&oci(own, &format!("{least}, region: eu-frankfurt-1"))).unwrap();
}

#[test]
fn a_container_of_azure_is_read() {
    let azure = |issuer: &str, fields: &str| {
        format!("issuer: {issuer}\npublisher: {{type: azure, azure: {{{fields}}}}}")
    };
    let own = "https://acmekeys.blob.core.windows.net/oidc/one";
    let names = "storageAccount: acmekeys, container: oidc";
    let config = Config::parse(&azure(
        own,
        &format!("{names}, prefix: one, useManagedIdentity: true"),
    ))
    .unwrap();
    let expected = AzureConfig {
        storage_account: "acmekeys".to_owned(),
        container: "oidc".to_owned(),
        prefix: Some("one".to_owned()),
        use_managed_identity: Some(true),
        ..AzureConfig::default()
    };
    assert_eq!(config.publishers[0].config, PublisherConfig::Azure(expected));
}

#[test]
fn a_publisher_of_another_type_is_refused() {
    refused(
        "issuer: https://oidc.example.com\npublisher: {type: S3, s3: {bucket: b, region: r}}",
        "publisher.type must be s3 or gcs or azure or oci or file or endpoint, is \"S3\"; did you mean s3?",
    );
    refused(
        "issuer: https://oidc.example.com\npublisher: {type: ftp}",
        "publisher.type must be s3 or gcs or azure or oci or file or endpoint, is \"ftp\"; choose one of s3, gcs, azure, oci, file, endpoint",
    );
}

#[test]
fn what_stands_in_the_section_of_another_backend_means_nothing() {
    let text =
        "issuer: https://oidc.example.com\npublisher: {type: file, file: {path: /srv}, s3: {bucket: 7}}";
    Config::parse(text).unwrap();
}

#[test]
fn keys_come_from_one_source() {
    let expected = "source.endpoints directory and url exclude each other; keep the one from which keys are \
                    to be read";
    refused(
        &with("source: {directory: /keys, url: \"https://a.example\"}"),
        expected,
    );
    refused(
        &with("source: {endpoints: [\"a:1\"], directory: /keys}"),
        expected,
    );
    refused(
        &with("source: {url: \"http://a.example\"}"),
        "source.url is \"http://a.example\": an issuer begins with https:// (in lower case); write an https \
         URL without a slash at its end; /openid/v1/jwks is added",
    );
}

#[test]
fn a_value_of_the_wrong_kind_is_named_with_what_stands_there() {
    refused(
        "issuer: https://oidc.example.com\npublisher: {type: s3, s3: {bucket: 42}}",
        "publisher.s3.bucket must be a text, is 42; put it in quotes: bucket: \"42\"",
    );
    refused(
        "issuer: https://oidc.example.com\npublisher: {type: s3, s3: {bucket: keys, useIRSA: \"yes\"}}",
        "publisher.s3.useIRSA must be true or false, is yes; write useIRSA: true or useIRSA: false, without quotes",
    );
    refused(
        &with("source: {endpoints: \"10.0.0.1:6443\"}"),
        "source.endpoints must be a list, is 10.0.0.1:6443; write endpoints: [\"10.0.0.1:6443\"]",
    );
    refused(
        &with("source: {endpoints: [\"10.0.0.1:6443\", 7]}"),
        "source.endpoints[1] must be a text, is 7; put it in quotes, or remove it",
    );
    refused(
        &with("controller: 60s"),
        "controller must be a mapping of fields, is 60s; indent its fields below it",
    );
    refused(
        &with("controller: {rotation: [24h]}"),
        "controller.rotation must be a mapping of fields, is a list; indent its fields below it",
    );
}

#[test]
fn a_duration_has_a_unit_and_a_sensible_size() {
    refused(
        &with("controller: {syncPeriod: 60}"),
        "controller.syncPeriod must be a duration with its unit, is 60; write for example syncPeriod: 1m",
    );
    refused(
        &with("controller: {syncPeriod: \"60\"}"),
        "controller.syncPeriod is \"60\": the unit is missing or unknown; units are h, m, s and ms; write for \
         example syncPeriod: 1m",
    );
    refused(
        &with("controller: {rotation: {overlapPeriod: 7d}}"),
        "controller.rotation.overlapPeriod is \"7d\": the unit is missing or unknown; units are h, m, s and \
         ms; write for example overlapPeriod: 24h",
    );
    refused(
        &with("controller: {rotation: {overlapPeriod: -1h}}"),
        "controller.rotation.overlapPeriod is \"-1h\": a whole number comes first, then h, m, s or ms; write \
         for example overlapPeriod: 24h",
    );
    refused(
        &with("controller: {syncPeriod: 0s}"),
        "controller.syncPeriod must be from 1s to 1h, is 0s; write for example syncPeriod: 1m",
    );
    refused(
        "issuer: https://oidc.example.com\npublisher: {type: file, cacheMaxAge: 1500ms, file: {path: /srv}}",
        "publisher.cacheMaxAge must be whole seconds; write for example cacheMaxAge: 300s",
    );
}

#[test]
fn the_times_of_the_election_are_in_order() {
    refused(
        &with("controller: {leaderElection: {leaseDuration: 10s, renewDeadline: 10s}}"),
        "controller.leaderElection.leaseDuration must be above renewDeadline, and that above retryPeriod; they \
         are 10s, 10s and 2s; Kubernetes' own components use 15s, 10s and 2s",
    );
    refused(
        &with("controller: {leaderElection: {retryPeriod: 10s}}"),
        "controller.leaderElection.leaseDuration must be above renewDeadline, and that above retryPeriod; they \
         are 15s, 10s and 10s; Kubernetes' own components use 15s, 10s and 2s",
    );
    refused(
        &with("controller: {leaderElection: {leaseDuration: 10500ms}}"),
        "controller.leaderElection.leaseDuration must be whole seconds, because a Lease counts in them; write \
         for example leaseDuration: 15s",
    );
}

#[test]
fn a_revocation_that_revokes_nothing_is_refused() {
    refused(
        &with("controller: {rotation: {revoked: [\"my-key-1\"]}}"),
        "controller.rotation.revoked holds \"my-key-1\", which is no RFC 7638 thumbprint; write 43 characters \
         of base64url as `kubeassume jwks inspect` shows them, not a kid",
    );
    refused(
        &with("controller: {rotation: {onStateLoss: kep}}"),
        "controller.rotation.onStateLoss must be keep or drop, is \"kep\"; did you mean keep?",
    );
}

#[test]
fn all_problems_are_told_at_once() {
    let text = "isuer: x\npublisher: {type: file}\ncontroller: {syncPeriod: 0s}";
    let error = Config::parse(text).unwrap_err().to_string();
    assert_eq!(
        error,
        "the configuration has 4 problems:\
         \n  issuer is missing; write the API server's --service-account-issuer\
         \n  isuer is unknown; did you mean issuer?\
         \n  publisher.file.path is missing; write the directory that the web server serves as the issuer's URL\
         \n  controller.syncPeriod must be from 1s to 1h, is 0s; write for example syncPeriod: 1m"
    );
}

#[test]
fn what_is_no_single_mapping_is_refused() {
    assert_eq!(
        problems("[1, 2]")[0],
        "the file is not a mapping of fields; begin with issuer: https://…"
    );
    for text in ["issuer: [", "issuer: a\nissuer: b", "a: 1\n---\nb: 2"] {
        let error = Config::parse(text).unwrap_err();
        assert!(matches!(error, ConfigError::Syntax(_)), "{text:?}: {error}");
    }
    assert_eq!(problems("").len(), 2);
}

#[test]
fn a_file_that_is_no_configuration_is_not_read_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    std::fs::write(&path, vec![b'#'; 1 << 20]).unwrap();
    assert_eq!(Config::load(&path).unwrap_err(), ConfigError::TooLarge);
    let error = Config::load(&folder.path().join("absent.yaml"))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("cannot read the configuration ") && error.ends_with("check --config"),
        "{error}"
    );
}

#[test]
fn an_overlap_that_tokens_outlive_is_a_warning_that_says_what_is_at_risk() {
    let config = Config::parse(&with("controller: {rotation: {overlapPeriod: 1h}}")).unwrap();
    assert_eq!(
        config.warnings(),
        [
            "controller.rotation.overlapPeriod is 1h: a token can be in use for 19h12m (webhooks ask for 24h, the \
             kubelet renews at 80 %), so one signed shortly before its key vanished may be rejected for its last \
             18h17m; 19h17m covers it"
        ]
    );
}

#[test]
fn several_publishers_are_one_below_the_issuer_and_its_mirrors() {
    let config = Config::parse(
        "issuer: https://oidc.example.com
publishers:
- {type: gcs, mirror: true, gcs: {bucket: keys}}
- {type: file, cacheMaxAge: 60s, file: {path: /srv}}
- {type: s3, mirror: true, s3: {bucket: keys, region: eu-central-1, prefix: one}}
- {type: s3, mirror: true, s3: {bucket: keys, region: eu-central-1, prefix: two}}",
    )
    .unwrap();
    let mirrors: Vec<bool> = config.publishers.iter().map(|entry| entry.mirror).collect();
    assert_eq!(mirrors, [true, false, true, true]);
    assert_eq!(config.cache_max_age, Duration::from_secs(60));
}
