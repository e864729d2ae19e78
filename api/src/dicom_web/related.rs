//! `multipart/related` (RFC 2387): what a request says of its body, and its parts, one after the other.
//!
//! A part ends at the next delimiter and nowhere else (RFC 2046, 5.1.1): `Content-Length` has no meaning in a part, and
//! clients that write it write it wrong. The parser of forms obeys it, so it is not used here.

use actix_web::error::PayloadError;
use bytes::{Bytes, BytesMut};
use futures::stream::LocalBoxStream;
use futures::{Stream, StreamExt as _, stream};

use crate::intake;
use crate::problem::{Kind, Problem};

/// The longest delimiter, in characters. RFC 2046, 5.1.1, has 70; Orthanc writes 73.
const BOUNDARY_MAX: usize = 128;
/// The longest head of a part, in bytes, and its most fields.
const HEAD_MAX: usize = 8_192;
const FIELDS_MAX: usize = 32;
/// The most that may come before the first part, in bytes.
const PREAMBLE_MAX: usize = 64 << 10;
/// Most blanks behind a delimiter.
const BLANKS_MAX: usize = 128;

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
        Parts {
            body: body.boxed_local(),
            // The first delimiter may begin the body; all others begin a line.
            buffer: BytesMut::from(&b"\r\n"[..]),
            delimiter: format!("\r\n--{}", self.boundary).into_bytes(),
            place: Place::Preamble,
        }
    }
}

/// The parts of a body, in their order.
pub(crate) struct Parts {
    body: LocalBoxStream<'static, Result<Bytes, PayloadError>>,
    /// What has arrived and is not given out: a delimiter's length of content at most, or a head.
    buffer: BytesMut,
    delimiter: Vec<u8>,
    place: Place,
}

/// Where in the body it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the first delimiter.
    Preamble,
    /// In a head, whose first line end is that of the delimiter.
    Head,
    Content,
    /// Behind the closing delimiter.
    End,
}

/// What stands at the beginning of the buffer.
enum Seen {
    /// So many bytes of content.
    Content(usize),
    /// A delimiter of so many bytes, and what comes behind it.
    Delimiter(usize, Place),
    /// Too little to tell.
    Unclear,
}

impl Parts {
    /// The next part; what is left of the one before is passed over. `None` behind the closing delimiter.
    pub(crate) async fn next(&mut self) -> Result<Option<Part<'_>>, Problem> {
        let mut preamble = 0;
        while let Some(bytes) = self.piece().await? {
            preamble += if self.place == Place::Preamble { bytes.len() } else { 0 };
            if preamble > PREAMBLE_MAX {
                return Err(damaged("What comes before the first part is too long."));
            }
        }
        if self.place == Place::End {
            return Ok(None);
        }
        let head = self.head().await?;
        self.place = Place::Content;
        Ok(Some(Part { parts: self, head }))
    }

    /// More of the content; `None` at its end.
    async fn piece(&mut self) -> Result<Option<Bytes>, Problem> {
        while matches!(self.place, Place::Preamble | Place::Content) {
            match seen(&self.buffer, &self.delimiter) {
                Seen::Content(length) => return Ok(Some(self.buffer.split_to(length).freeze())),
                Seen::Delimiter(length, place) => {
                    let _ = self.buffer.split_to(length);
                    self.place = place;
                }
                Seen::Unclear => self.more().await?,
            }
        }
        Ok(None)
    }

    /// Reads the head of a part.
    async fn head(&mut self) -> Result<Head, Problem> {
        loop {
            let within = &self.buffer[..self.buffer.len().min(HEAD_MAX)];
            if let Some(end) = within.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = self.buffer.split_to(end + 4);
                return Head::read(&head);
            }
            if self.buffer.len() >= HEAD_MAX {
                return Err(damaged("The head of a part is too long."));
            }
            self.more().await?;
        }
    }

    async fn more(&mut self) -> Result<(), Problem> {
        match self.body.next().await {
            Some(Ok(bytes)) => self.buffer.extend_from_slice(&bytes),
            Some(Err(error @ PayloadError::Io(_))) => return Err(intake::problem(&error)),
            Some(Err(_)) | None => {
                return Err(damaged("The multipart body is damaged or ended early."));
            }
        }
        Ok(())
    }
}

/// What a buffer begins with. A delimiter counts where its line has nothing more than blanks.
fn seen(buffer: &[u8], delimiter: &[u8]) -> Seen {
    let ends = buffer.iter().enumerate().filter(|(_, byte)| **byte == b'\r');
    let begins = |at: usize| {
        let length = delimiter.len().min(buffer.len() - at);
        buffer[at..at + length] == delimiter[..length]
    };
    let Some(at) = ends.map(|(at, _)| at).find(|at| begins(*at)) else {
        return if buffer.is_empty() { Seen::Unclear } else { Seen::Content(buffer.len()) };
    };
    if at > 0 {
        return Seen::Content(at);
    }
    let Some(behind) = buffer.get(delimiter.len()..) else { return Seen::Unclear };
    let blanks = behind.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    match behind.get(blanks..blanks + 2) {
        _ if blanks > BLANKS_MAX => Seen::Content(delimiter.len()),
        Some(b"--") if blanks == 0 => Seen::Delimiter(delimiter.len() + 2, Place::End),
        Some(b"\r\n") => Seen::Delimiter(delimiter.len() + blanks, Place::Head),
        Some(_) => Seen::Content(delimiter.len()),
        None => Seen::Unclear,
    }
}

