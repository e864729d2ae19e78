//! Instances as metadata and bulk data apart (PS3.18, 8.6 and 10.5.1.1.2): DICOM JSON first, then the values that it names
//! by `BulkDataURI`, a part each, with the same text as `Content-Location`. Each becomes a DICOM file.

use std::collections::HashMap;

use bytes::Bytes;
use dicom_core::ops::{
    ApplyOp as _, AttributeAction, AttributeOp, AttributeSelector, AttributeSelectorStep,
};
use dicom_core::value::PixelFragmentSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use lobar_core::study::Uid;
use serde_json::{Value, json};

use super::outcome::{Failure, Instance};

/// The longest metadata of a request, in bytes: those of a hundred images. In memory they are up to some fifty times as
/// much, which no bound on bodies counts. What is larger belongs into bulk data.
pub(super) const METADATA_MAX: usize = 512 << 10;

/// Specific Character Set of UTF-8.
const UTF_8: &str = "ISO_IR 192";

/// The media types of compressed pixels, each with its transfer syntaxes, the default first (PS3.18, table 8.7.3-5).
const COMPRESSED: &[(&str, &[&str])] = &[
    (
        "image/jpeg",
        &[
            uids::JPEG_LOSSLESS_SV1,
            uids::JPEG_LOSSLESS,
            uids::JPEG_BASELINE8_BIT,
            uids::JPEG_EXTENDED12_BIT,
        ],
    ),
    ("image/dicom-rle", &[uids::RLE_LOSSLESS]),
    ("image/jls", &[uids::JPEGLS_LOSSLESS, uids::JPEGLS_NEAR_LOSSLESS]),
    ("image/jp2", &[uids::JPEG2000_LOSSLESS, uids::JPEG2000]),
];

/// The instances of a request that are not stored yet, each until its last bulk data have come.
#[derive(Default)]
pub(super) struct Metadata {
    waiting: Vec<Option<Described>>,
    /// Which value of which instance has this `BulkDataURI`.
    wanted: HashMap<String, (usize, AttributeSelector)>,
}

/// An instance of which metadata have come.
pub(super) struct Described {
    /// Empty where the metadata cannot be read.
    object: InMemDicomObject,
    /// How many values have not come.
    missing: usize,
    /// Whether some have.
    holds: bool,
    /// That of its compressed pixels; explicit little endian where they are not compressed.
    transfer_syntax: Option<&'static str>,
    failure: Option<Failure>,
}

impl Metadata {
    /// Reads DICOM JSON (PS3.18, annex F): a list of data sets. `None` where it is none.
    pub(super) fn read(json: &[u8]) -> Option<Self> {
        let items: Vec<Value> = serde_json::from_slice(json).ok()?;
        let mut metadata = Self::default();
        for (number, mut item) in items.into_iter().enumerate() {
            let mut named = Vec::new();
            let described = bulk_data(&mut item, &mut Vec::new(), &mut named)
                .and_then(|()| dicom_json::from_value::<InMemDicomObject>(item).ok());
            let failure = described.is_none().then_some(Failure::NotUnderstood);
            let mut described = Described {
                object: described.unwrap_or_else(InMemDicomObject::new_empty),
                missing: 0,
                holds: false,
                transfer_syntax: None,
                failure,
            };
            for (uri, element) in named {
                described.missing += 1;
                // Values of two instances in one part would multiply what was sent.
                if metadata.wanted.insert(uri, (number, element)).is_some() {
                    described.failure = Some(Failure::NotUnderstood);
                }
            }
            metadata.waiting.push(Some(described));
        }
        Some(metadata)
    }

    /// How many instances there are.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether bulk data of this location are wanted, so that they are worth keeping.
    pub(super) fn wants(&self, location: Option<&str>) -> bool {
        let wanted = location.and_then(|location| self.wanted.get(location));
        let waiting = wanted.and_then(|(number, _)| self.waiting[*number].as_ref());
        waiting.is_some_and(|described| described.failure.is_none())
    }

