//! UIDs for what has none of its own: JPEG and PNG files, and DICOM files that leave theirs out (docs/adr/0031).
//!
//! They are made of what names the thing, so that whoever derives one again gets the same.

use uuid::Uuid;

use super::{Attributes, Level, PatientId, Uid};
use crate::object::ImageId;

/// What tells an image's own study and series from the image itself: bits of the random part of its id, so that what comes
/// of it is a UUID, too.
const OWN_STUDY: u128 = 0x7374_7564_7900;
const OWN_SERIES: u128 = 0x7365_7269_6573;

const STUDIES: Uuid = Uuid::from_u128(0x6c6f6261_722d_5a17_9e1d_737475646965);
const SERIES: Uuid = Uuid::from_u128(0x6c6f6261_722d_5a17_9e1d_736572696573);
const INSTANCES: Uuid = Uuid::from_u128(0x6c6f6261_722d_5a17_9e1d_696e7374616e);

/// The UIDs of one image: its study's, its series' and its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Uids {
    /// Study Instance UID. Without one of its own: of the site, the patient's id and the accession number, so that the
    /// images of one order are one study; where one of these is unknown, of the image alone.
    pub study: Uid,
    /// Series Instance UID. Without one of its own: of the study's.
    pub series: Uid,
    /// SOP Instance UID. Without one of its own: of the image's id.
    pub instance: Uid,
}

impl Uids {
    /// Those that an image has, and for the others derived ones.
    pub fn of(image: ImageId, site: Option<&str>, attributes: &Attributes) -> Self {
        let Attributes { patient, study, series, instance } = attributes;
        let study = study.uid.clone().unwrap_or_else(|| match (site, &study.accession) {
            (Some(site), Some(accession)) if !patient.id.id.is_empty() => {
                let PatientId { issuer, id } = &patient.id;
                derive(&STUDIES, &framed(&[site, issuer, id, accession]))
            }
            _ => derive(&STUDIES, image.0.as_bytes()),
        });
        let series =
            series.uid.clone().unwrap_or_else(|| derive(&SERIES, study.as_str().as_bytes()));
        let instance =
            instance.uid.clone().unwrap_or_else(|| derive(&INSTANCES, image.0.as_bytes()));
        Self { study, series, instance }
    }
}

impl Uids {
    /// Those of an image of which nothing is known. They are made of its id so that it can be told from each of them
    /// ([`Self::image_of`]).
    pub fn of_image(image: ImageId) -> Self {
        let of = |bits: u128| Uid::of(Uuid::from_u128(image.0.as_u128() ^ bits));
        Self { study: of(OWN_STUDY), series: of(OWN_SERIES), instance: of(0) }
    }

    /// The image that this study would be of, if nothing is known of that.
    pub fn image_of(study: &Uid) -> Option<ImageId> {
        Self::image_by(Level::Study, study)
    }

    /// The same by the UID of a study, a series or an instance.
    pub fn image_by(level: Level, uid: &Uid) -> Option<ImageId> {
        let bits: u128 = uid.as_str().strip_prefix("2.25.")?.parse().ok()?;
        let own = match level {
            Level::Study => OWN_STUDY,
            Level::Series => OWN_SERIES,
            Level::Instance => 0,
        };
        Some(ImageId(Uuid::from_u128(bits ^ own)))
    }
}

fn derive(namespace: &Uuid, name: &[u8]) -> Uid {
    Uid::of(Uuid::new_v5(namespace, name))
}

/// With their lengths, so that no two lists share one text.
fn framed(parts: &[&str]) -> Vec<u8> {
    parts.iter().flat_map(|part| format!("{}:{part}", part.len()).into_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(id: &str, accession: Option<&str>) -> Attributes {
        let mut attributes = Attributes::default();
        attributes.patient.id.id = id.into();
        attributes.study.accession = accession.map(str::to_owned);
        attributes
    }

    #[test]
    fn images_of_one_order_are_one_study_and_others_are_not() {
        let (a, b) = (ImageId(Uuid::from_u128(1)), ImageId(Uuid::from_u128(2)));
        let of = |image, site, id, accession| Uids::of(image, site, &attributes(id, accession));
        let first = of(a, Some("north"), "7", Some("A-1"));
        let second = of(b, Some("north"), "7", Some("A-1"));
        assert!(first.study == second.study && first.series == second.series);
        assert!(first.instance != second.instance);
        for other in [
            of(b, Some("south"), "7", Some("A-1")),
            of(b, Some("north"), "7", Some("A-2")),
            of(b, Some("north"), "7", None),
            of(b, Some("north"), "", Some("A-1")),
            of(b, None, "7", Some("A-1")),
        ] {
            assert!(other.study != first.study);
        }
        assert!(of(a, None, "", None) == of(a, None, "", None));
    }

    #[test]
    fn an_image_of_which_nothing_is_known_is_told_from_its_study() {
        let image = ImageId(Uuid::from_u128(u128::MAX / 3));
        let Uids { study, series, instance } = Uids::of_image(image);
        assert_eq!(Uids::image_of(&study), Some(image));
        assert_eq!(Uids::image_by(Level::Series, &series), Some(image));
        assert_eq!(Uids::image_by(Level::Instance, &instance), Some(image));
        assert!(study != series && series != instance && study != instance);
        let uuid = Uuid::from_u128(study.as_str()[5..].parse().expect("a number"));
        assert_eq!(uuid.get_variant(), image.0.get_variant());
        for other in ["1.2.3", "2.25", "2.25.9999999999999999999999999999999999999999"] {
            assert_eq!(Uids::image_of(&Uid::parse(other).expect("a UID")), None);
        }
    }

    #[test]
    fn own_uids_are_kept() {
        let mut own = attributes("7", None);
        own.study.uid = Uid::parse("1.2.3");
        own.instance.uid = Uid::parse("1.2.3.4");
        let uids = Uids::of(ImageId(Uuid::nil()), Some("north"), &own);
        assert_eq!((uids.study.as_str(), uids.instance.as_str()), ("1.2.3", "1.2.3.4"));
        assert!(uids.series.as_str().starts_with("2.25."));
    }
}
