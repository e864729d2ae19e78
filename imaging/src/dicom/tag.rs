//! How an attribute is named in a refusal.

use dicom_core::Tag;
use dicom_core::dictionary::{DataDictionary as _, DataDictionaryEntry as _};
use dicom_dictionary_std::StandardDataDictionary;

/// `ViewPosition (0018,5101)`.
pub(super) fn named(tag: Tag) -> String {
    let number = format!("({:04X},{:04X})", tag.group(), tag.element());
    match StandardDataDictionary.by_tag(tag) {
        Some(entry) => format!("{} {number}", entry.alias()),
        None => number,
    }
}
