//! Whole outputs, as people see them: key sets, usage errors. Help is in `docs/reference/cli.md`.
//!
//! They show the command with all its features.
#![cfg(all(feature = "demo", feature = "kube", feature = "s3"))]

#[test]
fn outputs_are_as_written_down() {
    trycmd::TestCases::new()
        .env("HOME", "/nonexistent")
        .env("NO_COLOR", "1")
        .env("COLUMNS", "100")
        .case("tests/cmd/*.trycmd");
}
