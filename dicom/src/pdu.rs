//! PDUs on a connection (PS3.8, 9.3): the header is read first, and the rest only when its length is within bounds.

use std::io;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use dicom_ul::pdu::{
    AbortRQServiceProviderReason as Reason, AbortRQSource, MAXIMUM_PDU_SIZE, Pdu, write_pdu,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

/// Length of a PDU's header, in bytes.
const HEADER: usize = 6;
/// Length of the PDUs that say nothing but what they are, in bytes (PS3.8, 9.3.4 to 9.3.8).
const SHORT: u32 = 4;
/// How long the other side is waited for at most when the connection is to be closed.
const CLOSING: Duration = Duration::from_secs(2);
/// Shortest A-ASSOCIATE-RQ or -AC, in bytes: its fixed fields.
const FIXED: u32 = 68;

/// Both ends of a connection.
pub(crate) trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// Longest PDUs that are read, in bytes after the header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lengths {
    /// A-ASSOCIATE-RQ and -AC.
    pub(crate) associate: u32,
    /// P-DATA-TF.
    pub(crate) data: u32,
}

/// Why there is no PDU.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The peer closed the connection, or it broke.
    #[error("the connection was closed")]
    Closed,
    /// Nothing came for too long.
    #[error("nothing was sent in time")]
    Silent,
    /// What came is not what the standard says; the reason is for the A-ABORT.
    #[error("{why}")]
    Invalid {
        /// What is wrong.
        why: &'static str,
        /// As the peer is told.
        reason: Reason,
    },
}

fn invalid(why: &'static str, reason: Reason) -> ReadError {
    ReadError::Invalid { why, reason }
}

/// Reads a PDU. `silence` bounds the wait for its first byte, and then the wait for all of it.
pub(crate) async fn read(
    from: &mut (impl AsyncRead + Unpin + ?Sized),
    lengths: Lengths,
    silence: Duration,
) -> Result<Pdu, ReadError> {
    let mut header = [0_u8; HEADER];
    timeout(silence, from.read_exact(&mut header[..1]))
        .await
        .map_err(|_| ReadError::Silent)?
        .map_err(|_| ReadError::Closed)?;
    timeout(silence, rest(from, header, lengths)).await.map_err(|_| ReadError::Silent)?
}

async fn rest(
    from: &mut (impl AsyncRead + Unpin + ?Sized),
    mut header: [u8; HEADER],
    lengths: Lengths,
) -> Result<Pdu, ReadError> {
    let closed = |_: io::Error| ReadError::Closed;
    from.read_exact(&mut header[1..]).await.map_err(closed)?;
    let length = check(header, lengths)?;
    let mut whole = BytesMut::with_capacity(HEADER + length);
    whole.extend_from_slice(&header);
    let mut rest = from.take(length as u64);
    while rest.limit() > 0 {
        if rest.read_buf(&mut whole).await.map_err(closed)? == 0 {
            return Err(ReadError::Closed);
        }
    }
    parse(whole.freeze())
}

/// The length after the header, if it is one that this kind of PDU may have.
pub(crate) fn check(header: [u8; HEADER], lengths: Lengths) -> Result<usize, ReadError> {
    let [kind, _, length @ ..] = header;
    let length = u32::from_be_bytes(length);
    let allowed = match kind {
        0x01 | 0x02 => FIXED..=lengths.associate,
        0x03 | 0x05..=0x07 => SHORT..=SHORT,
        0x04 => 6..=lengths.data,
        _ => return Err(invalid("a PDU of an unknown type", Reason::UnrecognizedPdu)),
    };
    match allowed.contains(&length) {
        true => Ok(length as usize),
        false => Err(invalid("a PDU of a length out of bounds", Reason::InvalidPduParameter)),
    }
}

/// Parses a whole PDU, header included.
pub(crate) fn parse(whole: Bytes) -> Result<Pdu, ReadError> {
    let whole = match whole.first() {
        Some(0x01 | 0x02) => known_items(whole),
        _ => whole,
    };
    let malformed = || invalid("a PDU that cannot be read", Reason::InvalidPduParameter);
    let read = dicom_ul::pdu::read_pdu(whole, MAXIMUM_PDU_SIZE, true);
    read.ok().flatten().ok_or_else(malformed)
}

/// The same A-ASSOCIATE without items of unknown types, which are to be ignored (PS3.8, 9.3.1) and which the reader would
/// refuse. What does not hold together is left for the reader to refuse.
fn known_items(whole: Bytes) -> Bytes {
    let start = HEADER + FIXED as usize;
    let mut kept = BytesMut::from(&whole[..start.min(whole.len())]);
    let mut items = whole.slice(start.min(whole.len())..);
    while let Some((kind, item)) = next_item(&mut items) {
        match kind {
            0x20 | 0x21 if item.len() >= 8 => kept.extend_from_slice(&known_sub_items(&item)),
            0x10 | 0x20 | 0x21 | 0x50 => kept.extend_from_slice(&item),
            _ => {}
        }
    }
    kept.extend_from_slice(&items);
    let length = u32::try_from(kept.len() - HEADER).unwrap_or(u32::MAX).to_be_bytes();
    kept[2..HEADER].copy_from_slice(&length);
    kept.freeze()
}

/// A presentation context with its abstract and transfer syntaxes alone.
fn known_sub_items(item: &Bytes) -> BytesMut {
    let mut kept = BytesMut::from(&item[..8]);
    let mut subs = item.slice(8..);
    while let Some((kind, sub)) = next_item(&mut subs) {
        if matches!(kind, 0x30 | 0x40) {
            kept.extend_from_slice(&sub);
        }
    }
    kept.extend_from_slice(&subs);
    let length = u16::try_from(kept.len() - 4).unwrap_or(u16::MAX).to_be_bytes();
    kept[2..4].copy_from_slice(&length);
    kept
}

