//! What became of each instance, as the answer tells it (PS3.18, 10.5.3, and Annex I).

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header;
use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, Length, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use lobar_core::study::Uid;

use super::address::Address;
use crate::problem::Problem;

/// The media type of the answer.
pub(super) const MEDIA_TYPE: &str = "application/dicom+json";

/// Why an instance was not stored: Failure Reason (0008,1197). The codes are those of C-STORE (PS3.4, B.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It belongs to another study than the address names. The code is that of a data set that does not match.
    OtherStudy,
    /// It is larger than the server takes.
    TooLarge,
    /// It was erased here, and is not taken again.
    Erased,
    /// It is no DICOM file, or names no SOP class, SOP instance or study.
    NotUnderstood,
}

impl Failure {
    fn code(self) -> u16 {
        match self {
            Failure::OtherStudy => 0xa900,
            Failure::TooLarge => 0xa700,
            Failure::Erased => 0x0110,
            Failure::NotUnderstood => 0xc000,
        }
    }
}

/// Which instance: SOP class and SOP instance, and where it belongs.
pub(super) struct Instance {
    pub(super) class: Uid,
    pub(super) uid: Uid,
    pub(super) study: Option<Uid>,
    pub(super) series: Option<Uid>,
}

/// What became of the instances of a request.
#[derive(Default)]
pub(super) struct Outcome {
    stored: Vec<Instance>,
    failed: Vec<(Instance, Failure)>,
    unnamed: Vec<Failure>,
}

impl Outcome {
    /// It is in the bucket.
    pub(super) fn stored(&mut self, instance: Instance) {
        self.stored.push(instance);
    }

    /// It is not; where it names itself, the answer does too.
    pub(super) fn failed(&mut self, instance: Option<Instance>, why: Failure) {
        match instance {
            Some(instance) => self.failed.push((instance, why)),
            None => self.unnamed.push(why),
        }
    }

    /// 200 where all are stored, 202 where some are, 409 where none is.
    fn status(&self) -> StatusCode {
        match (self.stored.is_empty(), self.failed.is_empty() && self.unnamed.is_empty()) {
            (_, true) => StatusCode::OK,
            (false, false) => StatusCode::ACCEPTED,
            (true, false) => StatusCode::CONFLICT,
        }
    }

    /// The study of all that is stored, where it is one.
    fn study(&self) -> Option<&Uid> {
        let study = self.stored.first()?.study.as_ref()?;
        self.stored.iter().all(|other| other.study.as_ref() == Some(study)).then_some(study)
    }

    /// The answer. Retrieve URLs (type 2) are those of `address`: of the study where all that is stored belongs to one, and
    /// of each instance that names its series. They answer once the image is finished.
    pub(super) fn answer(self, address: &Address) -> Result<HttpResponse, Problem> {
        let status = self.status();
        let study = retrieve_url(self.study().map(|study| address.study(study)));
        let stored = self.stored.iter().map(|instance| {
            let place = instance.study.as_ref().zip(instance.series.as_ref());
            let url = place.map(|(study, series)| address.instance(study, series, &instance.uid));
            instance.item([retrieve_url(url)])
        });
        let stored = stored.collect();
        let failed =
            self.failed.iter().map(|(instance, why)| instance.item([reason(*why)])).collect();
        let unnamed =
            self.unnamed.iter().map(|why| InMemDicomObject::from_element_iter([reason(*why)]));
        let sequences = [
            (tags::FAILED_SOP_SEQUENCE, failed),
            (tags::REFERENCED_SOP_SEQUENCE, stored),
            (tags::OTHER_FAILURES_SEQUENCE, unnamed.collect()),
        ];
        let answer = InMemDicomObject::from_element_iter(
            sequences.into_iter().filter_map(|(tag, items)| sequence(tag, items)).chain([study]),
        );
        let body = dicom_json::to_string(&answer)
            .map_err(|error| Problem::internal("dicom json", &error))?;
        Ok(HttpResponse::build(status).insert_header((header::CONTENT_TYPE, MEDIA_TYPE)).body(body))
    }
}

impl Instance {
    fn item(&self, more: [DataElement<InMemDicomObject, Vec<u8>>; 1]) -> InMemDicomObject {
        let uid = |tag, uid: &Uid| DataElement::new(tag, VR::UI, uid.as_str());
        let named = [
            uid(tags::REFERENCED_SOP_CLASS_UID, &self.class),
            uid(tags::REFERENCED_SOP_INSTANCE_UID, &self.uid),
        ];
        InMemDicomObject::from_element_iter(named.into_iter().chain(more))
    }
}

