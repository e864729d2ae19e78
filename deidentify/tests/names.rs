//! A name, wherever it was written into a file, is nowhere in what comes out.

mod fixture;

use dicom_core::dictionary::{DataDictionary as _, DataDictionaryEntry as _};
use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, Length, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags, uids};
use dicom_object::mem::InMemElement;
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use fixture::{NAME, coded, file, file_in, has, run, shifted, with};
use lobar_deidentify::table::{PROFILE, SAFE};

/// Attributes without which there is no image to speak of.
const NEEDED: [Tag; 6] = [
    tags::SOP_CLASS_UID,
    tags::PIXEL_DATA,
    tags::PHOTOMETRIC_INTERPRETATION,
    tags::NUMBER_OF_FRAMES,
    tags::BURNED_IN_ANNOTATION,
    tags::SOP_INSTANCE_UID,
];

/// Value representations in which a name can be written.
const TEXTS: [VR; 20] = [
    VR::AE,
    VR::AS,
    VR::CS,
    VR::DA,
    VR::DS,
    VR::DT,
    VR::IS,
    VR::LO,
    VR::LT,
    VR::OB,
    VR::OW,
    VR::PN,
    VR::SH,
    VR::SQ,
    VR::ST,
    VR::TM,
    VR::UC,
    VR::UI,
    VR::UR,
    VR::UT,
];

fn vr(tag: Tag) -> VR {
    StandardDataDictionary.by_tag(tag).map_or(VR::LO, |entry| entry.vr().relaxed())
}

/// An element that holds the name in the way that its value representation can.
fn sown(tag: Tag) -> InMemElement {
    match vr(tag) {
        VR::SQ => {
            let item = InMemDicomObject::from_element_iter([
                DataElement::new(tags::CODE_VALUE, VR::SH, NAME),
                DataElement::new(tags::CODING_SCHEME_DESIGNATOR, VR::SH, "DCM"),
                DataElement::new(tags::CODE_MEANING, VR::LO, NAME),
                DataElement::new(tags::PATIENT_NAME, VR::PN, NAME),
                DataElement::new(tags::REFERENCED_SOP_CLASS_UID, VR::UI, NAME),
                DataElement::new(tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, NAME),
                DataElement::new(tags::LUT_EXPLANATION, VR::LO, NAME),
                DataElement::new(tags::MODALITY_LUT_TYPE, VR::LO, NAME),
                DataElement::new(Tag(0x0009, 0x1001), VR::LO, NAME),
            ]);
            DataElement::new(tag, VR::SQ, DataSetSequence::new(vec![item], Length::UNDEFINED))
        }
        VR::OB | VR::OW => DataElement::new(tag, VR::OB, PrimitiveValue::from(NAME.as_bytes())),
        // Whatever the dictionary says, a file may call it text.
        VR::US | VR::SS | VR::UL | VR::SL | VR::FL | VR::FD => DataElement::new(tag, VR::LO, NAME),
        vr => DataElement::new(tag, vr, NAME),
    }
}

#[test]
fn a_name_in_any_attribute_of_the_table_is_gone() {
    let named = PROFILE.iter().map(|row| row.0).chain(SAFE.iter().map(|row| row.0));
    let mut tried = 0;
    for tag in named.filter(|tag| !NEEDED.contains(tag)) {
        let bytes = file(with([sown(tag)]));
        assert!(has(&bytes, NAME));
        // Rows without a number is refused; nothing comes out then.
        for out in [run(&bytes), shifted(&bytes)].into_iter().flatten() {
            assert!(!has(&out.bytes, NAME), "{tag}");
            tried += 1;
        }
    }
    assert!(tried > 350, "{tried}");
}

/// A birth date is digits, as numbers are.
#[test]
fn a_birth_date_in_any_number_of_the_table_is_gone() {
    const BORN: &str = "19640812";
    let numbers = SAFE.iter().map(|row| row.0).filter(|tag| matches!(vr(*tag), VR::DS | VR::IS));
    let mut tried = 0;
    for tag in numbers.filter(|tag| !NEEDED.contains(tag)) {
        let bytes = file(with([DataElement::new(tag, vr(tag), BORN)]));
        for out in [run(&bytes), shifted(&bytes)] {
            assert!(!has(&out.expect("de-identified").bytes, BORN), "{tag}");
            tried += 1;
        }
    }
    assert!(tried > 50, "{tried}");
}

