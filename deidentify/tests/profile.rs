//! What becomes of values, by the profile.

mod fixture;

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, Length, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use fixture::{cleaned, file, file_in, key, radiograph, read, run, shifted, text, with};
use lobar_deidentify::table::{PROFILE, Rule};
use lobar_deidentify::{Key, Options, Refusal, deidentify};

#[test]
fn every_attribute_that_the_profile_removes_or_empties_is_gone_or_empty() {
    use dicom_core::dictionary::{DataDictionary as _, DataDictionaryEntry as _};
    for (tag, _, rule) in PROFILE {
        let vr = dicom_dictionary_std::StandardDataDictionary.by_tag(*tag).expect("known").vr();
        let vr = vr.exact().expect("exact");
        let value = match vr {
            VR::DA => "20240301",
            VR::TM => "101500",
            VR::DT => "20240301101500",
            VR::UI => "1.2.3.77",
            VR::SQ | VR::US => continue,
            _ => "7",
        };
        let object = cleaned(with([DataElement::new(*tag, vr, value)]));
        let left = text(&object, *tag);
        match rule {
            Rule::Remove => assert_eq!(left, None, "{tag}"),
            Rule::Empty => assert_eq!(left.as_deref(), Some(""), "{tag}"),
            Rule::Uid => assert!(left.expect("a UID").starts_with("2.25."), "{tag}"),
            Rule::Pseudonym => assert_eq!(left.expect("a pseudonym").len(), 24, "{tag}"),
            _ => assert!(left.is_none_or(|left| left.is_empty()), "{tag}"),
        }
    }
}

#[test]
fn what_was_done_is_written_into_the_file_with_the_edition() {
    let object = cleaned(radiograph());
    assert_eq!(text(&object, tags::PATIENT_IDENTITY_REMOVED).as_deref(), Some("YES"));
    let words = text(&object, tags::DEIDENTIFICATION_METHOD).expect("set");
    assert!(words.contains("PS3.15 2024b") && words.len() <= 64, "{words}");
    assert_eq!(codes(&object), ["113100"]);
    let items = object.get(tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE).expect("set");
    for item in items.items().expect("items") {
        assert_eq!(text(item, tags::CODING_SCHEME_VERSION).as_deref(), Some("2024b"));
    }
    let longitudinal = tags::LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED;
    assert_eq!(text(&object, longitudinal).as_deref(), Some("REMOVED"));

    let object = read(&shifted(&file(radiograph())).expect("de-identified").bytes);
    assert_eq!(codes(&object), ["113100", "113107"]);
    assert_eq!(text(&object, longitudinal).as_deref(), Some("MODIFIED"));
}

fn codes(object: &InMemDicomObject) -> Vec<String> {
    let items = object.get(tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE).expect("set");
    let items = items.items().expect("items").iter();
    items.map(|item| text(item, tags::CODE_VALUE).expect("a code")).collect()
}

#[test]
fn the_same_patient_has_the_same_pseudonym_and_another_issuer_makes_another() {
    let pseudonym = |object| text(&cleaned(object), tags::PATIENT_ID).expect("set");
    let issuer = |name: &str| DataElement::new(tags::ISSUER_OF_PATIENT_ID, VR::LO, name);
    let first = pseudonym(radiograph());
    let other_name = DataElement::new(tags::PATIENT_NAME, VR::PN, "MUSTERMANN^E");
    assert_eq!(pseudonym(with([other_name])), first);
    assert_eq!(text(&cleaned(radiograph()), tags::PATIENT_NAME), Some(first.clone()));
    assert_ne!(pseudonym(with([issuer("NORTH")])), first);
    assert_ne!(pseudonym(with([issuer("NORTH")])), pseudonym(with([issuer("SOUTH")])));
}

#[test]
fn patients_without_an_id_are_not_taken_for_one() {
    let of_study = |uid: &str| {
        let object = with([
            DataElement::new(tags::PATIENT_ID, VR::LO, PrimitiveValue::Empty),
            DataElement::new(tags::STUDY_INSTANCE_UID, VR::UI, uid),
        ]);
        text(&cleaned(object), tags::PATIENT_ID).expect("set")
    };
    assert_eq!(of_study("1.2.3.1"), of_study("1.2.3.1"));
    assert_ne!(of_study("1.2.3.1"), of_study("1.2.3.5"));
}

#[test]
fn references_between_files_hold_and_sequences_are_cleaned() {
    let reference = InMemDicomObject::from_element_iter([
        DataElement::new(
            tags::REFERENCED_SOP_CLASS_UID,
            VR::UI,
            uids::COMPUTED_RADIOGRAPHY_IMAGE_STORAGE,
        ),
        DataElement::new(tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, "1.2.3.4"),
        DataElement::new(tags::PATIENT_NAME, VR::PN, "MUSTERMANN^ERIKA"),
    ]);
    let referring = with([
        DataElement::new(tags::SOP_INSTANCE_UID, VR::UI, "1.2.3.5"),
        DataElement::new(
            tags::REFERENCED_IMAGE_SEQUENCE,
            VR::SQ,
            DataSetSequence::new(vec![reference], Length::UNDEFINED),
        ),
    ]);
    let (first, second) = (cleaned(radiograph()), cleaned(referring));
    let item =
        &second.get(tags::REFERENCED_IMAGE_SEQUENCE).expect("kept").items().expect("items")[0];
    assert_eq!(text(item, tags::REFERENCED_SOP_INSTANCE_UID), text(&first, tags::SOP_INSTANCE_UID));
    assert!(item.get(tags::PATIENT_NAME).is_none());
    assert_eq!(text(&first, tags::STUDY_INSTANCE_UID), text(&second, tags::STUDY_INSTANCE_UID));
    assert_ne!(text(&first, tags::SOP_INSTANCE_UID), text(&second, tags::SOP_INSTANCE_UID));
}

