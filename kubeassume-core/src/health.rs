//! How parts report, and how their reports add up.

use std::fmt;

use serde::Serialize;

/// The health of a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "health", content = "reason", rename_all = "camelCase")]
pub enum Health {
    /// It does what it is for.
    Ok,
    /// It works, and something needs attention.
    Degraded(String),
    /// It does not work.
    Failing(String),
}

impl Health {
    /// The health of two parts together: the worse of both, with both reasons where both have one.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let join = |a: String, b: String| format!("{a}; {b}");
        match (self, other) {
            (Self::Ok, health) | (health, Self::Ok) => health,
            (Self::Degraded(a), Self::Degraded(b)) => Self::Degraded(join(a, b)),
            (Self::Failing(a) | Self::Degraded(a), Self::Failing(b) | Self::Degraded(b)) => {
                Self::Failing(join(a, b))
            }
        }
    }

    /// Whether it does not work.
    pub fn is_failing(&self) -> bool {
        matches!(self, Self::Failing(_))
    }
}

impl FromIterator<Self> for Health {
    fn from_iter<I: IntoIterator<Item = Self>>(parts: I) -> Self {
        parts.into_iter().fold(Self::Ok, Self::and)
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.write_str("ok"),
            Self::Degraded(reason) => write!(f, "degraded: {reason}"),
            Self::Failing(reason) => write!(f, "failing: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_part_decides_and_no_reason_is_lost() {
        let degraded = || Health::Degraded("slow".to_owned());
        let failing = || Health::Failing("down".to_owned());
        assert_eq!(
            [Health::Ok, Health::Ok].into_iter().collect::<Health>(),
            Health::Ok
        );
        assert_eq!(
            [degraded(), Health::Ok].into_iter().collect::<Health>(),
            degraded()
        );
        let both: Health = [degraded(), failing(), Health::Ok].into_iter().collect();
        assert_eq!(both, Health::Failing("slow; down".to_owned()));
        assert!(both.is_failing());
    }
}
