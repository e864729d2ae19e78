//! What a file says of how it was de-identified (PS3.3, C.7.1.1; PS3.15, E.1.1 and E.3).

use dicom_core::{DataElement, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use crate::clean::{code_item, sequence, text};
use crate::{Dates, EDITION, YEAR};

/// Codes of CID 7050, De-identification Method.
const BASIC_PROFILE: (&str, &str, &str) =
    ("113100", "DCM", "Basic Application Confidentiality Profile");
const CLEAN_PIXELS: (&str, &str, &str) = ("113101", "DCM", "Clean Pixel Data Option");
const MODIFIED_DATES: (&str, &str, &str) =
    ("113107", "DCM", "Retain Longitudinal Temporal Information Modified Dates Option");

/// Writes into a data set what was done to it.
pub(crate) fn record(object: &mut InMemDicomObject, dates: Dates, masked: bool) {
    let mut codes = vec![BASIC_PROFILE];
    if masked {
        codes.push(CLEAN_PIXELS);
    }
    if dates == Dates::Shifted {
        codes.push(MODIFIED_DATES);
    }
    // A longitudinal record is one where dates of a patient can be compared (E.3.6).
    let longitudinal = if dates == Dates::Shifted { "MODIFIED" } else { "REMOVED" };
    let mut words = vec![format!("Lobar: DICOM {EDITION}, Annex E, Basic Profile")];
    words.extend(codes[1..].iter().map(|code| code.2.to_owned()));
    object.put(DataElement::new(tags::PATIENT_IDENTITY_REMOVED, VR::CS, "YES"));
    object.put(DataElement::new(
        tags::LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED,
        VR::CS,
        longitudinal,
    ));
    let coded = |code| {
        let mut item = code_item(code);
        item.put(DataElement::new(tags::CODING_SCHEME_VERSION, VR::SH, YEAR));
        item
    };
    let codes = codes.into_iter().map(coded).collect();
    let written = [
        text(tags::DEIDENTIFICATION_METHOD, &words),
        sequence(tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE, codes),
    ];
    for element in written.into_iter().flatten() {
        object.put(element);
    }
    if masked {
        object.put(DataElement::new(tags::BURNED_IN_ANNOTATION, VR::CS, "NO"));
    }
}