#[test]
fn dates_of_a_patient_keep_their_distance_when_they_are_shifted() {
    let of = |date: &str| {
        let object = with([
            DataElement::new(tags::STUDY_DATE, VR::DA, date),
            DataElement::new(tags::STUDY_TIME, VR::TM, "101500"),
        ]);
        let object = read(&shifted(&file(object)).expect("de-identified").bytes);
        assert_eq!(text(&object, tags::STUDY_TIME).as_deref(), Some("101500"));
        assert_eq!(text(&object, tags::PATIENT_BIRTH_DATE).as_deref(), Some(""));
        object
            .get(tags::STUDY_DATE)
            .expect("kept")
            .to_date()
            .expect("a date")
            .to_naive_date()
            .expect("exact")
    };
    let (first, second) = (of("20240301"), of("20240311"));
    assert_eq!((second - first).num_days(), 10);
    assert!(first < dicom_core::chrono::NaiveDate::from_ymd_opt(2024, 3, 1).expect("a date"));
}

#[test]
fn pixels_and_how_to_show_them_stay_and_unused_bits_go() {
    let lookup = InMemDicomObject::from_element_iter([
        DataElement::new(
            tags::LUT_DESCRIPTOR,
            VR::US,
            PrimitiveValue::U16([2_u16, 0, 16].into_iter().collect()),
        ),
        DataElement::new(tags::LUT_EXPLANATION, VR::LO, "MUSTERMANN"),
        DataElement::new(
            tags::LUT_DATA,
            VR::OW,
            PrimitiveValue::U16([5_u16, 6, 7, 8].into_iter().collect()),
        ),
    ]);
    let object = cleaned(with([
        DataElement::new(tags::WINDOW_CENTER, VR::DS, "2048\\100"),
        DataElement::new(tags::IMAGE_TYPE, VR::CS, "DERIVED\\PRIMARY\\MUSTERMANN"),
        DataElement::new(tags::VIEW_POSITION, VR::CS, "PA"),
        DataElement::new(
            tags::PIXEL_DATA,
            VR::OW,
            PrimitiveValue::U16([0xf001_u16, 2, 3, 4].into_iter().collect()),
        ),
        DataElement::new(
            tags::VOILUT_SEQUENCE,
            VR::SQ,
            DataSetSequence::new(vec![lookup], Length::UNDEFINED),
        ),
    ]));
    assert_eq!(text(&object, tags::WINDOW_CENTER).as_deref(), Some("2048\\100"));
    assert_eq!(text(&object, tags::IMAGE_TYPE).as_deref(), Some("DERIVED\\PRIMARY"));
    assert_eq!(text(&object, tags::VIEW_POSITION).as_deref(), Some("PA"));
    let pixels = object.get(tags::PIXEL_DATA).expect("kept").to_multi_int::<u16>().expect("words");
    assert_eq!(pixels, [1, 2, 3, 4]);
    let lookup = &object.get(tags::VOILUT_SEQUENCE).expect("kept").items().expect("items")[0];
    let entries = lookup.get(tags::LUT_DATA).expect("kept").to_multi_int::<u16>().expect("words");
    assert_eq!(entries, [5, 6]);
}

#[test]
fn text_in_pixels_is_refused_by_name_or_masked() {
    let says = |what: &str| DataElement::new(tags::BURNED_IN_ANNOTATION, VR::CS, what);
    let capture =
        || DataElement::new(tags::SOP_CLASS_UID, VR::UI, uids::SECONDARY_CAPTURE_IMAGE_STORAGE);
    assert_eq!(run(&file(with([says("YES")]))).err(), Some(Refusal::BurnedIn));
    assert_eq!(run(&file(with([capture()]))).err(), Some(Refusal::SecondaryCapture));
    assert!(run(&file(with([capture(), says("NO")]))).is_ok());

    let masks = vec!["0,0,2,1".parse().expect("a rectangle")];
    let options = Options { masks, ..Options::default() };
    let out = deidentify(&file(with([says("YES")])), &key(), &options).expect("masked");
    let object = read(&out.bytes);
    assert_eq!(codes(&object), ["113100", "113101"]);
    assert_eq!(text(&object, tags::BURNED_IN_ANNOTATION).as_deref(), Some("NO"));
    let pixels = object.get(tags::PIXEL_DATA).expect("kept").to_multi_int::<u16>().expect("words");
    assert_eq!(pixels, [0, 0, 3, 4095]);
    let compressed = with([fixture::coded(vec![vec![0xff, 0xd8]])]);
    let refused = deidentify(&file_in(compressed, uids::JPEG_LOSSLESS_SV1), &key(), &options);
    assert!(matches!(refused.err(), Some(Refusal::Mask(_))));
}

