//! Tokens that must be refused. Each is a mutation of one that is accepted, signed again with the published
//! key wherever that is what an attacker (or a broken issuer) could do, so that nothing but the rule under
//! test refuses it.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256,
};

use super::signer::{P256, P384, P521, Pair, RSA, Signer, b64};
use super::site::{ISSUER, SUBJECT, Site, World, claims};

/// Checks that each token is refused at its hop, for the reason given, and that the error tells nothing
/// that would let its reader use the token.
pub(crate) async fn refused(world: &World, cases: Vec<(&str, String, &str, &str)>) {
    for signer in [&*RSA, &*P256] {
        world.verify(&signer.token(&claims())).await.unwrap();
    }
    for (name, token, hop, says) in cases {
        let Err(error) = world.verify(&token).await else {
            panic!("{name}: accepted")
        };
        assert_eq!(error.hop(), hop, "{name}: {error}");
        assert!(error.to_string().contains(says), "{name}: {error}");
        let told = format!("{error} {error:?}");
        for segment in token.split('.').filter(|segment| segment.len() > 16) {
            assert!(!told.contains(segment), "{name}: the error shows the token");
        }
        assert!(!told.contains(SUBJECT), "{name}: the error shows the subject");
    }
}

/// A token of this header, signed with the RSA key.
pub(crate) fn header(text: &str) -> String {
    RSA.token_with(text, &claims())
}

