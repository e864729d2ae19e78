//! Orthanc, a PACS that hospitals use: it sends by C-STORE, asks for storage commitment, stores by STOW-RS, searches by
//! QIDO-RS, and retrieves by WADO-RS.

use std::path::Path;
use std::time::Instant;

use lobar_testkit::services::{Server, free_port};
use lobar_tests::kit::{Client, Lobar, executable};
use serde_json::{Value, json};

use super::fixture::{PATIENCE, uid, write_image};

/// An Orthanc of the test's own, which knows Lobar as `lobar`. Ended when dropped.
struct Orthanc {
    server: Server,
    http: reqwest::Client,
    base: String,
}

impl Orthanc {
    async fn start(dicom: u16, lobar: &Lobar) -> Self {
        let folder = tempfile::tempdir().expect("a folder").keep();
        let http = free_port();
        let port: u16 =
            lobar.dicom.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        let settings = json!({
            "Name": "test",
            "StorageDirectory": folder,
            "IndexDirectory": folder,
            "HttpPort": http,
            "RemoteAccessAllowed": false,
            "AuthenticationEnabled": false,
            "DicomAet": "ORTHANC",
            "DicomPort": dicom,
            "DicomModalities": { "lobar": ["LOBAR", "127.0.0.1", port] },
            "Plugins": ["/usr/share/orthanc/plugins/libOrthancDicomWeb.so"],
            "DicomWeb": { "Servers": { "lobar": { "Url": format!("{}/dicom-web/", lobar.page.trim_end_matches('/')) } } },
        });
        let file = folder.join("orthanc.json");
        std::fs::write(&file, settings.to_string()).expect("written");
        let server =
            Server::new(folder, &["/usr/sbin/Orthanc", file.to_str().expect("UTF-8")], &[]);
        server.start();
        let orthanc =
            Self { server, http: reqwest::Client::new(), base: format!("http://127.0.0.1:{http}") };
        orthanc.until("it answers", async || orthanc.get("/system").await.map(drop)).await;
        orthanc
    }

    async fn get(&self, path: &str) -> Option<Value> {
        self.http.get(format!("{}{path}", self.base)).send().await.ok()?.json().await.ok()
    }

    /// POST, which has to succeed; its answer.
    async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> Value {
        let answer = self
            .http
            .post(format!("{}{path}", self.base))
            .body(body)
            .send()
            .await
            .expect("an answer");
        let (status, text) = (answer.status(), answer.text().await.expect("text"));
        assert!(
            status.is_success(),
            "{path}: {status} {text}; its log ends:\n{}",
            self.server.log()
        );
        serde_json::from_str(&text).expect("JSON")
    }

    /// Puts a file into it; its name for the instance.
    async fn takes(&self, file: &Path) -> String {
        let told = self.post("/instances", std::fs::read(file).expect("readable")).await;
        told["ID"].as_str().expect("an id").to_owned()
    }

    async fn until<T>(&self, what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "{what} did not come about; its log ends:\n{}",
                self.server.log()
            );
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test]
async fn orthanc_echoes_sends_may_delete_what_it_sent_and_stores_by_stow() {
    let folder = tempfile::tempdir().expect("a folder");
    let dicom = free_port();
    let peers = format!("ORTHANC=127.0.0.1 site=north address=127.0.0.1:{dicom}");
    let environment = [("LOBAR_DICOM_PEERS".to_owned(), peers)];
    let lobar =
        Lobar::start_with(&executable(), &["up"], &folder.path().join("data"), &environment);
    let client = Client::new(&lobar.page);
    let orthanc = Orthanc::start(dicom, &lobar).await;
    let [sent, kept, stored] = [0, 1, 2].map(|number| write_image(folder.path(), number));
    let (sent, kept, stored) =
        (orthanc.takes(&sent).await, orthanc.takes(&kept).await, orthanc.takes(&stored).await);

    orthanc.post("/modalities/lobar/echo", "{}").await;
    let told = orthanc.post("/modalities/lobar/store", sent.clone()).await;
    assert_eq!(
        (&told["InstancesCount"], &told["FailedInstancesCount"]),
        (&json!(1), &json!(0)),
        "{told}"
    );
    let images = client.settled(1).await;
    assert_eq!(images[0]["site"], "north");

    // Only what was sent is confirmed.
    for (instance, expected) in [(&sent, "Success"), (&kept, "Failure")] {
        let asked = json!({ "Resources": [instance] }).to_string();
        let asked = orthanc.post("/modalities/lobar/storage-commitment", asked).await;
        let path = asked["Path"].as_str().expect("a path").to_owned();
        let report = orthanc
            .until("a report", async || {
                orthanc.get(&path).await.filter(|it| it["Status"] != "Pending")
            })
            .await;
        assert_eq!(report["Status"], expected, "{report}");
    }

    let told = json!({ "Resources": [stored], "Synchronous": true }).to_string();
    orthanc.post("/dicom-web/servers/lobar/stow", told).await;
    let images = client.settled(2).await;
    assert!(images.iter().any(|image| image["site"] == "local"), "{images:?}");
    assert_eq!(lobar.stop(), 0);
}

