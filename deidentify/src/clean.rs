//! The rules, applied to a data set.

use dicom_core::dictionary::{DataDictionary as _, DataDictionaryEntry as _, VirtualVr};
use dicom_core::smallvec::SmallVec;
use dicom_core::value::{DataSetSequence, PrimitiveValue};
use dicom_core::{DataElement, Length, Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;

use crate::Dates;
use crate::dates::{earlier, earlier_moment, time_of_day};
use crate::form::Form;
use crate::key::Key;
use crate::table::{CODES, Otherwise, Rule, rule_in};

/// Whose images are cleaned, and with which key.
pub(crate) struct Cleaning<'a> {
    pub(crate) key: &'a Key,
    pub(crate) dates: Dates,
    /// What names the patient: issuer and id, or what stands in for them.
    pub(crate) patient: Vec<String>,
}

impl Cleaning<'_> {
    /// What stays of a data set: every attribute by its rule, without those for which `None` comes back.
    pub(crate) fn data_set(
        &self,
        object: &InMemDicomObject,
        rule: impl Fn(Tag) -> Rule,
    ) -> InMemDicomObject {
        let kept = object
            .iter()
            .filter_map(|element| self.element(object, element, rule(element.header().tag)));
        InMemDicomObject::from_element_iter(kept.collect::<Vec<_>>())
    }

    /// What stays of one attribute of `object`.
    pub(crate) fn element(
        &self,
        object: &InMemDicomObject,
        element: &InMemElement,
        rule: Rule,
    ) -> Option<InMemElement> {
        let tag = element.header().tag;
        match rule {
            Rule::Remove | Rule::Pixels => None,
            Rule::Empty => empty(tag),
            Rule::Pseudonym => text(tag, &[self.pseudonym()]),
            Rule::Uid => {
                let uids = texts(element).into_iter().filter(|uid| !uid.is_empty());
                let uids: Vec<_> = uids.map(|uid| self.key.uid(&uid).as_str().to_owned()).collect();
                if uids.is_empty() { None } else { text(tag, &uids) }
            }
            Rule::Date(otherwise) => {
                self.moved(element, otherwise, |date| earlier(date, self.shift()))
            }
            Rule::Moment(otherwise) => {
                self.moved(element, otherwise, |moment| earlier_moment(moment, self.shift()))
            }
            Rule::Time(otherwise) => self.moved(element, otherwise, time_of_day),
            Rule::Text(form, otherwise) => formed(element, form, otherwise),
            Rule::Number => numbers(element),
            Rule::LookupTable => lookup_table(object, element),
            Rule::Codes => codes(element),
            Rule::Items(rules) => {
                let items = element.items()?.iter();
                let items = items.map(|item| self.data_set(item, |tag| rule_in(rules, tag)));
                sequence(tag, items.filter(|item| item.iter().next().is_some()).collect())
            }
        }
    }

    /// The patient's pseudonym.
    pub(crate) fn pseudonym(&self) -> String {
        self.key.pseudonym(&self.parts())
    }

    fn shift(&self) -> dicom_core::chrono::Days {
        self.key.shift(&self.parts())
    }

    fn parts(&self) -> Vec<&str> {
        self.patient.iter().map(String::as_str).collect()
    }

    fn moved(
        &self,
        element: &InMemElement,
        otherwise: Otherwise,
        to: impl Fn(&str) -> Option<String>,
    ) -> Option<InMemElement> {
        let tag = element.header().tag;
        let values = texts(element);
        let moved: Option<Vec<_>> = match self.dates {
            Dates::Removed => None,
            Dates::Shifted => values.iter().map(|value| to(value)).collect(),
        };
        match moved {
            Some(values) if !values.is_empty() => text(tag, &values),
            _ => without(tag, otherwise),
        }
    }
}

/// The texts of an element without their padding; none where it has no texts.
pub(crate) fn texts(element: &InMemElement) -> Vec<String> {
    let trim = |text: &str| text.trim_matches([' ', '\0']).to_owned();
    match element.value().primitive() {
        Some(PrimitiveValue::Str(text)) => text.split('\\').map(trim).collect(),
        Some(PrimitiveValue::Strs(texts)) => {
            texts.iter().flat_map(|text| text.split('\\')).map(trim).collect()
        }
        _ => Vec::new(),
    }
}

/// The first text of an attribute, unless it is empty.
pub(crate) fn text_of(object: &InMemDicomObject, tag: Tag) -> Option<String> {
    texts(object.get(tag)?).into_iter().next().filter(|text| !text.is_empty())
}

/// An element of texts, with the value representation that the standard gives it.
pub(crate) fn text(tag: Tag, values: &[String]) -> Option<InMemElement> {
    let values: SmallVec<[String; 2]> = values.iter().cloned().collect();
    Some(DataElement::new(tag, standard_vr(tag)?, PrimitiveValue::Strs(values)))
}

