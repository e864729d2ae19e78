//! What a client takes: media ranges with `type`, `transfer-syntax` and `q` (PS3.18, 8.7; RFC 9110, 12.5.1).

use actix_web::HttpRequest;
use actix_web::http::header;
use serde::{Deserialize, Serialize};

/// Media ranges that are read of a request.
const RANGES_MAX: usize = 32;

/// One media range.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Range {
    /// In parts, or by itself; `None` where both are taken.
    pub(super) multipart: Option<bool>,
    /// The media type of what is in it, in small letters.
    pub(super) kind: String,
    /// Transfer Syntax UID, or `*`.
    pub(super) syntax: Option<String>,
    weight: f32,
}

impl Range {
    /// Whether it takes a media type.
    pub(super) fn takes(&self, kind: &str) -> bool {
        let (family, any) = (kind.split('/').next().unwrap_or_default(), self.kind.as_str());
        any == "*/*" || any == kind || any.strip_suffix("/*") == Some(family)
    }
}

/// What a request says that its client takes, best first: by the parameter `accept`, or else by its headers, or else
/// anything.
pub(super) fn ranges(request: &HttpRequest) -> Vec<Range> {
    let query = request.query_string().split('&').find_map(|pair| pair.strip_prefix("accept="));
    let headers = request.headers().get_all(header::ACCEPT).filter_map(|said| said.to_str().ok());
    let said = match query {
        // A plus sign is one in media types, whatever forms make of it.
        Some(said) => percent_decoded(said),
        None => headers.collect::<Vec<_>>().join(","),
    };
    read(if said.trim().is_empty() { "*/*" } else { &said })
}

/// A part of a query, decoded; a plus sign is one.
pub(super) fn percent_decoded(text: &str) -> String {
    let mut bytes = text.as_bytes();
    let mut plain = Vec::new();
    while let [byte, rest @ ..] = bytes {
        let digits = rest.get(..2).filter(|_| *byte == b'%');
        let decoded =
            digits.and_then(|it| u8::from_str_radix(std::str::from_utf8(it).ok()?, 16).ok());
        bytes = if decoded.is_some() { &rest[2..] } else { rest };
        plain.push(decoded.unwrap_or(*byte));
    }
    String::from_utf8_lossy(&plain).into_owned()
}

fn read(said: &str) -> Vec<Range> {
    let said = split(said, ',').into_iter().take(RANGES_MAX);
    let mut ranges: Vec<Range> = said.filter_map(range).collect();
    ranges.retain(|range| range.weight > 0.0);
    ranges.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    ranges
}

fn range(text: &str) -> Option<Range> {
    let mut parts = split(text, ';').into_iter();
    let kind = parts.next()?.trim().to_ascii_lowercase();
    let (mut inner, mut syntax, mut weight) = (None, None, 1.0);
    for part in parts {
        let (name, value) = part.split_once('=')?;
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            "type" => inner = Some(value.to_ascii_lowercase()),
            "transfer-syntax" => syntax = Some(value.to_owned()),
            "q" => weight = value.parse().unwrap_or(0.0),
            _ => {}
        }
    }
    let multipart = match kind.as_str() {
        "*/*" => None,
        kind => Some(kind == "multipart/related"),
    };
    let kind = if multipart == Some(true) { inner.unwrap_or_else(|| "*/*".into()) } else { kind };
    (!kind.is_empty()).then_some(Range { multipart, kind, syntax, weight })
}

/// Split outside of quotes.
fn split(text: &str, at: char) -> Vec<&str> {
    let mut quoted = false;
    text.split(move |letter| {
        quoted ^= letter == '"';
        letter == at && !quoted
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_come_by_their_weight_and_what_is_refused_is_not_among_them() {
        let ranges = read(
            "image/jpeg;q=0, multipart/related; type=\"application/dicom\"; transfer-syntax=*;q=0.4, Application/DICOM",
        );
        let [single, related] = ranges.as_slice() else { panic!("{ranges:?}") };
        assert_eq!((single.multipart, single.kind.as_str()), (Some(false), "application/dicom"));
        assert_eq!((related.multipart, related.syntax.as_deref()), (Some(true), Some("*")));
        assert!(related.takes("application/dicom") && !related.takes("image/png"));
        assert!(read("image/*")[0].takes("image/png") && read("*/*")[0].takes("image/png"));
        assert!(read("a;b").is_empty());
        assert_eq!(percent_decoded("application/dicom%2Bjson+x%2"), "application/dicom+json+x%2");
    }
}
