//! kubeassume-publishers