    /// Bulk data that have come; `None` where they are too large.
    pub(super) fn add(&mut self, location: Option<&str>, kind: Kind, content: Option<Bytes>) {
        let wanted = location.and_then(|location| self.wanted.remove(location));
        let Some((number, element)) = wanted else { return };
        let Some(described) = self.waiting[number].as_mut() else { return };
        described.missing -= 1;
        let added = match content {
            Some(content) => described.add(element, kind, content),
            None => Err(Failure::TooLarge),
        };
        if let Err(failure) = added {
            described.failure.get_or_insert(failure);
        }
    }

    /// Those that are complete, or failed. Says so once.
    pub(super) fn complete(&mut self) -> Vec<Described> {
        let is_complete = |one: &Described| one.missing == 0 || one.failure.is_some();
        let taken = |one: &mut Option<Described>| one.take_if(|one| is_complete(one));
        self.waiting.iter_mut().filter_map(taken).collect()
    }

    /// Those whose bulk data have not come.
    pub(super) fn incomplete(self) -> impl Iterator<Item = Described> {
        self.waiting.into_iter().flatten()
    }

    /// Whether an instance holds bulk data while it waits for more.
    pub(super) fn holds_some(&self) -> bool {
        self.waiting.iter().flatten().any(|one| one.holds)
    }
}

/// What bulk data are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A value, little endian.
    Plain,
    /// A compressed frame, of this transfer syntax.
    Compressed(&'static str),
    /// Of a media type or transfer syntax that is not taken.
    Unknown,
}

impl Kind {
    /// By the media type of a part.
    pub(super) fn of(media_type: Option<&str>, transfer_syntax: Option<&str>) -> Self {
        let media_type = media_type.unwrap_or("application/octet-stream");
        if media_type == "application/octet-stream" {
            return match transfer_syntax {
                None | Some(uids::EXPLICIT_VR_LITTLE_ENDIAN | uids::IMPLICIT_VR_LITTLE_ENDIAN) => {
                    Kind::Plain
                }
                Some(_) => Kind::Unknown,
            };
        }
        let known = COMPRESSED.iter().find(|(kind, _)| *kind == media_type);
        let syntax = known.and_then(|(_, syntaxes)| match transfer_syntax {
            None => syntaxes.first(),
            Some(named) => syntaxes.iter().find(|syntax| **syntax == named),
        });
        syntax.map_or(Kind::Unknown, |syntax| Kind::Compressed(syntax))
    }
}

impl Described {
    fn add(&mut self, to: AttributeSelector, kind: Kind, content: Bytes) -> Result<(), Failure> {
        let is_pixels = to.iter().eq([&AttributeSelectorStep::Tag(tags::PIXEL_DATA)]);
        let mut content = Vec::from(content);
        if content.len() % 2 == 1 {
            content.push(0);
        }
        self.holds = true;
        match kind {
            Kind::Plain => {
                let set = AttributeAction::Set(PrimitiveValue::from(content));
                let set = self.object.apply(AttributeOp::new(to, set));
                set.map_err(|_| Failure::NotUnderstood)
            }
            Kind::Compressed(syntax) if is_pixels => {
                let frame = PixelFragmentSequence::new_fragments(vec![content]);
                self.object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, frame));
                self.transfer_syntax = Some(syntax);
                Ok(())
            }
            Kind::Compressed(_) | Kind::Unknown => Err(Failure::NotUnderstood),
        }
    }

    /// What of it names it, as far as that can be read.
    fn instance(&self) -> Option<Instance> {
        let uid = |tag| Uid::parse(&self.object.get(tag)?.to_str().ok()?);
        Some(Instance {
            class: uid(tags::SOP_CLASS_UID)?,
            uid: uid(tags::SOP_INSTANCE_UID)?,
            study: uid(tags::STUDY_INSTANCE_UID),
            series: uid(tags::SERIES_INSTANCE_UID),
        })
    }

    /// The file that it is, of `limit` bytes at most; or what names it and why it is none.
    pub(super) fn file(self, limit: usize) -> Result<Bytes, (Option<Instance>, Failure)> {
        let instance = self.instance();
        let failure = self.failure.or((self.missing > 0).then_some(Failure::NotUnderstood));
        let built = match failure {
            Some(failure) => Err(failure),
            None => self.write().ok_or(Failure::NotUnderstood),
        };
        let built = built.and_then(|file| match file.len() <= limit {
            true => Ok(Bytes::from(file)),
            false => Err(Failure::TooLarge),
        });
        built.map_err(|failure| (instance, failure))
    }

    fn write(mut self) -> Option<Vec<u8>> {
        let multi_frame = self.object.get(tags::NUMBER_OF_FRAMES);
        let frames = multi_frame.and_then(|frames| frames.to_int::<u32>().ok()).unwrap_or(1);
        // A part is a frame then; of more than one, parts could not be told from one another by their location.
        if self.transfer_syntax.is_some() && frames > 1 {
            return None;
        }
        // Text in JSON is UTF-8, and is written as that.
        self.object.put_str(tags::SPECIFIC_CHARACTER_SET, VR::CS, UTF_8);
        let syntax = self.transfer_syntax.unwrap_or(uids::EXPLICIT_VR_LITTLE_ENDIAN);
        let meta = FileMetaTableBuilder::new().transfer_syntax(syntax);
        let mut file = Vec::new();
        self.object.with_meta(meta).ok()?.write_all(&mut file).ok()?;
        Some(file)
    }
}

