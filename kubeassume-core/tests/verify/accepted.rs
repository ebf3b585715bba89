//! Tokens that must be accepted, checked against a library that shares no code with ours.

use jsonwebtoken::{DecodingKey, Validation};
use serde_json::Value;

use super::signer::{P256, P384, P521, RSA, Signer};
use super::site::{AUDIENCE, ISSUER, NOW, SUBJECT, Site, World, claims};

#[tokio::test]
async fn a_kubernetes_token_of_every_kind_of_key_is_accepted() {
    let world = World::new();
    for signer in [&*RSA, &*P256, &*P384, &*P521] {
        let claims = world.verify(&signer.token(&claims())).await.unwrap();
        assert_eq!(claims.issuer.as_str(), ISSUER);
        assert_eq!(claims.subject, SUBJECT);
        assert_eq!(claims.audiences, [AUDIENCE, ISSUER]);
        assert_eq!(claims.kid, signer.kid);
        assert_eq!(claims.algorithm.name(), signer.algorithm);
        assert_eq!(claims.issued_at.as_second(), NOW);
        assert_eq!(claims.expires_at.as_second(), NOW + 3600);
        assert_eq!(claims.not_before.unwrap().as_second(), NOW);
    }
}

#[tokio::test]
async fn the_wider_hashes_are_accepted_for_keys_that_are_published_with_them() {
    let signers = [Signer::rsa("wide-384", "RS384"), Signer::rsa("wide-512", "RS512")];
    let world = World::on(Site::with_keys(&[&signers[0], &signers[1]]));
    for signer in &signers {
        world.verify(&signer.token(&claims())).await.unwrap();
    }
}

/// What the RFCs allow beyond what Kubernetes writes.
#[tokio::test]
async fn other_spellings_of_a_good_token_are_accepted() {
    let world = World::new();
    let aud = format!(r#"["{AUDIENCE}","{ISSUER}"]"#);
    for (what, from, to) in [
        (
            "one audience as a string",
            aud.as_str(),
            format!(r#""{AUDIENCE}""#),
        ),
        ("one audience as an array", &aud, format!(r#"["{AUDIENCE}"]"#)),
        ("no nbf", r#""nbf":1800000000,"#, String::new()),
        (
            "a fraction of a second",
            r#""exp":1800003600"#,
            r#""exp":1800003600.5"#.to_owned(),
        ),
        ("an exponent", r#""iat":1800000000"#, r#""iat":1.8e9"#.to_owned()),
        (
            "a claim nobody knows",
            r#""jti":"#,
            r#""deep":[[[1]]],"jti":"#.to_owned(),
        ),
        ("an escaped name", r#""sub":"#, r#""\u0073ub":"#.to_owned()),
        (
            "iat at the edge of the tolerance",
            r#""iat":1800000000"#,
            r#""iat":1800000060"#.to_owned(),
        ),
        (
            "nbf at the edge of the tolerance",
            r#""nbf":1800000000"#,
            r#""nbf":1800000060"#.to_owned(),
        ),
        (
            "exp just inside the tolerance",
            r#""exp":1800003600"#,
            r#""exp":1799999941"#.to_owned(),
        ),
        (
            "the longest subject of Kubernetes",
            "shop:checkout",
            format!("{}:{}", "n".repeat(63), "a".repeat(253)),
        ),
    ] {
        let mutated = claims().replacen(from, &to, 1);
        assert_ne!(mutated, claims(), "{what}");
        world
            .verify(&RSA.token(&mutated))
            .await
            .unwrap_or_else(|e| panic!("{what}: {e}"));
    }
    for header in [
        r#"{"alg":"RS256","kid":"rsa-1","typ":"JWT"}"#,
        r#"{"typ":"jwt","kid":"rsa-1","alg":"RS256"}"#,
        r#" { "alg" : "RS256", "kid" : "rsa\u002d1", "x5t": "ignored" } "#,
    ] {
        world.verify(&RSA.token_with(header, &claims())).await.unwrap();
    }
}

/// The same keys and tokens through `jsonwebtoken`: both accept, and both refuse a spoiled one.
#[tokio::test]
async fn an_independent_library_agrees() {
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let world = World::new();
    for signer in [&*RSA, &*P256, &*P384] {
        let key: jsonwebtoken::jwk::Jwk = serde_json::from_value(signer.jwk()).unwrap();
        let key = DecodingKey::from_jwk(&key).unwrap();
        let mut rules = Validation::new(signer.algorithm.parse().unwrap());
        rules.set_audience(&[AUDIENCE]);
        rules.set_issuer(&[ISSUER]);
        rules.set_required_spec_claims(&["exp", "iss", "sub", "aud"]);

        let good = signer.token(&claims());
        let changed = signer.token(&claims().replace(SUBJECT, "system:serviceaccount:shop:cashier"));
        let spoiled = format!(
            "{}.{}",
            changed.rsplit_once('.').unwrap().0,
            good.rsplit_once('.').unwrap().1
        );
        let theirs = jsonwebtoken::decode::<Value>(&good, &key, &rules).unwrap();
        let ours = world.verify(&good).await.unwrap();
        assert_eq!(theirs.claims["sub"], ours.subject.as_str());
        assert!(jsonwebtoken::decode::<Value>(&spoiled, &key, &rules).is_err());
        assert_eq!(world.hop(&spoiled).await, "signature");
    }
}
