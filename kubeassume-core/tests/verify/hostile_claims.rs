//! Claims that must be refused although the signature holds.

use super::hostile::refused;
use super::signer::{P256, RSA, b64};
use super::site::{AUDIENCE, ISSUER, SUBJECT, World, claims};

#[tokio::test]
async fn claims_that_do_not_hold() {
    let aud = format!(r#""aud":["{AUDIENCE}","{ISSUER}"]"#);
    let (aud, sub) = (aud.as_str(), format!(r#""sub":"{SUBJECT}""#));
    let (exp, iat, nbf) = (
        r#""exp":1800003600"#,
        r#""iat":1800000000"#,
        r#""nbf":1800000000"#,
    );
    let iss = format!(r#""iss":"{ISSUER}""#);
    let long = format!(r#""sub":"{}""#, "s".repeat(513));
    let many = format!(r#""aud":["{AUDIENCE}"{}]"#, r#","a""#.repeat(100));
    let slash = format!(r#""iss":"{ISSUER}/""#);
    let upper = format!(r#""iss":"{}""#, ISSUER.replace("oidc", "OIDC"));
    let plain = format!(r#""iss":"{}""#, ISSUER.replace("https", "http"));
    let iss_array = format!(r#""iss":["{ISSUER}"]"#);
    let iss_twice = format!(r#"{iss},{iss}"#);
    let iss_zero = format!(r#""iss":"{ISSUER}\u0000""#);
    let sub_twice = format!(r#"{sub},"\u0073ub":"system:serviceaccount:kube-system:root""#);
    let nested = format!(r#""aud":[["{AUDIENCE}"]]"#);
    let mixed = format!(r#""aud":["{AUDIENCE}",1]"#);
    let blank = format!(r#""aud":["{AUDIENCE}",""]"#);
    let object = format!(r#""aud":{{"0":"{AUDIENCE}"}}"#);
    let longer = format!(r#""aud":["{AUDIENCE}.evil.example"]"#);
    let shorter = r#""aud":["sts.example.co"]"#;
    let upper_aud = format!(r#""aud":"{}""#, AUDIENCE.to_uppercase());
    let mut cases = Vec::new();
    for (name, from, to, says) in [
        (
            "exp missing",
            exp,
            r#""expires":1800003600"#,
            "\"exp\" is missing",
        ),
        ("exp is text", exp, r#""exp":"1800003600""#, "\"exp\" is not"),
        ("exp is null", exp, r#""exp":null"#, "\"exp\" is not"),
        ("exp is true", exp, r#""exp":true"#, "\"exp\" is not"),
        ("exp is an array", exp, r#""exp":[1800003600]"#, "\"exp\" is not"),
        ("exp is huge", exp, r#""exp":1e300"#, "\"exp\" is not"),
        ("exp overflows a double", exp, r#""exp":1e400"#, "malformed"),
        (
            "exp overflows 64 bits",
            exp,
            r#""exp":18446744073709551616"#,
            "\"exp\" is not",
        ),
        (
            "exp overflows 63 bits",
            exp,
            r#""exp":9223372036854775808"#,
            "\"exp\" is not",
        ),
        (
            "exp in milliseconds",
            exp,
            r#""exp":1800003600000"#,
            "\"exp\" is not",
        ),
        ("exp is negative", exp, r#""exp":-1"#, "\"exp\" is not"),
        (
            "exp is a negative fraction",
            exp,
            r#""exp":-0.5"#,
            "\"exp\" is not",
        ),
        ("exp is NaN", exp, r#""exp":NaN"#, "malformed"),
        ("exp is Infinity", exp, r#""exp":Infinity"#, "malformed"),
        ("exp is hexadecimal", exp, r#""exp":0x7fffffff"#, "malformed"),
        ("exp has a leading zero", exp, r#""exp":01800003600"#, "malformed"),
        ("exp is zero", exp, r#""exp":0"#, "expired"),
        (
            "expired by the whole tolerance",
            exp,
            r#""exp":1799999940"#,
            "expired",
        ),
        (
            "expired by a fraction more",
            exp,
            r#""exp":1799999939.9"#,
            "expired",
        ),
        (
            "exp is a fraction, long ago",
            exp,
            r#""exp":1799999.940"#,
            "expired",
        ),
        ("exp twice", exp, r#""exp":1,"exp":1800003600"#, "stands twice"),
        ("iat missing", iat, r#""issued":1800000000"#, "\"iat\" is missing"),
        ("iat is text", iat, r#""iat":"1800000000""#, "\"iat\" is not"),
        (
            "iat in the future",
            iat,
            r#""iat":1800000061"#,
            "\"iat\" is in the future",
        ),
        (
            "iat a fraction beyond the tolerance",
            iat,
            r#""iat":1800000060.5"#,
            "\"iat\" is in the future",
        ),
        (
            "nbf in the future",
            nbf,
            r#""nbf":1800000061"#,
            "\"nbf\" is in the future",
        ),
        ("nbf is text", nbf, r#""nbf":"1800000000""#, "\"nbf\" is not"),
        ("nbf is null", nbf, r#""nbf":null"#, "\"nbf\" is not"),
        ("nbf is huge", nbf, r#""nbf":1e300"#, "\"nbf\" is not"),
        (
            "aud missing",
            aud,
            r#""audience":"sts.example.com""#,
            "\"aud\" is missing",
        ),
        ("aud empty", aud, r#""aud":[]"#, "\"aud\" is not"),
        ("aud is empty text", aud, r#""aud":"""#, "\"aud\" is not"),
        ("aud is a number", aud, r#""aud":1"#, "\"aud\" is not"),
        ("aud is null", aud, r#""aud":null"#, "\"aud\" is not"),
        ("aud is an object", aud, &object, "\"aud\" is not"),
        ("aud nested", aud, &nested, "\"aud\" is not"),
        ("aud with a number beside ours", aud, &mixed, "\"aud\" is not"),
        ("aud with an empty one beside ours", aud, &blank, "\"aud\" is not"),
        ("aud of 101", aud, &many, "\"aud\" is not"),
        (
            "aud of somebody else",
            aud,
            r#""aud":["vault"]"#,
            "request the token for that audience",
        ),
        ("aud that begins like ours", aud, &longer, "without the expected"),
        ("aud that ours begins like", aud, shorter, "without the expected"),
        ("aud in another case", aud, &upper_aud, "without the expected"),
        ("iss missing", &iss, r#""issuer":"x""#, "\"iss\" is missing"),
        ("iss with a slash", &iss, &slash, "expected exactly"),
        ("iss in another case", &iss, &upper, "expected exactly"),
        ("iss over http", &iss, &plain, "expected exactly"),
        (
            "iss of another cluster",
            &iss,
            r#""iss":"https://oidc.example.com/cluster2""#,
            "expected exactly",
        ),
        ("iss with a zero byte", &iss, &iss_zero, "expected exactly"),
        ("iss is an array", &iss, &iss_array, "\"iss\" is not"),
        ("iss twice", &iss, &iss_twice, "stands twice"),
        ("sub missing", &sub, r#""subject":"x""#, "\"sub\" is missing"),
        ("sub empty", &sub, r#""sub":"""#, "\"sub\" is not"),
        ("sub is a number", &sub, r#""sub":7"#, "\"sub\" is not"),
        ("sub is an array", &sub, r#""sub":["a"]"#, "\"sub\" is not"),
        (
            "sub with a look-alike",
            &sub,
            r#""sub":"system:serviceaccount:shop:chеckout""#,
            "\"sub\" is not",
        ),
        ("sub too long", &sub, &long, "\"sub\" is not"),
        ("sub twice, once escaped", &sub, &sub_twice, "stands twice"),
        (
            "a nested claim twice",
            r#""uid":"9d0b""#,
            r#""uid":"9d0b","uid":"1""#,
            "stands twice",
        ),
        ("a lone surrogate", "9d0b", r"\udc00", "malformed"),
    ] {
        let mutated = claims().replacen(from, to, 1);
        assert_ne!(mutated, claims(), "{name}");
        cases.push((name, RSA.token(&mutated), "claims", says));
    }
    for (name, text, says) in [
        ("an array", format!("[{}]", claims()), "not a JSON object"),
        ("null", "null".to_owned(), "not a JSON object"),
        ("not JSON", "iss=x".to_owned(), "malformed"),
        ("a byte order mark", format!("\u{feff}{}", claims()), "malformed"),
        ("bytes after them", format!("{}x", claims()), "malformed"),
        (
            "another object after them",
            format!("{0}{0}", claims()),
            "malformed",
        ),
        (
            "a trailing comma",
            claims().replace("checkout\"}", "checkout\",}"),
            "malformed",
        ),
        (
            "deep nesting",
            claims().replacen(
                '{',
                &format!(r#"{{"x":{}{},"#, "[".repeat(9000), "]".repeat(9000)),
                1,
            ),
            "nested deeper",
        ),
        (
            "too many members",
            claims().replacen(
                '{',
                &format!(
                    "{{{}",
                    (0..300).map(|i| format!(r#""m{i}":0,"#)).collect::<String>()
                ),
                1,
            ),
            "more than 256",
        ),
        ("a nested token", P256.token(&claims()), "malformed"),
    ] {
        cases.push((name, RSA.token(&text), "claims", says));
    }
    refused(&World::new(), cases).await;

    // Bytes that are not UTF-8 cannot be written in the table.
    let spoiled = claims()
        .replace("9d0b", "9d?b")
        .into_bytes()
        .iter()
        .map(|b| if *b == b'?' { 0xff } else { *b })
        .collect::<Vec<_>>();
    let token = RSA.sign(&format!("{}.{}", b64(RSA.header()), b64(spoiled)));
    assert_eq!(World::new().hop(&token).await, "claims");
}
