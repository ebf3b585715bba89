//! The faults, and what each must come to.

use kubeassume_tests::{Answer, Certificate, Fault};

/// One fault on one backend.
pub(crate) struct Case {
    pub(crate) check: &'static str,
    pub(crate) fault: Fault,
    pub(crate) outcomes: Vec<(Hits, Outcome)>,
}

/// Which requests a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hits {
    Reads,
    Writes,
    /// Writes of the key set, so that nothing but the publisher keeps the other document from being written.
    KeySet,
    All,
}

/// What comes of a publish while the fault lasts.
pub(crate) enum Outcome {
    /// It fails with a `StoreError` of this label, whose text has these words.
    Fails(&'static str, &'static [&'static str]),
    /// As `Fails`, but for what is absent: there the status alone says all.
    FailsOnceThere(&'static str, &'static [&'static str]),
    /// What was written is found by reading it: the answer is not needed.
    Settles,
}

/// What one cloud answers when something is wrong with it or with the request.
pub(crate) struct Dialect {
    pub(crate) failed: Answer,
    pub(crate) unavailable: Answer,
    pub(crate) throttled: Answer,
    /// What a write refused by `throttled` means: whether an SDK may have sent it before.
    pub(crate) throttled_write: &'static str,
    /// What a read means whose answer ended in the middle; where nothing is there, some tell by the status alone.
    pub(crate) torn_read: Outcome,
}

/// The faults that each backend can meet.
pub(crate) fn common(dialect: Dialect) -> Vec<Case> {
    use Hits::{All, KeySet, Reads, Writes};
    use Outcome::{Fails, Settles};
    let throttled = dialect.throttled.with("retry-after", "3600");
    let tls = |check, certificate, words| Case {
        check,
        fault: Fault::Tls(certificate),
        outcomes: vec![(All, Fails("unavailable", words))],
    };
    vec![
        Case {
            check: "a reset before the effect",
            fault: Fault::ResetBefore,
            outcomes: vec![
                (Reads, Fails("unavailable", &[])),
                (KeySet, Fails("unknown", &[])),
            ],
        },
        Case {
            check: "a reset after the effect",
            fault: Fault::ResetAfter,
            outcomes: vec![(Reads, Fails("unavailable", &[])), (Writes, Settles)],
        },
        Case {
            check: "500",
            fault: Fault::Answer(dialect.failed),
            outcomes: vec![
                (Reads, Fails("unavailable", &["HTTP status 500"])),
                (KeySet, Fails("unknown", &["HTTP status 500"])),
            ],
        },
        Case {
            check: "503",
            fault: Fault::Answer(dialect.unavailable),
            outcomes: vec![
                (Reads, Fails("unavailable", &["HTTP status 503"])),
                (KeySet, Fails("unknown", &["HTTP status 503"])),
            ],
        },
        Case {
            check: "429 with Retry-After of an hour",
            fault: Fault::Answer(throttled),
            outcomes: vec![
                (Reads, Fails("unavailable", &["HTTP status 429"])),
                (KeySet, Fails(dialect.throttled_write, &["HTTP status 429"])),
            ],
        },
        Case {
            check: "an answer that never ends",
            fault: Fault::Drip,
            outcomes: vec![(Reads, Fails("unavailable", &[])), (Writes, Settles)],
        },
        Case {
            check: "an answer that ends in the middle",
            fault: Fault::Truncated,
            outcomes: vec![(Reads, dialect.torn_read), (Writes, Settles)],
        },
        tls(
            "a certificate of an unknown CA",
            Certificate::UnknownCa,
            &["certificate", "tls.caFile"],
        ),
        tls(
            "a certificate for another name",
            Certificate::OtherName,
            &["certificate", "endpoint"],
        ),
        tls(
            "a certificate that has expired",
            Certificate::Expired,
            &["certificate", "expired", "clock"],
        ),
    ]
}

/// A refusal of every request, for a reason that a person must mend.
pub(crate) fn refused(
    check: &'static str,
    answer: Answer,
    label: &'static str,
    words: &'static [&'static str],
) -> Case {
    Case {
        check,
        fault: Fault::Answer(answer),
        outcomes: vec![(Hits::All, Outcome::Fails(label, words))],
    }
}
