//! What an instance says of itself, without its pixels (PS3.18, 10.4.1.1.2), as `application/dicom+json`.

use dicom_core::header::HasLength as _;
use dicom_core::value::Value;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;
use lobar_core::study::Identity;
use serde_json::json;

use super::instance::{Read, identify, is_moved, shown};
use crate::dicom_web::address::Address;
use crate::problem::Problem;

/// Values of bytes above so many are left out: they are in the instance.
const BYTES_MAX: u64 = 16 << 10;
/// The same of a sequence of lookup tables: two of 16 bits fit.
const LUT_MAX: u64 = 512 << 10;
/// Bytes of all that are not left out.
const ALL_BYTES_MAX: u64 = 1 << 20;

/// The attributes of an instance, with who it is of as that is known now.
pub(super) fn of(
    read: Read,
    identity: &Identity,
    address: &Address,
) -> Result<serde_json::Value, Problem> {
    let Read { mut object, .. } = read;
    let frames = object.get(tags::NUMBER_OF_FRAMES).and_then(|it| it.to_int::<u32>().ok());
    let pixels = object.get(tags::PIXEL_DATA).map(|element| element.header().vr());
    let mut left = ALL_BYTES_MAX;
    let mut is_large = |element: &InMemElement| {
        let bytes = bytes_in(element);
        // Without its lookup tables an image is shown otherwise.
        let tag = element.header().tag;
        let is_lut = matches!(tag, tags::MODALITY_LUT_SEQUENCE | tags::VOILUT_SEQUENCE);
        let is_large = bytes > if is_lut { LUT_MAX } else { BYTES_MAX } || bytes > left;
        left -= if is_large { 0 } else { bytes };
        is_large || tag == tags::PIXEL_DATA
    };
    let large: Vec<Tag> = object
        .iter()
        .filter(|element| is_large(element))
        .map(|element| element.header().tag)
        .collect();
    for tag in large {
        object.remove_element(tag);
    }
    let place = locate(&mut object, identity, address);
    let told = dicom_json::to_value(&object);
    let mut told = told.map_err(|error| Problem::internal("dicom json", &error))?;
    if let (Some(vr), serde_json::Value::Object(members)) = (pixels, &mut told)
        && frames.unwrap_or(1) <= 1
    {
        let pixels = json!({ "vr": vr.to_string(), "BulkDataURI": format!("{place}/frames/1") });
        members.insert("7FE00010".into(), pixels);
    }
    Ok(told)
}

/// What is known of an instance whose file cannot be read.
pub(super) fn known(identity: &Identity, address: &Address) -> Result<serde_json::Value, Problem> {
    let mut object = InMemDicomObject::new_empty();
    locate(&mut object, identity, address);
    dicom_json::to_value(&object).map_err(|error| Problem::internal("dicom json", &error))
}

/// Puts in whose it is and where it is had; answers that.
fn locate(object: &mut InMemDicomObject, identity: &Identity, address: &Address) -> String {
    let known = shown(identity);
    identify(object, &known, is_moved(identity));
    let uids = (&known.study.uid, &known.series.uid, &known.instance.uid);
    let place = match uids {
        (Some(study), Some(series), Some(instance)) => address.instance(study, series, instance),
        _ => String::new(),
    };
    let url = PrimitiveValue::from(place.as_str());
    object.put(DataElement::new(tags::RETRIEVE_URL, VR::UR, url));
    place
}

/// How many bytes there are in values of bytes, those in a sequence among them.
fn bytes_in(element: &InMemElement) -> u64 {
    match element.value() {
        Value::Sequence(items) => {
            items.items().iter().flat_map(InMemDicomObject::iter).map(bytes_in).sum()
        }
        value => match element.header().vr() {
            VR::OB | VR::OW | VR::OF | VR::OD | VR::OL | VR::OV | VR::UN => {
                u64::from(value.length().get().unwrap_or(u32::MAX))
            }
            _ => 0,
        },
    }
}
