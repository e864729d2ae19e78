//! The opaque text that stands for the place where a page of images ends.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lobar_core::batch::{BatchId, BatchKey};
use lobar_core::object::ImageId;
use lobar_core::store::PageKey;
use lobar_core::time::Stamp;
use lobar_core::worklist::{Place, Rank};

/// In which order images are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ListOrder {
    /// Newest first.
    #[default]
    Received,
    /// What waits for a reader, the most urgent first.
    Urgency,
}

impl ListOrder {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Received, Self::Urgency];

    /// The word used in HTTP.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Urgency => "urgency",
        }
    }

    /// The order of a word.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|order| order.as_str() == word)
    }
}

/// A place in the order of urgency, with the moment that says what is overdue: all pages hold to that of the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UrgentPlace {
    pub(crate) overdue_before: Stamp,
    pub(crate) place: Place,
}

/// The token of a place in the order of time.
pub(crate) fn encode(key: PageKey) -> String {
    URL_SAFE_NO_PAD.encode(format!("1:{}:{}", key.received_at.0, key.id))
}

/// The place of a token; `None` for a text that no list in this order gave out.
pub(crate) fn decode(token: &str) -> Option<PageKey> {
    let (at, id) = read(token)?.strip_prefix("1:").and_then(place)?;
    Some(PageKey { received_at: at, id })
}

/// The token of a place in the order of urgency.
pub(crate) fn encode_urgent(UrgentPlace { overdue_before, place }: UrgentPlace) -> String {
    let Place { rank, received_at, id } = place;
    let rank = rank.number();
    URL_SAFE_NO_PAD.encode(format!("2:{}:{rank}:{}:{id}", overdue_before.0, received_at.0))
}

/// The place of a token; `None` for a text that no list in this order gave out.
pub(crate) fn decode_urgent(token: &str) -> Option<UrgentPlace> {
    let text = read(token)?;
    let (overdue_before, rest) = text.strip_prefix("2:")?.split_once(':')?;
    let (rank, rest) = rest.split_once(':')?;
    let (received_at, id) = place(rest)?;
    let rank = Rank::of_number(rank.parse().ok()?)?;
    let place = Place { rank, received_at, id };
    Some(UrgentPlace { overdue_before: Stamp(overdue_before.parse().ok()?), place })
}

/// The token of a place in the list of batches.
pub(crate) fn encode_batch(key: BatchKey) -> String {
    URL_SAFE_NO_PAD.encode(format!("3:{}:{}", key.opened_at.0, key.id))
}

/// The place of a token; `None` for a text that no list of batches gave out.
pub(crate) fn decode_batch(token: &str) -> Option<BatchKey> {
    let (opened_at, id) = read(token)?.strip_prefix("3:").and_then(place)?;
    Some(BatchKey { opened_at, id: BatchId(id.0) })
}

fn read(token: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()
}

fn place(text: &str) -> Option<(Stamp, ImageId)> {
    let (at, id) = text.split_once(':')?;
    Some((Stamp(at.parse().ok()?), id.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_as_the_place_it_was_made_from() {
        let (received_at, id) = (Stamp(-7), ImageId(uuid::Uuid::from_u128(9)));
        let key = PageKey { received_at, id };
        assert_eq!(decode(&encode(key)), Some(key));
        let batch = BatchKey { opened_at: received_at, id: BatchId(id.0) };
        assert_eq!(decode_batch(&encode_batch(batch)), Some(batch));
        assert_eq!((decode(&encode_batch(batch)), decode_batch(&encode(key))), (None, None));
        for rank in Rank::ALL {
            let place = Place { rank, received_at, id };
            let urgent = UrgentPlace { overdue_before: Stamp(-5), place };
            let token = encode_urgent(urgent);
            assert_eq!(decode_urgent(&token), Some(urgent));
            assert_eq!(decode(&token), None, "of another order");
        }
        assert_eq!(decode_urgent(&encode(key)), None, "of another order");
    }

    #[test]
    fn what_no_list_gave_out_is_refused() {
        for text in ["", "x", "MTox", "1:2:3", "MjoxOjAw", "\u{e9}"] {
            assert_eq!(decode(text), None, "{text}");
            assert_eq!(decode_urgent(text), None, "{text}");
            assert_eq!(decode_batch(text), None, "{text}");
        }
        let unknown = URL_SAFE_NO_PAD.encode(format!("2:1:4:1:{}", uuid::Uuid::nil()));
        assert_eq!(decode_urgent(&unknown), None, "a rank that there is not");
    }
}
