//! Whose image it is: character sets, names, dates, and what is told of a file that is refused.

use lobar_core::study::Attributes;
use lobar_imaging::{Limits, attributes, read};

use crate::file::{File, Value};

const NAME: (u16, u16) = (0x0010, 0x0010);
const CHARACTERS: (u16, u16) = (0x0008, 0x0005);

fn of(file: &File) -> Attributes {
    attributes(&file.bytes()).unwrap()
}

fn name(characters: &str, bytes: &[u8]) -> Option<String> {
    let mut file = File::row(8, &[0]);
    if !characters.is_empty() {
        file.text(CHARACTERS, b"CS", characters);
    }
    file.set(NAME, b"PN", Value::Bytes(bytes.to_vec()));
    of(&file).patient.name
}

#[test]
fn names_are_decoded_from_their_character_set() {
    // PS3.5, annexes H, I, J and K.
    let cases: [(&str, &[u8], &str); 15] = [
        ("", b"Doe^Jane", "Doe^Jane"),
        ("ISO_IR 100", b"Buc^J\xe9r\xf4me", "Buc^Jérôme"),
        ("ISO_IR 148", b"Y\xfdld\xfdz^Ay\xfee", "Yıldız^Ayşe"),
        ("\\ISO 2022 IR 148", b"\x1b-MY\xfdld\xfdz^\x1b-MAy\xfee", "Yıldız^Ayşe"),
        ("ISO_IR 101", b"Wa\xb3\xeasa", "Wałęsa"),
        ("ISO_IR 144", b"\xbb\xee\xdace\xdc\xd1yp\xd3", "Люкceмбypг"),
        ("ISO_IR 126", b"\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2", "Διονυσιος"),
        ("ISO_IR 192", "Wang^XiaoDong=王^小东=".as_bytes(), "Wang^XiaoDong=王^小东"),
        ("GB18030", b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab=", "Wang^XiaoDong=王^小东"),
        (
            "\\ISO 2022 IR 87",
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
            "Yamada^Tarou=山田^太郎=やまだ^たろう",
        ),
        (
            "ISO 2022 IR 13\\ISO 2022 IR 87",
            b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
            "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
        ),
        (
            "\\ISO 2022 IR 149",
            b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
            "Hong^Gildong=洪^吉洞=홍^길동",
        ),
        ("", "Müller^Jörg".as_bytes(), "Müller^Jörg"),
        ("", b"M\xfcller", "Müller"),
        ("ISO_IR 999", b"M\xfcller", "Müller"),
    ];
    for (characters, bytes, expected) in cases {
        assert_eq!(name(characters, bytes).as_deref(), Some(expected), "{characters}");
    }
}

#[test]
fn names_lose_padding_and_what_is_empty() {
    assert_eq!(name("", b"Doe^Jane^^^ ").as_deref(), Some("Doe^Jane"));
    assert_eq!(name("", b" Doe ^ Jane==").as_deref(), Some("Doe^Jane"));
    assert_eq!(name("", b"Doe\0\x07^Jane\0").as_deref(), Some("Doe^Jane"));
    assert_eq!(name("", b"^^^^"), None);
    assert_eq!(name("", b""), None);
    assert_eq!(name("", &[b'a'; 60_000]).map(|name| name.len()), Some(1_024));
}

#[test]
fn dates_times_sex_and_age_have_one_form() {
    let read = |tag, vr: &[u8; 2], value: &str| {
        let mut file = File::row(8, &[0]);
        file.text(tag, vr, value);
        of(&file)
    };
    for (given, date) in [
        ("19991231", Some("19991231")),
        ("1999.12.31", Some("19991231")),
        ("1999-12-31", Some("19991231")),
        ("19991331", None),
        ("00000000", None),
        ("1999", None),
        ("", None),
    ] {
        assert_eq!(
            read((0x0010, 0x0030), b"DA", given).patient.birth_date.as_deref(),
            date,
            "{given}"
        );
    }
    for (given, time) in [
        ("235959.123456", Some("235959")),
        ("2359", Some("235900")),
        ("07", Some("070000")),
        ("23:59:07", Some("235907")),
        ("2460", None),
        ("x", None),
    ] {
        assert_eq!(read((0x0008, 0x0030), b"TM", given).study.time.as_deref(), time, "{given}");
    }
    for (given, sex) in [("F", Some("F")), ("m ", Some("M")), ("O", Some("O")), ("female", None)] {
        assert_eq!(read((0x0010, 0x0040), b"CS", given).patient.sex.as_deref(), sex, "{given}");
    }
    for (given, age) in [
        ("003Y", Some("003Y")),
        ("18M", Some("018M")),
        ("62", Some("062Y")),
        ("062\0", Some("062Y")),
        ("Y062", Some("062Y")),
        ("5", None),
        ("Y", None),
    ] {
        assert_eq!(read((0x0010, 0x1010), b"AS", given).patient.age.as_deref(), age, "{given}");
    }
}

#[test]
fn everything_that_is_kept_is_read() {
    let mut file = File::chest(3, 2, 12, &[0; 6]);
    file.text((0x0010, 0x0020), b"LO", "A\u{301}12 ")
        .text((0x0010, 0x0021), b"LO", "North")
        .text((0x0020, 0x000d), b"UI", "1.2.3\0")
        .text((0x0020, 0x000e), b"UI", "1.2.3.1 ")
        .text((0x0020, 0x0010), b"SH", "S7")
        .text((0x0008, 0x0050), b"SH", "ACC1")
        .text((0x0008, 0x0020), b"DA", "20261126")
        .text((0x0008, 0x1030), b"LO", "Chest")
        .text((0x0008, 0x103e), b"LO", "PA")
        .text((0x0008, 0x0090), b"PN", "House^G")
        .text((0x0020, 0x0011), b"IS", " 12")
        .text((0x0020, 0x0013), b"IS", "3 ")
        .text((0x0008, 0x0023), b"DA", "20261125")
        .text((0x0008, 0x0033), b"TM", "101112")
        .text((0x0028, 0x0301), b"CS", "YES");
    let Attributes { patient, study, series, instance } = of(&file);
    assert_eq!((patient.id.issuer.as_str(), patient.id.id.as_str()), ("North", "A\u{301}12"));
    assert_eq!(study.uid.unwrap().as_str(), "1.2.3");
    assert_eq!((study.id.unwrap(), study.accession.unwrap()), ("S7".into(), "ACC1".into()));
    assert_eq!(
        (study.date.unwrap(), study.description.unwrap()),
        ("20261126".into(), "Chest".into())
    );
    assert_eq!(study.referring_physician.unwrap(), "House^G");
    assert_eq!((series.uid.unwrap().as_str(), series.number), ("1.2.3.1", Some(12)));
    assert_eq!(
        (series.modality.unwrap(), series.body_part.unwrap()),
        ("CR".into(), "CHEST".into())
    );
    assert_eq!(series.description.unwrap(), "PA");
    assert_eq!(instance.uid.unwrap().as_str(), "1.2.3.4");
    assert_eq!(instance.class.unwrap().as_str(), "1.2.840.10008.5.1.4.1.1.1");
    assert_eq!(instance.transfer_syntax.unwrap().as_str(), crate::file::EXPLICIT);
    assert_eq!((instance.number, instance.view_position), (Some(3), Some("PA".into())));
    assert_eq!(
        (instance.date.unwrap(), instance.time.unwrap()),
        ("20261125".into(), "101112".into())
    );
    assert_eq!(
        (instance.rows, instance.columns, instance.bits_stored),
        (Some(2), Some(3), Some(12))
    );
    assert_eq!(instance.photometric_interpretation.unwrap(), "MONOCHROME2");
    assert_eq!((instance.frames, instance.burned_in_annotation), (None, Some(true)));
}

#[test]
fn a_file_whose_pixels_are_refused_still_says_whose_it_is() {
    let mut file = File::row(8, &[0]);
    file.text((0x0018, 0x5101), b"CS", "LL").text(NAME, b"PN", "Doe^Jane");
    let read = read(&file.bytes(), &Limits::default());
    assert!(read.prepared.is_err());
    assert_eq!(read.attributes.unwrap().patient.name.as_deref(), Some("Doe^Jane"));
}

#[test]
fn other_files_say_nothing() {
    assert!(attributes(b"").is_none());
    assert!(attributes(&crate::fixture::fixture("grey.jpg")).is_none());
}