/// Takes every `BulkDataURI` out of a data set and tells what it is the value of. `None` where it is no data set, or not
/// one that can be written: delimiters are no attributes.
fn bulk_data(
    data_set: &mut Value,
    at: &mut Vec<AttributeSelectorStep>,
    named: &mut Vec<(String, AttributeSelector)>,
) -> Option<()> {
    let data_set = data_set.as_object_mut()?;
    // File meta information is that of the file which is written; lengths of groups and commands are of no data set.
    data_set.retain(|tag, _| !is_ignored(tag));
    for (tag, element) in data_set {
        let tag = tag.parse::<Tag>().ok().filter(|tag| tag.group() != 0xfffe)?;
        let element = element.as_object_mut()?;
        if tag == tags::SPECIFIC_CHARACTER_SET {
            element.insert("Value".into(), json!([UTF_8]));
        }
        if let Some(uri) = element.remove("BulkDataURI") {
            let steps = at.iter().cloned().chain([AttributeSelectorStep::Tag(tag)]);
            named.push((uri.as_str()?.to_owned(), AttributeSelector::new(steps)?));
        }
        if element.get("vr").is_some_and(|vr| vr == "SQ") {
            let items = element.get_mut("Value").and_then(Value::as_array_mut);
            for (number, item) in items.into_iter().flatten().enumerate() {
                let item_number = u32::try_from(number).ok()?;
                at.push(AttributeSelectorStep::Nested { tag, item: item_number });
                bulk_data(item, at, named)?;
                at.pop();
            }
        }
    }
    Some(())
}