/// What the head of a part says.
#[derive(Debug, Default)]
struct Head {
    /// In small letters and without parameters.
    media_type: Option<String>,
    /// The parameter `transfer-syntax` of the media type (PS3.18, 8.7.3.5.2).
    transfer_syntax: Option<String>,
    /// `Content-Location`.
    location: Option<String>,
}

impl Head {
    fn read(head: &[u8]) -> Result<Self, Problem> {
        let head = String::from_utf8_lossy(head);
        let fields: Vec<_> = head.split("\r\n").filter(|line| !line.is_empty()).collect();
        let is_field = |line: &&str| line.contains(':') || line.starts_with([' ', '\t']);
        if fields.len() > FIELDS_MAX || !fields.iter().all(is_field) {
            return Err(damaged("The head of a part is damaged or has too many fields."));
        }
        let field = |wanted: &str| {
            let mut named = fields.iter().filter_map(|line| line.split_once(':'));
            named.find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted)).map(|(_, said)| said)
        };
        let kind = field("content-type");
        let (essence, parameters) =
            kind.map(|kind| kind.split_once(';').unwrap_or((kind, ""))).unzip();
        Ok(Self {
            media_type: essence.map(|essence| essence.trim().to_ascii_lowercase()),
            transfer_syntax: parameters.and_then(transfer_syntax),
            location: field("content-location").map(|location| location.trim().to_owned()),
        })
    }
}

/// The parameter of this name among those of a media type.
fn transfer_syntax(mut parameters: &str) -> Option<String> {
    while let Some((name, value, behind)) = parameter(parameters) {
        if name.eq_ignore_ascii_case("transfer-syntax") {
            return Some(value);
        }
        parameters = behind;
    }
    None
}

/// One part.
pub(crate) struct Part<'a> {
    parts: &'a mut Parts,
    head: Head,
}

impl<'a> Part<'a> {
    /// Its media type, in small letters and without parameters; `None` where its head names none.
    pub(crate) fn media_type(&self) -> Option<&str> {
        self.head.media_type.as_deref()
    }

    /// The transfer syntax that its media type names.
    pub(crate) fn transfer_syntax(&self) -> Option<&str> {
        self.head.transfer_syntax.as_deref()
    }

    /// Its `Content-Location`.
    pub(crate) fn location(&self) -> Option<&str> {
        self.head.location.as_deref()
    }

    /// Its content.
    pub(crate) fn content(self) -> impl Stream<Item = Result<Bytes, Problem>> + 'a {
        stream::try_unfold(self.parts, |parts| async move {
            Ok(parts.piece().await?.map(|bytes| (bytes, parts)))
        })
    }
}

fn damaged(detail: &str) -> Problem {
    Problem::new(Kind::BadMultipart, detail)
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
    use futures::TryStreamExt as _;

    use super::*;

    const BODY: &[u8] = b"preamble\r\n--b\r\nContent-Type: application/dicom\r\n\r\none\r\n--\r\n--c\r\n--b\r\n\
        content-type: Application/DICOM; transfer-syntax=1.2\r\n\r\n\r\n--b\r\nContent-ID: <3>\r\n\r\nthree\r\n--b--\r\nepilogue --b\r\n";

    /// The parts of a body that arrives in these pieces.
    async fn parts(pieces: Vec<Bytes>) -> Result<Vec<(Option<String>, Vec<u8>)>, Problem> {
        let related = Related::parse("multipart/related; boundary=b").expect("one");
        let mut parts = related.parts(stream::iter(pieces.into_iter().map(Ok)));
        let mut all = Vec::new();
        while let Some(part) = parts.next().await? {
            let kind = part.media_type().map(str::to_owned);
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
        assert_eq!(parts(vec![Bytes::from_static(b"\r\n--b--")]).await.expect("none"), []);
    }

    #[actix_web::test]
    async fn a_part_ends_at_its_delimiter_whatever_its_head_says_of_its_length() {
        for length in ["0", "1", "3", "4", "99", "x"] {
            let body = format!(
                "--b\r\nContent-Length: {length}\r\n\r\nxyz\r\n--b \t\r\n\r\n\r\n--bc\r\n--b--"
            );
            let expected = [(None, b"xyz".to_vec()), (None, b"\r\n--bc".to_vec())];
            for size in [1, 7, body.len()] {
                let pieces = body.as_bytes().chunks(size).map(Bytes::copy_from_slice).collect();
                assert_eq!(parts(pieces).await.expect("parts"), expected, "{length} {size}");
            }
        }
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
    fn a_head_names_type_transfer_syntax_and_location() {
        let read = |head: &str| {
            let head = Head::read(head.as_bytes()).expect("a head");
            [head.media_type, head.transfer_syntax, head.location]
        };
        let some = |text: &str| Some(text.to_owned());
        let head = "content-location:  bulk/1 \r\nContent-Type: Image/JLS; q=1;transfer-syntax=\"1.2\"\r\n\r\n";
        assert_eq!(read(head), [some("image/jls"), some("1.2"), some("bulk/1")]);
        assert_eq!(read("Content-Type: a/b;x\r\n\r\n"), [some("a/b"), None, None]);
        assert_eq!(read("x: y\r\n\r\n"), [None, None, None]);
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
            Related::parse(&format!("multipart/related; boundary={}", "x".repeat(129))).is_none()
        );
    }
}
