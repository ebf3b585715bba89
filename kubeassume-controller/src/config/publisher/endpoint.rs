//! `publisher.endpoint`: the built-in HTTPS server.

use kubeassume_publishers::endpoint::EndpointConfig;

use super::Role;
use crate::config::section::Section;

pub(super) fn read(endpoint: &mut Section, role: &Role<'_>) -> Option<EndpointConfig> {
    let listen = endpoint.required(
        "listen",
        "write for example listen: 0.0.0.0:8443",
        "The address and port at which a replica answers, for example `0.0.0.0:8443`.",
    );
    let listen = endpoint.parsed("listen", listen, "write an IP address and a port: 0.0.0.0:8443");
    let cert_file = endpoint.required(
        "certFile",
        "write the PEM file with the certificate for the issuer's host, and its chain",
        "A PEM file with the certificate for the issuer's host and its chain. Read anew when it changes.",
    );
    let key_file = endpoint.required(
        "keyFile",
        "write the PEM file with the certificate's private key",
        "A PEM file with the certificate's private key, not encrypted. Read anew when it changes.",
    );
    let public_url = endpoint.text(
        "publicURL",
        "May repeat the issuer, byte for byte. A mirror has to say its own.",
    );
    let public_url = role.elsewhere(endpoint, public_url);
    Some(EndpointConfig {
        listen: listen?,
        cert_file: cert_file?.into(),
        key_file: key_file?.into(),
        public_url: public_url?,
    })
}
