//! What is not a frontal chest radiograph of CR or DX by its own attributes (`docs/dicom.md`).
//!
//! A value is repeated in a refusal only where it is one of a closed vocabulary of the standard: everything else may
//! have been typed, and name somebody.

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use lobar_core::image::Reason;
use lobar_core::study::Uid;

use super::data_set::DataSet;
use super::tag::named;
use super::text::Texts;
use crate::Rejection;

/// SOP classes of radiographs for the eye, and of what was photographed or scanned, which is read where Modality says
/// that it is CR or DX.
const CLASSES: [&str; 3] = [
    uids::COMPUTED_RADIOGRAPHY_IMAGE_STORAGE,
    uids::DIGITAL_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION,
    uids::SECONDARY_CAPTURE_IMAGE_STORAGE,
];
const MODALITIES: [&str; 2] = ["CR", "DX"];

/// Other terms of Modality (PS3.3, C.7.3.1.1.1).
const OTHER_MODALITIES: [&str; 30] = [
    "CT", "MR", "US", "MG", "XA", "RF", "NM", "PT", "OT", "ES", "XC", "GM", "SM", "PX", "IO", "RG",
    "BI", "EC", "ECG", "OP", "OCT", "SR", "PR", "KO", "DOC", "SEG", "REG", "RTIMAGE", "RTDOSE",
    "BMD",
];

/// Parts of words that stand for the chest, in the languages of the modalities that were seen.
const CHEST: [&str; 8] = ["CHEST", "THORA", "TORA", "LUNG", "PULM", "POITRINE", "BRUST", "CXR"];
/// Parts of words that stand for the spine or the abdomen; beside a chest word they say that it is not the chest alone:
/// thoracic spines, and pictures of chest and abdomen.
const BESIDE_CHEST: [&str; 8] =
    ["SPINE", "WIRBEL", "COLUMNA", "COLUNA", "COLONNA", "LUMB", "RACHIS", "ABD"];
/// What is written where nobody chose a part of the body.
const NO_PART: [&str; 6] = ["UNKNOWN", "OTHER", "DEFAULT", "NONE", "UNDEFINED", "N/A"];
/// Other parts of the body that radiographs show (PS3.16, L); descriptions are searched for them, too.
const OTHER_PARTS: [&str; 36] = [
    "ABDOMEN",
    "ANKLE",
    "ARM",
    "BREAST",
    "CALCANEUS",
    "CLAVICLE",
    "COCCYX",
    "CSPINE",
    "DSPINE",
    "ELBOW",
    "EXTREMITY",
    "FEMUR",
    "FINGER",
    "FOOT",
    "FOREARM",
    "HAND",
    "HEAD",
    "HIP",
    "HUMERUS",
    "JAW",
    "KNEE",
    "LEG",
    "LSPINE",
    "MANDIBLE",
    "NECK",
    "PELVIS",
    "SACRUM",
    "SHOULDER",
    "SKULL",
    "SPINE",
    "SSPINE",
    "TIBIA",
    "TOE",
    "TSPINE",
    "WRIST",
    "TEETH",
];

/// Codes of the chest and of what lies in it, in Anatomic Region Sequence (PS3.16, CID 4009), SNOMED CT and RT.
const CHEST_CODES: [&str; 6] =
    ["51185008", "T-D3000", "39607008", "T-28000", "816094009", "43799004"];

/// Terms of View Position that are not frontal (PS3.3, C.8.1.2 and C.8.11.5).
const OTHER_VIEWS: [&str; 9] =
    ["LL", "RL", "LLD", "RLD", "LLO", "RLO", "LAT", "LATERAL", "OBLIQUE"];

/// Codes of views in View Code Sequence (PS3.16, CID 4010), SNOMED CT and RT: frontal, AP, PA.
const FRONTAL_CODES: [&str; 7] =
    ["399033003", "R-10202", "399348003", "R-10206", "272479007", "R-10214", "R-40888"];
/// The same of what is lateral, sagittal or oblique.
const OTHER_CODES: [&str; 50] = [
    "399067008",
    "R-102CD",
    "399173006",
    "R-10236",
    "399198007",
    "R-10232",
    "399352003",
    "R-10228",
    "399260004",
    "R-10224",
    "30730003",
    "G-A145",
    "399312000",
    "R-10208",
    "399160007",
    "R-10204",
    "399132005",
    "R-10252",
    "260427002",
    "R-40783",
    "399099002",
    "R-10230",
    "399135007",
    "R-10220",
    "399184004",
    "R-10238",
    "399006002",
    "R-10212",
    "260426006",
    "R-40782",
    "399368009",
    "R-10226",
    "399004004",
    "R-10246",
    "399225005",
    "R-10250",
    "399288005",
    "R-10248",
    "399182000",
    "R-102C1",
    "399059000",
    "R-10216",
    "399356000",
    "R-40985",
    "399236003",
    "R-10234",
    "399038007",
    "R-10210",
    "399325008",
    "R-10254",
];
/// Words of frontal views.
const FRONTAL: [&str; 3] = ["PA", "AP", "FRONTAL"];
/// Words of other views, in the languages of the words for the chest.
const LATERAL: [&str; 11] = [
    "LAT",
    "LATERAL",
    "LATERALE",
    "LATL",
    "LL",
    "RL",
    "SEITLICH",
    "SEITL",
    "PROFIL",
    "PERFIL",
    "LATEROLATERAL",
];