fn retrieve_url(url: Option<String>) -> DataElement<InMemDicomObject, Vec<u8>> {
    let value = url.map_or(PrimitiveValue::Empty, PrimitiveValue::from);
    DataElement::new(tags::RETRIEVE_URL, VR::UR, value)
}

fn reason(why: Failure) -> DataElement<InMemDicomObject, Vec<u8>> {
    DataElement::new(tags::FAILURE_REASON, VR::US, PrimitiveValue::from(why.code()))
}

fn sequence(
    tag: Tag,
    items: Vec<InMemDicomObject>,
) -> Option<DataElement<InMemDicomObject, Vec<u8>>> {
    let items = (!items.is_empty()).then_some(items)?;
    Some(DataElement::new(tag, VR::SQ, DataSetSequence::new(items, Length::UNDEFINED)))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use serde_json::{Value, json};

    use super::*;

    /// An instance of a study, and of a series where it names one.
    fn instance(uid: &str, study: &str, series: Option<&str>) -> Instance {
        let read = |text| Uid::parse(text).expect("a UID");
        let class = read("1.2.840.10008.5.1.4.1.1.1");
        Instance { class, uid: read(uid), study: Some(read(study)), series: series.map(read) }
    }

    async fn told(outcome: Outcome) -> (u16, Value) {
        let request = TestRequest::get().insert_header(("host", "a.example")).to_http_request();
        let answer = outcome.answer(&Address::of(&request)).expect("an answer");
        assert_eq!(answer.headers().get("content-type").expect("set"), MEDIA_TYPE);
        let status = answer.status().as_u16();
        let body = actix_web::body::to_bytes(answer.into_body()).await.expect("in memory");
        (status, serde_json::from_slice(&body).expect("JSON"))
    }

    #[actix_web::test]
    async fn all_some_and_none_have_statuses_of_their_own() {
        let mut outcome = Outcome::default();
        outcome.stored(instance("1.2.3", "1.2", Some("1.2.1")));
        let (status, body) = told(outcome).await;
        assert_eq!(status, 200);
        let item = &body["00081199"]["Value"][0];
        assert_eq!(item["00081155"], json!({ "vr": "UI", "Value": ["1.2.3"] }));
        assert_eq!(item["00081150"]["Value"], json!(["1.2.840.10008.5.1.4.1.1.1"]));
        assert!(body.get("00081198").is_none());

        let mut outcome = Outcome::default();
        outcome.stored(instance("1.2.3", "1.2", Some("1.2.1")));
        outcome.failed(Some(instance("1.2.4", "1.9", None)), Failure::OtherStudy);
        let (status, body) = told(outcome).await;
        assert_eq!(status, 202);
        let failed = &body["00081198"]["Value"][0];
        assert_eq!(failed["00081197"], json!({ "vr": "US", "Value": [0xa900] }));
        assert!(failed.get("00081190").is_none());

        let mut outcome = Outcome::default();
        outcome.failed(None, Failure::NotUnderstood);
        let (status, body) = told(outcome).await;
        assert_eq!(status, 409);
        assert_eq!(body["0008119A"]["Value"][0]["00081197"]["Value"], json!([0xc000]));
        assert_eq!(body["00081190"], json!({ "vr": "UR" }));
    }

    #[actix_web::test]
    async fn where_what_is_stored_is_had_is_told_as_far_as_it_is_known() {
        let root = "http://a.example/dicom-web/studies";
        let url = |said: &Value| said["00081190"]["Value"][0].as_str().map(str::to_owned);
        let mut outcome = Outcome::default();
        outcome.stored(instance("1.2.3", "1.2", Some("1.2.1")));
        outcome.stored(instance("1.2.4", "1.2", None));
        let (_, body) = told(outcome).await;
        assert_eq!(url(&body), Some(format!("{root}/1.2")));
        let items = &body["00081199"]["Value"];
        assert_eq!(url(&items[0]), Some(format!("{root}/1.2/series/1.2.1/instances/1.2.3")));
        assert_eq!(items[1]["00081190"], json!({ "vr": "UR" }), "it names no series");

        let mut outcome = Outcome::default();
        outcome.stored(instance("1.2.3", "1.2", Some("1.2.1")));
        outcome.stored(instance("1.3.3", "1.3", Some("1.3.1")));
        let (_, body) = told(outcome).await;
        assert_eq!(url(&body), None, "they belong to two studies");
        let item = &body["00081199"]["Value"][1];
        assert_eq!(url(item), Some(format!("{root}/1.3/series/1.3.1/instances/1.3.3")));
    }
}
