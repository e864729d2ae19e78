//! Texts in their character set (PS3.5, 6.1), with the escapes of ISO 2022.

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_encoding::text::{SpecificCharacterSet, TextCodec as _};

use super::data_set::DataSet;

/// More bytes of a text than any value representation that is read here allows, escapes included; the rest is not
/// looked at.
const MAX_BYTES: usize = 4_096;
/// The most characters that are kept of a text.
const MAX_CHARACTERS: usize = 1_024;
const ESCAPE: u8 = 0x1b;

/// The character sets of a data set.
pub(super) struct Texts {
    first: Charset,
}

impl Texts {
    pub(super) fn of(data_set: &DataSet<'_>) -> Self {
        let code = data_set.word(tags::SPECIFIC_CHARACTER_SET);
        Self { first: code.map(self::code).unwrap_or_default() }
    }

    /// A text that may have a backslash (VR `LO` of one value, `SH`, `PN`), decoded, without padding and control
    /// characters; `None` where nothing is left.
    pub(super) fn text(&self, data_set: &DataSet<'_>, tag: Tag) -> Option<String> {
        self.texts(data_set, tag).into_iter().next().flatten()
    }

    /// The same of each value of several.
    pub(super) fn texts(&self, data_set: &DataSet<'_>, tag: Tag) -> Vec<Option<String>> {
        let bytes = data_set.bytes(tag).unwrap_or_default();
        let decoded = self.decode(&bytes[..bytes.len().min(MAX_BYTES)]);
        let cleaned = decoded.split('\\').map(|value| {
            let clean: String =
                value.chars().filter(|c| !c.is_control()).take(MAX_CHARACTERS).collect();
            let clean = clean.trim();
            (!clean.is_empty()).then(|| clean.to_owned())
        });
        cleaned.collect()
    }

    /// A person's name: `family^given^middle^prefix^suffix` in up to three groups with `=` between them, empty parts at
    /// the end of a group and empty groups at the end left out.
    pub(super) fn name(&self, data_set: &DataSet<'_>, tag: Tag) -> Option<String> {
        let name = self.text(data_set, tag)?;
        let part = |part: &str| part.trim().to_owned();
        let group = |group: &str| {
            let parts: Vec<String> = group.split('^').take(5).map(part).collect();
            parts.join("^").trim_end_matches('^').to_owned()
        };
        let groups: Vec<String> = name.split('=').take(3).map(group).collect();
        let name = groups.join("=");
        let name = name.trim_end_matches('=');
        (!name.is_empty()).then(|| name.to_owned())
    }

    fn decode(&self, bytes: &[u8]) -> String {
        if !bytes.contains(&ESCAPE) {
            return decode(&self.first, bytes);
        }
        let mut text = String::new();
        let mut set = Set::Of(self.first.clone());
        let mut rest = bytes;
        while !rest.is_empty() {
            if rest[0] == ESCAPE
                && let Some((escaped, length)) = escape(rest)
            {
                set = escaped;
                rest = &rest[length..];
                continue;
            }
            let until =
                rest[1..].iter().position(|byte| *byte == ESCAPE).map_or(rest.len(), |i| i + 1);
            let (run, after) = rest.split_at(until);
            match &set {
                Set::Jis(escape) => {
                    let whole = [escape.as_slice(), run, b"\x1b(B"].concat();
                    text.push_str(&decode(&code("ISO_IR 87"), &whole));
                }
                Set::Of(current) => {
                    // A delimiter ends what was designated (PS3.5, 6.1.2.5.3).
                    let end = run.iter().position(|b| matches!(b, b'^' | b'=' | b'\\'));
                    let (designated, after) = run.split_at(end.unwrap_or(run.len()));
                    text.push_str(&decode(current, designated));
                    if !after.is_empty() {
                        text.push_str(&decode(&self.first, after));
                        set = Set::Of(self.first.clone());
                    }
                }
            }
            rest = after;
        }
        text
    }
}

/// What an escape designates.
enum Set {
    Of(Charset),
    /// Two bytes a character, of seven bits: decoded with its escape.
    Jis(Vec<u8>),
}

/// A character set; the default where none is known.
#[derive(Clone, Default, PartialEq)]
enum Charset {
    #[default]
    Unknown,
    Known(SpecificCharacterSet),
    /// ISO 8859-9, which dicom-encoding lacks: Latin-1 with six other letters.
    Turkish,
}

fn code(code: &str) -> Charset {
    match code {
        "ISO_IR 148" | "ISO 2022 IR 148" => Charset::Turkish,
        code => SpecificCharacterSet::from_code(code).map_or(Charset::Unknown, Charset::Known),
    }
}

fn turkish(byte: u8) -> char {
    match byte {
        0xd0 => 'Ğ',
        0xdd => 'İ',
        0xde => 'Ş',
        0xf0 => 'ğ',
        0xfd => 'ı',
        0xfe => 'ş',
        byte => char::from(byte),
    }
}

/// The character set of an escape sequence and its length (PS3.3, C.12.1.1.2, tables C.12-3 and -4).
fn escape(bytes: &[u8]) -> Option<(Set, usize)> {
    let known = |length: usize, name: &str| Some((Set::Of(code(name)), length));
    match bytes.get(1..)? {
        [b'(', b'B', ..] => known(3, "ISO_IR 6"),
        [b'(', b'J', ..] | [b')', b'I', ..] => known(3, "ISO_IR 13"),
        [b'-', b'A', ..] => known(3, "ISO_IR 100"),
        [b'-', b'B', ..] => known(3, "ISO_IR 101"),
        [b'-', b'C', ..] => known(3, "ISO_IR 109"),
        [b'-', b'D', ..] => known(3, "ISO_IR 110"),
        [b'-', b'F', ..] => known(3, "ISO_IR 126"),
        [b'-', b'G', ..] => known(3, "ISO_IR 127"),
        [b'-', b'H', ..] => known(3, "ISO_IR 138"),
        [b'-', b'L', ..] => known(3, "ISO_IR 144"),
        [b'-', b'M', ..] => known(3, "ISO_IR 148"),
        [b'-', b'T', ..] => known(3, "ISO_IR 166"),
        [b'$', b')', b'C', ..] => known(4, "ISO 2022 IR 149"),
        [b'$', b')', b'A', ..] => known(4, "ISO 2022 IR 58"),
        [b'$', b'B' | b'@', ..] => Some((Set::Jis(bytes[..3].to_vec()), 3)),
        [b'$', b'(', b'D', ..] => Some((Set::Jis(bytes[..4].to_vec()), 4)),
        _ => None,
    }
}

/// Decodes by `set`. Bytes that are none of it are UTF-8 where they can be, as in files that forget to say so, and else
/// Latin-1.
fn decode(set: &Charset, bytes: &[u8]) -> String {
    match set {
        Charset::Turkish => return bytes.iter().map(|byte| turkish(*byte)).collect(),
        Charset::Known(set) if *set != SpecificCharacterSet::default() => {
            if let Ok(text) = set.decode(bytes) {
                return text;
            }
        }
        Charset::Known(_) | Charset::Unknown => {}
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}