/// Refuses what is no frontal chest radiograph by what it says of itself. What it does not say is no refusal, but SOP
/// Class UID or Modality must say that it is CR or DX.
pub(super) fn check(data_set: &DataSet<'_>) -> Result<(), Rejection> {
    kind(data_set)?;
    intent(data_set)?;
    body_part(data_set)?;
    view(data_set)
}

fn other(detail: String) -> Rejection {
    Rejection::new(Reason::NotAChestRadiograph, detail)
}

/// CR or DX, by SOP class and modality.
fn kind(data_set: &DataSet<'_>) -> Result<(), Rejection> {
    let class = data_set.word(tags::SOP_CLASS_UID);
    let modality = data_set.word(tags::MODALITY).map(str::to_ascii_uppercase);
    if class == Some(uids::DIGITAL_X_RAY_IMAGE_STORAGE_FOR_PROCESSING) {
        return Ok(()); // refused by its intent
    }
    if let Some(class) = class
        && !CLASSES.contains(&class)
    {
        let class = match Uid::parse(class) {
            Some(_) if class.starts_with("1.2.840.10008.") => class,
            Some(_) => "a private class",
            None => "no UID",
        };
        let detail = format!("{} is {class}; CR and DX are assessed.", named(tags::SOP_CLASS_UID));
        return Err(other(detail));
    }
    match modality.as_deref() {
        Some(modality) if MODALITIES.contains(&modality) => Ok(()),
        Some(modality) => {
            let shown = known(modality, &OTHER_MODALITIES);
            Err(other(format!("{} is {shown}; CR and DX are assessed.", named(tags::MODALITY))))
        }
        None if class.is_some_and(|class| class != uids::SECONDARY_CAPTURE_IMAGE_STORAGE) => Ok(()),
        None => Err(other(format!(
            "Neither {} nor {} says that it is CR or DX.",
            named(tags::SOP_CLASS_UID),
            named(tags::MODALITY)
        ))),
    }
}

fn known<'a>(word: &'a str, vocabulary: &[&str]) -> &'a str {
    if vocabulary.contains(&word) { word } else { "another value" }
}

fn intent(data_set: &DataSet<'_>) -> Result<(), Rejection> {
    let refused = |tag| Err(Rejection::new(Reason::ForProcessing, format!("By {}.", named(tag))));
    let class = data_set.word(tags::SOP_CLASS_UID);
    if class == Some(uids::DIGITAL_X_RAY_IMAGE_STORAGE_FOR_PROCESSING) {
        return refused(tags::SOP_CLASS_UID);
    }
    let intent = data_set.word(tags::PRESENTATION_INTENT_TYPE).map(str::to_ascii_uppercase);
    if intent.as_deref().is_some_and(|intent| intent.contains("PROCESSING")) {
        return refused(tags::PRESENTATION_INTENT_TYPE);
    }
    Ok(())
}

fn is_chest(text: &str) -> bool {
    let names = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
    names(&CHEST) && !names(&BESIDE_CHEST)
}

/// Whether the part of the body that a description names is the chest; `None` where it names none.
fn describes_chest(text: &str) -> Option<bool> {
    if is_chest(text) {
        return Some(true);
    }
    let other = BESIDE_CHEST.iter().any(|part| text.contains(part))
        || words(text).any(|word| OTHER_PARTS.contains(&word));
    other.then_some(false)
}

