//! Bodies in the coding `aws-chunked`, as far as `s3s` leaves it out: a body that ends before its final chunk
//! was cut off, though all of the announced bytes may be there.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html>

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use s3s::StdError;

const CONTENT: HeaderName = HeaderName::from_static("x-amz-content-sha256");
pub(super) const TRAILER: HeaderName = HeaderName::from_static("x-amz-trailer");
/// What is announced for a body that announces no trailer, since `s3s` asks for one.
pub(super) const NO_TRAILER: HeaderValue = HeaderValue::from_static("none");
/// More than the final chunk takes: its size, its signature, the ends of their lines.
const TAIL: usize = 256;

/// How the end of a request's body is known.
pub(super) enum Ending {
    /// By its length, or by a trailer that is checked where it is read.
    Known,
    /// By its final chunk.
    FinalChunk,
}

impl Ending {
    /// Reads it off the headers, and announces no trailer where one could be and none is.
    pub(super) fn of(headers: &mut HeaderMap) -> Self {
        match headers.get(CONTENT).map(HeaderValue::as_bytes) {
            Some(b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD") => Self::FinalChunk,
            Some(b"STREAMING-UNSIGNED-PAYLOAD-TRAILER") if !headers.contains_key(TRAILER) => {
                headers.insert(TRAILER, NO_TRAILER);
                Self::FinalChunk
            }
            _ => Self::Known,
        }
    }
}

/// A body that fails at its end when its final chunk is missing.
pub(super) struct Chunked {
    inner: Incoming,
    tail: Vec<u8>,
    ended: bool,
}

impl Chunked {
    pub(super) fn new(inner: Incoming) -> Self {
        Self { inner, tail: Vec::new(), ended: false }
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(TAIL)..]);
        let excess = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..excess);
    }
}

impl Body for Chunked {
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(bytes) = frame.data_ref()
        {
            self.keep(bytes);
        }
        if frame.is_none() && !self.ended && !is_final(&self.tail) {
            self.ended = true;
            return Poll::Ready(Some(Err("the final chunk is missing".into())));
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Whether a body that ends so ends with a chunk of no bytes.
fn is_final(tail: &[u8]) -> bool {
    const END: &[u8] = b"\r\n";
    let Some(line) = tail.strip_suffix(END) else { return false };
    let line = line.strip_suffix(END).unwrap_or(line);
    let line = line.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let size = line.split(|byte| *byte == b';').next().unwrap_or_default();
    !size.is_empty() && size.iter().all(|digit| *digit == b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_ends_with_a_chunk_of_no_bytes() {
        for whole in [
            "0\r\n\r\n",
            "3\r\nabc\r\n0\r\n\r\n",
            "3\r\nabc\r\n0;chunk-signature=ab\r\n\r\n",
            "0\r\n",
        ] {
            assert!(is_final(whole.as_bytes()), "{whole:?}");
        }
        for cut in
            ["", "3\r\nabc\r\n", "3\r\nabc", "10\r\n", "3;chunk-signature=0\r\nabc\r\n", "\r\n\r\n"]
        {
            assert!(!is_final(cut.as_bytes()), "{cut:?}");
        }
    }

    #[test]
    fn an_unsigned_body_need_not_announce_a_trailer() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT, HeaderValue::from_static("STREAMING-UNSIGNED-PAYLOAD-TRAILER"));
        assert!(matches!(Ending::of(&mut headers), Ending::FinalChunk));
        assert_eq!(headers[TRAILER], NO_TRAILER);
        headers.insert(TRAILER, HeaderValue::from_static("x-amz-checksum-crc32"));
        assert!(matches!(Ending::of(&mut headers), Ending::Known));
    }
}
