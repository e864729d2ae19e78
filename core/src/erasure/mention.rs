//! Whether a message names an object: a message that nobody could read may name it in any of the ways in which stores and
//! brokers write keys.

/// How often escapes may lie in one another: JSON in JSON (SNS), with a key that S3 percent-encoded, is three.
const NESTED: usize = 3;

/// A message with its escapes taken away, a level at a time, so that any number of keys is looked for in it.
pub struct Mentions(Vec<Vec<u8>>);

impl Mentions {
    /// Those of a message.
    pub fn of(message: &[u8]) -> Self {
        let mut levels = vec![message.to_vec()];
        for _ in 0..NESTED {
            levels.extend(levels.last().map(|level| plain(level)));
        }
        Self(levels)
    }

    /// Whether the message names the key, alone or behind its bucket and a `/`: as it is, percent-encoded as S3 does (`+`
    /// for a space), escaped as JSON does, or one within the other. A message that is cut off in the middle of a key does
    /// not name it.
    pub fn name(&self, bucket: &str, key: &str) -> bool {
        let mut key = key.as_bytes().to_vec();
        !key.is_empty()
            && self.0.iter().any(|level| {
                let found = names(level, bucket.as_bytes(), &key);
                key = plain(&key);
                found
            })
    }
}

/// Whether the key stands there by itself or behind its bucket, and not as a part of a longer one.
fn names(message: &[u8], bucket: &[u8], key: &[u8]) -> bool {
    let places = message.windows(key.len()).enumerate().filter(|(_, part)| *part == key);
    places.map(|(at, _)| at).any(|at| {
        let before = message.get(..at).unwrap_or_default();
        let after = message.get(at + key.len());
        let begins = match before.strip_suffix(b"/") {
            Some(path) => path.strip_suffix(bucket).is_some_and(|path| ends(path, b"/:")),
            None => ends(before, b""),
        };
        begins && after.is_none_or(|byte| b"\"' \n\t<&?\\".contains(byte))
    })
}

/// Whether something of its own can begin behind this.
fn ends(before: &[u8], also: &[u8]) -> bool {
    before.last().is_none_or(|byte| b"\"' \n\t>=\\".contains(byte) || also.contains(byte))
}

/// One level of JSON's and of URLs' escapes taken away.
fn plain(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let (decoded, length) = match byte {
            b'\\' if text.get(at + 1) == Some(&b'u') => escaped(text, at),
            b'\\' => (text.get(at + 1).map(|byte| vec![*byte]), 2),
            b'%' => (hex(text, at + 1, 2).and_then(|n| Some(vec![u8::try_from(n).ok()?])), 3),
            b'+' => (Some(vec![b' ']), 1),
            _ => (None, 1),
        };
        match decoded {
            Some(bytes) => {
                out.extend(bytes);
                at += length;
            }
            None => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

/// `\u00fc`, and two of them for what UTF-16 writes so (RFC 8259, 7).
fn escaped(text: &[u8], at: usize) -> (Option<Vec<u8>>, usize) {
    let Some(first) = hex(text, at + 2, 4) else { return (None, 1) };
    let second = (text.get(at + 6..at + 8) == Some(b"\\u")).then(|| hex(text, at + 8, 4)).flatten();
    let pair = |second: u32| {
        let (high, low) = (first.checked_sub(0xD800)?, second.checked_sub(0xDC00)?);
        (high < 0x400 && low < 0x400).then_some(0x1_0000 + (high << 10) + low)
    };
    let utf8 = |point| char::from_u32(point).map(|one| one.to_string().into_bytes());
    match second.and_then(pair) {
        Some(point) => (utf8(point), 12),
        None => (utf8(first), 6),
    }
}

fn hex(text: &[u8], at: usize, digits: usize) -> Option<u32> {
    let digits = std::str::from_utf8(text.get(at..at + digits)?).ok()?;
    digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then_some(())?;
    u32::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mentions(message: &[u8], bucket: &str, key: &str) -> bool {
        Mentions::of(message).name(bucket, key)
    }

    #[test]
    fn a_key_is_found_however_it_is_written() {
        let key = "incoming/north/J\u{fc}rgen D\u{f6}e + 1.jpg";
        for message in [
            format!(r#"{{"key":"{key}"}}"#),
            r#"{"key":"incoming/north/J%C3%BCrgen+D%C3%B6e+%2B+1.jpg"}"#.to_owned(),
            r#"{"key":"incoming%2fnorth%2fJ%c3%bcrgen%20D%c3%b6e%20%2b%201.jpg"}"#.to_owned(),
            r#"{"key":"incoming\/north\/J\u00fcrgen D\u00F6e + 1.jpg"}"#.to_owned(),
            r#"{"Message":"{\"key\":\"incoming/north/J%C3%BCrgen+D%C3%B6e+%2B+1.jpg\"}"}"#
                .to_owned(),
            r#"{"Message":"{\"key\":\"incoming\\\/north\\\/J\\u00fcrgen D\\u00f6e + 1.jpg\"}"}"#
                .to_owned(),
            format!("xrays/{key} cannot be read"),
            format!(r#"{{"Key":"xrays/{key}"}}"#),
            format!("arn:aws:s3:::xrays/{key}"),
            format!("http://s3.example/xrays/{key}?versionId=1"),
        ] {
            assert!(mentions(message.as_bytes(), "xrays", key), "{message}");
        }
        assert!(mentions(br#"{"key":"a/\ud83d\ude00.jpg"}"#, "xrays", "a/\u{1f600}.jpg"));
    }

    #[test]
    fn another_key_is_not_taken_for_it_and_nothing_panics() {
        let key = "incoming/north/1.jpg";
        for message in [
            r#"{"key":"incoming/north/11.jpg"}"#,
            r#"{"key":"incoming/north/1.jpg.bak"}"#,
            r#"{"key":"xincoming/north/1.jpg"}"#,
            "",
            "%",
            "%4",
            "\\",
            "\\u",
            "\\ud83d\\u",
        ] {
            assert!(!mentions(message.as_bytes(), "xrays", key), "{message}");
        }
        for message in [r#"{"key":"incoming/north/1.jpg"}"#, "xxrays/1.jpg", "xrays/north/1.jpg"] {
            assert!(!mentions(message.as_bytes(), "xrays", "1.jpg"), "{message}");
        }
        assert!(!mentions(b"anything", "xrays", ""));
        assert!(!mentions(&[0xFF, b'%', 0xC3, b'\\'], "xrays", key));
    }
}