/// Takes the next item with its header off `items`; `None` where there is no whole one.
fn next_item(items: &mut Bytes) -> Option<(u8, Bytes)> {
    let &[kind, _, high, low, ..] = items.as_ref() else { return None };
    let length = 4 + usize::from(u16::from_be_bytes([high, low]));
    (items.remaining() >= length).then(|| (kind, items.split_to(length)))
}

/// Writes a PDU.
pub(crate) async fn write(
    to: &mut (impl AsyncWrite + Unpin + ?Sized),
    pdu: &Pdu,
    limit: Duration,
) -> io::Result<()> {
    let mut bytes = Vec::new();
    write_pdu(&mut bytes, pdu).map_err(io::Error::other)?;
    let written = timeout(limit, async {
        to.write_all(&bytes).await?;
        to.flush().await
    });
    written.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Says that the association is over, and waits for the peer to close the connection, reading what it still sends: closed
/// with bytes unread, the connection would be reset, and the peer might never see why.
pub(crate) async fn abort(connection: &mut dyn Connection, reason: Reason, limit: Duration) {
    let source = AbortRQSource::ServiceProvider(reason);
    let _ = write(connection, &Pdu::AbortRQ { source }, limit.min(CLOSING)).await;
    close(connection, limit).await;
}

/// Waits for the peer to close the connection, at most `limit`, and two seconds.
pub(crate) async fn close(connection: &mut dyn Connection, limit: Duration) {
    let mut unread = vec![0_u8; 8 << 10];
    let _ = timeout(limit.min(CLOSING), async {
        let _ = connection.shutdown().await;
        // Bounded: who never stops sending is not listened to for ever.
        for _ in 0..1024 {
            if !matches!(connection.read(&mut unread).await, Ok(1..)) {
                break;
            }
        }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use dicom_ul::pdu::{AssociationRQ, PresentationContextProposed, UserVariableItem};

    use super::*;

    const LENGTHS: Lengths = Lengths { associate: 4096, data: 4096 };

    fn request() -> Pdu {
        AssociationRQ {
            protocol_version: 1,
            calling_ae_title: "A".into(),
            called_ae_title: "B".into(),
            application_context_name: "1.2.840.10008.3.1.1.1".into(),
            presentation_contexts: vec![PresentationContextProposed {
                id: 1,
                abstract_syntax: "1.2.840.10008.1.1".into(),
                transfer_syntaxes: vec!["1.2.840.10008.1.2".into()],
            }],
            user_variables: vec![UserVariableItem::MaxLength(16384)],
        }
        .into()
    }

    fn bytes(pdu: &Pdu) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_pdu(&mut bytes, pdu).expect("writes");
        bytes
    }

    async fn read_all(mut bytes: &[u8]) -> Result<Pdu, ReadError> {
        read(&mut bytes, LENGTHS, Duration::from_secs(5)).await
    }

    #[tokio::test]
    async fn a_length_out_of_bounds_is_refused_before_anything_is_read() {
        for kind in 1_u8..=7 {
            let header = [kind, 0, 0xff, 0xff, 0xff, 0xff];
            let error = read_all(&header).await.expect_err("refused");
            let expected = Reason::InvalidPduParameter;
            assert!(
                matches!(error, ReadError::Invalid { reason, .. } if reason == expected),
                "{kind}"
            );
        }
        let error = read_all(&[0x42, 0, 0, 0, 0, 4, 0, 0, 0, 0]).await.expect_err("refused");
        assert!(matches!(error, ReadError::Invalid { reason: Reason::UnrecognizedPdu, .. }));
    }

    #[tokio::test]
    async fn a_pdu_that_was_cut_anywhere_is_a_closed_connection() {
        let whole = bytes(&request());
        assert_eq!(read_all(&whole).await.expect("whole"), request());
        for end in 0..whole.len() {
            assert!(matches!(read_all(&whole[..end]).await, Err(ReadError::Closed)), "{end}");
        }
    }

    #[tokio::test]
    async fn items_of_unknown_types_are_ignored() {
        let mut whole = bytes(&request());
        // A sub-item of the presentation context, which follows the application context of 21 + 4 bytes.
        let context = HEADER + FIXED as usize + 25;
        assert_eq!(whole[context], 0x20);
        whole.splice(context + 8..context + 8, [0x77, 0, 0, 1, 9]);
        whole[context + 3] += 5;
        whole.extend([0x99, 0, 0, 3, 1, 2, 3]);
        let length = u32::try_from(whole.len() - HEADER).expect("short").to_be_bytes();
        whole[2..HEADER].copy_from_slice(&length);
        assert_eq!(read_all(&whole).await.expect("read"), request());
    }

    #[tokio::test]
    async fn no_single_byte_that_is_changed_makes_the_reader_panic() {
        let whole = bytes(&request());
        for at in HEADER..whole.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut changed = whole.clone();
                changed[at] = value;
                let _ = read_all(&changed).await;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_the_wait_in_the_middle_of_a_pdu_too() {
        let (mut near, mut far) = tokio::io::duplex(64);
        far.write_all(&bytes(&request())[..40]).await.expect("room");
        let error = read(&mut near, LENGTHS, Duration::from_secs(5)).await;
        assert!(matches!(error, Err(ReadError::Silent)));
    }
}
