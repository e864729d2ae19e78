//! Patient and cause, as the file names of Kermany et al. 2018 carry them.
//!
//! `person1000_bacteria_2931.jpeg` is the patient (bacteria, person1000): the numbers of bacterial
//! and viral persons overlap and mean different children. `IM-0117-0001.jpeg` and
//! `NORMAL2-IM-1423-0001.jpeg` are the patients IM-0117 and NORMAL2-IM-1423.

use super::Etiology;

/// What a file name says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Unique within the data set.
    pub patient: String,
    /// `None` for normal pictures.
    pub subtype: Option<Etiology>,
}

/// Reads a file name; `None` if it does not follow the data set's naming.
#[must_use]
pub fn identify(name: &str) -> Option<Identity> {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    if let Some(rest) = stem.strip_prefix("person") {
        let mut parts = rest.split('_');
        let number = parts.next().filter(|number| is_number(number))?;
        let subtype = match parts.next()? {
            "bacteria" => Etiology::Bacterial,
            "virus" => Etiology::Viral,
            _ => return None,
        };
        return Some(Identity {
            patient: format!("{}-person{number}", subtype.name()),
            subtype: Some(subtype),
        });
    }
    let (prefix, rest) = match stem.strip_prefix("NORMAL2-") {
        Some(rest) => ("NORMAL2-", rest),
        None => ("", stem),
    };
    let number = rest.strip_prefix("IM-")?.split('-').next()?;
    is_number(number).then(|| Identity { patient: format!("{prefix}IM-{number}"), subtype: None })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patient(name: &str) -> Option<String> {
        identify(name).map(|identity| identity.patient)
    }

    #[test]
    fn pictures_of_one_child_share_a_patient() {
        assert_eq!(patient("person1_virus_6.jpeg"), patient("person1_virus_7.jpeg"));
        assert_eq!(patient("IM-0117-0001.jpeg"), patient("IM-0117-0001-0002.jpeg"));
    }

    #[test]
    fn equal_numbers_of_different_series_are_different_children() {
        assert_ne!(patient("person1_virus_6.jpeg"), patient("person1_bacteria_1.jpeg"));
        assert_ne!(patient("IM-1423-0001.jpeg"), patient("NORMAL2-IM-1423-0001.jpeg"));
    }

    #[test]
    fn the_cause_is_read_from_the_name() {
        let subtype = |name| identify(name).and_then(|identity| identity.subtype);
        assert_eq!(subtype("person100_bacteria_475.jpeg"), Some(Etiology::Bacterial));
        assert_eq!(subtype("person100_virus_184.jpeg"), Some(Etiology::Viral));
        assert_eq!(subtype("IM-0001-0001.jpeg"), None);
    }

    #[test]
    fn a_name_without_a_patient_gives_none() {
        for name in [
            "scan.jpeg",
            "person_virus_1.jpeg",
            "personX_virus_1.jpeg",
            "person1_fungus_1.jpeg",
            "IM-.jpeg",
            "",
        ] {
            assert_eq!(identify(name), None, "{name}");
        }
    }
}
