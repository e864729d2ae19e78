//! What holds of any data set: many are made, none of them twice the same way.

mod fixture;

use dicom_core::dictionary::{DataDictionary as _, DataDictionaryEntry as _};
use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, Length, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;
use fixture::{NAME, file, has, read, run, shifted, with};

/// Numbers that look like chance and are the same in every run (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn element(&mut self, depth: u64) -> InMemElement {
        let group =
            [0x0008, 0x0009, 0x0010, 0x0018, 0x0020, 0x0028, 0x0040, 0x0054, 0x2050, 0x6000];
        let group = group[self.below(group.len() as u64) as usize];
        let mut tag = Tag(group, 1 + self.below(0x3fff) as u16);
        if self.below(2) == 0 {
            let known = lobar_deidentify::table::SAFE;
            tag = known[self.below(known.len() as u64) as usize].0;
        }
        let kept = [tags::PIXEL_DATA, tags::SOP_CLASS_UID, tags::SPECIFIC_CHARACTER_SET];
        if kept.contains(&tag) {
            tag = tags::IMAGE_COMMENTS;
        }
        let vr = StandardDataDictionary.by_tag(tag).map_or(VR::LO, |entry| entry.vr().relaxed());
        let vr = if self.below(8) == 0 { VR::LO } else { vr };
        match vr {
            VR::SQ if depth < 4 => {
                let items: Vec<_> = (0..self.below(3)).map(|_| self.item(depth + 1)).collect();
                DataElement::new(tag, VR::SQ, DataSetSequence::new(items, Length::UNDEFINED))
            }
            VR::US => DataElement::new(tag, vr, PrimitiveValue::from(self.below(65_536) as u16)),
            VR::OB | VR::OW | VR::UN | VR::SQ => {
                DataElement::new(tag, VR::OB, PrimitiveValue::from(NAME.as_bytes()))
            }
            vr => DataElement::new(tag, vr, self.text()),
        }
    }

    fn text(&mut self) -> String {
        let words = ["CHEST", "PA", "12", "1.2.3", "20240301", NAME, "\\", " ", "^", "NO", "é"];
        (0..self.below(4)).map(|_| words[self.below(words.len() as u64) as usize]).collect()
    }

    fn item(&mut self, depth: u64) -> InMemDicomObject {
        InMemDicomObject::from_element_iter(
            (0..self.below(6)).map(|_| self.element(depth)).collect::<Vec<_>>(),
        )
    }
}

#[test]
fn no_generated_file_keeps_the_name_an_odd_group_or_its_uids() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut done = 0;
    for _ in 0..2_000 {
        let elements: Vec<_> = (0..numbers.below(20)).map(|_| numbers.element(0)).collect();
        let bytes = file(with(elements));
        for out in [run(&bytes), shifted(&bytes)] {
            let Ok(out) = out else { continue };
            assert!(!has(&out.bytes, NAME), "name");
            assert!(!has(&out.bytes, "1.2.3.1"), "uid");
            assert!(read(&out.bytes).iter().all(|element| element.header().tag.group() % 2 == 0));
            done += 1;
        }
    }
    assert!(done > 500, "{done}");
}

/// Whatever is cut from a file or turned over in it: it is refused, or what comes out names nobody.
#[test]
fn a_damaged_file_is_refused_or_clean_and_never_panics() {
    let whole = file(with([
        DataElement::new(tags::STUDY_DESCRIPTION, VR::LO, NAME),
        DataElement::new(tags::WINDOW_CENTER, VR::DS, "2048"),
    ]));
    for end in 0..whole.len() {
        if let Ok(out) = run(&whole[..end]) {
            assert!(!has(&out.bytes, NAME), "cut at {end}");
        }
    }
    for place in 132..whole.len() {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x15;
        if let Ok(out) = run(&bytes) {
            assert!(!has(&out.bytes, NAME), "turned over at {place}");
        }
    }
}
