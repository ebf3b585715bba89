//! [`Plan`]: what is to be changed, and [`Bucket`], which makes and applies one.

use async_trait::async_trait;
use serde::Serialize;
use serde_json::Value;

use super::BucketError;

/// A bucket or container that is to be made ready.
#[async_trait]
pub trait Bucket: Send + Sync {
    /// Looks, by reads alone, what is missing.
    ///
    /// # Errors
    /// [`BucketError`].
    async fn plan(&self) -> Result<Plan, BucketError>;

    /// Looks again, and makes the changes of the plan in their order if they are still the ones to make.
    ///
    /// # Errors
    /// [`BucketError`]; the changes before the one that failed are made.
    async fn apply(&self, plan: &Plan) -> Result<(), BucketError>;

    /// What is to be granted, without asking anybody.
    fn grant(&self) -> Grant;
}

/// What is missing, and what was noticed.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The bucket, and the prefix in it.
    pub location: String,
    /// Where the public will read it: the issuer, unless a host of your own is in front. `None` where the server has
    /// no https address.
    pub issuer: Option<String>,
    /// In the order in which they are made.
    pub changes: Vec<Change>,
    /// Wider access, and what the server cannot do.
    pub findings: Vec<Finding>,
    /// What is not done here: statements to add, commands to run.
    pub by_hand: Vec<String>,
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// `bucket`, `versioning`, `policy`, ...
    pub what: &'static str,
    /// As it is; null for what is not there.
    pub before: Value,
    /// As it will be.
    pub after: Value,
    /// The calls that make it so.
    pub calls: Vec<Call>,
}

/// A call of the cloud's interface.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Call {
    /// Its name, as the cloud's documentation has it.
    pub operation: &'static str,
    /// Method and place.
    pub request: String,
    /// What is sent.
    pub body: Value,
}

/// Something that was noticed and is left as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What.
    pub what: String,
    /// What can be done about it.
    pub next: String,
}

/// What a bucket grants, as the cloud writes it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Grant {
    /// The policy, bindings or assignment; null where the cloud has it in words.
    pub policy: Value,
    /// Statements in the cloud's own words, and commands of its own tool that do the same.
    pub commands: Vec<String>,
}

impl Finding {
    pub(super) fn new(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            next: next.into(),
        }
    }
}

/// A plan and, for each change, the step that makes it.
pub(super) struct Planned<S> {
    pub(super) plan: Plan,
    pub(super) steps: Vec<S>,
}

impl<S> Planned<S> {
    pub(super) fn new(location: String, issuer: Option<String>) -> Self {
        Self {
            plan: Plan {
                location,
                issuer,
                changes: Vec::new(),
                findings: Vec::new(),
                by_hand: Vec::new(),
            },
            steps: Vec::new(),
        }
    }

    pub(super) fn change(&mut self, what: &'static str, before: Value, after: Value, call: Call, step: S) {
        self.plan.changes.push(Change {
            what,
            before,
            after,
            calls: vec![call],
        });
        self.steps.push(step);
    }

    pub(super) fn find(&mut self, what: impl Into<String>, next: impl Into<String>) {
        self.plan.findings.push(Finding::new(what, next));
    }
}

/// What each cloud brings to be a [`Bucket`].
#[async_trait]
pub(super) trait Cloud: Send + Sync {
    type Step: Send + Sync;

    async fn look(&self) -> Result<Planned<Self::Step>, BucketError>;
    async fn run(&self, step: Self::Step) -> Result<(), BucketError>;
    fn granted(&self) -> Grant;
}

#[async_trait]
impl<C: Cloud> Bucket for C {
    async fn plan(&self) -> Result<Plan, BucketError> {
        Ok(self.look().await?.plan)
    }

    async fn apply(&self, plan: &Plan) -> Result<(), BucketError> {
        let now = self.look().await?;
        if now.plan != *plan {
            return Err(BucketError::Changed(plan.location.clone()));
        }
        for step in now.steps {
            self.run(step).await?;
        }
        Ok(())
    }

    fn grant(&self) -> Grant {
        self.granted()
    }
}
