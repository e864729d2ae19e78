//! What a child answers with: a head in JSON, and bytes as they are.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::problem::{Kind, Problem};

/// Why there is nothing of what is asked for.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Lacking {
    /// The file does not have it, or not so that it can be told apart.
    NotThere(String),
    /// The client takes nothing that it can be had as.
    NotTaken(String),
}

impl From<Lacking> for Problem {
    fn from(lacking: Lacking) -> Self {
        match lacking {
            Lacking::NotThere(detail) => Problem::new(Kind::NoPicture, detail),
            Lacking::NotTaken(detail) => Problem::new(Kind::NotAcceptable, detail),
        }
    }
}

/// A head and bytes, in one piece: the length of the JSON, the JSON with all lengths, and what they are of.
pub(super) fn pack<H: Serialize>(head: &H, parts: &[Bytes]) -> Option<Vec<u8>> {
    let lengths: Vec<usize> = parts.iter().map(Bytes::len).collect();
    let all: usize = lengths.iter().sum();
    let head = serde_json::to_vec(&(head, lengths)).ok()?;
    let mut bytes = Vec::with_capacity(8 + head.len() + all);
    bytes.extend((head.len() as u64).to_le_bytes());
    bytes.extend(&head);
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    Some(bytes)
}

/// What was packed; `None` for anything else.
pub(super) fn unpack<H: DeserializeOwned>(mut bytes: Bytes) -> Option<(H, Vec<Bytes>)> {
    let length = u64::from_le_bytes(*bytes.first_chunk()?);
    let mut take = |length: usize| (length <= bytes.len()).then(|| bytes.split_to(length));
    take(8)?;
    let (head, lengths): (H, Vec<usize>) =
        serde_json::from_slice(&take(usize::try_from(length).ok()?)?).ok()?;
    let parts = lengths.into_iter().map(take).collect::<Option<_>>()?;
    Some((head, parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_out_as_they_went_in_and_what_is_cut_short_is_none() {
        let parts = vec![Bytes::from_static(b"one"), Bytes::new(), Bytes::from_static(b"three")];
        let head = Lacking::NotTaken("head".into());
        let bytes = pack(&head, &parts).expect("packed");
        for cut in 0..bytes.len() {
            assert_eq!(unpack::<Lacking>(bytes[..cut].to_vec().into()), None, "{cut}");
        }
        assert_eq!(unpack(bytes.into()), Some((head, parts)));
        let huge = [&u64::MAX.to_le_bytes()[..], b"{}"].concat();
        assert_eq!(unpack::<Lacking>(huge.into()), None);
    }
}
