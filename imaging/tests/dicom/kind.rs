//! What is no frontal chest radiograph by its own attributes is refused by them, and nothing personal is repeated.

use lobar_core::image::Reason;
use lobar_imaging::Warning;

use crate::file::{File, Value, text};

const CLASS: (u16, u16) = (0x0008, 0x0016);
const MODALITY: (u16, u16) = (0x0008, 0x0060);
const PART: (u16, u16) = (0x0018, 0x0015);
const VIEW: (u16, u16) = (0x0018, 0x5101);
const STUDY: (u16, u16) = (0x0008, 0x1030);
const SERIES: (u16, u16) = (0x0008, 0x103e);
const SECONDARY: &str = "1.2.840.10008.5.1.4.1.1.7";

fn file() -> File {
    File::row(8, &[0, 100, 200])
}

#[track_caller]
fn other(file: &File, tag: &str) -> String {
    let (reason, detail) = file.kept_out();
    assert_eq!(reason, Reason::NotAChestRadiograph, "{detail}");
    assert!(detail.contains(tag), "{detail}");
    detail
}

#[test]
fn other_classes_and_modalities_are_refused_by_name() {
    let mut file = file();
    file.text(CLASS, b"UI", "1.2.840.10008.5.1.4.1.1.2").text(MODALITY, b"CS", "CT");
    assert!(other(&file, "SOPClassUID (0008,0016)").contains("1.2.840.10008.5.1.4.1.1.2"));
    file.text(CLASS, b"UI", "1.9.7777.SECRET");
    other(&file, "(0008,0016)");
    file.text(CLASS, b"UI", "1.2.840.10008.5.1.4.1.1.1").text(MODALITY, b"CS", "MG");
    assert!(other(&file, "Modality (0008,0060)").contains("MG"));
    file.text(MODALITY, b"CS", "SECRET");
    other(&file, "(0008,0060)");
}

#[test]
fn a_class_that_is_no_uid_is_not_repeated() {
    let mut file = file();
    for class in [
        "1.2.840.10008.1 DOE^JANE".to_owned(),
        "1.2.840.10008.5.1.4.1.1.2\0\0x".to_owned(),
        format!("1.2.840.10008.{}", "1".repeat(1 << 20)),
    ] {
        file.text(CLASS, b"UT", &class);
        assert!(other(&file, "(0008,0016)").contains("no UID"));
    }
}

#[test]
fn one_of_class_and_modality_is_enough_and_none_is_not() {
    let mut file = file();
    file.remove(MODALITY);
    assert!(file.passes());
    file.remove(CLASS);
    other(&file, "Neither");
    file.text(MODALITY, b"CS", "DX");
    assert!(file.passes());
}

#[test]
fn a_secondary_capture_is_read_where_its_modality_is_that_of_a_radiograph() {
    let mut file = file();
    file.text(CLASS, b"UI", SECONDARY);
    assert!(file.passes());
    file.text(MODALITY, b"CS", "OT");
    other(&file, "(0008,0060)");
    file.remove(MODALITY);
    other(&file, "Neither");
}

#[test]
fn what_is_for_processing_needs_a_human() {
    let mut file = file();
    file.text((0x0008, 0x0068), b"CS", "FOR PRESENTATION");
    assert!(file.passes());
    file.text((0x0008, 0x0068), b"CS", "FOR PROCESSING");
    assert_eq!(file.kept_out().0, Reason::ForProcessing);
    assert!(file.kept_out().1.contains("(0008,0068)"));
    file.remove((0x0008, 0x0068)).text(CLASS, b"UI", "1.2.840.10008.5.1.4.1.1.1.1.1");
    assert_eq!(file.kept_out().0, Reason::ForProcessing);
}

