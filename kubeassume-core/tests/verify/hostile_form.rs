//! Headers and encodings that must be refused, each in a token that is otherwise good.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::hostile::{header, refused};
use super::signer::{RSA, Signer, b64};
use super::site::{World, claims};

#[tokio::test]
async fn headers_that_bring_something_along() {
    let jwk = Signer::rsa("rsa-1", "RS256");
    let mut cases = vec![
        (
            "its own key",
            jwk.token_with(
                &format!(r#"{{"alg":"RS256","kid":"rsa-1","jwk":{}}}"#, jwk.jwk()),
                &claims(),
            ),
            "token",
            "jwk",
        ),
        ("kid missing", header(r#"{"alg":"RS256"}"#), "token", "kid"),
        (
            "kid twice",
            header(r#"{"alg":"RS256","kid":"rsa-1","kid":"rsa-1"}"#),
            "token",
            "stands twice",
        ),
        (
            "kid is a number",
            header(r#"{"alg":"RS256","kid":1}"#),
            "token",
            "kid",
        ),
        (
            "kid is null",
            header(r#"{"alg":"RS256","kid":null}"#),
            "token",
            "kid",
        ),
        (
            "kid empty",
            header(r#"{"alg":"RS256","kid":""}"#),
            "token",
            "kid is empty",
        ),
        (
            "kid of 257 bytes",
            header(&format!(r#"{{"alg":"RS256","kid":"{}"}}"#, "k".repeat(257))),
            "token",
            "longer",
        ),
        (
            "kid unknown",
            header(r#"{"alg":"RS256","kid":"rsa-2"}"#),
            "key",
            "nothing is published",
        ),
        (
            "kid in another case",
            header(r#"{"alg":"RS256","kid":"RSA-1"}"#),
            "key",
            "nothing is published",
        ),
        (
            "kid that is a path",
            header(r#"{"alg":"RS256","kid":"../../etc/passwd"}"#),
            "key",
            "nothing is published",
        ),
        (
            "kid that forges a log line",
            header(r#"{"alg":"RS256","kid":"x\nERROR breach"}"#),
            "key",
            r"x\nERROR",
        ),
        (
            "an access token",
            header(r#"{"alg":"RS256","kid":"rsa-1","typ":"at+jwt"}"#),
            "token",
            "at+jwt",
        ),
        (
            "a logout token",
            header(r#"{"alg":"RS256","kid":"rsa-1","typ":"logout+jwt"}"#),
            "token",
            "logout+jwt",
        ),
        (
            "typ is a number",
            header(r#"{"alg":"RS256","kid":"rsa-1","typ":1}"#),
            "token",
            "not a string",
        ),
        (
            "an array",
            header(r#"["RS256","rsa-1"]"#),
            "token",
            "not a JSON object",
        ),
        ("a string", header(r#""RS256""#), "token", "not a JSON object"),
        ("not JSON", header("alg=RS256"), "token", "header is malformed"),
        ("empty", header(""), "token", "header is malformed"),
        (
            "a byte order mark",
            header("\u{feff}{\"alg\":\"RS256\",\"kid\":\"rsa-1\"}"),
            "token",
            "header is malformed",
        ),
        (
            "bytes after it",
            header(r#"{"alg":"RS256","kid":"rsa-1"}{}"#),
            "token",
            "header is malformed",
        ),
        (
            "a zero byte after it",
            header("{\"alg\":\"RS256\",\"kid\":\"rsa-1\"}\0"),
            "token",
            "header is malformed",
        ),
        (
            "a lone surrogate",
            header(r#"{"alg":"RS256","kid":"\ud800"}"#),
            "token",
            "header is malformed",
        ),
        (
            "deep nesting",
            header(&format!(
                r#"{{"alg":"RS256","kid":"rsa-1","x":{}{}}}"#,
                "[".repeat(5000),
                "]".repeat(5000)
            )),
            "token",
            "nested deeper",
        ),
    ];
    for (name, value) in [
        ("crit", r#"["exp"]"#),
        ("crit", "[]"),
        ("jku", r#""https://oidc.example.com/cluster1/openid/v1/jwks""#),
        ("jwk", "null"),
        ("x5u", r#""https://evil.example/c.pem""#),
        ("x5c", r#"["MIIB"]"#),
        ("b64", "true"),
        ("b64", "false"),
        ("zip", r#""DEF""#),
        ("enc", r#""A256GCM""#),
    ] {
        let text = format!(r#"{{"alg":"RS256","kid":"rsa-1","{name}":{value}}}"#);
        cases.push((name, header(&text), "token", name));
    }
    let escaped = header(r#"{"alg":"RS256","kid":"rsa-1","\u0063rit":["b64"]}"#);
    cases.push(("crit, escaped", escaped, "token", "crit"));
    refused(&World::new(), cases).await;
}

#[tokio::test]
async fn forms_that_another_reader_could_take_for_the_same_token() {
    let good = RSA.token(&claims());
    let [h, c, s] = good.split('.').collect::<Vec<_>>()[..] else {
        panic!()
    };
    // Claims whose length leaves unused bits in the last character.
    let spare = (0..3)
        .map(|n| claims().replace("\"uid\":\"9d0b", &format!("\"uid\":\"9d0b{}", "x".repeat(n))))
        .find(|text| text.len() % 3 == 1)
        .unwrap();
    let stray = format!("{}.{}", b64(RSA.header()), next_in_alphabet(&b64(&spare)));
    let padded = |segment: &str| format!("{segment}{}", "=".repeat((4 - segment.len() % 4) % 4));
    let padded_claims = RSA.sign(&format!("{h}.{}", padded(&b64(&spare))));
    assert!(padded_claims.contains('='));
    let standard = STANDARD_NO_PAD.encode(claims().replace("9d0b", "??>>~~"));
    assert!(standard.contains(['+', '/']));

    let cases = vec![
        ("empty", String::new(), "token", "three segments"),
        ("one segment", h.to_owned(), "token", "three segments"),
        ("two segments", format!("{h}.{c}"), "token", "three segments"),
        ("four segments", format!("{good}.{s}"), "token", "three segments"),
        (
            "five segments, as encrypted ones have",
            format!("{h}..{c}.{s}.{s}"),
            "token",
            "three segments",
        ),
        ("dots", "..".to_owned(), "token", "not signed"),
        ("an empty header", format!(".{c}.{s}"), "token", "header"),
        ("empty claims", RSA.sign(&format!("{h}.")), "claims", "malformed"),
        ("a padded header", format!("{h}=.{c}.{s}"), "token", "base64url"),
        (
            "a padded signature",
            format!("{h}.{c}.{}", padded(s)),
            "token",
            "base64url",
        ),
        ("padded claims, signed so", padded_claims, "token", "base64url"),
        (
            "stray bits in the claims, signed so",
            RSA.sign(&stray),
            "token",
            "base64url",
        ),
        (
            "stray bits in the signature",
            format!("{h}.{c}.{}", next_in_alphabet(s)),
            "token",
            "base64url",
        ),
        (
            "the other alphabet, signed so",
            RSA.sign(&format!("{h}.{standard}")),
            "token",
            "base64url",
        ),
        ("a space before", format!(" {good}"), "token", "base64url"),
        ("a space after", format!("{good} "), "token", "base64url"),
        ("a line break after", format!("{good}\n"), "token", "base64url"),
        (
            "a line break within",
            format!("{h}.{}\n{}.{s}", &c[..76], &c[76..]),
            "signature",
            "altered",
        ),
        (
            "a line break within, signed so",
            RSA.sign(&format!("{h}.{}\n{}", &c[..76], &c[76..])),
            "token",
            "base64url",
        ),
        ("a zero byte", format!("{good}\0"), "token", "base64url"),
        ("Bearer", format!("Bearer {good}"), "token", "base64url"),
        ("quoted", format!("\"{good}\""), "token", "base64url"),
        ("not ASCII", format!("{good}é"), "token", "base64url"),
        (
            "over 64 KiB",
            RSA.token(&claims().replace("9d0b", &"x".repeat(65 * 1024))),
            "token",
            "longer than 65536",
        ),
    ];
    let world = World::new();
    world.verify(&RSA.token(&spare)).await.unwrap();
    refused(&world, cases).await;
}

/// The same bytes to a decoder that ignores the unused bits of the last character.
fn next_in_alphabet(segment: &str) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (start, last) = segment.split_at(segment.len() - 1);
    let at = alphabet.iter().position(|c| *c == last.as_bytes()[0]).unwrap();
    assert!(
        !segment.len().is_multiple_of(4) && at + 1 < 64,
        "the last character has unused bits"
    );
    let other = format!("{start}{}", char::from(alphabet[at + 1]));
    assert!(URL_SAFE_NO_PAD.decode(segment).is_ok());
    other
}
