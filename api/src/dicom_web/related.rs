//! `multipart/related` (RFC 2387): what a request says of its body, and its parts, one after the other.
//!
//! The parser is that of forms, under the name `multipart/mixed`: it holds 64 KiB at most, takes any head of a part up to
//! 32 fields, and leaves the type of the parts alone. A part without any head, which the RFC allows, is refused as damaged.

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::error::PayloadError;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use bytes::Bytes;
use futures::{Stream, TryStreamExt as _};

use crate::intake;
use crate::problem::{Kind, Problem};

/// The longest delimiter (RFC 2046, 5.1.1), in characters.
const BOUNDARY_MAX: usize = 70;

/// What a request's `Content-Type` says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Related {
    /// The media type of the root part, in small letters; empty where it is not said.
    pub(crate) root: String,
    boundary: String,
}

impl Related {
    /// Reads `multipart/related; type="application/dicom"; boundary=…`. `None` where it is not that, or has no delimiter
    /// that can be one. The type is also taken without quotes, though `/` asks for them: there are clients that leave them out.
    pub(crate) fn parse(kind: &str) -> Option<Self> {
        let (essence, mut rest) = kind.split_once(';')?;
        if !essence.trim().eq_ignore_ascii_case("multipart/related") {
            return None;
        }
        let (mut root, mut boundary) = (String::new(), None);
        while !rest.trim().is_empty() {
            let (name, value, behind) = parameter(rest)?;
            match name.to_ascii_lowercase().as_str() {
                "type" => root = value.to_ascii_lowercase(),
                "boundary" if boundary.is_none() => boundary = Some(value),
                _ => {}
            }
            rest = behind;
        }
        let boundary = boundary.filter(|boundary| is_boundary(boundary))?;
        Some(Self { root, boundary })
    }

    /// The parts of a body.
    pub(crate) fn parts<S>(&self, body: S) -> Parts
    where
        S: Stream<Item = Result<Bytes, PayloadError>> + 'static,
    {
        let kind = format!("multipart/mixed; boundary=\"{}\"", self.boundary);
        // Of a delimiter's characters each may stand in a header.
        let kind =
            HeaderValue::from_str(&kind).unwrap_or(HeaderValue::from_static("multipart/mixed"));
        Parts(Multipart::new(&HeaderMap::from_iter([(header::CONTENT_TYPE, kind)]), body))
    }
}

/// The parts of a body, in their order.
pub(crate) struct Parts(Multipart);

impl Parts {
    /// The next part; what is left of the one before is passed over. `None` behind the closing delimiter.
    pub(crate) async fn next(&mut self) -> Result<Option<Part>, Problem> {
        Ok(self.0.try_next().await.map_err(unread)?.map(Part))
    }
}

/// One part.
pub(crate) struct Part(Field);

impl Part {
    /// Its media type, in small letters and without parameters; `None` where its head names none.
    pub(crate) fn media_type(&self) -> Option<String> {
        let kind = self.0.headers().get(header::CONTENT_TYPE)?.to_str().ok()?;
        Some(kind.split(';').next()?.trim().to_ascii_lowercase())
    }

    /// Its content.
    pub(crate) fn content(self) -> impl Stream<Item = Result<Bytes, Problem>> {
        self.0.map_err(unread)
    }
}

fn unread(error: MultipartError) -> Problem {
    match error {
        MultipartError::Payload(error @ PayloadError::Io(_)) => intake::problem(&error),
        MultipartError::Payload(PayloadError::Overflow) => Problem::new(
            Kind::BadMultipart,
            "The head of a part, or what comes before the first, is too long.",
        ),
        _ => Problem::new(Kind::BadMultipart, "The multipart body is damaged or ended early."),
    }
}

/// One parameter, `name=value` or `name="value"`, and what stands behind its semicolon.
fn parameter(text: &str) -> Option<(&str, String, &str)> {
    let (name, rest) = text.split_once('=')?;
    let (name, rest) = (name.trim(), rest.trim_start());
    let Some(quoted) = rest.strip_prefix('"') else {
        let (value, behind) = rest.split_once(';').unwrap_or((rest, ""));
        return Some((name, value.trim().to_owned(), behind));
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => {
                let behind = quoted[at + 1..].trim_start();
                let behind = if behind.is_empty() { behind } else { behind.strip_prefix(';')? };
                return Some((name, value, behind));
            }
            '\\' => value.push(letters.next()?.1),
            letter => value.push(letter),
        }
    }
    None
}