fn is_ignored(tag: &str) -> bool {
    let tag = tag.parse::<Tag>();
    tag.is_ok_and(|tag| matches!(tag.group(), 0 | 2) || tag.element() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 1 << 20;

    fn data_set(uid: &str, more: &[(&str, Value)]) -> Value {
        let mut object = json!({
            "00080005": { "vr": "CS", "Value": ["ISO_IR 100"] },
            "00080016": { "vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.1"] },
            "00080018": { "vr": "UI", "Value": [uid] },
            "00100010": { "vr": "PN", "Value": [{ "Alphabetic": "M\u{fc}ller^J\u{f6}rg" }] },
            "0020000D": { "vr": "UI", "Value": ["1.2.3"] },
            "7FE00010": { "vr": "OW", "BulkDataURI": format!("bulk/{uid}") },
        });
        for (tag, element) in more {
            object[*tag] = element.clone();
        }
        object
    }

    fn read(items: Value) -> Metadata {
        Metadata::read(&serde_json::to_vec(&items).expect("JSON")).expect("metadata")
    }

    fn files(metadata: &mut Metadata) -> Vec<Result<Bytes, Failure>> {
        let complete = metadata.complete().into_iter();
        complete.map(|one| one.file(LIMIT).map_err(|(_, failure)| failure)).collect()
    }

    fn opened(file: &Bytes) -> dicom_object::DefaultDicomObject {
        dicom_object::from_reader(&file[..]).expect("a file")
    }

    #[test]
    fn an_instance_is_complete_with_its_last_bulk_data_whatever_their_order() {
        let table =
            json!({ "vr": "SQ", "Value": [{ "00283006": { "vr": "OW", "BulkDataURI": "lut" } }] });
        let mut metadata =
            read(json!([data_set("1.1", &[("00283000", table)]), data_set("1.2", &[])]));
        assert!(files(&mut metadata).is_empty());
        let add = |metadata: &mut Metadata, location| {
            assert!(metadata.wants(Some(location)));
            metadata.add(Some(location), Kind::Plain, Some(Bytes::from_static(&[1, 2, 3])));
            files(metadata)
        };
        assert!(add(&mut metadata, "bulk/1.1").is_empty());
        assert!(metadata.holds_some());
        assert_eq!(add(&mut metadata, "bulk/1.2").len(), 1);
        let [Ok(file)] = &add(&mut metadata, "lut")[..] else { panic!("a file") };
        assert!(!metadata.holds_some());
        let file = opened(file);
        assert_eq!(file.meta().transfer_syntax(), uids::EXPLICIT_VR_LITTLE_ENDIAN);
        let bytes = |element: &dicom_object::mem::InMemElement| {
            element.to_bytes().expect("bytes").into_owned()
        };
        assert_eq!(bytes(file.element(tags::PIXEL_DATA).expect("pixels")), [1, 2, 3, 0]);
        let items = file.element(Tag(0x0028, 0x3000)).expect("a sequence").items().expect("items");
        assert_eq!(bytes(items[0].element(Tag(0x0028, 0x3006)).expect("a table")), [1, 2, 3, 0]);
        let name = file.element(tags::PATIENT_NAME).expect("a name");
        assert_eq!(name.to_str().expect("text"), "M\u{fc}ller^J\u{f6}rg");
    }

    #[test]
    fn compressed_pixels_have_the_transfer_syntax_of_their_media_type() {
        for (media_type, named, expected) in [
            ("image/jpeg", None, uids::JPEG_LOSSLESS_SV1),
            ("image/jpeg", Some(uids::JPEG_BASELINE8_BIT), uids::JPEG_BASELINE8_BIT),
            ("image/jp2", None, uids::JPEG2000_LOSSLESS),
        ] {
            let mut metadata = read(json!([data_set("1.1", &[])]));
            let kind = Kind::of(Some(media_type), named);
            metadata.add(Some("bulk/1.1"), kind, Some(Bytes::from_static(&[1, 2, 3])));
            let [Ok(file)] = &files(&mut metadata)[..] else { panic!("a file") };
            let file = opened(file);
            assert_eq!(file.meta().transfer_syntax(), expected);
            let pixels = file.element(tags::PIXEL_DATA).expect("pixels");
            assert_eq!(pixels.fragments().expect("encapsulated"), [vec![1, 2, 3, 0]]);
        }
        assert_eq!(Kind::of(Some("image/jpeg"), Some("1.2")), Kind::Unknown);
        assert_eq!(Kind::of(Some("text/html"), None), Kind::Unknown);
        assert_eq!(Kind::of(Some("application/octet-stream"), Some("1.2")), Kind::Unknown);
    }

    #[test]
    fn what_cannot_become_a_file_fails_alone() {
        let twice = json!({ "vr": "OW", "BulkDataURI": "bulk/1.1" });
        let metadata = || {
            read(json!([
                data_set("1.1", &[]),
                data_set("1.2", &[("7FE00010", twice.clone())]),
                data_set("1.3", &[("FFFEE00D", json!({ "vr": "UN" }))]),
                data_set("1.4", &[("00280010", json!({ "vr": "US", "Value": ["wide"] }))]),
                7,
            ]))
        };
        assert_eq!(files(&mut metadata()), vec![Err(Failure::NotUnderstood); 4]);
        let rest: Vec<_> = metadata().incomplete().map(|one| one.file(LIMIT)).collect();
        assert!(rest.iter().all(Result::is_err));
        let mut large = read(json!([data_set("1.1", &[])]));
        large.add(Some("bulk/1.1"), Kind::Plain, None);
        assert_eq!(files(&mut large), [Err(Failure::TooLarge)]);
        let mut large = read(json!([data_set("1.1", &[])]));
        large.add(Some("bulk/1.1"), Kind::Plain, Some(vec![0; LIMIT].into()));
        assert_eq!(files(&mut large), [Err(Failure::TooLarge)]);
        assert!(Metadata::read(b"{}").is_none() && Metadata::read(b"[").is_none());
    }
}
