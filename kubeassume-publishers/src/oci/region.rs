//! Under which domain a region is. OCI is several clouds ("realms") that share nothing, each with a domain.

/// The domain of the commercial realm, and of every region that is not listed below: as in OCI's own SDKs.
const COMMERCIAL: &str = "oraclecloud.com";

/// The regions of the other realms, from the table of OCI's Python SDK 2.189.
const OTHERS: [(&str, &[&str]); 18] = [
    (
        "oraclegovcloud.com",
        &[
            "us-langley-1",
            "us-luke-1",
            "us-gov-ashburn-1",
            "us-gov-chicago-1",
            "us-gov-phoenix-1",
        ],
    ),
    ("oraclegovcloud.uk", &["uk-gov-london-1", "uk-gov-cardiff-1"]),
    ("oraclecloud8.com", &["ap-chiyoda-1", "ap-ibaraki-1"]),
    ("oraclecloud9.com", &["me-dcc-muscat-1", "me-ibri-1"]),
    ("oraclecloud10.com", &["ap-dcc-canberra-1"]),
    (
        "oraclecloud14.com",
        &[
            "eu-dcc-milan-1",
            "eu-dcc-milan-2",
            "eu-dcc-dublin-2",
            "eu-dcc-rating-2",
            "eu-dcc-rating-1",
            "eu-dcc-dublin-1",
        ],
    ),
    ("oraclecloud15.com", &["ap-dcc-gazipur-1"]),
    ("oraclecloud.eu", &["eu-madrid-2", "eu-frankfurt-2"]),
    ("oraclecloud20.com", &["eu-jovanovac-1"]),
    ("oraclecloud21.com", &["me-dcc-doha-1", "me-alrayyan-1"]),
    ("oraclecloud23.com", &["us-somerset-1", "us-thames-1"]),
    ("oraclecloud24.com", &["eu-dcc-zurich-1", "eu-crissier-1"]),
    ("oraclecloud26.com", &["me-abudhabi-3", "me-alain-1"]),
    ("oraclecloud29.com", &["me-abudhabi-2", "me-abudhabi-4"]),
    (
        "oraclecloud35.com",
        &["ap-seoul-2", "ap-suwon-1", "ap-chuncheon-2"],
    ),
    ("oraclecloud42.com", &["us-ashburn-2", "us-newark-1"]),
    ("oraclecloud51.com", &["eu-budapest-1"]),
    ("oraclecloud52.com", &["sa-riodejaneiro-1"]),
];

/// `https://objectstorage.REGION.DOMAIN`.
pub(super) fn object_storage(region: &str) -> String {
    let other = OTHERS.iter().find(|(_, regions)| regions.contains(&region));
    let domain = other.map_or(COMMERCIAL, |(domain, _)| domain);
    format!("https://objectstorage.{region}.{domain}")
}
