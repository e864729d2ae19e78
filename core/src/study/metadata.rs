//! Whose image it is, as the metadata of its object says: for JPEG and PNG, which have no place for it.
//!
//! The values of `x-amz-meta-…` are ASCII. What is not is percent-encoded UTF-8, or encoded as in RFC 2047 by clients that
//! do so; both are decoded.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::{Attributes, Instance, Patient, PatientId, Study, may_be_family};
use crate::object_store::ObjectMetadata;

/// The names, without `x-amz-meta-`. Everything under them is personal.
pub const METADATA: [&str; 8] = [
    "patient-id",
    "patient-issuer",
    "patient-name",
    "patient-birth-date",
    "patient-sex",
    "accession",
    "study-date",
    "view-position",
];

/// The warning of a result whose object is said to be another patient's than its file says.
pub const OTHER_PATIENT_SAID: &str = "patient_id_differs";

/// Longest value that is read, in bytes, as it was sent: S3 allows 2 KiB for all.
const LONGEST: usize = 2048;

/// What a header may hold as it is, of which nothing is taken for another encoding.
const PLAIN: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'^').remove(b'/').remove(b':');

/// A value as metadata holds it.
pub fn encode(value: &str) -> String {
    utf8_percent_encode(value, PLAIN).to_string()
}

/// What a client said of an image when it stored it; `None` where it said nothing.
pub fn of_metadata(metadata: &ObjectMetadata) -> Option<Attributes> {
    let said = |name: &str| {
        let value = metadata.get(name).filter(|value| value.len() <= LONGEST)?;
        Some(decode(value)).filter(|value| !value.trim().is_empty())
    };
    let date = |name: &str| said(name).map(|date| date.replace('-', ""));
    let [id, issuer, name, birth_date, sex, accession, study_date, view_position] = METADATA;
    let id =
        PatientId { id: said(id).unwrap_or_default(), issuer: said(issuer).unwrap_or_default() };
    let attributes = Attributes {
        patient: Patient {
            id,
            name: said(name),
            birth_date: date(birth_date),
            sex: said(sex),
            age: None,
        },
        study: Study { accession: said(accession), date: date(study_date), ..Study::default() },
        instance: Instance { view_position: said(view_position), ..Instance::default() },
        ..Attributes::default()
    }
    .bounded();
    (attributes != Attributes::default()).then_some(attributes)
}

/// What a file says of itself, and where it says nothing, what the metadata of its object says; and whether the two
/// name different patients: by their ids, or where the file has none, by name, birth date or sex. Then nothing is taken from
/// the metadata: it is another person's, and so is their order.
pub fn join(file: Option<Attributes>, metadata: Option<Attributes>) -> (Option<Attributes>, bool) {
    let (mut file, said) = match (file, metadata) {
        (Some(file), Some(said)) => (file, said),
        (file, said) => return (file.or(said), false),
    };
    let (own, other) = (&file.patient.id, &said.patient.id);
    let issuers_differ =
        !own.issuer.is_empty() && !other.issuer.is_empty() && own.issuer != other.issuer;
    let differ = match own.id.is_empty() {
        true => is_another(&file.patient, &said.patient),
        false => !other.id.is_empty() && (own.id != other.id || issuers_differ),
    };
    if differ {
        return (Some(file), true);
    }
    if file.patient.id.id.is_empty() {
        file.patient.id = said.patient.id;
    }
    or(&mut file.patient.name, said.patient.name);
    or(&mut file.patient.birth_date, said.patient.birth_date);
    or(&mut file.patient.sex, said.patient.sex);
    or(&mut file.study.accession, said.study.accession);
    or(&mut file.study.date, said.study.date);
    or(&mut file.instance.view_position, said.instance.view_position);
    (Some(file), false)
}

fn is_another(own: &Patient, said: &Patient) -> bool {
    let differ = |own: &Option<String>, said: &Option<String>| {
        own.as_ref().zip(said.as_ref()).is_some_and(|(own, said)| own != said)
    };
    let names = own.name.as_ref().zip(said.name.as_ref());
    names.is_some_and(|(own, said)| !may_be_family(own, said))
        || differ(&own.birth_date, &said.birth_date)
        || differ(&own.sex, &said.sex)
}

fn or(own: &mut Option<String>, said: Option<String>) {
    if own.is_none() {
        *own = said;
    }
}

fn decode(value: &str) -> String {
    if value.contains("=?") {
        return decode_words(value);
    }
    // What is no UTF-8 after it was not encoded so.
    percent_decode_str(value)
        .decode_utf8()
        .map_or_else(|_| value.to_owned(), |text| text.into_owned())
}

/// The encoded words of RFC 2047, section 2; whatever else stands between them is as it is. White space between two of
/// them is none of the text (section 6.2).
fn decode_words(value: &str) -> String {
    let (mut text, mut rest, mut after_word) = (String::new(), value, false);
    while let Some(start) = rest.find("=?") {
        let (before, from) = rest.split_at(start);
        if !(after_word && before.chars().all(char::is_whitespace)) {
            text.push_str(before);
        }
        match word(from) {
            Some((decoded, length)) => {
                text.push_str(&decoded);
                (rest, after_word) = (&from[length..], true);
            }
            None => {
                text.push_str("=?");
                (rest, after_word) = (&from[2..], false);
            }
        }
    }
    text + rest
}

