//! What must hold for any token at all.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::signer::{P256, RSA, Signer, b64};
use super::site::{World, claims};

static WORLD: LazyLock<World> = LazyLock::new(World::new);
static TOKENS: LazyLock<[String; 2]> = LazyLock::new(|| [RSA.token(&claims()), P256.token(&claims())]);

fn accepts(token: &str) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(WORLD.verify(token)).is_ok()
}

fn signer(ec: bool) -> &'static Signer {
    if ec { &P256 } else { &RSA }
}

#[test]
fn the_tokens_under_change_are_good_ones() {
    assert!(TOKENS.iter().all(|token| accepts(token)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

    /// Every character of every segment counts, also the last one with its unused bits.
    #[test]
    fn one_changed_character_spoils_a_token(ec: bool, at in any::<prop::sample::Index>(), to in prop::char::range('\0', '\u{7f}')) {
        let good = &TOKENS[usize::from(ec)];
        let at = at.index(good.len());
        prop_assume!(good.as_bytes()[at] != to as u8);
        let mut changed = good.clone();
        changed.replace_range(at..=at, to.encode_utf8(&mut [0; 4]));
        prop_assert!(!accepts(&changed), "position {at} changed to {to:?}");
    }

    #[test]
    fn one_missing_or_additional_character_spoils_a_token(ec: bool, at in any::<prop::sample::Index>(), add in prop::option::of("[A-Za-z0-9_.=-]")) {
        let good = &TOKENS[usize::from(ec)];
        let at = at.index(good.len());
        let mut changed = good.clone();
        match &add {
            Some(add) => changed.insert_str(at, add),
            None => drop(changed.remove(at)),
        }
        prop_assert!(!accepts(&changed), "position {at}: {add:?}");
    }

    #[test]
    fn arbitrary_text_is_refused_without_a_panic(text in "\\PC{0,200}") {
        prop_assert!(!accepts(&text));
    }

    #[test]
    fn arbitrary_signed_bytes_are_refused_without_a_panic(ec: bool, bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let signer = signer(ec);
        let as_claims = signer.sign(&format!("{}.{}", b64(signer.header()), b64(&bytes)));
        let as_header = signer.sign(&format!("{}.{}", b64(&bytes), b64(claims())));
        prop_assert!(!accepts(&as_claims));
        prop_assert!(!accepts(&as_header));
    }

    /// A signed number is a date, too late, or refused: never a panic, never a wrap into validity.
    #[test]
    fn exp_is_never_taken_for_another_number(exp in prop_oneof![any::<f64>(), any::<i64>().prop_map(|n| n as f64)]) {
        prop_assume!(exp.is_finite());
        let text = claims().replace("\"exp\":1800003600", &format!("\"exp\":{exp:e}"));
        prop_assert_eq!(accepts(&P256.token(&text)), exp > 1_799_999_940.0 && exp < 253_370_764_800.0);
    }
}
