//! Whole outputs, as people see them: key sets, what buckets grant, usage errors. Help is in `docs/reference/cli.md`.
//!
//! They show the command with all its features.
#![cfg(all(feature = "bucket", feature = "demo", feature = "kube", feature = "s3"))]

#[test]
fn outputs_are_as_written_down() {
    trycmd::TestCases::new()
        .env("HOME", "/nonexistent")
        .env("NO_COLOR", "1")
        .env("COLUMNS", "100")
        // Empty counts as unset: nothing of the machine's own.
        .env("AWS_REGION", "")
        .env("AWS_ENDPOINT_URL", "")
        .env("STORAGE_EMULATOR_HOST", "")
        .case("tests/cmd/*.trycmd");
}
