//! QIDO-RS: searches of studies, series and instances over HTTP.

use lobar_core::audit::{Cursor, Entry, Filter};
use lobar_core::object::ImageId;
use lobar_core::study::{Attributes, Uid, Uids};
use reqwest::header::{ACCEPT, CONTENT_TYPE, WARNING};
use serde_json::{Value, json};

use crate::fixture::{Fixture, eventually, ready};
use crate::patients::known;

const STUDY_UID: &str = "0020000D";
const SERIES_UID: &str = "0020000E";
const INSTANCE_UID: &str = "00080018";
const RETRIEVE_URL: &str = "00081190";

/// Tables 10.6.3-3 to 10.6.3-5 of PS3.18: what is required of a result, by level.
const OF_STUDY: [&str; 15] = [
    "00080005", "00080020", "00080030", "00080050", "00080056", "00080061", "00080090", "00081190",
    "00100010", "00100020", "00100030", "00100040", STUDY_UID, "00200010", "00201206",
];
const OF_SERIES: [&str; 4] = ["00080060", SERIES_UID, "00200011", "00201209"];
const OF_INSTANCE: [&str; 3] = ["00080016", INSTANCE_UID, "00200013"];

/// What is known of an image, and that of a second patient.
fn first(series: &str, instance: &str, modality: &str, number: i32) -> Attributes {
    let mut first = known("7", "1.2.1", "20260301");
    first.study.time = Some("101500".into());
    first.series.uid = Uid::parse(series);
    first.series.number = Some(number);
    first.series.modality = Some(modality.into());
    first.instance.uid = Uid::parse(instance);
    first.instance.rows = Some(3_000);
    first.instance.columns = Some(2_500);
    first
}

fn second() -> Attributes {
    let mut second = known("8", "1.2.2", "20240301");
    second.patient.name = Some("Doe^John".into());
    second.study.accession = Some("B-1".into());
    second.series.modality = Some("CR".into());
    second
}

/// Two instances of a study and an older study of another patient, all at north.
struct Hospital {
    fixture: Fixture,
    token: String,
}

impl Hospital {
    async fn open() -> Self {
        let fixture = Fixture::open().await;
        let token = fixture.token("reader@north").await;
        let hospital = Self { fixture, token };
        hospital.film("incoming/north/1.jpg", Some(&first("1.3.1", "1.4.1", "DX", 1))).await;
        hospital.film("incoming/north/2.jpg", Some(&first("1.3.2", "1.4.2", "CR", 2))).await;
        hospital.film("incoming/north/3.jpg", Some(&second())).await;
        hospital
    }

    async fn film(&self, key: &str, known: Option<&Attributes>) -> ImageId {
        let ids = self.fixture.admit([key.to_owned()]).await;
        self.fixture.finish_known(&ids, &ready(0.9), known).await;
        ids[0]
    }

    async fn send(&self, path: &str, token: &str, accept: &str) -> reqwest::Response {
        let request = self.fixture.http.get(self.fixture.url(&format!("/dicom-web/{path}")));
        request.bearer_auth(token).header(ACCEPT, accept).send().await.expect("answers")
    }

    /// A list of results, with what it warns of.
    async fn found(&self, path: &str, token: &str) -> (Vec<Value>, String) {
        let answer = self.send(path, token, "application/dicom+json").await;
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(answer.headers()[CONTENT_TYPE], "application/dicom+json", "{path}");
        let warnings = answer.headers().get_all(WARNING).iter();
        let warnings: Vec<_> = warnings.map(|it| it.to_str().expect("text").to_owned()).collect();
        (answer.json().await.expect("a list"), warnings.join("\n"))
    }

    /// The values of one attribute.
    async fn values(&self, path: &str, tag: &str) -> Vec<String> {
        let found = self.found(path, &self.token).await.0;
        found.iter().map(|one| value(one, tag)).collect()
    }
}

