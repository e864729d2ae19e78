//! What an instance says of itself, without its pixels (PS3.18, 10.4.1.1.2), as `application/dicom+json`.

use dicom_core::header::HasLength as _;
use dicom_core::{DataElement, Length, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use lobar_core::study::Identity;
use serde_json::{Value, json};

use super::instance::{Read, identify};
use crate::dicom_web::address::Address;
use crate::problem::Problem;

/// Values of bytes above so many are left out: they are in the instance.
const BYTES_MAX: u32 = 16 << 10;

/// The attributes of an instance, with who it is of as that is known now.
pub(super) fn of(read: Read, identity: &Identity, address: &Address) -> Result<Value, Problem> {
    let Read { mut object, .. } = read;
    let frames = object.get(tags::NUMBER_OF_FRAMES).and_then(|it| it.to_int::<u32>().ok());
    let pixels = object.get(tags::PIXEL_DATA).map(|element| element.header().vr());
    let is_large = |tag: Tag, vr: VR, length: Length| {
        let bytes = matches!(vr, VR::OB | VR::OW | VR::OF | VR::OD | VR::OL | VR::OV | VR::UN);
        tag == tags::PIXEL_DATA || bytes && length.get().is_none_or(|length| length > BYTES_MAX)
    };
    let large: Vec<Tag> = object
        .iter()
        .map(|element| (element.header().tag, element.header().vr(), element.length()))
        .filter(|(tag, vr, length)| is_large(*tag, *vr, *length))
        .map(|(tag, ..)| tag)
        .collect();
    for tag in large {
        object.remove_element(tag);
    }
    let known = &identity.attributes;
    identify(&mut object, known, known.patient.id != identity.given.id);
    let uids = (&known.study.uid, &known.series.uid, &known.instance.uid);
    let place = match uids {
        (Some(study), Some(series), Some(instance)) => address.instance(study, series, instance),
        _ => String::new(),
    };
    let url = PrimitiveValue::from(place.as_str());
    object.put(DataElement::new(tags::RETRIEVE_URL, VR::UR, url));
    let told = dicom_json::to_value(&object);
    let mut told = told.map_err(|error| Problem::internal("dicom json", &error))?;
    if let (Some(vr), Value::Object(members)) = (pixels, &mut told)
        && frames.unwrap_or(1) <= 1
    {
        let pixels = json!({ "vr": vr.to_string(), "BulkDataURI": format!("{place}/frames/1") });
        members.insert("7FE00010".into(), pixels);
    }
    Ok(told)
}
