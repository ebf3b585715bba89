//! Fixed public keys: multiples of P-256's base point, and RSA-shaped numbers. Nobody signs with them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// How many keys the cluster can roll through; every fifth is RSA, so that the discovery document changes.
pub const OWN: usize = 14;
/// How many more only another cluster has.
pub const FOREIGN: usize = 4;

const POINTS: [(&str, &str); 18] = [
    (
        "Xsvk0aYzCkTI9--VHUvxZebGtyHvramF-0FmG8bn_Ww",
        "hzRkDEmY_343SwbOGmSi7NgqsDY4T7g9mnmxJ6J9UDI",
    ),
    (
        "4lNKNTLQj7ugLd5lnuYr0AMf4tt4VZbvUJMCRGsDCFI",
        "4PFXWkxjPMcZ3-5f2oYtdk78lsPzDuAFXELCPxhO2MY",
    ),
    (
        "UVkLelFRQNLXhMhWCGaP3--Mgv0fW-UkIVVKDcPQM-0",
        "4MF9qJBKcn2K4b82v4p5Jg0BLwDU2AiI0dC7RP2hbaQ",
    ),
    (
        "sBoXKnakYCyS0yQsuJfd4wJMdA3rshW0xrCq6Twikak",
        "6FwQdDI32tVv7A4t-6cDeRwA93Acfha9_XxIU4_Hf-I",
    ),
    (
        "jlM7b6C_e0YluzBmfAH7YH75-LioD-9bMAYocDGHsqM",
        "c-sdveAzGDZtBp-DpvWQAFPHNjPLBBshxV4ahsH0ALQ",
    ),
    (
        "Ytl3nb7psFNAQnQtOrVMrcHSOJgPzpfbtN2dwdtvs5M",
        "rVrMvZHp2CRP8V13EWfO4KLtUfa752p42lQKag8JlX4",
    ),
    (
        "6mjXtv7fC3GHiTjVHXH4cp4Ky4wsbfiz156KS5CUnuA",
        "KidEyXLJ_OeHAUqWSo6gyE1xT-qk3oI_6FoiSk3QSPo",
    ),
    (
        "zvZtayo6mT5ZEhTR6iI_tUXKbEccSDBuTDYGlATFcj8",
        "h4ZioimqrpBuEjzdnTtMEFkN7Sn-dR7uyjS7qkSvB3M",
    ),
    (
        "PtETt4g7TFkGODedsMIc2hZ0LtAlUEi_QzOR03S8IdE",
        "kJkgmszEyKIkyEOvpPTGigkNBNpemIna4vju_OgqN0A",
    ),
    (
        "dB3VvagX2V5GJlNzIOXVUXmYMCiy-CyZ1QDF7oYk48Q",
        "B3C0apw4X9xWc4NVSIexVI7rkSw1ulynGZX_Is1EgdM",
    ),
    (
        "F3yDeuCsSVphgF3y2F7i_HkuKEtl6tWKmOFdnUYHLAE",
        "Y7tYzU6-pViiQJGttA9OcibuFMOh-03znEO74u_Hv9g",
    ),
    (
        "VOd6ABw4Yrl6dmR_QzbfPPEmrL56BpxeVwkncyTSkgs",
        "9Znxuyn0MXVCEh-MBaLnw3Fx6ndzUJAIG6fIL2DQs3U",
    ),
    (
        "8EVNxpcauuet-zeJmYiCZa4Dr5LeOg7xY2aMY-WbnV8",
        "tbk-41kuLR9OZZTlH5ZD5io7Ic51tfo_R-Wc3g0DTzY",
    ),
    (
        "dqlNE4prQYWLghximDYxX80oOS7_bKA4petHh-EnfG4",
        "qYX-YTQfJg5ssKG14R6HIIWZoAQPx4uqDp3dckuMURA",
    ),
    (
        "R3dpBMDxzDqcCYS2b3UwGl-mhnjw1kr4uhq840c4pz4",
        "qgBe5rW5VyhiMYVld2SOg4GygEQo1XM_MveH_3Hx_Nw",
    ),
    (
        "EFfgq1eA9HDe_JN40cfIdDe7TG-epVxj2TYmbb14H9o",
        "9vFkWhXL5dyfqbff2W7lp9zBG1xe9PH3jYOzOTxqRaI",
    ),
    (
        "y20oYRAsDCXOObfBcQjFB3gsRSJXiEiVwfx7dKsD7YM",
        "WNdhSyTZ71FcNecQDW1s5KSWcW4w-j4D45FQdSvOzao",
    ),
    (
        "g6Aak3g5W6ubzWoK0DzFbVbmsZJQRlqUojTcTGso2po",
        "duSbbeL3MjSual651hK3XJ8iArtpI_VP-CQKqob2QLg",
    ),
];

/// The name of a key.
pub fn kid(key: usize) -> String {
    if key < OWN {
        format!("k{key}")
    } else {
        format!("foreign{}", key - OWN)
    }
}

/// The key whose name this is.
pub fn by_kid(name: &str) -> Option<usize> {
    (0..OWN + FOREIGN).find(|key| kid(*key) == name)
}

/// A key set, as a server would write it.
pub fn document(keys: &BTreeSet<usize>) -> String {
    let mut text = String::from("{\"keys\":[");
    for (nth, key) in keys.iter().enumerate() {
        let comma = if nth == 0 { "" } else { "," };
        let kid = kid(*key);
        if key % 5 == 4 {
            let modulus: Vec<u8> = (0..256u32)
                .map(|i| (i * 7 + *key as u32 * 13) as u8 | 0x81)
                .collect();
            let n = URL_SAFE_NO_PAD.encode(modulus);
            let _ = write!(
                text,
                r#"{comma}{{"use":"sig","kty":"RSA","kid":"{kid}","alg":"RS256","n":"{n}","e":"AQAB"}}"#
            );
        } else {
            let (x, y) = POINTS[*key];
            let _ = write!(
                text,
                r#"{comma}{{"use":"sig","kty":"EC","kid":"{kid}","crv":"P-256","alg":"ES256","x":"{x}","y":"{y}"}}"#
            );
        }
    }
    text + "]}"
}
