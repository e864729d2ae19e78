//! The role on a private bucket, and instances to send.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use lobar_core::object_store::{ListedVersion, ObjectListing, ObjectStore};
use lobar_dicom::{
    Dicom, DicomMetrics, DicomPorts, DicomSettings, Limits, Peers, Stop, Unreadable,
};
use lobar_tests::rig::Rig;
use prometheus::Registry;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long anything may take on a busy machine before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Computed Radiography Image Storage.
pub const CR: &str = "1.2.840.10008.5.1.4.1.1.1";
/// Explicit VR Little Endian.
pub const EXPLICIT: &str = "1.2.840.10008.1.2.1";

/// The role, running.
pub struct Running {
    pub address: SocketAddr,
    pub registry: Registry,
    pub stop: Stop,
    task: JoinHandle<()>,
}

/// What the role does unless a test wants something else: anybody from this machine, of site `local`.
pub fn settings() -> DicomSettings {
    DicomSettings {
        listen: "127.0.0.1:0".parse().expect("an address"),
        title: "LOBAR".parse().expect("a title"),
        check_called: false,
        peers: Peers::default(),
        more_classes: Vec::new(),
        unreadable: Unreadable::Refuse,
        tls: None,
        limits: Limits::default(),
    }
}

/// Runs the role on the parts of `rig`.
pub async fn serve(rig: &Rig, settings: DicomSettings) -> Running {
    serve_on(rig, rig.objects.clone(), settings).await
}

/// The same, with a bucket as it is seen from elsewhere.
pub async fn serve_on(
    rig: &Rig,
    objects: Arc<dyn ObjectStore>,
    settings: DicomSettings,
) -> Running {
    let registry = Registry::new();
    let ports = DicomPorts {
        objects,
        listing: rig.bucket.clone(),
        store: rig.store.clone(),
        erasures: rig.erasure.erasures.clone(),
        commitments: rig.commitments.clone(),
        audit: rig.audit.clone(),
        metrics: DicomMetrics::register(&registry).expect("registers"),
    };
    let dicom = Dicom::build(ports, settings).await.expect("listens");
    let address = dicom.local_addr();
    let stop = Stop { receiving: CancellationToken::new(), abort: CancellationToken::new() };
    let task = tokio::spawn(dicom.run(stop.clone()));
    Running { address, registry, stop, task }
}

impl Running {
    /// The port, for a command line.
    pub fn port(&self) -> String {
        self.address.port().to_string()
    }

    /// A metric's value, the sum of those that have `label` as a value, or of all where it is empty.
    pub fn metric(&self, name: &str, label: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name).expect("it is there");
        let wanted = family.get_metric().iter().filter(|metric| {
            label.is_empty() || metric.get_label().iter().any(|pair| pair.value() == label)
        });
        wanted.map(|it| it.get_counter().get_value() + it.get_gauge().get_value()).sum()
    }

    /// Waits until a metric has this value.
    pub async fn until(&self, name: &str, label: &str, value: f64) {
        let reached = async {
            while (self.metric(name, label) - value).abs() > 0.5 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, reached).await;
        assert!(waited.is_ok(), "{name} {label} is {}", self.metric(name, label));
    }

    /// Stops as the process does, and returns when the role has ended.
    pub async fn stop(self) {
        self.stop.receiving.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.expect("in time").expect("no panic");
    }

    /// SIGKILL: what is under way does nothing more. Where the line is reached, what would tell the store of its end waits there.
    pub fn kill(self) {
        self.stop.receiving.cancel();
        self.stop.abort.cancel();
        self.task.abort();
    }
}

/// Every version in the bucket.
pub async fn versions(rig: &Rig) -> Vec<ListedVersion> {
    let page = rig.bucket.versions("", None).await.expect("lists");
    assert!(page.next.is_none());
    page.versions
}

/// The bytes of every object in the bucket.
pub async fn objects(rig: &Rig) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for version in versions(rig).await {
        let bytes = rig.bucket.fetch(&version.object, 1 << 30).await.expect("fetched");
        all.push(bytes.bytes.to_vec());
    }
    all
}

/// The data set of a CR image of 64 by 64 pixels.
pub fn image(uid: &str) -> InMemDicomObject {
    let text =
        |tag: Tag, vr: VR, value: &str| DataElement::new(tag, vr, PrimitiveValue::from(value));
    let number = |tag: Tag, value: u16| DataElement::new(tag, VR::US, PrimitiveValue::from(value));
    let pixels: Vec<u16> = (0..64_u16 * 64).map(|at| (at * 13) % 4096).collect();
    InMemDicomObject::from_element_iter([
        text(tags::SOP_CLASS_UID, VR::UI, CR),
        text(tags::SOP_INSTANCE_UID, VR::UI, uid),
        text(tags::STUDY_DATE, VR::DA, "20260102"),
        text(tags::MODALITY, VR::CS, "CR"),
        text(tags::PATIENT_NAME, VR::PN, "Nobody^Test"),
        text(tags::PATIENT_ID, VR::LO, "T1"),
        text(tags::STUDY_INSTANCE_UID, VR::UI, "1.2.826.0.1.3680043.10.1"),
        text(tags::SERIES_INSTANCE_UID, VR::UI, "1.2.826.0.1.3680043.10.1.1"),
        number(tags::SAMPLES_PER_PIXEL, 1),
        text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
        number(tags::ROWS, 64),
        number(tags::COLUMNS, 64),
        number(tags::BITS_ALLOCATED, 16),
        number(tags::BITS_STORED, 12),
        number(tags::HIGH_BIT, 11),
        number(tags::PIXEL_REPRESENTATION, 0),
        DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into())),
    ])
}

/// The UID of the `number`th image.
pub fn uid(number: usize) -> String {
    format!("1.2.826.0.1.3680043.10.1.1.{}", number + 1)
}

/// A file of an image.
pub fn write_image(folder: &Path, number: usize) -> PathBuf {
    let path = folder.join(format!("{number}.dcm"));
    let uid = uid(number);
    let meta = FileMetaTableBuilder::new()
        .media_storage_sop_class_uid(CR)
        .media_storage_sop_instance_uid(&uid)
        .transfer_syntax(EXPLICIT);
    let file = image(&uid).with_meta(meta).expect("a file");
    file.write_to_file(&path).expect("written");
    path
}

/// Runs a program; its output.
pub async fn run(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Output {
    let mut command = tokio::process::Command::new(program);
    let output = command.args(arguments).kill_on_drop(true).output();
    tokio::time::timeout(PATIENCE, output).await.expect("in time").expect("it runs")
}

/// Everything that a program said.
pub fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// Runs a program that has to succeed.
pub async fn succeed(program: &str, arguments: &[&str]) -> String {
    let output = run(program, arguments).await;
    assert!(output.status.success(), "{program} {arguments:?}: {}", said(&output));
    said(&output)
}
