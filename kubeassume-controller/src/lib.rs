//! kubeassume-controller
