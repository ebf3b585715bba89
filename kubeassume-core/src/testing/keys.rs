//! Public keys to test with, as Kubernetes serves them. Their private halves were never kept.

use std::sync::LazyLock;

use crate::{Jwk, KeySet};

/// A public key and the `kid` that Kubernetes gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyFixture {
    /// Its `kid`.
    pub kid: &'static str,
    /// The JWK, as JSON.
    pub json: &'static str,
}

impl KeyFixture {
    /// The key.
    pub fn jwk(&self) -> Jwk {
        // Checking a curve point takes its time; simulations ask often.
        static PARSED: LazyLock<KeySet> = LazyLock::new(|| parse(&ALL));
        let known = ALL.contains(self).then(|| PARSED.by_kid(self.kid)).flatten();
        known.cloned().unwrap_or_else(|| {
            let one = parse(&[*self]);
            one.iter().next().expect("one key").clone()
        })
    }
}

fn parse(keys: &[KeyFixture]) -> KeySet {
    KeySet::parse(&document(keys)).expect("a key set").keys
}

/// A key set document with these keys, as an API server serves it.
pub fn document(keys: &[KeyFixture]) -> Vec<u8> {
    let keys: Vec<&str> = keys.iter().map(|key| key.json).collect();
    format!(r#"{{"keys":[{}]}}"#, keys.join(",")).into_bytes()
}

/// An RSA key of 2048 bits.
pub const RSA_1: KeyFixture = KeyFixture {
    kid: "1WModRMwj91yTw1XiwYvAA74Ounf6bK_q2onw7HkbKU",
    json: r#"{"kty":"RSA","use":"sig","alg":"RS256","kid":"1WModRMwj91yTw1XiwYvAA74Ounf6bK_q2onw7HkbKU","n":"vu7ObX5fJM6pYdqn1oJ9atYh00RyPjy-MDbuSuqm8ghkQcHPUr0o8eRsBI6VPN1rV3aWZT0Cyw90vlYJ4-PYXjeBFOQKxXOVfRVOy6UObMuof1f_QVpL_KqBSeSDTxIC7DF5XNSjXHfy0M7a8jqE05iMtJBdsRSrjP40fUIkerU1n65heWaQSZh_3aXGZUxHyDAHnLvPFKhMMG_jhJheUrPM0WvlyAL1_fC74OXBTxFNeEpjXnujLnHYaM4CRQgHRC-Yk_GAqo3l1QxNngrPnTwz7DyXRGK6dXOfiJftc6cHeRyAY2KwQ1BTgNrqOs7vaTmIEzbQ6H4g8TpLthJ7kw","e":"AQAB"}"#,
};

/// An RSA key of 2048 bits.
pub const RSA_2: KeyFixture = KeyFixture {
    kid: "x3iH_Z6pE0G5kNoxJXh33Gl9STzKH0M_PU4mu4kQe80",
    json: r#"{"kty":"RSA","use":"sig","alg":"RS256","kid":"x3iH_Z6pE0G5kNoxJXh33Gl9STzKH0M_PU4mu4kQe80","n":"ozEjPH-BVZyxIHU_0PcY8Vnv_Do2KnR3lxVTOkNJfZmx2ko65AI3dfbNFckDAvYGyr8HFd4LifKGTiKUEWIoIDDUXI2uKQlJhqADt9JK_1nSmJQ06w58nCODinjTutoJFGA56wgoBMbUeY48nwXhsWioS2xUq0A0e3pMe0R5fVzzjZWMNobrNj2WL2u_mP0tLvqPAm6NBCwKbqGWrKwXL9lJGPpRKz_1aLeK1RJDavF-oCcK_e76PYf8TCJmGRYxY7GpzI1pNW70YkwEFt147os2gX0vEEU4b7g--24A43zUyj1NjZMuIATLfwzeHuXTIVPrzewEwQMitx_glquKaQ","e":"AQAB"}"#,
};

/// An RSA key of 2048 bits.
pub const RSA_3: KeyFixture = KeyFixture {
    kid: "QE_ElYOfwwwQGnIcD8hNhj6sPXN4iwJn3MNdSVUdQ0E",
    json: r#"{"kty":"RSA","use":"sig","alg":"RS256","kid":"QE_ElYOfwwwQGnIcD8hNhj6sPXN4iwJn3MNdSVUdQ0E","n":"qBLFaQ6j4A66oq82L6T8Z6HI7-z63FCULBAcj3i44pkUBcLkfr-J-Mkmy9Hdx7h5Skfrfc_3BpoUB6rnRXv23UUz414ZrrxXJlJcBCw9dfVVA2qPwjHhBnOA5uM8yNic6supXcbLk5QMsbE8nxKTECBcX_OYRxvxOFQSnAmhJnjdR4louOCKqjPcgqciKWq1t74ewf1DlbpvrMbbLNKTz2eAhF2FIdkl8rtCEl8snGMcpPZFK8W39vWAk3Cs-dUp8WhXeWiuWjCosGX1jFyqqsU9xHKl7unrr_AFzQad9OzXR9zMn6J3n2ZQ9FjrEPKnU9yZNq188ByVKEDTGYbo5Q","e":"AQAB"}"#,
};

/// A P-256 key.
pub const P256_1: KeyFixture = KeyFixture {
    kid: "ZqsYlMYnO3SHhQWMhrNJLR1fniskrczHDIrGUbsKNJM",
    json: r#"{"kty":"EC","use":"sig","alg":"ES256","kid":"ZqsYlMYnO3SHhQWMhrNJLR1fniskrczHDIrGUbsKNJM","crv":"P-256","x":"faKiAjdccCdsgMjuzrtboBz6qNuwWMbwNJU31dSC43k","y":"HakC6sI-nhS6a24iCSP0q-FJcw3XKApggSos54nHw9c"}"#,
};

/// A P-256 key.
pub const P256_2: KeyFixture = KeyFixture {
    kid: "kQ9GgeAkX_zrqllNmRRG8G6YE3lc8iJ_EuRhXNkR09w",
    json: r#"{"kty":"EC","use":"sig","alg":"ES256","kid":"kQ9GgeAkX_zrqllNmRRG8G6YE3lc8iJ_EuRhXNkR09w","crv":"P-256","x":"D98ueKztyhKRGwMOsU-FP5UhjyMxNR5UGOUfdCjGcKo","y":"QjqKxmfJt6ORBCzW3-mNQ3Yp307fECMURaUw-T319bY"}"#,
};

/// A P-256 key.
pub const P256_3: KeyFixture = KeyFixture {
    kid: "IosNZzQcknoRPYiadCdEdX5Boy23eP5hFyo1aMJVQ0g",
    json: r#"{"kty":"EC","use":"sig","alg":"ES256","kid":"IosNZzQcknoRPYiadCdEdX5Boy23eP5hFyo1aMJVQ0g","crv":"P-256","x":"p9UwD8gW7MgsOXrfu5KhhgQCSnFBdRDD_iMT42fC-7k","y":"O7Mg5DrzY98SSskUfV6DTLtJ-L72J1dYd7zvtJyqmLA"}"#,
};

/// A P-384 key.
pub const P384: KeyFixture = KeyFixture {
    kid: "S3gaePejHMiryePlJ_4DT5rJ5NGimqymg551feAClHo",
    json: r#"{"kty":"EC","use":"sig","alg":"ES384","kid":"S3gaePejHMiryePlJ_4DT5rJ5NGimqymg551feAClHo","crv":"P-384","x":"ztw4PV6m7xmQjeuH2CIvtz6CxYmoaD4NHw41eG--95TkrOJUeztXVez25NnDeKYD","y":"SF97pgVEjlmeOKYQ0JP6oKPZC1sbfuEhWgvrPrwZhTIZQ-r2nO65VhycyPFoJhh2"}"#,
};

/// A P-521 key.
pub const P521: KeyFixture = KeyFixture {
    kid: "SESwErwZMBpWTOx2W2BZ0l97pigR4coJAZRmuYyWG04",
    json: r#"{"kty":"EC","use":"sig","alg":"ES512","kid":"SESwErwZMBpWTOx2W2BZ0l97pigR4coJAZRmuYyWG04","crv":"P-521","x":"ASFWXR48oBQXRMsDsKhlBRwAhZxHUaNdG_nbc7bMAM3NtjeN8oH8rIQ_tj3OEGy_Rrj7upptb3egWwD4egIVorHB","y":"AMT30JHjtCRjYi2EvA0rbnVaR1bgJPJJgLUXQoTk3WHIXpKQwDoGkjyGGqDCH-oTxQvUfGv9XaRf2lwl9v-zStP1"}"#,
};

/// All of them.
pub const ALL: [KeyFixture; 8] = [RSA_1, RSA_2, RSA_3, P256_1, P256_2, P256_3, P384, P521];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fixture_is_usable_and_named_as_kubernetes_names_it() {
        let parsed = KeySet::parse(&document(&ALL)).unwrap();
        assert_eq!(parsed.keys.len(), ALL.len());
        assert_eq!(parsed.findings, []);
        for fixture in ALL {
            assert_eq!(fixture.jwk().kid(), fixture.kid);
            assert_eq!(fixture.jwk().kubernetes_kid(), fixture.kid);
        }
    }
}
