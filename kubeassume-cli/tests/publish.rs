//! `kubeassume publish` without a state: into a directory that a real HTTPS server serves.
#![cfg(feature = "kube")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::path::Path;

use support::{Ended, SigningKey, Site, run};

struct Place {
    keys: tempfile::TempDir,
    public: tempfile::TempDir,
    site: Site,
}

impl Place {
    fn new() -> Self {
        let (keys, public) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let site = Site::of(public.path());
        Self { keys, public, site }
    }

    fn publish(&self, more: &[&str]) -> Ended {
        self.publish_as(&self.site.url, more)
    }

    fn publish_as(&self, issuer: &str, more: &[&str]) -> Ended {
        let config = format!(
            "issuer: {issuer}\nsource: {{directory: {}}}\npublisher: {{type: file, file: {{path: {}}}}}\n\
             tls: {{caFile: {}}}\n",
            self.keys.path().display(),
            self.public.path().display(),
            self.site.ca()
        );
        let config = self.site.file("config.yaml", &config);
        run(&[["publish", "--config", &config, "--once"].as_slice(), more].concat())
    }

    fn serve(&self, file: &str, key: &SigningKey) {
        std::fs::write(self.keys.path().join(file), key.document()).unwrap();
    }

    fn jwks(&self) -> String {
        std::fs::read_to_string(self.public.path().join("openid/v1/jwks")).unwrap()
    }

    fn marks(&self) -> Vec<Vec<u8>> {
        [
            "openid/v1/.jwks.kubeassume.json",
            ".well-known/.openid-configuration.kubeassume.json",
        ]
        .map(|file| std::fs::read(self.public.path().join(Path::new(file))).unwrap())
        .to_vec()
    }
}

#[test]
fn begins_and_then_has_nothing_to_do() {
    let (place, key) = (Place::new(), SigningKey::new("a"));
    place.serve("api-server-1.json", &key);
    let ended = place.publish(&[]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stderr.contains("the public copy is verified"), "{ended:?}");
    let marks = place.marks();

    let ended = place.publish(&[]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(
        ended.stderr.contains("holds these documents already"),
        "{ended:?}"
    );
    assert_eq!(place.marks(), marks, "same owner, same generations");
}

#[test]
fn keeps_what_only_the_public_copy_has_until_told_to_prune() {
    let (place, old, new) = (Place::new(), SigningKey::new("old"), SigningKey::new("new"));
    place.serve("api-server-1.json", &old);
    assert_eq!(place.publish(&[]).code, 0);

    place.serve("api-server-1.json", &new);
    let ended = place.publish(&[]);
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(
        ended.stderr.contains("kept 1 key") && ended.stderr.contains("\"old\""),
        "{ended:?}"
    );
    assert!(place.jwks().contains("\"old\"") && place.jwks().contains("\"new\""));

    let ended = place.publish(&["--prune"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(!place.jwks().contains("\"old\"") && place.jwks().contains("\"new\""));
}

#[test]
fn refuses_a_key_that_must_not_be_published() {
    let (place, key) = (Place::new(), SigningKey::new("a"));
    place.serve("api-server-1.json", &key);
    let weak = r#"{"keys":[{"kty":"RSA","kid":"w","n":"sXchDaQebHnPiGvyDOAT4saGEUetSyo","e":"AQAB"}]}"#;
    std::fs::write(place.keys.path().join("api-server-2.json"), weak).unwrap();
    let ended = place.publish(&[]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stderr.contains("nothing was written"), "{ended:?}");
    assert!(!place.public.path().join("openid/v1/jwks").exists());
}

#[test]
fn leaves_another_issuer_s_place_alone() {
    let (place, theirs, ours) = (Place::new(), SigningKey::new("theirs"), SigningKey::new("ours"));
    place.serve("api-server-1.json", &theirs);
    assert_eq!(place.publish(&[]).code, 0);
    let before = place.jwks();

    place.serve("api-server-1.json", &ours);
    let ended = place.publish_as("https://other.example.com", &[]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(
        ended.stderr.contains("another cluster publishes there"),
        "{ended:?}"
    );
    assert_eq!(place.jwks(), before);
}

#[test]
fn a_mirror_that_is_broken_holds_back_nothing_else() {
    let (place, key) = (Place::new(), SigningKey::new("a"));
    place.serve("api-server-1.json", &key);
    let copies = tempfile::tempdir().unwrap();
    let mirror = Site::of(copies.path());
    let config = format!(
        "issuer: {issuer}
source: {{directory: {keys}}}
publishers:
- {{type: file, mirror: true, file: {{path: {copies}, publicURL: \"{mirror}\"}}}}
- {{type: file, file: {{path: {public}}}}}
tls: {{caFile: {ca}}}
",
        issuer = place.site.url,
        keys = place.keys.path().display(),
        copies = copies.path().display(),
        mirror = mirror.url,
        public = place.public.path().display(),
        // Two sites, two authorities; the file has both.
        ca = place.site.file(
            "roots.pem",
            &[place.site.ca(), mirror.ca()]
                .map(|ca| std::fs::read_to_string(ca).unwrap())
                .concat()
        ),
    );
    let config = place.site.file("config.yaml", &config);
    let publish = || run(&["publish", "--config", &config, "--once"]);

    let blocked = copies.path().join("openid");
    std::fs::write(&blocked, "in the way").unwrap();
    let ended = publish();
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(
        ended.stderr.contains(copies.path().to_str().unwrap()),
        "{ended:?}"
    );
    assert!(
        place.jwks().contains("\"a\""),
        "the other place has it all the same"
    );

    std::fs::remove_file(&blocked).unwrap();
    let ended = publish();
    assert_eq!(ended.code, 0, "{ended:?}");
    for document in ["openid/v1/jwks", ".well-known/openid-configuration"] {
        let [here, there] =
            [&place.public, &copies].map(|folder| std::fs::read(folder.path().join(document)).unwrap());
        assert_eq!(here, there, "{document}");
    }
}

#[test]
fn names_every_mistake_of_a_configuration() {
    let place = Place::new();
    let config = place.site.file(
        "config.yaml",
        "issuer: https://oidc.example.com\npublsher: {type: file}\n",
    );
    let ended = run(&["publish", "--config", &config, "--once"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stderr.contains("did you mean publisher?"), "{ended:?}");
}