/// Every attribute of the standard's dictionary, all those of text in one file.
#[test]
fn a_name_in_every_text_attribute_of_the_dictionary_at_once_is_gone() {
    let needed =
        [NEEDED.as_slice(), &[tags::STUDY_INSTANCE_UID, tags::SERIES_INSTANCE_UID]].concat();
    let texts = (0x0008_u16..0x0060)
        .step_by(2)
        .flat_map(|group| (0..=0xffff).map(move |element| Tag(group, element)));
    let sown: Vec<_> = texts
        .filter(|tag| tag.element() != 0 && !needed.contains(tag))
        .filter(|tag| *tag != tags::SPECIFIC_CHARACTER_SET)
        .filter(|tag| StandardDataDictionary.by_tag(*tag).is_some())
        .filter(|tag| TEXTS.contains(&vr(*tag)))
        .map(sown)
        .collect();
    assert!(sown.len() > 2000, "{}", sown.len());
    let out = run(&file(with(sown))).expect("de-identified");
    assert!(!has(&out.bytes, NAME));
}

#[test]
fn private_groups_overlays_curves_and_unknown_attributes_are_gone() {
    let hidden = [
        DataElement::new(Tag(0x0009, 0x0010), VR::LO, NAME),
        DataElement::new(Tag(0x0009, 0x1001), VR::LO, NAME),
        DataElement::new(Tag(0x0029, 0x1010), VR::OB, PrimitiveValue::from(NAME.as_bytes())),
        DataElement::new(Tag(0x5000, 0x2500), VR::LO, NAME),
        DataElement::new(Tag(0x6000, 0x1500), VR::LO, NAME),
        DataElement::new(Tag(0x6000, 0x3000), VR::OW, PrimitiveValue::from(NAME.as_bytes())),
        DataElement::new(Tag(0x0008, 0xfff0), VR::LO, NAME),
        DataElement::new(Tag(0x4ffe, 0x0001), VR::LO, NAME),
        DataElement::new(Tag(0xfffa, 0xfffa), VR::LO, NAME),
        DataElement::new(Tag(0xfffc, 0xfffc), VR::OB, PrimitiveValue::from(NAME.as_bytes())),
    ];
    let out = run(&file(with(hidden))).expect("de-identified");
    assert!(!has(&out.bytes, NAME));
    let groups = [0x0009, 0x0029, 0x4ffe, 0x5000, 0x6000, 0xfffa, 0xfffc];
    let object = fixture::read(&out.bytes);
    assert!(object.iter().all(|element| !groups.contains(&element.header().tag.group())));
}

#[test]
fn a_name_in_the_preamble_the_file_meta_information_and_behind_the_file_is_gone() {
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
        .implementation_version_name(NAME)
        .implementation_class_uid("1.2.3.99")
        .source_application_entity_title(NAME)
        .sending_application_entity_title(NAME)
        .receiving_application_entity_title(NAME)
        .private_information_creator_uid("1.2.3.98")
        .private_information(NAME.as_bytes());
    let mut bytes = Vec::new();
    let object = fixture::radiograph().with_meta(meta).expect("a file");
    object.write_all(&mut bytes).expect("written");
    bytes[..NAME.len()].copy_from_slice(NAME.as_bytes());
    let out = run(&bytes).expect("de-identified");
    assert!(!has(&out.bytes, NAME) && !has(&out.bytes, "1.2.3.9"));
    assert!(out.bytes[..128].iter().all(|byte| *byte == 0));
}

#[test]
fn a_name_among_or_behind_the_pixels_is_gone() {
    let mut words = vec![1_u16, 2, 3, 4];
    words.extend(NAME.bytes().map(u16::from));
    let behind = DataElement::new(
        tags::PIXEL_DATA,
        VR::OW,
        PrimitiveValue::U16(words.into_iter().collect()),
    );
    let out = run(&file(with([behind]))).expect("de-identified");
    assert!(!has(&out.bytes, NAME));

    let comment =
        b"\xff\xd8\xff\xfe\x00\x0cMUSTERMANN\xff\xda\x00\x02ab\xff\xd9MUSTERMANN".to_vec();
    let (one, two) = comment.split_at(10);
    let object = with([coded(vec![one.to_vec(), two.to_vec()])]);
    let bytes = file_in(object, uids::JPEG_LOSSLESS_SV1);
    let out = run(&bytes).expect("de-identified");
    assert!(!has(&out.bytes, NAME));
    let image = fixture::read(&out.bytes);
    let fragments = image.get(tags::PIXEL_DATA).expect("pixels").fragments().expect("coded");
    assert_eq!(&fragments.concat()[16..], &b"\xff\xda\x00\x02ab\xff\xd9"[..]);
}

#[test]
fn in_other_character_sets_too() {
    for (set, name) in [("ISO_IR 192", "Müstermann^Ërika"), ("ISO_IR 100", "Müstermann^Ërika")]
    {
        let object = with([
            DataElement::new(tags::SPECIFIC_CHARACTER_SET, VR::CS, set),
            DataElement::new(tags::PATIENT_NAME, VR::PN, name),
            DataElement::new(tags::STUDY_DESCRIPTION, VR::LO, name),
            DataElement::new(tags::BODY_PART_EXAMINED, VR::CS, name),
        ]);
        let out = run(&file(object)).expect("de-identified");
        assert!(!has(&out.bytes, "stermann") && !has(&out.bytes, "rika"));
    }
}