/// RFC 2046, 5.1.1, `boundary`.
fn is_boundary(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
    (1..=BOUNDARY_MAX).contains(&text.len()) && text.bytes().all(known) && !text.ends_with(' ')
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    const BODY: &[u8] = b"preamble\r\n--b\r\nContent-Type: application/dicom\r\n\r\none\r\n--\r\n--c\r\n--b\r\n\
        content-type: Application/DICOM; transfer-syntax=1.2\r\n\r\n\r\n--b\r\nContent-ID: <3>\r\n\r\nthree\r\n--b--\r\nepilogue --b\r\n";

    /// The parts of a body that arrives in these pieces.
    async fn parts(pieces: Vec<Bytes>) -> Result<Vec<(Option<String>, Vec<u8>)>, Problem> {
        let related = Related::parse("multipart/related; boundary=b").expect("one");
        let mut parts = related.parts(stream::iter(pieces.into_iter().map(Ok)));
        let mut all = Vec::new();
        while let Some(part) = parts.next().await? {
            let kind = part.media_type();
            let content: Vec<Bytes> = part.content().try_collect().await?;
            all.push((kind, content.concat()));
        }
        Ok(all)
    }

    fn expected() -> Vec<(Option<String>, Vec<u8>)> {
        let kind = || Some("application/dicom".to_owned());
        vec![
            (kind(), b"one\r\n--\r\n--c".to_vec()),
            (kind(), Vec::new()),
            (None, b"three".to_vec()),
        ]
    }

    #[actix_web::test]
    async fn a_body_is_the_same_wherever_it_is_split() {
        assert_eq!(parts(vec![Bytes::from_static(BODY)]).await.expect("parts"), expected());
        for at in 0..=BODY.len() {
            let pieces = vec![Bytes::from_static(&BODY[..at]), Bytes::from_static(&BODY[at..])];
            assert_eq!(parts(pieces).await.expect("parts"), expected(), "{at}");
        }
        for size in 1..8 {
            let pieces = BODY.chunks(size).map(Bytes::from_static).collect();
            assert_eq!(parts(pieces).await.expect("parts"), expected(), "{size}");
        }
    }

    #[actix_web::test]
    async fn a_body_that_ends_early_is_refused_wherever_it_ends() {
        let end = BODY.windows(5).position(|five| five == b"--b--").expect("an end") + 3;
        for at in 0..end {
            let cut = parts(vec![Bytes::from_static(&BODY[..at])]).await;
            assert!(cut.is_err(), "{at}: {cut:?}");
        }
    }

    #[actix_web::test]
    async fn a_body_without_parts_has_none() {
        assert_eq!(parts(vec![Bytes::from_static(b"--b--\r\n")]).await.expect("none"), []);
        assert_eq!(
            parts(vec![Bytes::from_static(b"\r\n--b--")]).await.ok(),
            None,
            "no end of a line"
        );
    }

    #[actix_web::test]
    async fn long_heads_and_preambles_are_refused() {
        let head = [b"--b\r\nx: ".as_slice(), &vec![b'x'; 1 << 20], b"\r\n\r\n"].concat();
        let many =
            [b"--b\r\n".as_slice(), &b"x: y\r\n".repeat(100), b"\r\n1\r\n--b--\r\n"].concat();
        for body in [head, vec![b'x'; 1 << 20], many] {
            let refused = parts(body.chunks(1000).map(Bytes::copy_from_slice).collect()).await;
            assert_eq!(refused.err().map(|problem| problem.kind()), Some(Kind::BadMultipart));
        }
    }

    #[test]
    fn what_a_request_says_is_read_with_quotes_and_without() {
        let one = |kind: &str| Related::parse(kind).map(|related| (related.root, related.boundary));
        let is = |root: &str, boundary: &str| Some((root.to_owned(), boundary.to_owned()));
        let dicom = is("application/dicom", "a b");
        for kind in [
            "multipart/related; type=\"application/dicom\"; boundary=\"a b\"",
            "Multipart/Related;boundary=\"a b\";type=application/dicom",
            "multipart/related; type=\"Application/DICOM\" ; boundary=\"a\\ b\"; start=\"<1>;x=\\\"y\\\"\"",
        ] {
            assert_eq!(one(kind), dicom, "{kind}");
        }
        assert_eq!(one("multipart/related; boundary=b"), is("", "b"));
        for kind in [
            "",
            "multipart/related",
            "multipart/mixed; boundary=b",
            "multipart/related; type=x",
            "multipart/related; boundary=",
            "multipart/related; boundary=\"b",
            "multipart/related; boundary=\"b\" x",
            "multipart/related; boundary=b\u{e4}",
            "multipart/related; b",
            "multipart/related; boundary=\"b \"",
        ] {
            assert_eq!(one(kind), None, "{kind}");
        }
        assert!(
            Related::parse(&format!("multipart/related; boundary={}", "x".repeat(71))).is_none()
        );
    }
}