#[test]
fn another_part_of_the_body_is_refused() {
    let mut file = file();
    for part in ["CHEST", "Thorax", "CHEST PA", "LUNG", "UNKNOWN", ""] {
        file.text(PART, b"CS", part);
        assert!(file.passes(), "{part}");
    }
    for part in ["HAND", "TSPINE", "ABDOMEN"] {
        file.text(PART, b"CS", part);
        assert!(other(&file, "BodyPartExamined (0018,0015)").contains(part));
    }
    file.text(PART, b"CS", "SECRET");
    other(&file, "(0018,0015)");
}

#[test]
fn without_a_body_part_the_coded_region_and_the_descriptions_tell() {
    let mut file = file();
    file.remove(PART);
    assert!(file.passes(), "nothing is said");
    file.text(STUDY, b"LO", "XR HAND 2 VIEWS SECRET");
    other(&file, "StudyDescription (0008,1030)");
    file.text(SERIES, b"LO", "W033 Chest PA");
    assert!(file.passes());
    file.remove(STUDY).text(SERIES, b"LO", "knee SECRET");
    other(&file, "SeriesDescription (0008,103E)");
    file.remove(SERIES);
    let region = |code: &str| Value::Items(vec![vec![((0x0008, 0x0100), *b"SH", text(code))]]);
    file.set((0x0008, 0x2218), b"SQ", region("51185008"));
    assert!(file.passes());
    file.set((0x0008, 0x2218), b"SQ", region("T-D8800"));
    other(&file, "AnatomicRegionSequence (0008,2218)");
}

#[test]
fn spines_and_the_abdomen_beside_the_chest_are_another_part() {
    let mut file = file();
    for part in ["CHESTABDOMEN", "COLUNA TORACICA", "BRUSTWIRBELSAEULE", "THORACOLUMBAR"] {
        file.text(PART, b"CS", part);
        other(&file, "(0018,0015)");
    }
    file.remove(PART);
    for series in ["THORACIC SPINE AP", "Brustwirbelsäule", "COLUMNA TORACICA"] {
        file.text(SERIES, b"LO", series);
        other(&file, "(0008,103E)");
    }
    file.text(SERIES, b"LO", "Tórax PA");
    assert!(file.passes());
}

#[test]
fn the_first_description_that_names_a_part_decides() {
    let mut file = file();
    file.remove(PART).text(STUDY, b"LO", "XR CHEST AND HAND").text(SERIES, b"LO", "HAND LEFT");
    other(&file, "(0008,103E)");
    file.text(SERIES, b"LO", "2 views").text((0x0018, 0x1030), b"LO", "KNEE");
    other(&file, "ProtocolName (0018,1030)");
    file.text((0x0018, 0x1030), b"LO", "Thorax");
    assert!(file.passes());
}

#[test]
fn a_view_that_is_not_frontal_is_refused() {
    let mut file = file();
    for view in ["PA", "AP", "AP SUPINE", "pa", ""] {
        file.text(VIEW, b"CS", view);
        assert!(file.passes(), "{view}");
    }
    for view in ["LL", "RL", "LATERAL", "LLD"] {
        file.text(VIEW, b"CS", view);
        assert!(other(&file, "ViewPosition (0018,5101)").contains(view));
    }
    file.text(VIEW, b"CS", "SECRET");
    other(&file, "(0018,5101)");
    file.remove(VIEW);
    assert!(file.passes(), "nothing is said");
    file.text(STUDY, b"LO", "CHEST PA AND LATERAL");
    assert!(file.passes(), "a study has both");
    file.text(SERIES, b"LO", "Chest LAT SECRET");
    other(&file, "(0008,103E)");
    file.text(SERIES, b"LO", "Chest").text((0x0020, 0x0020), b"CS", "A\\F");
    other(&file, "PatientOrientation (0020,0020)");
    file.text((0x0020, 0x0020), b"CS", "L\\F");
    assert!(file.passes());
    let meaning = vec![((0x0008, 0x0104), *b"LO", text("left lateral"))];
    file.set((0x0054, 0x0220), b"SQ", Value::Items(vec![meaning]));
    other(&file, "ViewCodeSequence (0054,0220)");
}

