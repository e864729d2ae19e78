//! The opaque text that stands for the place where a page of images ends.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lobar_core::store::PageKey;
use lobar_core::time::Stamp;

/// The token of a place.
pub(crate) fn encode(key: PageKey) -> String {
    URL_SAFE_NO_PAD.encode(format!("1:{}:{}", key.received_at.0, key.id))
}

/// The place of a token; `None` for a text that no list gave out.
pub(crate) fn decode(token: &str) -> Option<PageKey> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    let (at, id) = text.strip_prefix("1:")?.split_once(':')?;
    Some(PageKey { received_at: Stamp(at.parse().ok()?), id: id.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use lobar_core::object::ImageId;

    #[test]
    fn a_token_reads_back_as_the_place_it_was_made_from() {
        let key = PageKey { received_at: Stamp(-7), id: ImageId(uuid::Uuid::from_u128(9)) };
        assert_eq!(decode(&encode(key)), Some(key));
    }

    #[test]
    fn what_no_list_gave_out_is_refused() {
        for text in ["", "x", "MTox", "1:2:3", "MjoxOjAw", "\u{e9}"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
