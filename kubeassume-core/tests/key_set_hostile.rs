//! Hostile key sets: what is refused as a whole, and which keys are left out.
//!
//! Every row of the tables is a document that an API server, a proxy before it or an attacker on the way
//! could serve.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod keys;

use keys::{b64, document, ec_json, good, modulus, p256_points, parse, rsa_json, rsa_modulus, vector, with};
use kubeassume_core::{DiscoveryClaims, DiscoveryError, FindingKind, Jwk, KeySet, Limits, Problem, Refusal};
use serde_json::{Value, json};

fn bad_rsa(members: &[(&str, Value)]) -> Value {
    with(rsa_json("bad", 1), members)
}

fn bad_ec(members: &[(&str, Value)]) -> Value {
    with(ec_json("bad", 1), members)
}

fn decoded(text: &Value) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(text.as_str().unwrap())
        .unwrap()
}

/// The prime of P-256.
const P256: [u8; 32] = {
    let mut p = [0xff; 32];
    (p[4], p[5], p[6], p[7]) = (0, 0, 0, 1);
    let mut at = 8;
    while at < 20 {
        p[at] = 0;
        at += 1;
    }
    p
};

#[test]
fn malformed_documents_are_refused() {
    let key = good().to_string();
    let point = p256_points()[0];
    let rows: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", b"".to_vec()),
        ("space", b"  ".to_vec()),
        ("no JSON", b"<html>404</html>".to_vec()),
        ("a PEM", b"-----BEGIN PUBLIC KEY-----".to_vec()),
        ("null", b"null".to_vec()),
        ("an array", format!("[{key}]").into_bytes()),
        ("one key alone", key.clone().into_bytes()),
        ("no keys", b"{}".to_vec()),
        (
            "keys under another name",
            format!(r#"{{"Keys":[{key}]}}"#).into_bytes(),
        ),
        ("keys is null", br#"{"keys":null}"#.to_vec()),
        (
            "keys is an object",
            format!(r#"{{"keys":{{"0":{key}}}}}"#).into_bytes(),
        ),
        ("keys is text", br#"{"keys":"[]"}"#.to_vec()),
        ("cut", format!(r#"{{"keys":[{key}]"#).into_bytes()),
        ("cut in a key", document(&[good()])[..90].to_vec()),
        (
            "something behind it",
            format!(r#"{{"keys":[{key}]}}x"#).into_bytes(),
        ),
        (
            "two documents",
            format!(r#"{{"keys":[{key}]}} {{"keys":[{key}]}}"#).into_bytes(),
        ),
        ("a trailing comma", format!(r#"{{"keys":[{key},]}}"#).into_bytes()),
        ("a comment", format!(r#"{{"keys":[{key}/**/]}}"#).into_bytes()),
        ("single quotes", b"{'keys':[]}".to_vec()),
        (
            "a byte order mark",
            [b"\xef\xbb\xbf", document(&[good()]).as_slice()].concat(),
        ),
        (
            "UTF-16",
            document(&[good()]).iter().flat_map(|b| [*b, 0]).collect(),
        ),
        (
            "a control character",
            format!(r#"{{"keys":[{key}],"a":"?"}}"#)
                .replace('?', "\u{1}")
                .into_bytes(),
        ),
        (
            "a lone surrogate",
            format!(r#"{{"keys":[{key}],"a":"\ud800"}}"#).into_bytes(),
        ),
        (
            "a NUL behind it",
            [document(&[good()]).as_slice(), b"\0"].concat(),
        ),
        (
            "a number beyond all",
            format!(r#"{{"keys":[{key}],"a":1e999}}"#).into_bytes(),
        ),
        ("NaN", format!(r#"{{"keys":[{key}],"a":NaN}}"#).into_bytes()),
        (
            "a duplicate on top",
            format!(r#"{{"keys":[{key}],"keys":[{key}]}}"#).into_bytes(),
        ),
        (
            "a duplicate on top, of no interest",
            format!(r#"{{"a":1,"keys":[{key}],"a":1}}"#).into_bytes(),
        ),
        (
            "a duplicate, escaped, on top",
            format!(r#"{{"keys":[{key}],"k\u0065ys":[]}}"#).into_bytes(),
        ),
        (
            "a duplicate in a key",
            format!(
                r#"{{"keys":[{{"kty":"EC","crv":"P-256","kid":"a","kid":"b","x":"{}","y":"{}"}}]}}"#,
                point.0, point.1
            )
            .into_bytes(),
        ),
        (
            "a duplicate, escaped, in a key",
            format!(
                r#"{{"keys":[{{"kty":"EC","crv":"P-256","kid":"a","\u006bid":"a","x":"{}","y":"{}"}}]}}"#,
                point.0, point.1
            )
            .into_bytes(),
        ),
        (
            "a duplicate deep in a member that is dropped",
            format!(r#"{{"keys":[{key}],"a":[{{"b":{{"c":1,"\u0063":2}}}}]}}"#).into_bytes(),
        ),
        (
            "a duplicate in a key that is left out",
            br#"{"keys":[{"kty":"OKP","x":"","x":""}]}"#.to_vec(),
        ),
        (
            "deep nesting",
            format!(r#"{{"keys":[{key}],"a":{}{}}}"#, "[".repeat(16), "]".repeat(16)).into_bytes(),
        ),
        (
            "nesting beyond any stack",
            format!(r#"{{"keys":[{key}],"a":{}"#, "[".repeat(500_000)).into_bytes(),
        ),
        (
            "deep objects",
            format!(
                r#"{{"keys":[{key}],"a":{}1{}}}"#,
                r#"{"a":"#.repeat(16),
                "}".repeat(16)
            )
            .into_bytes(),
        ),
        (
            "more members than any key has",
            format!(
                r#"{{"keys":[{{{}}}]}}"#,
                (0..257)
                    .map(|i| format!(r#""m{i}":0"#))
                    .collect::<Vec<_>>()
                    .join(",")
            )
            .into_bytes(),
        ),
    ];
    for (name, bytes) in rows {
        let refusal = KeySet::parse(&bytes).expect_err(name);
        assert!(matches!(refusal, Refusal::Malformed(_)), "{name}: {refusal:?}");
    }
    let latin1 = [br#"{"a":""#, b"\xe9".as_slice(), br#"","keys":[]}"#].concat();
    assert!(matches!(KeySet::parse(&latin1), Err(Refusal::Malformed(_))));
}

#[test]
fn moderate_nesting_in_dropped_members_is_read_past() {
    let nested = |levels: usize| {
        format!(
            r#"{{"keys":[{}],"a":{}{}}}"#,
            good(),
            "[".repeat(levels),
            "]".repeat(levels)
        )
    };
    assert!(KeySet::parse(nested(15).as_bytes()).is_ok());
    assert!(KeySet::parse(nested(16).as_bytes()).is_err());
}

#[test]
fn private_and_symmetric_material_refuses_the_document() {
    let values = [
        json!("AQAB"),
        json!(""),
        json!(1),
        json!(true),
        json!([]),
        json!({}),
        json!(0.5),
    ];
    let ktys = [
        json!("RSA"),
        json!("EC"),
        json!("OKP"),
        json!("AKP"),
        json!("x"),
        json!(7),
        Value::Null,
    ];
    for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"] {
        for value in values.iter().chain([&Value::Null]) {
            for kty in &ktys {
                // Null as a value is a member too; `with` would leave it out.
                let mut bad = with(rsa_json("bad", 1), &[("kty", kty.clone())]);
                bad[member] = value.clone();
                for keys in [
                    vec![bad.clone()],
                    vec![bad.clone(), good()],
                    vec![good(), bad.clone()],
                ] {
                    let refusal = parse(&keys).unwrap_err();
                    assert_eq!(refusal, Refusal::PrivateMaterial(member), "{bad}");
                }
            }
        }
    }
    let escaped = format!(r#"{{"keys":[{},{{"kty":"RSA","\u0064":"AA"}}]}}"#, good());
    assert_eq!(
        KeySet::parse(escaped.as_bytes()),
        Err(Refusal::PrivateMaterial("d"))
    );
    for oct in [
        json!({"kty": "oct"}),
        json!({"kty": "oct", "kid": "a", "alg": "HS256"}),
    ] {
        assert!(matches!(parse(&[good(), oct]), Err(Refusal::PrivateMaterial(_))));
    }
}

#[test]
fn a_refusal_never_repeats_private_material() {
    let secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQ";
    let refusal = parse(&[bad_rsa(&[("d", secret.into())])]).unwrap_err();
    let cut = format!(r#"{{"keys":[{{"kty":"RSA","d":"{secret}"}}"#);
    let twice = format!(r#"{{"keys":[{{"d":"{secret}","d":"{secret}"}}]}}"#);
    for refusal in [
        refusal,
        KeySet::parse(cut.as_bytes()).unwrap_err(),
        KeySet::parse(twice.as_bytes()).unwrap_err(),
    ] {
        assert!(
            !format!("{refusal} {refusal:?}").contains("c2VjcmV0"),
            "{refusal:?}"
        );
    }
}

#[test]
fn an_empty_set_is_refused_and_says_what_was_left_out() {
    assert_eq!(parse(&[]), Err(Refusal::Empty(Vec::new())));
    let Err(Refusal::Empty(findings)) = parse(&[bad_rsa(&[("kid", Value::Null)]), json!(null)]) else {
        panic!("not refused as empty")
    };
    assert_eq!(findings.len(), 2);
    assert_eq!(findings[0].kind, FindingKind::LeftOut(Problem::Missing("kid")));
}

#[test]
fn limits_hold_to_the_key() {
    let rsa: Vec<Value> = (0..101).map(|i| rsa_json(&format!("r{i}"), i)).collect();
    let ec: Vec<Value> = (0..101).map(|i| ec_json(&format!("e{i}"), i)).collect();
    let other: Vec<Value> = (0..101)
        .map(|i| json!({"kty": "OKP", "kid": format!("o{i}")}))
        .collect();

    let full = [&rsa[..100], &ec[..100], &other[..100]].concat();
    let parsed = parse(&full).unwrap();
    assert_eq!(parsed.keys.len(), 200);
    assert_eq!(parsed.findings.iter().filter(|f| f.is_left_out()).count(), 100);

    for (name, keys) in [
        ("101 RSA", rsa.clone()),
        ("101 EC", ec.clone()),
        ("101 others", [vec![good()], other].concat()),
        ("101 RSA beside EC", [rsa.clone(), ec[..1].to_vec()].concat()),
        // Counted before validity: a verifier counts what it reads.
        (
            "one of 101 unusable",
            [rsa[..100].to_vec(), vec![bad_rsa(&[("n", "AQ".into())])]].concat(),
        ),
    ] {
        assert_eq!(
            parse(&keys),
            Err(Refusal::TooManyKeys(Limits::default())),
            "{name}"
        );
    }
    let halves = [&rsa[..51], &rsa[50..]].map(|half| parse(half).unwrap().keys);
    assert_eq!(
        KeySet::union(&halves),
        Err(Refusal::TooManyKeys(Limits::default()))
    );
}

#[test]
fn a_document_has_at_most_one_mebibyte() {
    let mut bytes = document(&[good()]);
    bytes.resize(1 << 20, b' ');
    assert_eq!(KeySet::parse(&bytes).unwrap().keys.len(), 1);
    bytes.push(b' ');
    assert_eq!(KeySet::parse(&bytes), Err(Refusal::TooLarge));
    assert_eq!(DiscoveryClaims::parse(&bytes), Err(DiscoveryError::TooLarge));
}

#[test]
fn one_kid_never_names_two_keys_not_even_an_unusable_one() {
    let twin = |key: Value| with(key, &[("kid", "good".into())]);
    let rows = [
        ("two EC keys", twin(ec_json("", 1))),
        ("an RSA and an EC key", twin(rsa_json("", 1))),
        (
            "a weak RSA key",
            twin(bad_rsa(&[("n", rsa_modulus(128, 0xff, 1))])),
        ),
        (
            "a key off its curve",
            twin(bad_ec(&[("x", p256_points()[2].0.into())])),
        ),
        (
            "an unknown kind",
            json!({"kty": "OKP", "kid": "good", "crv": "Ed25519", "x": "11qY"}),
        ),
        ("a key of no kind", json!({"kid": "good"})),
        (
            "the same numbers, another algorithm",
            twin(with(good(), &[("alg", "ES384".into())])),
        ),
    ];
    for (name, other) in rows {
        for keys in [[good(), other.clone()], [other.clone(), good()]] {
            assert_eq!(
                parse(&keys),
                Err(Refusal::DuplicateKid("good".to_owned())),
                "{name}"
            );
        }
    }
    let escaped = with(ec_json("", 1), &[("kid", "KID".into())])
        .to_string()
        .replace("KID", r"g\u006fod");
    let escaped = format!(r#"{{"keys":[{},{escaped}]}}"#, good());
    assert!(matches!(
        KeySet::parse(escaped.as_bytes()),
        Err(Refusal::DuplicateKid(_))
    ));

    // Through an ill-balanced load balancer the same key may stand twice; that is no second key.
    assert_eq!(parse(&[good(), good()]).unwrap().keys.len(), 1);
    let sets = [[good()], [twin(ec_json("", 1))]].map(|keys| parse(&keys).unwrap().keys);
    assert_eq!(
        KeySet::union(&sets),
        Err(Refusal::DuplicateKid("good".to_owned()))
    );
}

#[test]
fn kids_are_told_apart_byte_by_byte() {
    let keys = [
        ec_json("a", 0),
        ec_json("A", 1),
        ec_json("a ", 2),
        ec_json("\u{e1}", 3),
        ec_json("a\u{301}", 4),
    ];
    assert_eq!(parse(&keys).unwrap().keys.len(), 5);
}

#[test]
fn unusable_keys_are_left_out_and_block_nobody() {
    use Problem::*;
    let text = |text: &str| Value::from(text);
    let point = |n: usize| p256_points()[n];
    let p384 = vector("EC", Some("P-384"));
    let exponent = |e: &[u8]| bad_rsa(&[("e", b64(e).into())]);
    let modulus_with = |member: &str| b64(&modulus(1)) + member;
    let rows: Vec<(&str, Value, Problem)> = vec![
        (
            "RSA 1024",
            bad_rsa(&[("n", rsa_modulus(128, 0xff, 1))]),
            ModulusSize(1024),
        ),
        (
            "RSA 2047",
            bad_rsa(&[("n", rsa_modulus(256, 0x7f, 1))]),
            ModulusSize(2047),
        ),
        (
            "RSA 8193",
            bad_rsa(&[("n", rsa_modulus(1025, 1, 1))]),
            ModulusSize(8193),
        ),
        ("RSA of no bits", bad_rsa(&[("n", text(""))]), ModulusSize(0)),
        ("RSA of zero", bad_rsa(&[("n", text("AA"))]), LeadingZero),
        (
            "even modulus",
            bad_rsa(&[("n", rsa_modulus(256, 0x80, 2))]),
            EvenModulus,
        ),
        ("exponent 0", exponent(&[0]), LeadingZero),
        ("no exponent", exponent(&[]), Exponent),
        ("exponent 1", exponent(&[1]), Exponent),
        ("exponent 2", exponent(&[2]), Exponent),
        ("even exponent", exponent(&[1, 0, 0]), Exponent),
        ("exponent 2^31 + 1", exponent(&[0x80, 0, 0, 1]), Exponent),
        ("exponent of 5 bytes", exponent(&[1, 0, 0, 0, 1]), Exponent),
        (
            "exponent that overflows 64 bits to 3",
            exponent(&[1, 0, 0, 0, 0, 0, 0, 0, 3]),
            Exponent,
        ),
        ("exponent of 256 bytes", exponent(&modulus(2)), Exponent),
        (
            "leading zero of n",
            bad_rsa(&[("n", b64(&[&[0], &modulus(1)[..]].concat()).into())]),
            LeadingZero,
        ),
        ("leading zero of e", exponent(&[0, 1, 0, 1]), LeadingZero),
        (
            "padded n",
            bad_rsa(&[("n", modulus_with("==").into())]),
            Base64("n"),
        ),
        ("padded e", bad_rsa(&[("e", text("AQAB===="))]), Base64("e")),
        ("stray bits", bad_rsa(&[("e", text("Ax"))]), Base64("e")),
        (
            "one stray character",
            bad_rsa(&[("e", text("AQABA"))]),
            Base64("e"),
        ),
        (
            "standard alphabet +",
            bad_rsa(&[("e", text("A+AB"))]),
            Base64("e"),
        ),
        (
            "standard alphabet /",
            bad_rsa(&[("e", text("A/AB"))]),
            Base64("e"),
        ),
        ("white space", bad_rsa(&[("e", text("AQ AB"))]), Base64("e")),
        (
            "a line break",
            bad_rsa(&[("n", modulus_with("\n").into())]),
            Base64("n"),
        ),
        (
            "hexadecimal with a prefix",
            bad_rsa(&[("e", text("0x10001"))]),
            Base64("e"),
        ),
        ("no n", bad_rsa(&[("n", Value::Null)]), Missing("n")),
        ("no e", bad_rsa(&[("e", Value::Null)]), Missing("e")),
        ("n a number", bad_rsa(&[("n", json!(65537))]), NotText("n")),
        ("e a number", bad_rsa(&[("e", json!(65537))]), NotText("e")),
        (
            "off its curve",
            bad_ec(&[("y", text(point(2).1))]),
            OffCurve("P-256"),
        ),
        (
            "swapped coordinates",
            bad_ec(&[("x", text(point(1).1)), ("y", text(point(1).0))]),
            OffCurve("P-256"),
        ),
        (
            "infinity",
            bad_ec(&[("x", b64(&[0; 32]).into()), ("y", b64(&[0; 32]).into())]),
            OffCurve("P-256"),
        ),
        (
            "x is the prime",
            bad_ec(&[("x", b64(&P256).into())]),
            OffCurve("P-256"),
        ),
        (
            "x beyond the prime",
            bad_ec(&[("x", b64(&[0xff; 32]).into())]),
            OffCurve("P-256"),
        ),
        (
            "y beyond the prime",
            bad_ec(&[("y", b64(&[0xff; 32]).into())]),
            OffCurve("P-256"),
        ),
        (
            "short x",
            bad_ec(&[("x", b64(&decoded(&text(point(1).0))[1..]).into())]),
            CoordinateLength("P-256"),
        ),
        (
            "long x",
            bad_ec(&[("x", b64(&[&[0], &decoded(&text(point(1).0))[..]].concat()).into())]),
            CoordinateLength("P-256"),
        ),
        (
            "short y",
            bad_ec(&[("y", b64(&decoded(&text(point(1).1))[..31]).into())]),
            CoordinateLength("P-256"),
        ),
        (
            "no coordinates",
            bad_ec(&[("x", text("")), ("y", text(""))]),
            CoordinateLength("P-256"),
        ),
        ("compressed: no y", bad_ec(&[("y", Value::Null)]), Missing("y")),
        (
            "another curve's name",
            bad_ec(&[("crv", text("P-384")), ("alg", Value::Null)]),
            CoordinateLength("P-384"),
        ),
        (
            "a P-384 key as P-256",
            with(p384.clone(), &[("crv", text("P-256")), ("kid", text("bad"))]),
            CoordinateLength("P-256"),
        ),
        (
            "a point on P-384's twist",
            with(p384.clone(), &[("y", p384["x"].clone()), ("kid", text("bad"))]),
            OffCurve("P-384"),
        ),
        ("curve missing", bad_ec(&[("crv", Value::Null)]), Missing("crv")),
        ("curve a number", bad_ec(&[("crv", json!(256))]), NotText("crv")),
        (
            "secp256k1",
            bad_ec(&[("crv", text("secp256k1"))]),
            Kind("secp256k1".into()),
        ),
        (
            "curve in lower case",
            bad_ec(&[("crv", text("p-256"))]),
            Kind("p-256".into()),
        ),
        (
            "Ed25519",
            json!({"kty": "OKP", "crv": "Ed25519", "kid": "bad", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}),
            Kind("OKP".into()),
        ),
        (
            "ML-DSA",
            json!({"kty": "AKP", "alg": "ML-DSA-44", "kid": "bad", "pub": "AAAA"}),
            Kind("AKP".into()),
        ),
        (
            "unknown kind",
            bad_rsa(&[("kty", text("XYZ"))]),
            Kind("XYZ".into()),
        ),
        (
            "kind in lower case",
            bad_rsa(&[("kty", text("rsa"))]),
            Kind("rsa".into()),
        ),
        ("no kind", bad_rsa(&[("kty", Value::Null)]), Missing("kty")),
        ("kind a number", bad_rsa(&[("kty", json!(1))]), NotText("kty")),
        (
            "PS256",
            bad_rsa(&[("alg", text("PS256"))]),
            Algorithm("PS256".into()),
        ),
        (
            "HS256",
            bad_rsa(&[("alg", text("HS256"))]),
            Algorithm("HS256".into()),
        ),
        (
            "none",
            bad_rsa(&[("alg", text("none"))]),
            Algorithm("none".into()),
        ),
        ("no name", bad_rsa(&[("alg", text(""))]), Algorithm(String::new())),
        (
            "lower case",
            bad_rsa(&[("alg", text("rs256"))]),
            Algorithm("rs256".into()),
        ),
        (
            "RSA-OAEP",
            bad_rsa(&[("alg", text("RSA-OAEP"))]),
            Algorithm("RSA-OAEP".into()),
        ),
        (
            "ES256 on RSA",
            bad_rsa(&[("alg", text("ES256"))]),
            Algorithm("ES256".into()),
        ),
        (
            "RS256 on EC",
            bad_ec(&[("alg", text("RS256"))]),
            Algorithm("RS256".into()),
        ),
        (
            "ES384 on P-256",
            bad_ec(&[("alg", text("ES384"))]),
            Algorithm("ES384".into()),
        ),
        (
            "ES256K",
            bad_ec(&[("alg", text("ES256K"))]),
            Algorithm("ES256K".into()),
        ),
        (
            "algorithm a number",
            bad_rsa(&[("alg", json!(256))]),
            NotText("alg"),
        ),
        (
            "algorithm null",
            {
                let mut k = bad_rsa(&[]);
                k["alg"] = Value::Null;
                k
            },
            NotText("alg"),
        ),
        ("use enc", bad_rsa(&[("use", text("enc"))]), Use("enc".into())),
        (
            "use in capitals",
            bad_rsa(&[("use", text("SIG"))]),
            Use("SIG".into()),
        ),
        ("use empty", bad_rsa(&[("use", text(""))]), Use(String::new())),
        ("use a list", bad_rsa(&[("use", json!(["sig"]))]), NotText("use")),
        ("no kid", bad_rsa(&[("kid", Value::Null)]), Missing("kid")),
        ("empty kid", bad_rsa(&[("kid", text(""))]), Missing("kid")),
        ("kid a number", bad_rsa(&[("kid", json!(1))]), NotText("kid")),
        (
            "kid of 257 bytes",
            bad_rsa(&[("kid", "k".repeat(257).into())]),
            KidLength,
        ),
        (
            "kid of 257 bytes in 129 characters",
            bad_rsa(&[("kid", ("\u{e9}".repeat(128) + "k").into())]),
            KidLength,
        ),
        ("null", json!(null), Missing("kty")),
        ("a number", json!(1), Missing("kty")),
        ("text", json!("RSA"), Missing("kty")),
        ("a list", json!([rsa_json("bad", 1)]), Missing("kty")),
        ("an empty object", json!({}), Missing("kty")),
    ];
    for (name, bad, problem) in rows {
        for (index, keys) in [[bad.clone(), good()], [good(), bad.clone()]].iter().enumerate() {
            let parsed = parse(keys).unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
            let kids: Vec<&str> = parsed.keys.iter().map(Jwk::kid).collect();
            assert_eq!(kids, ["good"], "{name}");
            let left_out: Vec<_> = parsed.findings.iter().filter(|f| f.is_left_out()).collect();
            assert_eq!(left_out.len(), 1, "{name}");
            assert_eq!(left_out[0].kind, FindingKind::LeftOut(problem.clone()), "{name}");
            assert_eq!(left_out[0].index, index, "{name}");
            assert_eq!(
                left_out[0].is_unknown_kind(),
                matches!(problem, Kind(_)),
                "{name}"
            );
            assert!(!parsed.keys.to_bytes().windows(3).any(|w| w == b"bad"), "{name}");
        }
    }
}

#[test]
fn findings_show_a_bounded_part_of_what_a_stranger_wrote() {
    let long = "\u{10348}".repeat(5000);
    let keys = [
        good(),
        bad_rsa(&[("kid", long.clone().into())]),
        bad_rsa(&[("kty", long.clone().into()), ("kid", "b".into())]),
        bad_rsa(&[("alg", (long + "\n").into()), ("kid", "c".into())]),
    ];
    for finding in parse(&keys).unwrap().findings {
        assert!(finding.kid.as_ref().is_none_or(|kid| kid.len() <= 256));
        assert!(finding.to_string().len() < 1024);
        assert!(!finding.to_string().contains('\n'));
    }
    let twins = [1, 2].map(|seed| {
        bad_rsa(&[
            ("kid", "\u{10348}".repeat(5000).into()),
            ("n", b64(&modulus(seed)).into()),
        ])
    });
    assert!(parse(&twins).unwrap_err().to_string().len() <= 400);
}