#[test]
fn a_film_that_says_that_it_is_mirrored_is_left_as_it_is_with_a_warning() {
    let warned = |orientation: &str| {
        let mut file = File::row(8, &[0, 100, 200]);
        file.text((0x0020, 0x0020), b"CS", orientation);
        let read = file.decode().unwrap();
        assert_eq!(read.pixels, [0, 100, 200], "{orientation}");
        read.warnings.contains(&Warning::Mirrored)
    };
    for mirrored in ["R\\F", "R", "RF\\FL", "R\\H"] {
        assert!(warned(mirrored), "{mirrored}");
    }
    for usual in ["L\\F", "L", "LH\\FL", "", "\\R", "A\\F"] {
        assert!(!warned(usual), "{usual}");
    }
}

#[test]
fn a_doctor_sees_what_is_refused_by_its_attributes() {
    let mut file = file();
    file.text(VIEW, b"CS", "LL").text(PART, b"CS", "HAND").text(
        (0x0008, 0x0068),
        b"CS",
        "FOR PROCESSING",
    );
    assert_eq!(file.grey(), [0, 100, 200]);
}

#[test]
fn a_lateral_view_is_told_in_every_language_and_character_set_of_the_chest() {
    let mut file = file();
    file.remove(VIEW);
    for series in ["Thorax seitlich", "Thorax seitl.", "Thorax profil", "Tórax perfil", "latérale"]
    {
        file.text(SERIES, b"LO", series);
        other(&file, "(0008,103E)");
    }
    // Latin-1, also where nobody says so.
    let latin = Value::Bytes(b"Thorax LATERAL R\xfccken".to_vec());
    file.set(SERIES, b"LO", latin);
    other(&file, "(0008,103E)");
    file.text((0x0008, 0x0005), b"CS", "ISO_IR 100");
    other(&file, "(0008,103E)");
    file.text((0x0008, 0x0005), b"CS", "ISO_IR 192");
    for series in ["Thorax p.a.", "Thorax PA und seitl."] {
        file.text(SERIES, b"LO", series);
        assert!(file.passes(), "{series}");
    }
}

#[test]
fn the_protocol_tells_the_view_where_the_series_does_not() {
    let mut file = file();
    file.remove(VIEW).text(SERIES, b"LO", "CHEST").text((0x0018, 0x1030), b"LO", "CHEST LAT");
    other(&file, "ProtocolName (0018,1030)");
    file.text(SERIES, b"LO", "CHEST PA");
    assert!(file.passes());
}

#[test]
fn the_code_of_a_view_counts_whatever_its_meaning_is() {
    const VIEWS: (u16, u16) = (0x0054, 0x0220);
    let mut file = file();
    file.remove(VIEW);
    let view = |code: &str, meaning: &str| {
        let item = vec![((8, 0x100), *b"SH", text(code)), ((8, 0x104), *b"LO", text(meaning))];
        Value::Items(vec![item])
    };
    for (code, meaning) in
        [("R-10236", "seitlich"), ("399173006", ""), ("R-10220", ""), ("99X", "Profil")]
    {
        file.set(VIEWS, b"SQ", view(code, meaning));
        other(&file, "(0054,0220)");
    }
    for (code, meaning) in [("R-10214", "postero-anterior"), ("399348003", ""), ("99X", "")] {
        file.set(VIEWS, b"SQ", view(code, meaning));
        assert!(file.passes(), "{code}");
    }
}

#[test]
fn a_sequence_of_unknown_representation_and_defined_length_is_implicit_inside() {
    let mut file = file();
    file.remove(VIEW);
    let meaning = [&[8, 0, 4, 1, 8, 0, 0, 0][..], b"lateral "].concat();
    let item = [&[0xfe, 0xff, 0, 0xe0, meaning.len() as u8, 0, 0, 0][..], &meaning].concat();
    file.set((0x0054, 0x0220), b"UN", Value::Bytes(item));
    other(&file, "(0054,0220)");
}
