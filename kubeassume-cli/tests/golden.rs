//! Whole outputs, as people see them: help, key sets, usage errors.
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
