//! Bodies of several parts (PS3.18, 8.6.1.2), sent as they are read.

use actix_web::HttpResponse;
use actix_web::http::header;
use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};

use crate::problem::Problem;

/// A part of a body.
pub(super) struct Part {
    pub(super) media_type: String,
    /// Where it is had by itself.
    pub(super) location: Option<String>,
    pub(super) bytes: Bytes,
}

/// The first piece, which was read before anything is answered, and those that are read one by one behind it.
pub(super) fn stream_of<T: 'static>(
    first: T,
    rest: impl Stream<Item = Result<T, Problem>> + 'static,
) -> impl Stream<Item = Result<T, Problem>> + 'static {
    stream::once(async move { Ok(first) }).chain(rest)
}

/// A body whose parts are all of one media type.
pub(super) fn multipart(
    media_type: &str,
    parts: impl Stream<Item = Result<Bytes, Problem>> + 'static,
) -> HttpResponse {
    let of_all = media_type.to_owned();
    let part = move |bytes| Part { media_type: of_all.clone(), location: None, bytes };
    multipart_of(media_type, parts.map(move |bytes| bytes.map(&part)))
}

/// A body of parts that say themselves what they are; most are of the media type `root`.
pub(super) fn multipart_of(
    root: &str,
    parts: impl Stream<Item = Result<Part, Problem>> + 'static,
) -> HttpResponse {
    // Random: it cannot occur in what others made before.
    let boundary = uuid::Uuid::new_v4().simple().to_string();
    let begin = format!("--{boundary}\r\nContent-Type: ");
    let end = format!("--{boundary}--\r\n");
    let parts = parts.flat_map(move |part| {
        let pieces = match part {
            Ok(Part { media_type, location, bytes }) => {
                let location = location.map(|it| format!("\r\nContent-Location: {it}"));
                let head = format!("{begin}{media_type}{}\r\n\r\n", location.unwrap_or_default());
                vec![Ok(Bytes::from(head)), Ok(bytes), Ok(Bytes::from_static(b"\r\n"))]
            }
            Err(problem) => vec![Err(problem)],
        };
        stream::iter(pieces)
    });
    let body = parts.chain(stream::once(async move { Ok(Bytes::from(end)) }));
    let root = root.split(';').next().unwrap_or_default();
    let kind = format!("multipart/related; type=\"{root}\"; boundary={boundary}");
    HttpResponse::Ok().insert_header((header::CONTENT_TYPE, kind)).streaming(body)
}