#[test]
fn what_is_said_of_persons_in_the_pixels_is_yes_no_or_nothing() {
    let says = |vr, value: PrimitiveValue| {
        run(&file(with([DataElement::new(tags::BURNED_IN_ANNOTATION, vr, value)]))).err()
    };
    let bytes = |text: &str| PrimitiveValue::from(text.as_bytes());
    assert_eq!(says(VR::CS, PrimitiveValue::Empty), None);
    assert_eq!(says(VR::CS, "no".into()), None);
    assert_eq!(says(VR::CS, "\\YES".into()), Some(Refusal::BurnedIn));
    assert_eq!(says(VR::CS, "NO\\YES".into()), Some(Refusal::BurnedIn));
    for word in ["Y", "TRUE", "YES.", "NO\\"] {
        assert_eq!(says(VR::CS, word.into()), Some(Refusal::BurnedInUnclear), "{word}");
    }
    assert_eq!(says(VR::UN, bytes("YES ")), Some(Refusal::BurnedInUnclear));
    assert_eq!(says(VR::UN, PrimitiveValue::Empty), None);
}

#[test]
fn padding_goes_on_to_match_its_pixels_where_their_bits_are_cleared() {
    let padding = |pixels: [u16; 4]| {
        let word = |tag, vr, words: &[u16]| {
            DataElement::new(tag, vr, PrimitiveValue::U16(words.iter().copied().collect()))
        };
        let object = cleaned(with([
            word(tags::PIXEL_PADDING_VALUE, VR::US, &[0xffff]),
            word(tags::PIXEL_DATA, VR::OW, &pixels),
        ]));
        object.get(tags::PIXEL_PADDING_VALUE).expect("kept").to_int::<u16>().expect("a number")
    };
    assert_eq!(padding([1, 2, 3, 0xffff]), 0x0fff);
    assert_eq!(padding([1, 2, 3, 0x0fff]), 0xffff, "no pixel has such bits");
}

#[test]
fn other_kinds_of_objects_are_refused_by_name() {
    let class = |uid: &str| with([DataElement::new(tags::SOP_CLASS_UID, VR::UI, uid)]);
    let refused = run(&file(class(uids::CT_IMAGE_STORAGE))).expect_err("refused");
    assert!(refused.to_string().contains(uids::CT_IMAGE_STORAGE), "{refused}");
    let refused = run(&file(class("1.2.3.4.5"))).expect_err("refused");
    assert!(!refused.to_string().contains("1.2.3.4.5"), "{refused}");
    let frames = with([DataElement::new(tags::NUMBER_OF_FRAMES, VR::IS, "2")]);
    assert_eq!(run(&file(frames)).err(), Some(Refusal::Frames));
    assert_eq!(run(b"no DICOM").err(), Some(Refusal::Unreadable));
    let video = with([fixture::coded(vec![vec![0; 4]])]);
    let refused = run(&file_in(video, "1.2.840.10008.1.2.4.110")).expect_err("refused");
    assert!(refused.to_string().contains("1.2.840.10008.1.2.4.110"), "{refused}");
}

#[test]
fn every_uncompressed_transfer_syntax_is_kept() {
    for syntax in [
        uids::IMPLICIT_VR_LITTLE_ENDIAN,
        uids::EXPLICIT_VR_LITTLE_ENDIAN,
        uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
        "1.2.840.10008.1.2.2",
    ] {
        let out = run(&file_in(radiograph(), syntax)).expect("de-identified");
        let object = dicom_object::from_reader(out.bytes.as_slice()).expect("readable");
        assert_eq!(object.meta().transfer_syntax().trim_end_matches('\0'), syntax);
        let pixels =
            object.get(tags::PIXEL_DATA).expect("kept").to_multi_int::<u16>().expect("words");
        assert_eq!(pixels, [1, 2, 3, 4095], "{syntax}");
    }
}

#[test]
fn a_bare_data_set_is_read_too() {
    let bytes = file(radiograph());
    let meta = 132 + 12 + usize::from(bytes[140]) + usize::from(bytes[141]) * 256;
    let out = run(&bytes[meta..]).expect("de-identified");
    assert_eq!(out.bytes, run(&bytes).expect("de-identified").bytes);
}

#[test]
fn the_same_file_and_key_give_the_same_bytes_and_another_key_others() {
    let bytes = file(radiograph());
    let first = run(&bytes).expect("de-identified");
    assert_eq!(first.bytes, run(&bytes).expect("de-identified").bytes);
    let other = Key::of(&[8; 32]).expect("long enough");
    let second = deidentify(&bytes, &other, &Options::default()).expect("de-identified");
    assert_ne!(first.uid, second.uid);
    assert_eq!(
        text(&read(&first.bytes), tags::SOP_INSTANCE_UID).as_deref(),
        Some(first.uid.as_str())
    );
}