/// A text in upper case without accents, so that `latérale` and `Tórax` are found by their letters.
fn folded(texts: &Texts, data_set: &DataSet<'_>, tag: Tag) -> String {
    let text = texts.text(data_set, tag).unwrap_or_default().to_uppercase();
    let plain = |letter| match letter {
        'À'..='Å' => 'A',
        'È'..='Ë' => 'E',
        'Ì'..='Ï' => 'I',
        'Ò'..='Ö' => 'O',
        'Ù'..='Ü' => 'U',
        letter => letter,
    };
    // Accents that are characters of their own.
    let is_accent = |letter: &char| ('\u{300}'..='\u{36f}').contains(letter);
    text.chars().filter(|letter| !is_accent(letter)).map(plain).collect()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// By Body Part Examined, else the coded region, else what descriptions name.
fn body_part(data_set: &DataSet<'_>) -> Result<(), Rejection> {
    let texts = Texts::of(data_set);
    let part = folded(&texts, data_set, tags::BODY_PART_EXAMINED);
    if !part.is_empty() && !NO_PART.contains(&part.as_str()) {
        if is_chest(&part) {
            return Ok(());
        }
        let shown = known(&part, &OTHER_PARTS);
        return Err(other(format!("{} is {shown}.", named(tags::BODY_PART_EXAMINED))));
    }
    let region = data_set.item(tags::ANATOMIC_REGION_SEQUENCE);
    if let Some(code) = region.as_ref().and_then(|item| item.word(tags::CODE_VALUE)) {
        return if CHEST_CODES.contains(&code) {
            Ok(())
        } else {
            Err(other(format!("{} is not the chest.", named(tags::ANATOMIC_REGION_SEQUENCE))))
        };
    }
    let described = [tags::SERIES_DESCRIPTION, tags::PROTOCOL_NAME, tags::STUDY_DESCRIPTION];
    // The first that names a part decides: a study may have several.
    let says = |tag| Some((tag, describes_chest(&folded(&texts, data_set, tag))?));
    match described.into_iter().find_map(says) {
        Some((tag, false)) => Err(other(format!("{} names another part of the body.", named(tag)))),
        Some((_, true)) | None => Ok(()),
    }
}

/// Frontal, by View Position, else the coded view, else the orientation, else the description of the series.
fn view(data_set: &DataSet<'_>) -> Result<(), Rejection> {
    let lateral = |tag| Err(other(format!("By {} it is not a frontal view.", named(tag))));
    let position = data_set.word(tags::VIEW_POSITION).map(str::to_ascii_uppercase);
    let position = position.filter(|position| !NO_PART.contains(&position.as_str()));
    if let Some(position) = position {
        let first = words(&position).next().unwrap_or_default();
        if FRONTAL.contains(&first) {
            return Ok(());
        }
        let shown = known(&position, &OTHER_VIEWS);
        return Err(other(format!(
            "{} is {shown}; PA and AP are assessed.",
            named(tags::VIEW_POSITION)
        )));
    }
    let texts = Texts::of(data_set);
    if let Some(item) = data_set.item(tags::VIEW_CODE_SEQUENCE) {
        let code = item.word(tags::CODE_VALUE).unwrap_or_default();
        if FRONTAL_CODES.contains(&code) {
            return Ok(());
        }
        let meaning = folded(&texts, &item, tags::CODE_MEANING);
        let named = ["LATERAL", "OBLIQUE", "DECUBITUS"].iter().any(|word| meaning.contains(word));
        if OTHER_CODES.contains(&code) || named || shows(&meaning) == Some(false) {
            return lateral(tags::VIEW_CODE_SEQUENCE);
        }
    }
    // The direction of rows: towards the front or the back of the patient (PS3.3, C.7.6.1.1.1).
    let rows = data_set.word(tags::PATIENT_ORIENTATION).unwrap_or_default();
    if rows.starts_with(['A', 'P']) {
        return lateral(tags::PATIENT_ORIENTATION);
    }
    // The first that names one view decides; of a study both may be named.
    let described = [tags::SERIES_DESCRIPTION, tags::PROTOCOL_NAME];
    let says = |tag| Some((tag, shows(&folded(&texts, data_set, tag))?));
    match described.into_iter().find_map(says) {
        Some((tag, false)) => lateral(tag),
        Some((_, true)) | None => Ok(()),
    }
}

/// Whether rows run towards the right of the patient, by the file's own word (PS3.3, C.7.6.1.1.1): a frontal film is looked at
/// with the patient's left on the right. The film is not turned: a modality that writes this of films that are as they should be
/// would have them shown with the heart on the wrong side.
pub(super) fn is_mirrored(data_set: &DataSet<'_>) -> bool {
    data_set.word(tags::PATIENT_ORIENTATION).is_some_and(|rows| rows.starts_with('R'))
}

/// Whether the view that a text names is frontal; `None` where it names none, or both.
fn shows(text: &str) -> Option<bool> {
    // `p.a.`, `seitl.`
    let text = text.replace('.', "");
    let any = |of: &[&str]| words(&text).any(|word| of.contains(&word));
    match (any(&FRONTAL), any(&LATERAL)) {
        (true, false) => Some(true),
        (false, true) => Some(false),
        _ => None,
    }
}