fn value(result: &Value, tag: &str) -> String {
    result[tag]["Value"][0].as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_the_six_searches_answers_with_every_required_attribute() {
    let hospital = Hospital::open().await;
    for (path, tag, expected) in [
        ("studies", STUDY_UID, &["1.2.1", "1.2.2"][..]),
        ("series?StudyInstanceUID=1.2.1", SERIES_UID, &["1.3.1", "1.3.2"]),
        ("instances?StudyInstanceUID=1.2.1", INSTANCE_UID, &["1.4.1", "1.4.2"]),
        ("studies/1.2.1/series", SERIES_UID, &["1.3.1", "1.3.2"]),
        ("studies/1.2.1/instances", INSTANCE_UID, &["1.4.1", "1.4.2"]),
        ("studies/1.2.1/series/1.3.2/instances", INSTANCE_UID, &["1.4.2"]),
    ] {
        assert_eq!(hospital.values(path, tag).await, expected, "{path}");
        let mut required = OF_STUDY.to_vec();
        let mut address = vec!["studies", "1.2.1"];
        if tag != STUDY_UID {
            required.extend(OF_SERIES);
            address.push("series");
        }
        if tag == INSTANCE_UID {
            required.extend(OF_INSTANCE);
            address.push("instances");
        }
        for result in hospital.found(path, &hospital.token).await.0 {
            for tag in &required {
                assert!(result[tag]["vr"].is_string(), "{path}: {tag} of {result}");
            }
            let url = value(&result, RETRIEVE_URL);
            assert!(url.starts_with(&hospital.fixture.url("/dicom-web/studies/1.2.")), "{url}");
            assert!(address.iter().skip(2).all(|part| url.contains(part)), "{url}");
        }
    }
    let (studies, _) = hospital.found("studies?PatientID=7", &hospital.token).await;
    let study = &studies[0];
    assert_eq!(study["00100010"]["Value"][0]["Alphabetic"], "Müller^Jana");
    assert_eq!(study["00080061"]["Value"], json!(["CR", "DX"]));
    assert_eq!(value(study, "00080020"), "20260301");
    let number = |tag: &str| study[tag]["Value"][0].to_string().trim_matches('"').to_owned();
    assert_eq!((number("00201206"), number("00201208")), ("2".into(), "2".into()));
    hospital.fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn studies_are_matched_by_what_is_asked_for_by_keyword_or_tag() {
    let hospital = Hospital::open().await;
    for (query, expected) in [
        ("PatientID=7", &["1.2.1"][..]),
        ("00100020=7", &["1.2.1"]),
        ("PatientID=70", &[]),
        ("PatientName=MULLER*", &["1.2.1"]),
        ("PatientName=*john", &["1.2.2"]),
        ("PatientName=d?e%5EJohn", &["1.2.2"]),
        ("PatientName=*", &["1.2.1", "1.2.2"]),
        ("StudyDate=20260301", &["1.2.1"]),
        ("StudyDate=20240101-20241231", &["1.2.2"]),
        ("StudyDate=20250101-", &["1.2.1"]),
        ("StudyDate=-20250101", &["1.2.2"]),
        ("StudyTime=1000-1030", &["1.2.1"]),
        ("AccessionNumber=A-1", &["1.2.1"]),
        ("AccessionNumber=?-1", &["1.2.1", "1.2.2"]),
        ("ModalitiesInStudy=DX", &["1.2.1"]),
        ("ModalitiesInStudy=CR", &["1.2.1", "1.2.2"]),
        ("StudyInstanceUID=1.2.2,1.2.9", &["1.2.2"]),
        ("StudyInstanceUID=1.2.2%5C1.2.1", &["1.2.1", "1.2.2"]),
        ("SeriesInstanceUID=1.3.2", &["1.2.1"]),
        ("PatientID=7&StudyDate=20240301", &[]),
    ] {
        let found = hospital.values(&format!("studies?{query}"), STUDY_UID).await;
        assert_eq!(found, expected, "{query}");
    }
    let series = hospital.values("studies/1.2.1/series?Modality=DX", SERIES_UID).await;
    assert_eq!(series, ["1.3.1"]);
    assert!(hospital.values("studies/1.9/series", SERIES_UID).await.is_empty());
    hospital.fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn further_attributes_are_answered_when_they_are_asked_for() {
    let hospital = Hospital::open().await;
    let view = "00185101";
    let path = "studies/1.2.1/instances";
    assert_eq!(hospital.values(path, view).await, ["", ""]);
    for query in ["includefield=ViewPosition", "includefield=00185101", "includefield=all"] {
        assert_eq!(hospital.values(&format!("{path}?{query}"), view).await, ["AP", "AP"]);
    }
    hospital.fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_follow_each_other_and_tell_of_more() {
    let hospital = Hospital::open().await;
    let (page, warned) = hospital.found("instances?limit=2", &hospital.token).await;
    assert_eq!(page.len(), 2);
    assert!(warned.contains("299") && warned.contains("additional results"), "{warned}");
    let (rest, warned) = hospital.found("instances?limit=2&offset=2", &hospital.token).await;
    assert_eq!((rest.len(), warned.as_str()), (1, ""));
    let all = hospital.values("instances", INSTANCE_UID).await;
    let pages: Vec<_> = page.iter().chain(&rest).map(|one| value(one, INSTANCE_UID)).collect();
    assert_eq!(pages, all);
    let (none, _) = hospital.found("instances?offset=3", &hospital.token).await;
    assert!(none.is_empty());
    let far = hospital.send("studies?offset=100001", &hospital.token, "*/*").await;
    assert_eq!(far.status(), 413);
    hospital.fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn studies_of_other_sites_are_not_found() {
    let hospital = Hospital::open().await;
    let south = known("9", "1.2.3", "20260401");
    hospital.film("incoming/south/1.jpg", Some(&south)).await;
    hospital.film("incoming/south/2.jpg", None).await;
    assert_eq!(hospital.values("studies", STUDY_UID).await, ["1.2.1", "1.2.2"]);
    for path in ["studies?StudyInstanceUID=1.2.3", "studies/1.2.3/series", "instances?PatientID=9"]
    {
        assert!(hospital.found(path, &hospital.token).await.0.is_empty(), "{path}");
    }
    for (grant, count) in [("reader@south", 2), ("reader@*", 4), ("reader@north reader@south", 4)] {
        let token = hospital.fixture.token(grant).await;
        assert_eq!(hospital.found("studies", &token).await.0.len(), count, "{grant}");
    }
    hospital.fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_of_which_nothing_is_known_is_a_study_of_its_own() {
    let hospital = Hospital::open().await;
    let image = hospital.film("incoming/north/4.jpg", None).await;
    let uids = Uids::of_image(image);
    let study = uids.study.as_str();
    assert!(hospital.values("studies", STUDY_UID).await.contains(&study.to_owned()));
    let path = format!("studies/{study}/series/{}/instances", uids.series.as_str());
    let (found, _) = hospital.found(&path, &hospital.token).await;
    assert_eq!(found.len(), 1);
    assert_eq!(value(&found[0], INSTANCE_UID), uids.instance.as_str());
    assert_eq!(value(&found[0], "00080060"), "OT");
    assert_eq!(value(&found[0], "00080201"), "+0000");
    hospital.fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merged_patient_is_found_by_the_former_id() {
    let hospital = Hospital::open().await;
    let token = hospital.fixture.token("clinician@north").await;
    let body = json!({ "site": "north", "from": { "id": "8" }, "into": { "id": "7" } });
    let merge = hospital.fixture.http.post(hospital.fixture.url("/v1/patients/merge"));
    let merged = merge.bearer_auth(&token).json(&body).send().await.expect("answers");
    assert_eq!(merged.status(), 200);
    for id in ["7", "8"] {
        let found = hospital.values(&format!("studies?PatientID={id}"), STUDY_UID).await;
        assert_eq!(found, ["1.2.1", "1.2.2"], "{id}");
    }
    hospital.fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_answered_is_refused_and_what_is_not_matched_is_told() {
    let hospital = Hospital::open().await;
    for (path, accept, status) in [
        ("studies", "application/dicom+xml", 406),
        ("studies?accept=application/dicom%2Bxml", "*/*", 406),
        ("studies", "application/json", 200),
        ("studies", "*/*", 200),
        ("studies?Patient=7", "*/*", 400),
        ("studies?StudyDate=today", "*/*", 400),
        ("studies?StudyInstanceUID=x", "*/*", 400),
        ("studies/x/series", "*/*", 400),
        ("studies?limit=0", "*/*", 400),
    ] {
        let answer = hospital.send(path, &hospital.token, accept).await;
        assert_eq!(answer.status(), status, "{path} {accept}");
    }
    let path = "studies?InstitutionName=Somewhere&fuzzymatching=true&PatientID=7";
    let (found, warned) = hospital.found(path, &hospital.token).await;
    assert_eq!(found.len(), 1);
    assert!(warned.contains("InstitutionName") && warned.contains("fuzzymatching"), "{warned}");
    assert!(warned.lines().all(|line| line.starts_with("299 ")), "{warned}");
    assert!(!warned.contains("Somewhere"), "{warned}");
    hospital.fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_are_on_record_without_what_was_asked_for() {
    let hospital = Hospital::open().await;
    hospital.found("studies?PatientName=Doe*&PatientID=8", &hospital.token).await;
    hospital.found("studies?PatientName=Nobody*", &hospital.token).await;
    let listed = eventually("the entries", || async {
        let any = Filter::default();
        let page = hospital.fixture.audit.page(&any, Cursor::After(0), 1_000);
        let all: Vec<Entry> = page.await.expect("read");
        let listed: Vec<_> = all.into_iter().filter(|entry| entry.action == "listed").collect();
        (listed.len() == 2).then_some(listed)
    })
    .await;
    let details: Vec<Value> =
        listed.iter().map(|entry| serde_json::from_str(&entry.detail).expect("JSON")).collect();
    let detail = &details[0];
    assert_eq!(detail["search"], "studies");
    assert_eq!(detail["matched"], json!(["PatientName", "PatientID"]));
    assert_eq!((&detail["images"], &details[1]["images"]), (&json!(1), &json!(0)));
    for entry in &listed {
        let text = &entry.detail;
        assert!(!text.contains("Doe") && !text.contains("Nobody") && !text.contains("\"8\""));
    }
    hospital.fixture.stop().await;
}