#[tokio::test]
async fn algorithms_of_the_tokens_own_choice() {
    let signed = |header: &str| format!("{}.{}", b64(header), b64(claims()));
    let hmac_of = |secret: &[u8], kid: &str| {
        let signed = signed(&format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
        format!("{signed}.{}", b64(tag))
    };
    let Pair::Rsa(rsa) = &RSA.pair else { panic!() };
    let rsa_as = |alg: &str, encoding: &'static dyn aws_lc_rs::signature::RsaEncoding| {
        let signed = signed(&format!(r#"{{"alg":"{alg}","kid":"rsa-1"}}"#));
        let signature = RSA.rsa_signature(encoding, signed.as_bytes());
        format!("{signed}.{}", b64(signature))
    };
    let mut cases = vec![
        (
            "HS256 with the public key",
            hmac_of(rsa.public_key().as_ref(), "rsa-1"),
            "token",
            "HS256",
        ),
        (
            "HS256 with the JWK's n",
            hmac_of(RSA.jwk()["n"].as_str().unwrap().as_bytes(), "rsa-1"),
            "token",
            "HS256",
        ),
        ("HS256 with nothing", hmac_of(b"", "rsa-1"), "token", "HS256"),
        ("PS256", rsa_as("PS256", &RSA_PSS_SHA256), "token", "PS256"),
        (
            "RS512 of an RS256 key",
            rsa_as("RS512", &RSA_PKCS1_SHA512),
            "key",
            "RS256 only",
        ),
        (
            "RS384 of an RS256 key",
            rsa_as("RS384", &RSA_PKCS1_SHA384),
            "key",
            "RS256 only",
        ),
        (
            "PSS under the name RS256",
            rsa_as("RS256", &RSA_PSS_SHA256),
            "signature",
            "altered",
        ),
        (
            "SHA-512 under the name RS256",
            rsa_as("RS256", &RSA_PKCS1_SHA512),
            "signature",
            "altered",
        ),
        (
            "ES256 with the kid of a P-384 key",
            P256.token_with(r#"{"alg":"ES256","kid":"p384-1"}"#, &claims()),
            "key",
            "ES384 only",
        ),
        (
            "ES384 by a P-256 key",
            P256.token_with(r#"{"alg":"ES384","kid":"p256-1"}"#, &claims()),
            "key",
            "ES256 only",
        ),
        (
            "ES256 with the kid of an RSA key",
            P256.token_with(r#"{"alg":"ES256","kid":"rsa-1"}"#, &claims()),
            "key",
            "RS256 only",
        ),
        (
            "RS256 with the kid of an EC key",
            RSA.token_with(r#"{"alg":"RS256","kid":"p256-1"}"#, &claims()),
            "key",
            "ES256 only",
        ),
        ("alg missing", header(r#"{"kid":"rsa-1"}"#), "token", "alg"),
        (
            "alg is a number",
            header(r#"{"alg":256,"kid":"rsa-1"}"#),
            "token",
            "alg",
        ),
        (
            "alg is an array",
            header(r#"{"alg":["RS256"],"kid":"rsa-1"}"#),
            "token",
            "alg",
        ),
        (
            "alg in lower case",
            header(r#"{"alg":"rs256","kid":"rsa-1"}"#),
            "token",
            "rs256",
        ),
        (
            "alg with a space",
            header(r#"{"alg":"RS256 ","kid":"rsa-1"}"#),
            "token",
            "RS256 ",
        ),
        (
            "alg twice",
            header(r#"{"alg":"RS256","alg":"RS256","kid":"rsa-1"}"#),
            "token",
            "stands twice",
        ),
        (
            "alg twice, once escaped",
            header(r#"{"alg":"RS256","\u0061lg":"none","kid":"rsa-1"}"#),
            "token",
            "stands twice",
        ),
    ];
    for none in ["none", "None", "NONE", "nOnE", ""] {
        let signed = signed(&format!(r#"{{"alg":"{none}","kid":"rsa-1"}}"#));
        cases.push(("none, unsigned", format!("{signed}."), "token", "not signed"));
        cases.push((
            "none, signed",
            RSA.sign(&signed),
            "token",
            "is not one that published keys have",
        ));
    }
    refused(&World::new(), cases).await;
}

#[tokio::test]
async fn signatures_that_are_almost_right() {
    let signed = |signer: &Signer| format!("{}.{}", b64(signer.header()), b64(claims()));
    let with = |signer: &Signer, signature: &[u8]| format!("{}.{}", signed(signer), b64(signature));
    let of = |signer: &Signer| signer.signature(signed(signer).as_bytes());

    let Pair::Ec(p256) = &P256.pair else { panic!() };
    let same_key = EcdsaKeyPair::from_private_key_der(
        &ECDSA_P256_SHA256_ASN1_SIGNING,
        aws_lc_rs::encoding::AsDer::as_der(&p256.private_key())
            .unwrap()
            .as_ref(),
    )
    .unwrap();
    let der = same_key
        .sign(&SystemRandom::new(), signed(&P256).as_bytes())
        .unwrap();
    let (r, s) = {
        let good = of(&P256);
        (good[..32].to_vec(), good[32..].to_vec())
    };
    // The group's order: an s of zero in another spelling.
    let n = [
        0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
        0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let zero = [0u8; 32];
    let rsa = of(&RSA);
    let stranger = Signer::rsa("rsa-1", "RS256");
    let bad = "signature";
    let mut cases = vec![
        (
            "another RSA key under the same kid",
            stranger.token(&claims()),
            bad,
            "altered",
        ),
        (
            "DER instead of r and s",
            with(&P256, der.as_ref()),
            bad,
            "altered",
        ),
        (
            "r is zero",
            with(&P256, &[&zero[..], &s].concat()),
            bad,
            "altered",
        ),
        (
            "s is zero",
            with(&P256, &[&r[..], &zero].concat()),
            bad,
            "altered",
        ),
        ("both are zero", with(&P256, &[0; 64]), bad, "altered"),
        (
            "r is the order",
            with(&P256, &[&n[..], &s].concat()),
            bad,
            "altered",
        ),
        (
            "s is the order",
            with(&P256, &[&r[..], &n].concat()),
            bad,
            "altered",
        ),
        (
            "r and s exchanged",
            with(&P256, &[&s[..], &r].concat()),
            bad,
            "altered",
        ),
        ("a byte short", with(&P256, &of(&P256)[..63]), bad, "altered"),
        (
            "padded to another curve's length",
            with(&P256, &[&zero[..16], &r, &zero[..16], &s].concat()),
            bad,
            "altered",
        ),
        (
            "P-521 padded",
            with(&P521, &[&[0], &of(&P521)[..]].concat()),
            bad,
            "altered",
        ),
        ("P-384 all ones", with(&P384, &[0xff; 96]), bad, "altered"),
        (
            "RSA with a leading zero",
            with(&RSA, &[&[0], &rsa[..]].concat()),
            bad,
            "altered",
        ),
        ("RSA a byte short", with(&RSA, &rsa[..255]), bad, "altered"),
        ("RSA zero", with(&RSA, &[0; 256]), bad, "altered"),
        (
            "RSA one",
            with(&RSA, &[&[0; 255][..], &[1]].concat()),
            bad,
            "altered",
        ),
        ("one byte", with(&RSA, &[1]), bad, "altered"),
        (
            "no signature",
            format!("{}.", signed(&RSA)),
            "token",
            "not signed",
        ),
    ];
    let other = claims().replace("checkout", "cashier!");
    let swapped = format!("{}.{}.{}", b64(RSA.header()), b64(other), b64(&rsa));
    cases.push(("other claims under a good signature", swapped, bad, "altered"));
    refused(&World::new(), cases).await;
}

#[tokio::test]
async fn nothing_is_read_for_a_token_of_bad_form() {
    let world = World::new();
    for token in [
        "",
        "a.b.c",
        &header(r#"{"alg":"none","kid":"rsa-1"}"#),
        &header(r#"{"alg":"RS256"}"#),
    ] {
        assert_eq!(world.hop(token).await, "token");
    }
    assert_eq!(world.site.reads(), Vec::<String>::new());
}

#[tokio::test]
async fn another_clusters_token_is_named_as_such() {
    let world = World::new();
    let foreign = Signer::ec("foreign", "ES256");
    let claims = claims().replace(ISSUER, "https://oidc.example.com/cluster2");
    let error = world.verify(&foreign.token(&claims)).await.unwrap_err();
    assert_eq!(error.hop(), "key");
    assert!(
        error
            .to_string()
            .contains(r#"the token names issuer "https://oidc.example.com/cluster2""#),
        "{error}"
    );
}

#[tokio::test]
async fn a_weak_published_key_is_refused_with_its_reason() {
    let mut weak = RSA.jwk();
    weak["n"] = b64([0xff; 128]).into();
    let site = Site::new();
    site.serve(
        &super::site::issuer().jwks_uri(),
        &serde_json::json!({"keys": [weak, P256.jwk()]}),
    );
    let world = World::on(site);
    world.verify(&P256.token(&claims())).await.unwrap();
    let error = world.verify(&RSA.token(&claims())).await.unwrap_err();
    assert_eq!(error.hop(), "key");
    assert!(error.to_string().contains("1024 bits"), "{error}");
}
