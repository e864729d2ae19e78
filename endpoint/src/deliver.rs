//! Streams the bytes of an object, or a range of them, out of its files.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use s3s::StdError;
use s3s::dto::StreamingBlob;
use s3s::stream::{ByteStream, RemainingLength};
use uuid::Uuid;

use super::bodies::Bodies;
use super::fault::EndpointFault;

/// How much is read from a file at a time.
const CHUNK: u64 = 256 << 10;

/// One file of an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) body: Uuid,
    pub(super) size: u64,
}

/// A stretch of one file.
struct Stretch {
    body: Uuid,
    from: u64,
    to: u64,
}

/// The stretches that make up `range` of an object.
fn stretches(segments: &[Segment], range: &Range<u64>) -> Vec<Stretch> {
    let mut start = 0;
    let mut found = Vec::new();
    for segment in segments {
        let end = start + segment.size;
        let (from, to) = (range.start.max(start), range.end.min(end));
        if from < to {
            found.push(Stretch { body: segment.body, from: from - start, to: to - start });
        }
        start = end;
    }
    found
}

/// Opens the first file at once, so that one that is missing is an answer and not a broken stream.
/// Later files of a multipart object open as they are reached: there may be 10,000.
pub(super) async fn deliver(
    bodies: &Arc<Bodies>,
    segments: &[Segment],
    range: Range<u64>,
) -> Result<StreamingBlob, EndpointFault> {
    let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
    let stretches = stretches(segments, &range);
    let mut first = match stretches.first() {
        Some(stretch) => Some(open(bodies.clone(), stretch.body).await?),
        None => None,
    };
    let bodies = bodies.clone();
    let files = stream::iter(stretches).then(move |stretch| {
        let (opened, bodies) = (first.take(), bodies.clone());
        async move {
            let file = match opened {
                Some(file) => file,
                None => open(bodies, stretch.body).await?,
            };
            Ok::<_, io::Error>(chunks(file, stretch.from, stretch.to))
        }
    });
    let bytes = files.try_flatten().map_err(StdError::from);
    Ok(StreamingBlob::new(Measured { inner: Box::pin(bytes), left: length }))
}

async fn open(bodies: Arc<Bodies>, body: Uuid) -> io::Result<Arc<File>> {
    let file = tokio::task::spawn_blocking(move || bodies.read(body)).await;
    file.map_err(io::Error::other)?.map(Arc::new)
}

fn chunks(
    file: Arc<File>,
    from: u64,
    to: u64,
) -> impl Stream<Item = io::Result<Bytes>> + Send + Sync {
    stream::try_unfold(from, move |at| {
        let file = file.clone();
        async move {
            let length = CHUNK.min(to - at);
            if length == 0 {
                return Ok(None);
            }
            let bytes = tokio::task::spawn_blocking(move || {
                // At most CHUNK, which fits any usize.
                let mut bytes = vec![0; length as usize];
                file.read_exact_at(&mut bytes, at).map(|()| Bytes::from(bytes))
            });
            let bytes = bytes.await.map_err(io::Error::other)??;
            Ok(Some((bytes, at + length)))
        }
    })
}

/// A stream that knows how many bytes are left, so that the answer carries its length.
struct Measured {
    inner: Pin<Box<dyn Stream<Item = Result<Bytes, StdError>> + Send + Sync>>,
    left: usize,
}

impl Stream for Measured {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.inner.as_mut().poll_next(cx);
        if let Poll::Ready(Some(Ok(bytes))) = &next {
            self.left = self.left.saturating_sub(bytes.len());
        }
        next
    }
}

impl ByteStream for Measured {
    fn remaining_length(&self) -> RemainingLength {
        RemainingLength::new_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(range: Range<u64>) -> Vec<(u64, u64)> {
        let segment = |size| Segment { body: Uuid::nil(), size };
        let segments = [segment(10), segment(5), segment(20)];
        stretches(&segments, &range).into_iter().map(|s| (s.from, s.to)).collect()
    }

    #[test]
    fn a_range_is_cut_along_the_files() {
        assert_eq!(cut(0..35), [(0, 10), (0, 5), (0, 20)]);
        assert_eq!(cut(9..16), [(9, 10), (0, 5), (0, 1)]);
        assert_eq!(cut(10..15), [(0, 5)]);
        assert_eq!(cut(3..3), []);
    }
}
