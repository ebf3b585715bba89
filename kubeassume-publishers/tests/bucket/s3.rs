//! Amazon's dialect, which no server of the testbed has.

use std::sync::{Arc, Mutex};

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use kubeassume_publishers::Tls;
use kubeassume_publishers::bucket::{Bucket, BucketError, Dialect, S3Bucket};
use kubeassume_publishers::s3::S3Config;
use serde_json::{Value, json};

use super::scripted::{Request, Response, Server};
use super::{found, make, refused, said, whats, writes};

const ROLE: &str = "arn:aws:iam::123456789012:role/kubeassume";

/// Amazon, as far as one bucket goes.
#[derive(Clone, Debug, Default)]
struct Amazon {
    region: Option<&'static str>,
    versioned: bool,
    /// As in the documents.
    block: Option<String>,
    policy: Option<String>,
    /// The call that is refused, with code and message.
    refusing: Option<(&'static str, &'static str, &'static str)>,
}

impl Amazon {
    fn answer(&mut self, request: &Request) -> Response {
        let query: Vec<&str> = request
            .query
            .split('&')
            .filter(|part| !part.starts_with("x-id"))
            .collect();
        let call = format!("{} {}", request.method, query[0].trim_end_matches('='));
        let body = String::from_utf8(request.body.clone()).unwrap();
        if let Some((refused, code, message)) = self.refusing
            && refused == call
        {
            return error(403, code, message);
        }
        let Some(region) = self.region else {
            if call == "PUT " {
                assert!(
                    body.contains("<LocationConstraint>eu-west-1</LocationConstraint>"),
                    "{body}"
                );
                self.region = Some("eu-west-1");
                self.block = Some(block("true", "true"));
                return Response::new(200, "");
            }
            return error(404, "NoSuchBucket", "The specified bucket does not exist");
        };
        match call.as_str() {
            "GET location" => {
                Response::new(200, format!("<LocationConstraint>{region}</LocationConstraint>"))
            }
            "GET versioning" => Response::new(
                200,
                match self.versioned {
                    true => "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
                    false => "<VersioningConfiguration/>",
                },
            ),
            "PUT versioning" => {
                self.versioned = body.contains("<Status>Enabled</Status>");
                Response::new(200, "")
            }
            "GET publicAccessBlock" => match &self.block {
                Some(block) => Response::new(200, block.as_str()),
                None => error(404, "NoSuchPublicAccessBlockConfiguration", "none"),
            },
            "PUT publicAccessBlock" => {
                self.block = Some(body);
                Response::new(200, "")
            }
            "GET policy" => match &self.policy {
                Some(policy) => Response::new(200, policy.as_str()),
                None => error(404, "NoSuchBucketPolicy", "none"),
            },
            // Amazon's own refusal while the bucket's Block Public Access is on.
            "PUT policy"
                if self
                    .block
                    .as_ref()
                    .is_some_and(|block| block.contains("<BlockPublicPolicy>true")) =>
            {
                error(
                    403,
                    "AccessDenied",
                    "public policies are blocked by the BlockPublicPolicy setting",
                )
            }
            "PUT policy" => {
                self.policy = Some(body);
                Response::new(204, "")
            }
            _ => panic!("{call}"),
        }
    }
}

fn block(acls: &str, policies: &str) -> String {
    format!(
        "<PublicAccessBlockConfiguration><BlockPublicAcls>{acls}</BlockPublicAcls><IgnorePublicAcls>{acls}\
         </IgnorePublicAcls><BlockPublicPolicy>{policies}</BlockPublicPolicy><RestrictPublicBuckets>{policies}\
         </RestrictPublicBuckets></PublicAccessBlockConfiguration>"
    )
}

fn error(status: u16, code: &str, message: &str) -> Response {
    let body = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
    Response::new(status, body)
}

/// As it stands when it is ready for others: theirs is one statement.
fn theirs(statement: &Value) -> Amazon {
    Amazon {
        region: Some("eu-west-1"),
        versioned: true,
        block: Some(block("true", "false")),
        policy: Some(json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()),
        refusing: None,
    }
}

async fn serve(amazon: Amazon) -> (Server, Arc<Mutex<Amazon>>) {
    let amazon = Arc::new(Mutex::new(amazon));
    let state = amazon.clone();
    (
        Server::start(move |request| state.lock().unwrap().answer(request)).await,
        amazon,
    )
}

fn bucket(server: &Server) -> S3Bucket {
    let config = S3Config {
        bucket: "keys".to_owned(),
        region: Some("eu-west-1".to_owned()),
        endpoint: Some(server.url.clone()),
        force_path_style: true,
        prefix: Some("c1".to_owned()),
        ..S3Config::default()
    };
    let credentials = Credentials::new("AKIATEST", "secret", None, None, "test");
    let bucket = S3Bucket::new(&config, Some(Dialect::Amazon), ROLE, Tls::default()).unwrap();
    bucket.credentials(SharedCredentialsProvider::new(credentials))
}

#[tokio::test]
async fn a_bucket_is_made_in_an_order_that_amazon_takes_and_is_found_ready_then() {
    let (server, amazon) = serve(Amazon::default()).await;
    let plan = make(&bucket(&server)).await;
    assert_eq!(whats(&plan), ["bucket", "versioning", "public access", "policy"]);
    assert_eq!(plan.findings, []);
    assert_eq!(writes(&server).len(), 4);
    let amazon = amazon.lock().unwrap();
    let block = amazon.block.clone().unwrap();
    for kept in [
        "<BlockPublicAcls>true",
        "<IgnorePublicAcls>true",
        "<BlockPublicPolicy>false",
        "<RestrictPublicBuckets>false",
    ] {
        assert!(block.contains(kept), "{block}");
    }
    let policy: Value = serde_json::from_str(amazon.policy.as_ref().unwrap()).unwrap();
    assert_eq!(policy, plan.changes[3].after);
}

#[tokio::test]
async fn only_what_is_missing_is_changed_and_others_statements_stay() {
    let statement = json!({"Sid": "Backup", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:role/b"},
        "Action": "s3:GetObject", "Resource": "arn:aws:s3:::keys/*"});
    let (server, amazon) = serve(theirs(&statement)).await;
    let plan = make(&bucket(&server)).await;
    assert_eq!(whats(&plan), ["policy"]);
    let policy: Value = serde_json::from_str(amazon.lock().unwrap().policy.as_ref().unwrap()).unwrap();
    assert_eq!(policy["Statement"][0], statement);
}

#[tokio::test]
async fn what_lets_everybody_write_or_would_become_public_is_refused() {
    let public = |action: &str| json!({"Sid": "Open", "Effect": "Allow", "Principal": "*", "Action": action, "Resource": "arn:aws:s3:::keys/*"});
    let (server, _) = serve(theirs(&public("s3:PutObject"))).await;
    let (field, text) = refused(&bucket(&server), &server).await;
    assert!(
        field == "s3.bucket" && text.contains("everybody s3:PutObject"),
        "{text}"
    );
    // Withheld now.
    let hidden = Amazon {
        block: Some(block("true", "true")),
        ..theirs(&public("s3:GetObject"))
    };
    let (server, _) = serve(hidden).await;
    let (_, text) = refused(&bucket(&server), &server).await;
    assert!(text.contains("would become public"), "{text}");
    // Already so: told, and left to whoever it belongs to.
    let (server, _) = serve(theirs(&public("s3:GetObject"))).await;
    let plan = make(&bucket(&server)).await;
    assert!(found(&plan).contains("read more than documents"), "{plan:#?}");
}

#[tokio::test]
async fn what_acls_may_do_is_told_and_not_taken_away() {
    let mut amazon = theirs(
        &json!({"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::keys/x"}),
    );
    amazon.block = Some(block("false", "true"));
    let (server, amazon) = serve(amazon).await;
    let plan = make(&bucket(&server)).await;
    assert!(found(&plan).contains("lets ACLs be public"), "{plan:#?}");
    assert!(
        amazon
            .lock()
            .unwrap()
            .block
            .as_ref()
            .unwrap()
            .contains("<BlockPublicAcls>false")
    );
}

#[tokio::test]
async fn a_plan_that_is_no_longer_true_is_not_applied() {
    let (server, amazon) = serve(Amazon::default()).await;
    let bucket = bucket(&server);
    let plan = bucket.plan().await.unwrap();
    amazon.lock().unwrap().region = Some("eu-west-1");
    let error = bucket.apply(&plan).await.expect_err("it has changed");
    assert!(matches!(error, BucketError::Changed(_)), "{error}");
    assert!(writes(&server).is_empty());
}

#[tokio::test]
async fn refusals_name_the_call_the_code_the_field_and_what_to_do() {
    let blocked = "because public policies are blocked by the BlockPublicPolicy block public access setting.";
    for (refusing, field, words) in [
        (
            ("PUT policy", "AccessDenied", blocked),
            "s3.bucket",
            "account's own S3 Block Public Access",
        ),
        (
            ("PUT policy", "MalformedPolicy", "Invalid principal in policy"),
            "s3.writer",
            ROLE,
        ),
        (
            ("PUT ", "BucketAlreadyExists", "taken"),
            "s3.bucket",
            "bucket name",
        ),
        (
            ("PUT versioning", "AccessDenied", "Access Denied"),
            "s3.bucket",
            "s3:PutBucketVersioning",
        ),
        (
            ("GET location", "ExpiredToken", "over"),
            "s3.endpoint",
            "sign in again",
        ),
    ] {
        let (server, _) = serve(Amazon {
            refusing: Some(refusing),
            ..Amazon::default()
        })
        .await;
        let bucket = bucket(&server);
        let error = match bucket.plan().await {
            Ok(plan) => bucket.apply(&plan).await.expect_err(refusing.0),
            Err(error) => error,
        };
        let (named, text) = said(&error);
        assert!(
            named == field && text.contains(words) && text.contains(refusing.1),
            "{refusing:?}: {named} {text}"
        );
    }
    let elsewhere = Amazon {
        region: Some("us-west-2"),
        ..Amazon::default()
    };
    let (server, _) = serve(elsewhere).await;
    let (field, text) = refused(&bucket(&server), &server).await;
    assert!(field == "s3.region" && text.contains("us-west-2"), "{text}");
}