#[tokio::test]
async fn orthanc_finds_by_qido_what_it_stored() {
    let folder = tempfile::tempdir().expect("a folder");
    let lobar = Lobar::start_with(&executable(), &["up"], &folder.path().join("data"), &[]);
    let client = Client::new(&lobar.page);
    let orthanc = Orthanc::start(free_port(), &lobar).await;
    let mut stored = Vec::new();
    for number in [0, 1] {
        stored.push(orthanc.takes(&write_image(folder.path(), number)).await);
    }
    let told = json!({ "Resources": stored, "Synchronous": true }).to_string();
    orthanc.post("/dicom-web/servers/lobar/stow", told).await;
    client.settled(2).await;

    let ask = async |path: &str, arguments: Value| {
        let asked = json!({ "Uri": path, "Arguments": arguments }).to_string();
        orthanc.post("/dicom-web/servers/lobar/qido", asked).await
    };
    let study = ask("/studies", json!({ "PatientID": "T*", "StudyDate": "20260101-" })).await;
    let [study] = study.as_array().expect("a list").as_slice() else { panic!("{study}") };
    assert_eq!(study["00100010"]["Value"], "Nobody^Test");
    assert_eq!(study["00201208"]["Value"], "2");
    let within = study["0020000D"]["Value"].as_str().expect("a UID");
    assert_eq!(ask("/studies", json!({ "PatientID": "U*" })).await, json!([]));
    for number in [0, 1] {
        let path = format!("/studies/{within}/instances");
        let found = ask(&path, json!({ "SOPInstanceUID": uid(number) })).await;
        let [found] = found.as_array().expect("a list").as_slice() else { panic!("{found}") };
        assert_eq!(found["00080018"]["Value"], uid(number));
    }
    assert_eq!(lobar.stop(), 0);
}

#[tokio::test]
async fn orthanc_retrieves_what_it_stored_and_deleted() {
    let folder = tempfile::tempdir().expect("a folder");
    let lobar = Lobar::start_with(&executable(), &["up"], &folder.path().join("data"), &[]);
    let client = Client::new(&lobar.page);
    let orthanc = Orthanc::start(free_port(), &lobar).await;
    let files = [0, 1].map(|number| write_image(folder.path(), number));
    let mut stored = Vec::new();
    for file in &files {
        stored.push(orthanc.takes(file).await);
    }
    let told = json!({ "Resources": stored, "Synchronous": true }).to_string();
    orthanc.post("/dicom-web/servers/lobar/stow", told).await;
    client.settled(2).await;
    let tags = orthanc.get(&format!("/instances/{}/simplified-tags", stored[0])).await;
    let tags = tags.expect("its attributes");
    let uid = |name: &str| tags[name].as_str().expect("a UID");
    let (study, series) = (uid("StudyInstanceUID"), uid("SeriesInstanceUID"));

    // The study, its series, and the instances one by one.
    let instances = [0, 1]
        .map(|number| json!({ "Study": study, "Series": series, "Instance": self::uid(number) }));
    for resources in [
        json!([{ "Study": study }]),
        json!([{ "Study": study, "Series": series }]),
        json!(instances),
    ] {
        for instance in &stored {
            let path = format!("{}/instances/{instance}", orthanc.base);
            let deleted = orthanc.http.delete(path).send().await.expect("an answer");
            assert!(deleted.status().is_success());
        }
        assert_eq!(orthanc.get("/instances").await, Some(json!([])));
        let asked = json!({ "Resources": resources, "Synchronous": true }).to_string();
        orthanc.post("/dicom-web/servers/lobar/retrieve", asked).await;
        for (instance, file) in stored.iter().zip(&files) {
            let path = format!("{}/instances/{instance}/file", orthanc.base);
            let answer = orthanc.http.get(path).send().await.expect("an answer");
            assert_eq!(answer.status(), 200, "{resources}");
            let bytes = answer.bytes().await.expect("a file");
            assert!(bytes == std::fs::read(file).expect("readable"), "{resources}: the same bytes");
        }
    }
    assert_eq!(lobar.stop(), 0);
}
