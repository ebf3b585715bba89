//! [`Writer`]: the one principal that writes.

use super::Dialect;
use crate::Invalid;

/// A principal as a bucket policy names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::bucket) struct Writer(String);

impl Writer {
    pub(super) fn parse(text: &str, dialect: Dialect, partition: &str) -> Result<Self, Invalid> {
        let rule = match dialect {
            Dialect::Amazon => amazon(text, partition),
            Dialect::Compatible => compatible(text),
        };
        match rule {
            None => Ok(Self(text.to_owned())),
            Some(rule) => Err(Invalid::new("s3.writer", format!("{rule}, not {text:?}"))),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// IAM User Guide, "IAM identifiers": `arn:PARTITION:iam::ACCOUNT:role/PATH/NAME`.
fn amazon(text: &str, partition: &str) -> Option<String> {
    let form =
        format!("must be the ARN of an IAM role, as arn:{partition}:iam::123456789012:role/kubeassume");
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let [arn, of, service, region, account, name] = parts.as_slice() else {
        return Some(form);
    };
    match (*service, *name) {
        ("sts", _) => {
            return Some(format!(
                "{form} (of the role itself: a session's ARN changes with each session)"
            ));
        }
        ("iam", name) if name.starts_with("user/") => {
            return Some(format!(
                "{form} (a user signs with a static key, which this is to do away with)"
            ));
        }
        ("iam", "root") => return Some(format!("{form} (root is everybody in the account)")),
        _ => {}
    }
    let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@_-/".contains(&b);
    let is_role = name.strip_prefix("role/").is_some_and(|role| {
        (1..=576).contains(&role.len())
            && role.bytes().all(allowed)
            && !role.ends_with('/')
            && !role.starts_with('/')
    });
    if *arn != "arn" || *service != "iam" || !region.is_empty() || !is_account || !is_role {
        return Some(form);
    }
    if *of != partition {
        return Some(format!("{form} (the region is in the partition {partition})"));
    }
    None
}

fn compatible(text: &str) -> Option<String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@_-/:".contains(&b);
    let right = (1..=600).contains(&text.len()) && text.bytes().all(allowed);
    (!right).then(|| {
        "must be one principal as the server's bucket policies name it (an access key or an ARN)".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_role_and_nobody_else() {
        let amazon = |text| Writer::parse(text, Dialect::Amazon, "aws");
        for good in [
            "arn:aws:iam::123456789012:role/kubeassume",
            "arn:aws:iam::123456789012:role/team/a+b@c",
        ] {
            assert_eq!(amazon(good).unwrap().as_str(), good);
        }
        for (bad, word) in [
            ("", "ARN"),
            ("*", "ARN"),
            ("kubeassume", "ARN"),
            ("arn:aws:iam::123456789012:root", "everybody"),
            ("arn:aws:iam::123456789012:user/x", "static key"),
            ("arn:aws:sts::123456789012:assumed-role/x/y", "session"),
            ("arn:aws:iam::12345:role/x", "ARN"),
            ("arn:aws:iam::123456789012:role/", "ARN"),
            ("arn:aws:iam::123456789012:role/*", "ARN"),
            ("arn:aws:iam:eu-west-1:123456789012:role/x", "ARN"),
            ("arn:aws-cn:iam::123456789012:role/x", "partition"),
        ] {
            let invalid = amazon(bad).expect_err(bad);
            assert_eq!(invalid.field, "s3.writer");
            assert!(invalid.rule.contains(word), "{bad}: {invalid}");
        }
    }

    #[test]
    fn a_compatible_server_has_names_of_its_own() {
        let compatible = |text| Writer::parse(text, Dialect::Compatible, "aws");
        assert!(compatible("AKIA123").is_ok() && compatible("arn:aws:iam:::user/writer").is_ok());
        for bad in ["", "*", "a b", "a\"", "\u{e9}"] {
            assert!(compatible(bad).is_err(), "{bad}");
        }
    }
}
