//! What an instance is that Lobar makes of a JPEG or PNG file (docs/adr/0034).

use super::{Attributes, Uid};

/// Secondary Capture Image Storage (PS3.4, B.5).
pub const SECONDARY_CAPTURE: &str = "1.2.840.10008.5.1.4.1.1.7";
/// The modality of an image of which nobody said one (PS3.3, C.7.3.1.1.1): other.
pub const OTHER_MODALITY: &str = "OT";

/// Fills in what an instance must have, and the image does not say: of one that came as no DICOM file the class, Secondary
/// Capture; of any the modality, `OT`. What is known stays.
pub fn made(attributes: &mut Attributes) {
    let Attributes { series, instance, .. } = attributes;
    if is_made(instance.class.as_ref(), instance.transfer_syntax.as_ref()) {
        instance.class = Uid::parse(SECONDARY_CAPTURE);
    }
    series.modality.get_or_insert_with(|| OTHER_MODALITY.to_owned());
}

/// Whether its instance is made here: a DICOM file has a transfer syntax, and a class.
fn is_made(class: Option<&Uid>, transfer_syntax: Option<&Uid>) -> bool {
    class.is_none() && transfer_syntax.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_stays_and_the_rest_is_a_secondary_capture() {
        let mut nothing = Attributes::default();
        made(&mut nothing);
        let class = |attributes: &Attributes| attributes.instance.class.clone();
        assert_eq!(class(&nothing).expect("one").as_str(), SECONDARY_CAPTURE);
        assert_eq!(nothing.series.modality.as_deref(), Some("OT"));

        let mut picture = Attributes::default();
        picture.series.modality = Some("CR".into());
        made(&mut picture);
        assert_eq!(class(&picture).expect("one").as_str(), SECONDARY_CAPTURE);
        assert_eq!(picture.series.modality.as_deref(), Some("CR"));

        let mut file = Attributes::default();
        file.instance.transfer_syntax = Uid::parse("1.2.840.10008.1.2.1");
        made(&mut file);
        assert!(class(&file).is_none(), "of a DICOM file nobody guesses it");
    }
}
