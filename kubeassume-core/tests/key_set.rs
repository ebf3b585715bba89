//! Key sets and documents that are accepted: what comes out, byte for byte, and that it stays so.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod keys;

use keys::{
    b64, document, ec_json, modulus, p256_points, parse, rsa_json, rsa_modulus, vector, vectors, with,
};
use kubeassume_core::{
    Algorithm, Curve, Discovery, DiscoveryClaims, DiscoveryError, FindingKind, IssuerUrl, Jwk, KeySet,
    Material, Parsed, Problem, Refusal,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const NEVER_PUBLISHED: [&str; 6] = ["x5c", "x5t", "key_ops", "ext", "iat", "unknown"];

#[test]
fn accepts_every_size_and_algorithm_that_belongs() {
    for (n, e, alg) in [
        (rsa_modulus(256, 0x80, 1), "Aw", "RS256"),
        (rsa_modulus(256, 0xff, 0xff), "AQAB", "RS384"),
        (rsa_modulus(257, 0x01, 0x0f), "AQAB", "RS512"),
        (rsa_modulus(1024, 0xff, 1), "f____w", "RS256"),
    ] {
        let key = with(
            rsa_json("a", 0),
            &[("n", n), ("e", e.into()), ("alg", alg.into())],
        );
        let parsed = parse(&[key]).unwrap();
        assert_eq!(parsed.keys.by_kid("a").unwrap().algorithm().name(), alg);
    }
    for (crv, alg) in [
        ("P-256", Algorithm::Es256),
        ("P-384", Algorithm::Es384),
        ("P-521", Algorithm::Es512),
    ] {
        let key = vector("EC", Some(crv));
        for key in [key.clone(), with(key, &[("alg", alg.name().into())])] {
            let parsed = parse(&[key]).unwrap();
            assert_eq!(parsed.keys.algorithms().into_iter().collect::<Vec<_>>(), [alg]);
        }
    }
    for kid in ["k", &"k".repeat(256), "\u{e9}", "a/b+c=\"\\\n"] {
        let parsed = parse(&[ec_json(kid, 0)]).unwrap();
        assert_eq!(
            KeySet::parse(&parsed.keys.to_bytes())
                .unwrap()
                .keys
                .by_kid(kid)
                .unwrap()
                .kid(),
            kid
        );
    }
}

#[test]
fn missing_alg_and_use_get_their_defaults_and_other_members_go() {
    let mut key = with(rsa_json("r", 7), &[("alg", Value::Null), ("use", Value::Null)]);
    for member in NEVER_PUBLISHED {
        key[member] = json!([{"deep": ["x", null, 1.5e3, -1, u64::MAX]}]);
    }
    let document = json!({"keys": [key, with(ec_json("e", 0), &[("alg", Value::Null), ("use", Value::Null)])], "unknown": {}});
    let parsed = KeySet::parse(document.to_string().as_bytes()).unwrap();
    let (x, y) = p256_points()[0];
    let n = b64(&modulus(7));
    let expected = format!(
        r#"{{"keys":[{{"kty":"EC","use":"sig","alg":"ES256","kid":"e","crv":"P-256","x":"{x}","y":"{y}"}},{{"kty":"RSA","use":"sig","alg":"RS256","kid":"r","n":"{n}","e":"AQAB"}}]}}"#
    );
    assert_eq!(String::from_utf8(parsed.keys.to_bytes()).unwrap(), expected);
}

#[test]
fn the_example_keys_of_rfc_7517_and_7638_come_out_right() {
    // RFC 7517 appendix A.1; the RSA key is also the example of RFC 7638 section 3.1.
    let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
    let keys = [
        json!({"kty": "EC", "crv": "P-256", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
               "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM", "use": "enc", "kid": "1"}),
        json!({"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"}),
    ];
    let parsed = parse(&keys).unwrap();
    assert_eq!(
        parsed.findings[0].kind,
        FindingKind::LeftOut(Problem::Use("enc".to_owned()))
    );
    let key = parsed.keys.by_kid("2011-04-29").unwrap();
    assert_eq!(
        key.thumbprint().as_str(),
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    );
    assert_eq!(
        String::from_utf8(parsed.keys.to_bytes()).unwrap(),
        format!(
            r#"{{"keys":[{{"kty":"RSA","use":"sig","alg":"RS256","kid":"2011-04-29","n":"{n}","e":"AQAB"}}]}}"#
        )
    );
    // The EC key itself is on its curve.
    assert_eq!(
        parse(&[with(keys[0].clone(), &[("use", Value::Null)])])
            .unwrap()
            .keys
            .len(),
        1
    );
}

#[test]
fn the_kid_of_a_key_from_a_file_is_the_digest_of_its_pkix_form() {
    let vectors = vectors();
    for vector in &vectors {
        let parsed = parse(&[vector["jwk"].clone()]).unwrap();
        assert_eq!(parsed.findings, [], "{vector}");
        let key = parsed.keys.iter().next().unwrap();
        assert_eq!(key.kubernetes_kid(), vector["jwk"]["kid"].as_str().unwrap());
        assert_eq!(key.thumbprint().as_str(), vector["thumbprint"].as_str().unwrap());

        let renamed = parse(&[with(vector["jwk"].clone(), &[("kid", "arn:aws:kms:1".into())])]).unwrap();
        assert_eq!(renamed.keys.len(), 1);
        assert_eq!(renamed.findings[0].kid.as_deref(), Some("arn:aws:kms:1"));
        let expected = vector["jwk"]["kid"].as_str().unwrap().to_owned();
        assert_eq!(renamed.findings[0].kind, FindingKind::ForeignKid(expected));
        assert!(!renamed.findings[0].is_left_out());
    }
    let curves = vectors
        .iter()
        .filter_map(|v| v["jwk"]["crv"].as_str())
        .collect::<std::collections::BTreeSet<_>>();
    assert_eq!(curves.len(), 3);
}

#[test]
fn a_key_that_stands_twice_is_told_of_once() {
    let twice = [rsa_json("twice", 1), rsa_json("twice", 1)];
    let parsed = parse(&twice).unwrap();
    assert_eq!((parsed.keys.len(), parsed.findings.len()), (1, 1));
    assert_eq!(parsed.findings[0].index, 0);

    // The first of them is of no use: the second one is the key.
    let second = [
        with(rsa_json("twice", 1), &[("use", "enc".into())]),
        rsa_json("twice", 1),
    ];
    let parsed = parse(&second).unwrap();
    assert_eq!(parsed.keys.len(), 1);
    assert!(parsed.findings[0].is_left_out() && !parsed.findings[1].is_left_out());
}

#[test]
fn current_keys_come_before_retiring_ones_each_by_kid() {
    let key = |kid: &str, seed| keys::rsa(kid, seed);
    let kids = |set: &KeySet| set.iter().map(|key| key.kid().to_owned()).collect::<Vec<_>>();
    let set = KeySet::new(
        [key("d", 1), key("b", 2)],
        [key("c", 3), key("a", 4), key("d", 1)],
    )
    .unwrap();
    assert_eq!(kids(&set), ["b", "d", "a", "c"]);
    let document = String::from_utf8(set.to_bytes()).unwrap();
    let at = |kid: &str| document.find(&format!(r#""kid":"{kid}""#)).unwrap();
    assert!(at("b") < at("d") && at("d") < at("a") && at("a") < at("c"));
    assert_eq!(
        KeySet::new([key("a", 1)], [key("a", 2)]),
        Err(Refusal::DuplicateKid("a".to_owned()))
    );
    // Whatever the order in which they are served.
    let (a, b) = (
        [ec_json("x", 0), rsa_json("w", 1)],
        [rsa_json("w", 1), ec_json("x", 0)],
    );
    assert_eq!(
        parse(&a).unwrap().keys.to_bytes(),
        parse(&b).unwrap().keys.to_bytes()
    );
}

#[test]
fn a_jwk_cannot_be_built_or_read_unchecked() {
    let weak = Material::Rsa {
        n: vec![0xff; 128],
        e: vec![3],
    };
    assert_eq!(
        Jwk::new("a", Algorithm::Rs256, weak),
        Err(Problem::ModulusSize(1024))
    );
    let off = Material::Ec {
        curve: Curve::P256,
        x: vec![1; 32],
        y: vec![1; 32],
    };
    assert_eq!(
        Jwk::new("a", Algorithm::Es256, off),
        Err(Problem::OffCurve("P-256"))
    );
    let rsa = Material::Rsa {
        n: modulus(1),
        e: vec![3],
    };
    assert!(matches!(
        Jwk::new("a", Algorithm::Es256, rsa.clone()),
        Err(Problem::Algorithm(_))
    ));
    assert_eq!(Jwk::new("", Algorithm::Rs256, rsa), Err(Problem::Missing("kid")));
    for bad in [
        with(rsa_json("a", 1), &[("d", "AQAB".into())]),
        with(rsa_json("a", 1), &[("n", "AQAB".into())]),
        with(rsa_json("a", 1), &[("x5c", json!([]))]),
        with(ec_json("a", 1), &[("y", p256_points()[2].1.into())]),
    ] {
        assert!(serde_json::from_value::<Jwk>(bad.clone()).is_err(), "{bad}");
    }
    let key: Jwk = serde_json::from_value(rsa_json("a", 1)).unwrap();
    assert_eq!(serde_json::to_value(&key).unwrap(), rsa_json("a", 1));
}

#[test]
fn discovery_documents_have_five_members_and_fixed_bytes() {
    let issuer: IssuerUrl = "https://oidc.example.com/c1".parse().unwrap();
    let keys = parse(&[rsa_json("a", 1), ec_json("b", 0)]).unwrap().keys;
    let bytes = Discovery::new(&issuer, &keys).to_bytes();
    assert_eq!(
        String::from_utf8(bytes.clone()).unwrap(),
        concat!(
            r#"{"issuer":"https://oidc.example.com/c1","jwks_uri":"https://oidc.example.com/c1/openid/v1/jwks","#,
            r#""response_types_supported":["id_token"],"subject_types_supported":["public"],"#,
            r#""id_token_signing_alg_values_supported":["ES256","RS256"]}"#
        )
    );
    let claims = DiscoveryClaims::parse(&bytes).unwrap();
    assert_eq!(claims.jwks_uri, issuer.jwks_uri());
    assert!(claims.check_issuer(&issuer).is_ok());
}

#[test]
fn hostile_discovery_documents_are_refused() {
    let issuer: IssuerUrl = "https://a.example".parse().unwrap();
    let uri = r#""jwks_uri":"https://a.example/openid/v1/jwks""#;
    for rubbish in [
        "".to_owned(),
        "[]".to_owned(),
        format!("{{{uri}}}"),
        r#"{"issuer":"https://a.example"}"#.to_owned(),
        format!(r#"{{"issuer":"https://a.example","issuer":"https://a.example",{uri}}}"#),
        format!(r#"{{"issuer":"https://a.example","issu\u0065r":"https://b.example",{uri}}}"#),
        format!(r#"{{"issuer":["https://a.example"],{uri}}}"#),
        format!(r#"{{"issuer":"https://a.example",{uri}}} x"#),
        format!(r#"{{"issuer":"https://{}",{uri}}}"#, "a".repeat(2048)),
    ] {
        assert!(
            matches!(
                DiscoveryClaims::parse(rubbish.as_bytes()),
                Err(DiscoveryError::Malformed(_))
            ),
            "{rubbish}"
        );
    }
    for other in [
        "https://a.example/",
        "https://A.example",
        "http://a.example",
        "https://a.example:443",
        " https://a.example",
    ] {
        let document = format!(r#"{{"issuer":"{other}",{uri}}}"#);
        let claims = DiscoveryClaims::parse(document.as_bytes()).unwrap();
        let expected = DiscoveryError::Issuer {
            expected: issuer.to_string(),
            found: other.to_owned(),
        };
        assert_eq!(claims.check_issuer(&issuer), Err(expected));
    }
}

#[test]
fn an_issuer_has_no_dot_segment_however_it_is_written() {
    // URL parsers of browsers and of many HTTP clients fold these too (WHATWG URL, "double-dot path segment").
    for segment in ["%2e", "%2E", "%2e%2e", "%2E%2e", ".%2e", "%2E."] {
        assert!(
            format!("https://a.example/{segment}/b")
                .parse::<IssuerUrl>()
                .is_err(),
            "{segment}"
        );
    }
    assert!("https://a.example/%2e%2ea/..b".parse::<IssuerUrl>().is_ok());
}

/// A JSON value as strangers write them.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(".{0,4}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// A member that a key may have, with a value that is right, nearly right or anything.
fn member() -> impl Strategy<Value = (String, Value)> {
    let names = prop::sample::select(vec![
        "kty", "use", "alg", "kid", "n", "e", "crv", "x", "y", "x5c", "key_ops", "pub", "d", "k",
    ]);
    let values = prop_oneof![
        3 => prop::sample::select(vec![
            "RSA", "EC", "OKP", "oct", "sig", "enc", "RS256", "RS512", "ES256", "ES384", "P-256", "P-521", "a", "b",
            "AQAB", "Aw", "",
        ]).prop_map(Value::from),
        1 => any_json(),
    ];
    (names.prop_map(str::to_owned), values)
}

fn key() -> impl Strategy<Value = Value> {
    let kid = prop::sample::select(vec!["a", "b", "c", "\u{e9}", "\"\\"]);
    let base = prop_oneof![
        (kid.clone(), 0u32..4).prop_map(|(kid, seed)| rsa_json(kid, seed)),
        (kid, 0usize..4).prop_map(|(kid, point)| ec_json(kid, point)),
        prop::sample::select(vectors()).prop_map(|vector| vector["jwk"].clone()),
    ];
    (
        base,
        prop::collection::vec(member(), 0..2),
        prop::option::of(0usize..6),
    )
        .prop_map(|(mut key, changes, without)| {
            let members = key.as_object_mut().unwrap();
            if let Some(name) = without.and_then(|at| members.keys().nth(at).cloned()) {
                members.remove(&name);
            }
            members.extend(changes);
            key
        })
}

/// Checks everything that must hold of whatever is accepted.
fn check_accepted(parsed: &Parsed) {
    const PUBLISHED: [&str; 9] = ["kty", "use", "alg", "kid", "n", "e", "crv", "x", "y"];
    let bytes = parsed.keys.to_bytes();
    let again = KeySet::parse(&bytes).unwrap();
    assert_eq!(again.keys, parsed.keys);
    assert_eq!(again.keys.to_bytes(), bytes);
    assert!(!again.findings.iter().any(kubeassume_core::Finding::is_left_out));
    let document: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(document.as_object().unwrap().keys().collect::<Vec<_>>(), ["keys"]);
    for key in document["keys"].as_array().unwrap() {
        for (name, value) in key.as_object().unwrap() {
            assert!(PUBLISHED.contains(&name.as_str()), "{name}");
            assert!(value.is_string());
        }
        assert_eq!(key["use"], "sig");
    }
    let kids: std::collections::BTreeSet<&str> = parsed.keys.iter().map(Jwk::kid).collect();
    assert_eq!(kids.len(), parsed.keys.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_at_all_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}\",:a-z0-9\\\\u]{0,80}") {
        let _ = KeySet::parse(&bytes);
        let _ = KeySet::parse(text.as_bytes());
        let _ = DiscoveryClaims::parse(&bytes);
        let _ = KeySet::parse(json!({"keys": [text, bytes]}).to_string().as_bytes());
    }

    #[test]
    fn what_is_accepted_is_a_fixed_point(keys in prop::collection::vec(prop_oneof![9 => key(), 1 => any_json()], 0..6)) {
        if let Ok(parsed) = parse(&keys) {
            check_accepted(&parsed);
        }
    }

    #[test]
    fn documents_with_flipped_bytes_are_refused_or_right(
        keys in prop::collection::vec(key(), 1..4),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = document(&keys);
        for (at, to) in flips {
            let at = at.index(bytes.len());
            bytes[at] = to;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(parsed) = KeySet::parse(&bytes) {
            check_accepted(&parsed);
        }
    }
}
