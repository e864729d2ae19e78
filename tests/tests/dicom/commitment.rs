//! Storage commitment, asked for by pynetdicom.

use std::io::Write as _;

use lobar_testkit::python_program;
use lobar_testkit::services::free_port;
use lobar_tests::rig::Rig;

use super::fixture::{run, said, serve, settings, succeed, uid, write_image};

/// Asks about the instances that it is given, and prints what it is told: the event, the instances that are kept, and those
/// that are not with the reason. `argv`: Lobar's port, the port where it listens for the report itself, or 0 for the same
/// association; UIDs.
const MODALITY: &str = r#"
import sys, threading
from pydicom.dataset import Dataset
from pynetdicom import AE, evt, build_role
from pynetdicom.sop_class import StorageCommitmentPushModel as MODEL, StorageCommitmentPushModelInstance as INSTANCE

port, own, uids = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
told = threading.Event()

def report(event):
    info = event.event_information
    kept = sorted(it.ReferencedSOPInstanceUID for it in info.get("ReferencedSOPSequence", []))
    failed = sorted((it.ReferencedSOPInstanceUID, it.FailureReason) for it in info.get("FailedSOPSequence", []))
    print(event.event_type, info.TransactionUID, kept, failed, flush=True)
    told.set()
    return 0x0000, None

handlers = [(evt.EVT_N_EVENT_REPORT, report)]
ae = AE(ae_title="CR1")
ae.add_requested_context(MODEL)
if own:
    listening = AE(ae_title="CR1")
    # It knows Lobar by the title that it calls.
    listening.require_calling_aet = ["AI_NODE"]
    listening.add_supported_context(MODEL, scu_role=False, scp_role=True)
    server = listening.start_server(("127.0.0.1", own), block=False, evt_handlers=handlers)
assoc = ae.associate("127.0.0.1", port, ae_title="AI_NODE", evt_handlers=handlers)
assert assoc.is_established
asked = Dataset()
asked.TransactionUID = "1.2.826.0.1.3680043.10.99"
asked.ReferencedSOPSequence = []
for uid in uids:
    item = Dataset()
    uid, _, other = uid.partition("/")
    item.ReferencedSOPClassUID = other or "1.2.840.10008.5.1.4.1.1.1"
    item.ReferencedSOPInstanceUID = uid
    asked.ReferencedSOPSequence.append(item)
status, _ = assoc.send_n_action(asked, 1, MODEL, INSTANCE)
assert status.Status == 0, status
if own:
    # Modalities drop the association at once.
    assoc.release()
assert told.wait(60)
if own:
    server.shutdown()
else:
    assoc.release()
"#;

async fn ask(lobar: &str, own: u16, uids: &[&str]) -> String {
    let mut script = tempfile::NamedTempFile::new().expect("a file");
    script.write_all(MODALITY.as_bytes()).expect("written");
    let script = script.path().display().to_string();
    let own = own.to_string();
    let arguments = [&[script.as_str(), lobar, &own][..], uids].concat();
    let output = run(python_program("python"), &arguments).await;
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8(output.stdout).expect("text")
}

#[tokio::test]
async fn what_is_kept_is_confirmed_and_what_is_not_is_named() {
    let rig = Rig::open().await;
    let folder = tempfile::tempdir().expect("a folder");
    for own in [0, free_port()] {
        let mut listed = settings();
        let address = if own == 0 { String::new() } else { format!(" address=127.0.0.1:{own}") };
        let list = format!("CR1=127.0.0.1 site=north{address}; CR2=127.0.0.1 site=south");
        listed.peers = list.parse().expect("a list");
        let lobar = serve(&rig, listed).await;
        let port = lobar.port();
        let [ours, theirs, none] = [0, 1, 2].map(uid);
        for (title, number) in [("CR1", 0), ("CR2", 1)] {
            let file = write_image(folder.path(), number).display().to_string();
            succeed("storescu", &["-aet", title, "127.0.0.1", &port, &file]).await;
        }
        let told = ask(&port, own, &[&ours]).await;
        assert_eq!(told, format!("1 1.2.826.0.1.3680043.10.99 ['{ours}'] []\n"));
        // An instance of another site is none that this peer could ask about.
        let told = ask(&port, own, &[&ours, &theirs, &none]).await;
        let failed = format!("[('{theirs}', 274), ('{none}', 274)]");
        assert_eq!(told, format!("2 1.2.826.0.1.3680043.10.99 ['{ours}'] {failed}\n"));
        // DX, where a CR image is kept (class-instance conflict).
        let other = format!("{ours}/1.2.840.10008.5.1.4.1.1.1.1");
        let told = ask(&port, own, &[&other]).await;
        assert_eq!(told, format!("2 1.2.826.0.1.3680043.10.99 [] [('{ours}', 281)]\n"));
        lobar.until("lobar_dicom_commitments_total", "kept", 1.0).await;
        lobar.until("lobar_dicom_commitments_total", "incomplete", 2.0).await;
        lobar.stop().await;
    }
}
