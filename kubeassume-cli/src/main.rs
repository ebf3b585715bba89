//! kubeassume-cli
fn main() {}
