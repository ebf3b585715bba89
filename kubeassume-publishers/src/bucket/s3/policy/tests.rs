use super::*;
use crate::Tls;
use crate::s3::S3Config;

const ROLE: &str = "arn:aws:iam::123456789012:role/kubeassume";

fn bucket(prefix: &str, dialect: Dialect) -> S3Bucket {
    let config = S3Config {
        bucket: "keys".to_owned(),
        region: Some("eu-west-1".to_owned()),
        prefix: (!prefix.is_empty()).then(|| prefix.to_owned()),
        ..S3Config::default()
    };
    S3Bucket::new(&config, Some(dialect), ROLE, Tls::default()).unwrap()
}

fn amazon(prefix: &str) -> S3Bucket {
    bucket(prefix, Dialect::Amazon)
}

fn with(statement: &Value) -> String {
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

fn public(action: &Value, resource: &str) -> Value {
    json!({"Sid": "Theirs", "Effect": "Allow", "Principal": {"AWS": ["*"]}, "Action": action, "Resource": resource})
}

#[test]
fn public_is_reading_two_documents_and_nothing_else() {
    let policy = amazon("c1").merged(None).unwrap().policy;
    let statements = policy["Statement"].as_array().unwrap();
    let granted: Vec<_> = statements
        .iter()
        .filter(|statement| statement["Effect"] == "Allow" && is_public(statement))
        .collect();
    assert_eq!(granted.len(), 1);
    assert_eq!(granted[0]["Action"], "s3:GetObject");
    assert_eq!(
        granted[0]["Resource"],
        json!([
            "arn:aws:s3:::keys/c1/.well-known/openid-configuration",
            "arn:aws:s3:::keys/c1/openid/v1/jwks"
        ])
    );
    for statement in statements {
        let sid = statement["Sid"].as_str().unwrap();
        assert!(sid.bytes().all(|b| b.is_ascii_alphanumeric()), "{sid}");
    }
}

#[test]
fn a_write_without_precondition_or_by_somebody_else_is_denied() {
    let statements = amazon("c1").statements();
    let denied = |key: &str| {
        let of = |statement: &&Value| {
            statement["Effect"] == "Deny" && statement["Condition"].to_string().contains(key)
        };
        statements.iter().find(of).unwrap()["Condition"].clone()
    };
    // Both in one operator: the denial needs both to be missing.
    let both = json!({"Null": {"s3:if-match": "true", "s3:if-none-match": "true"}});
    assert_eq!(denied("s3:if-match"), both);
    assert_eq!(
        denied("aws:PrincipalArn"),
        json!({"ArnNotEquals": {"aws:PrincipalArn": ROLE}})
    );
    let compatible = bucket("c1", Dialect::Compatible).statements();
    assert!(compatible.iter().all(|statement| statement["Effect"] == "Allow"));
}

#[test]
fn clusters_share_a_bucket_and_nothing_is_to_do_twice() {
    let (one, two) = (amazon("c1"), amazon("c2"));
    let first = one.merged(None).unwrap();
    let both = two.merged(Some(&first.policy.to_string())).unwrap();
    assert_eq!(both.policy["Statement"].as_array().unwrap().len(), 10);
    assert!(both.is_new && both.findings.is_empty() && !both.others_public);
    let text = both.policy.to_string();
    assert!(!one.merged(Some(&text)).unwrap().is_new);
    assert!(!two.merged(Some(&text)).unwrap().is_new);
    // As S3 gives it back.
    let mut back = both.policy.clone();
    back["Statement"].as_array_mut().unwrap().reverse();
    for statement in back["Statement"].as_array_mut().unwrap() {
        if let Some(list) = statement["Condition"]["StringLike"]["s3:prefix"]
            .as_array()
            .cloned()
        {
            statement["Condition"]["StringLike"]["s3:prefix"] = list[0].clone();
        }
    }
    back.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    for statement in back["Statement"].as_array_mut().unwrap() {
        statement
            .as_object_mut()
            .unwrap()
            .retain(|_, value| !value.is_null());
    }
    assert!(!one.merged(Some(&back.to_string())).unwrap().is_new);
}

#[test]
fn what_others_have_stays_and_what_is_ours_is_replaced() {
    let theirs = json!({"Sid": "Backup", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:role/backup"},
        "Action": "s3:GetObject", "Resource": "arn:aws:s3:::keys/*"});
    let compatible = bucket("c1", Dialect::Compatible)
        .merged(Some(&with(&theirs)))
        .unwrap();
    let merged = amazon("c1").merged(Some(&compatible.policy.to_string())).unwrap();
    assert_eq!(merged.policy["Statement"][0], theirs);
    assert_eq!(merged.policy["Statement"].as_array().unwrap().len(), 6);
    // Back again: the denials go with the dialect that has them.
    let back = bucket("c1", Dialect::Compatible)
        .merged(Some(&merged.policy.to_string()))
        .unwrap();
    assert_eq!(normal(&back.policy), normal(&compatible.policy));
}

#[test]
fn wider_access_is_told_or_refused() {
    let findings = |statement: &Value| {
        let merged = amazon("c1").merged(Some(&with(statement))).unwrap();
        let all: Vec<_> = merged
            .findings
            .iter()
            .map(|finding| finding.what.as_str())
            .collect();
        (all.join("; "), merged.others_public)
    };
    for write in [
        "s3:PutObject",
        "s3:Put*",
        "s3:*",
        "*",
        "S3:putobject",
        "s3:DeleteObject",
        "s3:PutBucketPolicy",
    ] {
        let refused = amazon("c1").merged(Some(&with(&public(&json!(write), "arn:aws:s3:::keys/*"))));
        let error = refused.err().expect(write);
        assert!(
            matches!(&error, BucketError::Unsafe { found, .. } if found.contains("Theirs")),
            "{error}"
        );
    }
    let not_action = json!({"Effect": "Allow", "NotPrincipal": {"AWS": "arn:aws:iam::1:root"}, "NotAction": "s3:ListBucket",
        "Resource": "arn:aws:s3:::keys/*"});
    assert!(amazon("c1").merged(Some(&with(&not_action))).is_err());
    let (listed, open) = findings(&public(&json!(["s3:List*"]), "arn:aws:s3:::keys"));
    assert!(listed.contains("everybody list") && open, "{listed}");
    let (read, open) = findings(&public(&json!("s3:GetObject"), "arn:aws:s3:::keys/c1/*"));
    assert!(read.contains("read more than documents") && open, "{read}");
    let (none, open) = findings(&public(
        &json!("s3:GetObject"),
        "arn:aws:s3:::keys/c9/openid/v1/jwks",
    ));
    assert!(none.is_empty() && !open, "{none}");
    let mut other = public(&json!("s3:PutObject"), "arn:aws:s3:::keys/*");
    other["Principal"] = json!({"AWS": "arn:aws:iam::123456789012:role/ci"});
    let (written, open) = findings(&other);
    assert!(
        written.contains("role/ci") && written.contains("ours denies") && !open,
        "{written}"
    );
    other["Resource"] = json!("arn:aws:s3:::keys/elsewhere/*");
    assert_eq!(findings(&other), (String::new(), false));
    let mut conditional = public(&json!("s3:PutObject"), "arn:aws:s3:::keys/*");
    conditional["Condition"] = json!({"StringEquals": {"aws:PrincipalOrgID": "o-1"}});
    let (told, open) = findings(&conditional);
    assert!(told.contains("under conditions") && open, "{told}");
}

#[test]
fn a_policy_has_a_limit() {
    let mut policy = None;
    let fitting = (0..100).take_while(|cluster| {
        let merged = amazon(&format!("clusters/number-{cluster}")).merged(policy.as_deref());
        let fits = merged.is_ok();
        policy = merged.ok().map(|merged| merged.policy.to_string());
        fits
    });
    let count = fitting.count();
    assert!((8..20).contains(&count), "{count}");
    assert!(amazon("c1").merged(Some("no JSON")).is_err());
}

#[test]
fn wildcards_are_iams() {
    for (pattern, text, expected) in [
        ("s3:*", "s3:getobject", true),
        ("*", "", true),
        ("s3:get?bject", "s3:getobject", true),
        ("s3:get", "s3:getobject", false),
        ("*object", "s3:getobject", true),
        ("a*b*c", "axxbyyc", true),
        ("a*b*c", "axxbyy", false),
        ("", "a", false),
    ] {
        assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
    }
}