/// An element without a value.
pub(crate) fn empty(tag: Tag) -> Option<InMemElement> {
    Some(match standard_vr(tag)? {
        VR::SQ => DataElement::new(tag, VR::SQ, DataSetSequence::new(Vec::new(), Length(0))),
        vr => DataElement::new(tag, vr, PrimitiveValue::Empty),
    })
}

fn without(tag: Tag, otherwise: Otherwise) -> Option<InMemElement> {
    match otherwise {
        Otherwise::Removed => None,
        Otherwise::Emptied => empty(tag),
    }
}

/// An element of items.
pub(crate) fn sequence(tag: Tag, items: Vec<InMemDicomObject>) -> Option<InMemElement> {
    if items.is_empty() {
        return None;
    }
    Some(DataElement::new(tag, VR::SQ, DataSetSequence::new(items, Length::UNDEFINED)))
}

/// What the dictionary says, not what the file does; `None` where that depends on the data.
fn standard_vr(tag: Tag) -> Option<VR> {
    StandardDataDictionary.by_tag(tag)?.vr().exact()
}

/// Values that are not of the form become empty where others are, since their places have a meaning.
fn formed(element: &InMemElement, form: Form, otherwise: Otherwise) -> Option<InMemElement> {
    let tag = element.header().tag;
    let mut values = texts(element);
    for value in &mut values {
        if !form.takes(value) {
            value.clear();
        }
    }
    while values.last().is_some_and(String::is_empty) {
        values.pop();
    }
    if values.is_empty() || values.len() > form.most() {
        return without(tag, otherwise);
    }
    text(tag, &values)
}

fn numbers(element: &InMemElement) -> Option<InMemElement> {
    let tag = element.header().tag;
    let value = element.value().primitive()?;
    let vr = match StandardDataDictionary.by_tag(tag)?.vr() {
        VirtualVr::Exact(vr) => vr,
        _ if element.vr() == VR::SS => VR::SS,
        _ => VR::US,
    };
    let value = match (vr, value) {
        (VR::US, PrimitiveValue::U16(numbers)) => PrimitiveValue::U16(numbers.clone()),
        (VR::SS, PrimitiveValue::I16(numbers)) => PrimitiveValue::I16(numbers.clone()),
        // Pixel Intensity Relationship Sign is SS; there are devices that write 1 as US.
        (VR::SS, PrimitiveValue::U16(numbers)) => {
            let numbers = numbers.iter().map(|number| number.cast_signed());
            PrimitiveValue::I16(numbers.collect())
        }
        _ => return None,
    };
    // Text can be written in numbers, two letters each: no more of them than the standard has.
    let count = if tag == tags::LUT_DESCRIPTOR { 3 } else { 1 };
    (value.multiplicity() == count).then(|| DataElement::new(tag, vr, value))
}

/// As many values as the descriptor beside it says (PS3.3, C.11.1.1.1): what comes behind them is no lookup table.
fn lookup_table(object: &InMemDicomObject, element: &InMemElement) -> Option<InMemElement> {
    let descriptor = object.get(tags::LUT_DESCRIPTOR)?.value().primitive()?;
    let entries = match descriptor {
        PrimitiveValue::U16(numbers) => *numbers.first()?,
        PrimitiveValue::I16(numbers) => numbers.first()?.cast_unsigned(),
        _ => return None,
    };
    let entries = if entries == 0 { 65_536 } else { usize::from(entries) };
    let PrimitiveValue::U16(values) = element.value().primitive()? else { return None };
    let vr = if element.vr() == VR::US { VR::US } else { VR::OW };
    let values = values.iter().copied().take(entries).collect();
    Some(DataElement::new(element.header().tag, vr, PrimitiveValue::U16(values)))
}

fn codes(element: &InMemElement) -> Option<InMemElement> {
    let known = element.items()?.iter().filter_map(|item| {
        let (value, scheme) =
            (text_of(item, tags::CODE_VALUE)?, text_of(item, tags::CODING_SCHEME_DESIGNATOR)?);
        CODES.iter().find(|code| (code.0, code.1) == (value.as_str(), scheme.as_str()))
    });
    sequence(element.header().tag, known.map(|code| code_item(*code)).collect())
}

/// An item of a code sequence: value, coding scheme, meaning (PS3.3, 8.8).
pub(crate) fn code_item((value, scheme, meaning): (&str, &str, &str)) -> InMemDicomObject {
    InMemDicomObject::from_element_iter([
        DataElement::new(tags::CODE_VALUE, VR::SH, value),
        DataElement::new(tags::CODING_SCHEME_DESIGNATOR, VR::SH, scheme),
        DataElement::new(tags::CODE_MEANING, VR::LO, meaning),
    ])
}
