//! The result, read again as a stranger would and held against the table.

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;

use crate::clean::{Cleaning, texts};
use crate::file::read;
use crate::key::Key;
use crate::refusal::Refusal;
use crate::table::{Rule, rule, rule_in};
use crate::{Dates, EDITION};

/// What this program writes of itself.
const OWN: [Tag; 4] = [
    tags::PATIENT_IDENTITY_REMOVED,
    tags::DEIDENTIFICATION_METHOD,
    tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE,
    tags::LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED,
];

/// Refuses a file in which anything is that the table does not let stay.
pub(crate) fn check(bytes: &[u8], dates: Dates) -> Result<(), Refusal> {
    let unclean = |place: String| Refusal::NotClean(place);
    if bytes.get(..128).is_none_or(|preamble| preamble.iter().any(|byte| *byte != 0)) {
        return Err(unclean("the preamble".into()));
    }
    let meta = dicom_object::from_reader(bytes)
        .map_err(|_| unclean("the file meta information".into()))?;
    let meta = meta.meta();
    let titles = [
        &meta.source_application_entity_title,
        &meta.sending_application_entity_title,
        &meta.receiving_application_entity_title,
    ];
    if titles.into_iter().any(Option::is_some) || meta.private_information.is_some() {
        return Err(unclean("the file meta information".into()));
    }
    let (object, _) = read(bytes)?;
    let says = object.get(tags::DEIDENTIFICATION_METHOD).map(texts).unwrap_or_default();
    if !says.first().is_some_and(|word| word.contains(EDITION)) {
        return Err(unclean(tags::DEIDENTIFICATION_METHOD.to_string()));
    }
    let rule = |tag| if OWN.contains(&tag) { Rule::Pixels } else { rule(tag) };
    data_set(&object, dates, &rule)
}

fn data_set(
    object: &InMemDicomObject,
    dates: Dates,
    rule: &dyn Fn(Tag) -> Rule,
) -> Result<(), Refusal> {
    for element in object {
        let tag = element.header().tag;
        let rule = rule(tag);
        if let Rule::Items(rules) = rule {
            for item in element.items().unwrap_or_default() {
                data_set(item, dates, &|tag| rule_in(rules, tag))?;
            }
        } else if !stands(object, element, rule, dates) {
            return Err(Refusal::NotClean(tag.to_string()));
        }
    }
    Ok(())
}

/// Whether an attribute is as its rule leaves it.
fn stands(object: &InMemDicomObject, element: &InMemElement, rule: Rule, dates: Dates) -> bool {
    let texts = texts(element);
    let is_empty = match element.items() {
        Some(items) => items.is_empty(),
        None => element.value().primitive().is_some_and(|value| value.multiplicity() == 0),
    };
    match rule {
        Rule::Remove => false,
        Rule::Pixels | Rule::Items(_) => true,
        Rule::Empty => is_empty,
        Rule::Pseudonym => texts.len() == 1 && is_pseudonym(&texts[0]),
        Rule::Uid => texts.iter().all(|uid| uid.starts_with("2.25.")),
        Rule::Date(_) | Rule::Time(_) | Rule::Moment(_) => {
            let digits = |byte: u8| byte.is_ascii_digit() || byte == b'.';
            is_empty
                || (dates == Dates::Shifted && texts.iter().all(|text| text.bytes().all(digits)))
        }
        // These leave as it is what they have cleaned once.
        Rule::Text(..) | Rule::Number | Rule::LookupTable | Rule::Codes => {
            let Some(key) = Key::of(&[0; 32]) else { return false };
            let cleaning = Cleaning { key: &key, dates, patient: Vec::new() };
            let again = cleaning.element(object, element, rule);
            is_empty || again.is_some_and(|again| is_same(&again, element))
        }
    }
}

fn is_same(one: &InMemElement, other: &InMemElement) -> bool {
    match (one.items(), other.items()) {
        (Some(one), Some(other)) => {
            one.len() == other.len()
                && one.iter().zip(other).all(|(one, other)| {
                    one.iter().count() == other.iter().count()
                        && one.iter().zip(other.iter()).all(|(one, other)| {
                            one.header().tag == other.header().tag && is_same(one, other)
                        })
                })
        }
        (None, None) => match (one.value().primitive(), other.value().primitive()) {
            (Some(numbers), Some(others)) if texts(one).is_empty() => numbers == others,
            (Some(_), Some(_)) => texts(one) == texts(other),
            _ => false,
        },
        _ => false,
    }
}

fn is_pseudonym(text: &str) -> bool {
    text.len() == 24
        && text.bytes().all(|byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_finds_what_the_table_does_not_let_stay() {
        use dicom_core::{DataElement, VR};
        let object = |tag, vr, text: &str| {
            InMemDicomObject::from_element_iter([DataElement::new(tag, vr, text)])
        };
        for (tag, vr, text) in [
            (tags::PATIENT_NAME, VR::PN, "Doe^Jane"),
            (tags::STUDY_DATE, VR::DA, "20240301"),
            (tags::STUDY_INSTANCE_UID, VR::UI, "1.2.3"),
            (tags::MODALITY, VR::CS, "DOE"),
            (tags::IMAGE_COMMENTS, VR::LT, "Doe"),
            (Tag(0x0009, 0x0010), VR::LO, "DOE"),
        ] {
            let found = data_set(&object(tag, vr, text), Dates::Removed, &rule);
            assert_eq!(found, Err(Refusal::NotClean(tag.to_string())));
        }
        let kept = object(tags::MODALITY, VR::CS, "DX");
        assert_eq!(data_set(&kept, Dates::Removed, &rule), Ok(()));
    }
}
