//! What is kept of a data set: the elements that somebody here asks for, and nothing else, so that a file of a million
//! elements takes no more memory than any other.

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::element::{self, Broken, Element, Elements, Encoding, Value};

/// Every element that is asked for, in a data set or in an item.
const KEPT: [Tag; 74] = [
    tags::SPECIFIC_CHARACTER_SET,
    tags::SOP_CLASS_UID,
    tags::SOP_INSTANCE_UID,
    tags::STUDY_DATE,
    tags::ACQUISITION_DATE,
    tags::CONTENT_DATE,
    tags::STUDY_TIME,
    tags::ACQUISITION_TIME,
    tags::CONTENT_TIME,
    tags::ACCESSION_NUMBER,
    tags::MODALITY,
    tags::PRESENTATION_INTENT_TYPE,
    tags::REFERRING_PHYSICIAN_NAME,
    tags::CODE_VALUE,
    tags::CODE_MEANING,
    tags::STUDY_DESCRIPTION,
    tags::SERIES_DESCRIPTION,
    tags::ANATOMIC_REGION_SEQUENCE,
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::ISSUER_OF_PATIENT_ID,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_SEX,
    tags::PATIENT_AGE,
    tags::BODY_PART_EXAMINED,
    tags::VIEW_POSITION,
    tags::STUDY_INSTANCE_UID,
    tags::SERIES_INSTANCE_UID,
    tags::STUDY_ID,
    tags::SERIES_NUMBER,
    tags::INSTANCE_NUMBER,
    tags::PATIENT_ORIENTATION,
    tags::SAMPLES_PER_PIXEL,
    tags::PHOTOMETRIC_INTERPRETATION,
    tags::PLANAR_CONFIGURATION,
    tags::NUMBER_OF_FRAMES,
    tags::ROWS,
    tags::COLUMNS,
    tags::BITS_ALLOCATED,
    tags::BITS_STORED,
    tags::HIGH_BIT,
    tags::PIXEL_REPRESENTATION,
    tags::PIXEL_PADDING_VALUE,
    tags::PIXEL_PADDING_RANGE_LIMIT,
    tags::BURNED_IN_ANNOTATION,
    tags::WINDOW_CENTER,
    tags::WINDOW_WIDTH,
    tags::RESCALE_INTERCEPT,
    tags::RESCALE_SLOPE,
    tags::VOILUT_FUNCTION,
    tags::MODALITY_LUT_SEQUENCE,
    tags::LUT_DESCRIPTOR,
    tags::LUT_DATA,
    tags::VOILUT_SEQUENCE,
    tags::VIEW_CODE_SEQUENCE,
    tags::PRESENTATION_LUT_SHAPE,
    tags::PIXEL_DATA,
    tags::FLOAT_PIXEL_DATA,
    tags::DOUBLE_FLOAT_PIXEL_DATA,
    // Not images: each says so of itself.
    tags::DIRECTORY_RECORD_SEQUENCE,
    tags::ENCAPSULATED_DOCUMENT,
    tags::CONTENT_SEQUENCE,
    tags::WAVEFORM_SEQUENCE,
    tags::PIXEL_DATA_PROVIDER_URL,
    tags::PROTOCOL_NAME,
    // For whoever reads from the picture.
    tags::WINDOW_CENTER_WIDTH_EXPLANATION,
    tags::LUT_EXPLANATION,
    tags::PIXEL_SPACING,
    tags::IMAGER_PIXEL_SPACING,
    tags::NOMINAL_SCANNED_PIXEL_SPACING,
    tags::PIXEL_SPACING_CALIBRATION_TYPE,
    tags::ESTIMATED_RADIOGRAPHIC_MAGNIFICATION_FACTOR,
    tags::LATERALITY,
    tags::IMAGE_LATERALITY,
];

/// The elements that are kept of a data set or an item.
#[derive(Debug)]
pub(super) struct DataSet<'a> {
    elements: Vec<Element<'a>>,
    encoding: Encoding,
    /// Where reading it came to an end before its end.
    pub(super) broken: Option<Broken>,
}