/// The word at the beginning of a text, with how long it is encoded; `None` where it is none that can be read.
fn word(text: &str) -> Option<(String, usize)> {
    let mut parts = text.strip_prefix("=?")?.splitn(3, '?');
    let (charset, encoding) = (parts.next()?, parts.next()?);
    let (payload, _) = parts.next()?.split_once("?=")?;
    let bytes = match encoding {
        "B" | "b" => STANDARD.decode(payload).or_else(|_| STANDARD_NO_PAD.decode(payload)).ok()?,
        "Q" | "q" => {
            percent_decode_str(&payload.replace('%', "%25").replace('=', "%").replace('_', " "))
                .collect()
        }
        _ => return None,
    };
    // A language may follow the character set (RFC 2231, section 5).
    let charset = charset.split('*').next().unwrap_or_default().to_ascii_lowercase();
    let decoded = match charset.as_str() {
        "utf-8" | "us-ascii" => String::from_utf8(bytes).ok()?,
        "iso-8859-1" => bytes.into_iter().map(char::from).collect(),
        _ => return None,
    };
    Some((decoded, "=?".len() + charset_length(text)? + payload.len() + "?=".len()))
}

/// Bytes from behind the first `=?` of a word up to its payload.
fn charset_length(text: &str) -> Option<usize> {
    let inner = text.get(2..)?;
    let encoding = inner.find('?')? + 1;
    Some(encoding + inner.get(encoding..)?.find('?')? + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(pairs: &[(&str, &str)]) -> ObjectMetadata {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn metadata_says_whose_image_it_is() {
        let said = of_metadata(&metadata(&[
            ("patient-id", "71/3"),
            ("patient-issuer", "north"),
            ("patient-name", "M%C3%BCller%5EJana"),
            ("patient-birth-date", "2023-02-01"),
            ("patient-sex", "f"),
            ("accession", "A-1"),
            ("study-date", "20260301"),
            ("view-position", "PA"),
            ("priority", "stat"),
        ]))
        .expect("something");
        let id = PatientId { issuer: "north".into(), id: "71/3".into() };
        assert!(said.patient.id == id);
        assert_eq!(said.patient.name.as_deref(), Some("Müller^Jana"));
        assert_eq!(said.patient.birth_date.as_deref(), Some("20230201"));
        assert_eq!(said.patient.sex.as_deref(), Some("F"));
        assert_eq!(said.study.accession.as_deref(), Some("A-1"));
        assert_eq!(said.study.date.as_deref(), Some("20260301"));
        assert_eq!(said.instance.view_position.as_deref(), Some("PA"));
        assert!(of_metadata(&metadata(&[("priority", "stat"), ("patient-id", " ")])).is_none());
    }

    #[test]
    fn values_are_decoded_however_they_were_encoded() {
        for (value, text) in [
            ("M%C3%BCller", "Müller"),
            ("100%", "100%"),
            ("%FF", "%FF"),
            ("=?UTF-8?B?TcO8bGxlcg==?=", "Müller"),
            ("=?utf-8?q?M=C3=BCller=5EJana_Maria?=", "Müller^Jana Maria"),
            ("=?ISO-8859-1?Q?M=FCller?=", "Müller"),
            ("=?UTF-8?B?TcO8?= =?UTF-8?B?bGxlcg==?=", "Müller"),
            ("Dr =?UTF-8?B?TcO8?= x", "Dr Mü x"),
            ("=?koi8-r?B?TcO8?=", "=?koi8-r?B?TcO8?="),
            ("=?UTF-8?B?", "=?UTF-8?B?"),
            ("=?", "=?"),
            ("=?ü?=?", "=?ü?=?"),
        ] {
            assert_eq!(decode(value), text);
        }
        for text in ["Müller^Jana", "100%", "=?x?=", "a b", "佐藤^太郎", "%41"] {
            assert_eq!(decode(&encode(text)), text);
            assert!(encode(text).is_ascii());
        }
    }

    #[test]
    fn a_file_s_own_word_wins_and_another_patient_s_metadata_is_none_of_its() {
        let own = metadata(&[("patient-id", "1"), ("patient-name", "A")]);
        let other = metadata(&[("patient-id", "2"), ("patient-sex", "F"), ("accession", "A-1")]);
        let (joined, differ) = join(of_metadata(&own), of_metadata(&other));
        let joined = joined.expect("something");
        assert!(differ && joined.patient.id.id == "1" && joined.patient.sex.is_none());
        assert!(joined.study.accession.is_none(), "another person's order");

        let more = metadata(&[("patient-id", "1"), ("patient-name", "B"), ("patient-sex", "F")]);
        let (joined, differ) = join(of_metadata(&own), of_metadata(&more));
        let joined = joined.expect("something");
        assert!(!differ && joined.patient.name.as_deref() == Some("A"));
        assert_eq!(joined.patient.sex.as_deref(), Some("F"));
        assert!(join(None, None).0.is_none());

        // A file that names its patient without an id.
        let doe = metadata(&[("patient-name", "Doe^John"), ("patient-sex", "M")]);
        for other in [("patient-name", "M%C3%BCller%5EJana"), ("patient-sex", "F")] {
            let other = metadata(&[("patient-id", "71"), other, ("accession", "A-1")]);
            let (joined, differ) = join(of_metadata(&doe), of_metadata(&other));
            let joined = joined.expect("something");
            assert!(differ && joined.patient.id.id.is_empty() && joined.study.accession.is_none());
        }
        let same = metadata(&[("patient-id", "71"), ("patient-name", "DOE^JOHN")]);
        let (joined, differ) = join(of_metadata(&doe), of_metadata(&same));
        assert!(!differ && joined.expect("something").patient.id.id == "71");
    }
}
