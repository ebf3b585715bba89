//! `publisher.file`: a directory that a web server serves.

use kubeassume_publishers::file::FileConfig;

use super::Role;
use crate::config::section::Section;

pub(super) fn read(file: &mut Section, role: &Role<'_>) -> Option<FileConfig> {
    let path = file.required(
        "path",
        "write the directory that the web server serves as the issuer's URL",
        "The directory that the web server serves as the issuer's URL. It has to exist.",
    );
    let public_url = file.text(
        "publicURL",
        "May repeat the issuer, byte for byte. A mirror has to say its own.",
    );
    let public_url = role.elsewhere(file, public_url);
    Some(FileConfig {
        path: path?.into(),
        public_url: public_url?,
    })
}
