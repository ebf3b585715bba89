//! The hops before the key: what a hostile or broken issuer publishes.

use kubeassume_core::PublicReadError;
use kubeassume_core::verify::{Remark, check_documents};
use serde_json::{Value, json};

use super::signer::{P256, RSA};
use super::site::{ISSUER, Site, World, claims, discovery, document_of, issuer};

async fn hop_and_text(world: &World) -> (&'static str, String) {
    let error = world.verify(&RSA.token(&claims())).await.unwrap_err();
    let checked = check_documents(&issuer(), &*world.site).await.unwrap_err();
    assert_eq!(
        error, checked,
        "with and without a token, the documents fail alike"
    );
    (error.hop(), error.to_string())
}

#[tokio::test]
async fn a_discovery_document_that_cannot_be_trusted_stops_the_way() {
    let with = |member: &str, value: Value| {
        let mut document = discovery();
        document[member] = value;
        Ok(document_of(document.to_string(), None))
    };
    let text = |text: &str| Ok(document_of(text, None));
    let twice = discovery()
        .to_string()
        .replacen('{', r#"{"issuer":"https://evil.example","#, 1);
    let large = " ".repeat(1 << 20) + &discovery().to_string();
    for (answer, says) in [
        (Err(PublicReadError::Status(404)), "HTTP status 404"),
        (Err(PublicReadError::Redirect(302)), "it redirects"),
        (Err(PublicReadError::Timeout), "did not answer within 5 s"),
        (
            Err(PublicReadError::Unreachable("no such host".to_owned())),
            "no such host",
        ),
        (with("issuer", json!("https://evil.example")), "expected"),
        (with("issuer", json!(format!("{ISSUER}/"))), "expected"),
        (with("issuer", json!(ISSUER.to_uppercase())), "expected"),
        (with("issuer", json!([ISSUER])), "no string \"issuer\""),
        (
            with("jwks_uri", json!("http://oidc.example.com/openid/v1/jwks")),
            "not an https URL",
        ),
        (
            with("jwks_uri", json!("HTTPS://oidc.example.com/openid/v1/jwks")),
            "not an https URL",
        ),
        (with("jwks_uri", json!("file:///etc/keys")), "not an https URL"),
        (with("jwks_uri", json!("/openid/v1/jwks")), "not an https URL"),
        (with("jwks_uri", json!("")), "not an https URL"),
        (with("jwks_uri", json!(null)), "no string \"jwks_uri\""),
        (text(&twice), "stands twice"),
        (text("<html>"), "malformed"),
        (text(""), "malformed"),
        (text("[]"), "malformed"),
        (text(&large), "larger than"),
    ] {
        let world = World::new();
        world.site.answer(&issuer().discovery_url(), answer);
        let (hop, error) = hop_and_text(&world).await;
        assert_eq!(hop, "discovery", "{error}");
        assert!(error.contains(says), "{error}");
        assert!(
            error.contains("https://oidc.example.com/cluster1/.well-known/openid-configuration"),
            "{error}"
        );
        assert!(
            world
                .site
                .reads()
                .iter()
                .all(|url| *url == issuer().discovery_url()),
            "the way went on"
        );
    }
}

#[tokio::test]
async fn a_key_set_that_cannot_be_trusted_stops_the_way() {
    let keys = |keys: Value| Ok(document_of(json!({ "keys": keys }).to_string(), None));
    let mut private = RSA.jwk();
    private["d"] = json!("AQAB");
    let mut twin = P256.jwk();
    twin["kid"] = json!("rsa-1");
    let large = " ".repeat(1 << 20) + &json!({"keys": [RSA.jwk()]}).to_string();
    for (answer, says) in [
        (Err(PublicReadError::Status(403)), "HTTP status 403"),
        (Err(PublicReadError::Redirect(307)), "it redirects"),
        (Err(PublicReadError::TooLarge(1 << 20)), "larger than"),
        (Ok(document_of(large, None)), "larger than"),
        (keys(json!([])), "no usable key"),
        (keys(json!({})), "no array"),
        (keys(json!([private])), "private"),
        (
            keys(json!([RSA.jwk(), {"kty": "oct", "k": "c2VjcmV0", "kid": "x"}])),
            "symmetric",
        ),
        (keys(json!([RSA.jwk(), twin])), "two different keys"),
        (Ok(document_of("{\"keys\":[],\"keys\":[]}", None)), "stands twice"),
        (Ok(document_of("<html>", None)), "malformed"),
    ] {
        let world = World::new();
        world.site.answer(&issuer().jwks_uri(), answer);
        let (hop, error) = hop_and_text(&world).await;
        assert_eq!(hop, "jwks", "{error}");
        assert!(error.contains(says), "{error}");
        assert!(error.contains(&issuer().jwks_uri()), "{error}");
    }
}

#[tokio::test]
async fn the_key_set_is_read_where_the_discovery_document_says() {
    let world = World::new();
    let elsewhere = "https://keys.example.net/c1.json";
    let mut document = discovery();
    document["jwks_uri"] = json!(elsewhere);
    world.site.serve(&issuer().discovery_url(), &document);
    world.site.serve(elsewhere, &json!({"keys": [P256.jwk()]}));
    world.verify(&P256.token(&claims())).await.unwrap();
    assert_eq!(
        world.site.reads(),
        [issuer().discovery_url(), elsewhere.to_owned()]
    );

    let copy = check_documents(&issuer(), &*world.site).await.unwrap();
    assert_eq!(copy.jwks_uri, elsewhere);
    assert!(
        copy.remarks
            .iter()
            .any(|r| matches!(r, Remark::JwksUri { found, .. } if found == elsewhere))
    );
}

#[tokio::test]
async fn retrying_is_advised_only_where_it_can_help() {
    for (error, retryable) in [
        (PublicReadError::Timeout, true),
        (PublicReadError::Status(503), true),
        (PublicReadError::Status(429), true),
        (PublicReadError::Status(404), false),
        (PublicReadError::Redirect(301), false),
    ] {
        let world = World::new();
        world.site.answer(&issuer().jwks_uri(), Err(error.clone()));
        let failure = world.verify(&RSA.token(&claims())).await.unwrap_err();
        assert_eq!(failure.is_retryable(), retryable, "{failure}");
    }
    let world = World::new();
    assert!(!world.verify("x").await.unwrap_err().is_retryable());
    let unknown = RSA.token_with(r#"{"alg":"RS256","kid":"new"}"#, &claims());
    assert!(world.verify(&unknown).await.unwrap_err().is_retryable());
}

#[tokio::test]
async fn remarks_tell_what_a_less_strict_client_stumbles_over() {
    let site = Site::new();
    let mut ml_dsa = json!({"kty": "AKP", "alg": "ML-DSA-44", "kid": "pq", "pub": "AAAA"});
    ml_dsa["use"] = json!("sig");
    site.serve(&issuer().jwks_uri(), &json!({"keys": [RSA.jwk(), ml_dsa]}));
    let mut jwks = document_of(
        json!({"keys": [RSA.jwk(), ml_dsa]}).to_string(),
        Some("max-age=31536000"),
    );
    jwks.content_type = Some("text/plain; charset=utf-8".to_owned());
    site.answer(&issuer().jwks_uri(), Ok(jwks));
    let mut document = document_of(discovery().to_string(), None);
    document.content_type = Some("Application/JSON; charset=utf-8".to_owned());
    site.answer(&issuer().discovery_url(), Ok(document));

    let copy = check_documents(&issuer(), &*site).await.unwrap();
    assert_eq!(copy.keys.len(), 1);
    let remarks: Vec<String> = copy.remarks.iter().map(ToString::to_string).collect();
    let has = |text: &str| remarks.iter().filter(|remark| remark.contains(text)).count();
    assert_eq!(has("no Cache-Control max-age"), 1, "{remarks:#?}");
    assert_eq!(has("may be kept for 31536000 s"), 1, "{remarks:#?}");
    assert_eq!(
        has("Content-Type \"text/plain; charset=utf-8\", expected application/jwk-set+json"),
        1,
        "{remarks:#?}"
    );
    assert_eq!(has("\"AKP\""), 1, "{remarks:#?}");
    assert_eq!(
        has("its kid is not the one Kubernetes would give it"),
        1,
        "{remarks:#?}"
    );
    assert_eq!(remarks.len(), 5, "{remarks:#?}");
}