impl<'a> DataSet<'a> {
    pub(super) fn read(bytes: &'a [u8], encoding: Encoding) -> Self {
        Self::of(Elements::new(bytes, encoding), encoding)
    }

    fn of(walk: Elements<'a>, encoding: Encoding) -> Self {
        let mut read = Self { elements: Vec::new(), encoding, broken: None };
        for element in walk {
            match element {
                // Of several the first counts.
                Ok(element) if KEPT.contains(&element.tag) && read.value(element.tag).is_none() => {
                    read.elements.push(element);
                }
                Ok(_) => {}
                Err(broken) => read.broken = Some(broken),
            }
        }
        read
    }

    pub(super) fn encoding(&self) -> Encoding {
        self.encoding
    }

    pub(super) fn value(&self, tag: Tag) -> Option<Value<'a>> {
        debug_assert!(KEPT.contains(&tag), "{tag} is not kept");
        self.elements.iter().find(|element| element.tag == tag).map(|element| element.value)
    }

    /// The value representation that the file gives an element.
    pub(super) fn vr(&self, tag: Tag) -> Option<[u8; 2]> {
        self.elements.iter().find(|element| element.tag == tag)?.vr
    }

    /// A value's bytes; `None` where it is absent, empty or a sequence.
    pub(super) fn bytes(&self, tag: Tag) -> Option<&'a [u8]> {
        match self.value(tag) {
            Some(Value::Bytes(bytes)) if !bytes.is_empty() => Some(bytes),
            _ => None,
        }
    }

    /// The first item of a sequence.
    pub(super) fn item(&self, tag: Tag) -> Option<DataSet<'a>> {
        let (bytes, encoding) = match self.value(tag)? {
            Value::Items(bytes, encoding) => (bytes, encoding),
            // Unknown, of defined length: implicit inside (PS3.5, 6.2.2).
            Value::Bytes(bytes) if self.vr(tag) == Some(*b"UN") => (bytes, Encoding::IMPLICIT),
            // In implicit VR, of defined length.
            Value::Bytes(bytes) => (bytes, self.encoding),
            Value::Fragments(_) => return None,
        };
        let first = element::items(bytes, encoding).next()?;
        Some(Self::of(first, encoding))
    }

    /// Unsigned shorts (VR `US`, and `OW` of lookup tables).
    pub(super) fn shorts(&self, tag: Tag) -> Vec<u16> {
        let bytes = self.bytes(tag).unwrap_or_default();
        bytes.chunks_exact(2).map(|pair| self.encoding.u16([pair[0], pair[1]])).collect()
    }

    /// The first unsigned short.
    pub(super) fn short(&self, tag: Tag) -> Option<u16> {
        let pair = self.bytes(tag)?.first_chunk()?;
        Some(self.encoding.u16(*pair))
    }

    /// The values of a text without meaning beyond ASCII (VR `CS`, `DS`, `IS`, `UI`, `DA`, `TM`, `AS`), each trimmed.
    pub(super) fn words(&self, tag: Tag) -> impl Iterator<Item = &'a str> + use<'a> {
        let text = self.bytes(tag).and_then(|bytes| std::str::from_utf8(bytes).ok());
        text.unwrap_or_default().split('\\').map(|word| word.trim_matches([' ', '\0', '\t']))
    }

    /// The first of those, unless it is empty.
    pub(super) fn word(&self, tag: Tag) -> Option<&'a str> {
        self.words(tag).next().filter(|word| !word.is_empty())
    }

    /// The first decimal string (VR `DS`) that is a finite number; some write a comma for the point.
    pub(super) fn decimal(&self, tag: Tag) -> Option<f32> {
        self.decimals(tag).next()?
    }

    /// Every decimal string; `None` for one that is no finite number.
    pub(super) fn decimals(&self, tag: Tag) -> impl Iterator<Item = Option<f32>> + use<'a> {
        let number = |word: &str| word.replace(',', ".").parse().ok();
        self.words(tag).map(move |word| number(word).filter(|value: &f32| value.is_finite()))
    }

    /// The first integer string (VR `IS`).
    pub(super) fn integer(&self, tag: Tag) -> Option<i32> {
        self.word(tag)?.parse().ok()
    }
}
