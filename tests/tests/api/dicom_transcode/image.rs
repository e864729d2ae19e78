//! DICOM files of every kind of pixels, and programs that compress them and back.

use std::path::Path;
use std::process::Command;

use dicom_core::value::PixelFragmentSequence;
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::{DefaultDicomObject, FileMetaTableBuilder, InMemDicomObject};

use crate::wado::Place;

pub const EXPLICIT: &str = "1.2.840.10008.1.2.1";
pub const WIDTH: u16 = 40;
pub const HEIGHT: u16 = 30;

/// What the pixels are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    pub photometric: &'static str,
    /// 8, or up to 16 of 16.
    pub stored: u16,
    pub signed: bool,
    pub frames: usize,
}

pub const GREY_8: Kind = Kind { photometric: "MONOCHROME2", stored: 8, signed: false, frames: 1 };
pub const GREY_12: Kind = Kind { stored: 12, ..GREY_8 };
pub const GREY_16: Kind = Kind { stored: 16, photometric: "MONOCHROME1", ..GREY_8 };
pub const SIGNED: Kind = Kind { stored: 12, signed: true, ..GREY_8 };
pub const COLOUR: Kind = Kind { photometric: "RGB", ..GREY_8 };
pub const FRAMES: Kind = Kind { frames: 3, ..GREY_12 };

impl Kind {
    pub fn samples(self) -> usize {
        if self.photometric == "RGB" { 3 } else { 1 }
    }

    /// Bytes of a frame.
    pub fn frame(self) -> usize {
        let each = if self.stored > 8 { 2 } else { 1 };
        usize::from(WIDTH) * usize::from(HEIGHT) * self.samples() * each
    }

    /// The pixels in little endian: slopes with some noise, as far as the stored bits go.
    pub fn pixels(self) -> Vec<u8> {
        let mask = ((1_u32 << self.stored) - 1) as i32;
        let all = usize::from(WIDTH) * usize::from(HEIGHT) * self.samples() * self.frames;
        let sample = |n: usize| {
            let value = (n as i32 * 37 + (n as i32 * n as i32) % 5) & mask;
            if self.signed { value - (mask + 1) / 2 } else { value }
        };
        match self.stored {
            ..=8 => (0..all).map(|n| sample(n) as u8).collect(),
            _ => (0..all).flat_map(|n| (sample(n) as u16).to_le_bytes()).collect(),
        }
    }

    /// The attributes of an image of these pixels, without them.
    fn attributes(self, [study, series, instance]: Place<'_>) -> InMemDicomObject {
        let mut object = InMemDicomObject::new_empty();
        for (tag, vr, value) in [
            (tags::SOP_CLASS_UID, VR::UI, "1.2.840.10008.5.1.4.1.1.7"),
            (tags::SOP_INSTANCE_UID, VR::UI, instance),
            (tags::STUDY_INSTANCE_UID, VR::UI, study),
            (tags::SERIES_INSTANCE_UID, VR::UI, series),
            (tags::PATIENT_ID, VR::LO, "7"),
            (tags::PATIENT_NAME, VR::PN, "Roe^Ann"),
            (tags::MODALITY, VR::CS, "CR"),
            (tags::PHOTOMETRIC_INTERPRETATION, VR::CS, self.photometric),
        ] {
            object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
        }
        if self.frames > 1 {
            let frames = PrimitiveValue::from(self.frames.to_string());
            object.put(DataElement::new(tags::NUMBER_OF_FRAMES, VR::IS, frames));
        }
        let mut shorts = vec![
            (tags::SAMPLES_PER_PIXEL, self.samples() as u16),
            (tags::ROWS, HEIGHT),
            (tags::COLUMNS, WIDTH),
            (tags::BITS_ALLOCATED, if self.stored > 8 { 16 } else { 8 }),
            (tags::BITS_STORED, self.stored),
            (tags::HIGH_BIT, self.stored - 1),
            (tags::PIXEL_REPRESENTATION, u16::from(self.signed)),
        ];
        if self.samples() > 1 {
            shorts.push((tags::PLANAR_CONFIGURATION, 0));
        }
        for (tag, value) in shorts {
            object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
        }
        object
    }

    /// A file in Explicit VR Little Endian.
    pub fn native(self, place: Place<'_>) -> Vec<u8> {
        let mut object = self.attributes(place);
        let vr = if self.stored > 8 { VR::OW } else { VR::OB };
        object.put(DataElement::new(tags::PIXEL_DATA, vr, PrimitiveValue::from(self.pixels())));
        written(object, EXPLICIT)
    }

    /// A file with these fragments.
    pub fn compressed(self, place: Place<'_>, syntax: &str, fragments: Vec<Vec<u8>>) -> Vec<u8> {
        let mut object = self.attributes(place);
        let fragments: Vec<Vec<u8>> = fragments
            .into_iter()
            .map(|mut fragment| {
                fragment.resize(fragment.len().next_multiple_of(2), 0);
                fragment
            })
            .collect();
        let sequence = PixelFragmentSequence::new_fragments(fragments);
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, sequence));
        written(object, syntax)
    }
}

fn written(object: InMemDicomObject, syntax: &str) -> Vec<u8> {
    let file = object.with_meta(FileMetaTableBuilder::new().transfer_syntax(syntax));
    let mut bytes = Vec::new();
    file.expect("a file").write_all(&mut bytes).expect("written");
    bytes
}

/// Runs a program of DCMTK on a file; what it wrote.
pub fn by(program: &[&str], file: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let [from, into] = ["from.dcm", "into.dcm"].map(|name| folder.path().join(name));
    std::fs::write(&from, file).expect("written");
    let (name, options) = program.split_first().expect("a program");
    run(name, options, &[&from, &into]);
    std::fs::read(&into).expect("a file")
}

/// What `dcmdump` says of a file: it reads all of it, or fails.
pub fn dump(file: &[u8]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file.dcm");
    std::fs::write(&path, file).expect("written");
    run("dcmdump", &["-q", "+L"], &[&path])
}

fn run(program: &str, options: &[&str], files: &[&Path]) -> String {
    let output = Command::new(program).args(options).args(files).output().expect("DCMTK");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {options:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The pixels of a file that is not compressed, the samples of a pixel together.
pub fn together(file: &DefaultDicomObject) -> Vec<u8> {
    let bytes = crate::wado::pixels(file);
    let number = |tag| file.element(tag).ok().and_then(|it| it.to_int::<usize>().ok());
    let samples = number(tags::SAMPLES_PER_PIXEL).expect("samples");
    if samples == 1 || number(tags::PLANAR_CONFIGURATION) != Some(1) {
        return bytes;
    }
    let plane = bytes.len() / samples;
    (0..bytes.len()).map(|n| bytes[n % samples * plane + n / samples]).collect()
}
