//! A modality by pynetdicom that asks for storage commitment, and listens for reports on another association.

use std::process::{Output, Stdio};

use lobar_testkit::python_program;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::fixture::{PATIENCE, run, said};

/// Asks about instances of CR in one transaction, and prints the status. `argv`: Lobar's port, Transaction UID, for TLS the key,
/// the certificate and the authority of Lobar with commas, and UIDs.
const ASK: &str = r#"
import ssl, sys
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.sop_class import StorageCommitmentPushModel as MODEL, StorageCommitmentPushModelInstance as INSTANCE

port, transaction, tls, uids = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]
by_tls = None
if tls:
    key, certificate, authority = tls.split(",")
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=authority)
    context.load_cert_chain(certificate, key)
    by_tls = (context, "127.0.0.1")
ae = AE(ae_title="CR1")
ae.add_requested_context(MODEL)
assoc = ae.associate("127.0.0.1", port, ae_title="AI_NODE", tls_args=by_tls)
if not assoc.is_established:
    sys.exit("no association")
asked = Dataset()
asked.TransactionUID = transaction
asked.ReferencedSOPSequence = []
for uid in uids:
    item = Dataset()
    item.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    item.ReferencedSOPInstanceUID = uid
    asked.ReferencedSOPSequence.append(item)
try:
    status, _ = assoc.send_n_action(asked, 1, MODEL, INSTANCE)
except RuntimeError:
    sys.exit("no association any more")
if "Status" not in status:
    sys.exit("no answer")
print(f"{status.Status:04X}", flush=True)
assoc.release()
"#;

/// Prints each report that comes: event, transaction, instances that are kept, those that are not with the reason. `argv`: the
/// port, and for TLS: key, certificate, and the authority of who calls.
const LISTEN: &str = r#"
import ssl, sys, time
from pynetdicom import AE, evt
from pynetdicom.sop_class import StorageCommitmentPushModel as MODEL

def report(event):
    info = event.event_information
    kept = sorted(it.ReferencedSOPInstanceUID for it in info.get("ReferencedSOPSequence", []))
    failed = sorted((it.ReferencedSOPInstanceUID, it.FailureReason) for it in info.get("FailedSOPSequence", []))
    print(event.event_type, info.TransactionUID, kept, failed, flush=True)
    return 0x0000, None

context = None
if len(sys.argv) > 2:
    key, certificate, authority = sys.argv[2:]
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificate, key)
ae = AE(ae_title="CR1")
# It knows Lobar by the title that it calls.
ae.require_calling_aet = ["AI_NODE"]
ae.add_supported_context(MODEL, scu_role=False, scp_role=True)
handlers = [(evt.EVT_N_EVENT_REPORT, report)]
server = ae.start_server(("127.0.0.1", int(sys.argv[1])), block=False, evt_handlers=handlers, ssl_context=context)
print("listening", flush=True)
while True:
    time.sleep(60)
"#;

/// Asks; the status as it is answered, or nothing where there is no answer.
pub async fn ask(port: &str, transaction: &str, uids: &[&str]) -> Option<String> {
    ask_by(&[], port, transaction, uids).await
}

/// The same by TLS: a key, a certificate, and the authority of Lobar.
pub async fn ask_by(tls: &[&str], port: &str, transaction: &str, uids: &[&str]) -> Option<String> {
    let tls = tls.join(",");
    let how = [&["-c", ASK, port, transaction, &tls][..], uids].concat();
    let output: Output = run(python_program("python"), &how).await;
    let text = String::from_utf8(output.stdout.clone()).expect("text");
    output.status.success().then(|| text.trim().to_owned()).or_else(|| {
        assert!(said(&output).contains("no "), "{}", said(&output));
        None
    })
}

/// A modality that listens. Ended when dropped.
pub struct Listener {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Listener {
    /// Listens on a port; `tls` is its key, its certificate, and the authority of who calls.
    pub async fn start(port: u16, tls: &[&str]) -> Self {
        let mut command = Command::new(python_program("python"));
        command.args(["-c", LISTEN, &port.to_string()]).args(tls);
        let spawned = command.stdout(Stdio::piped()).kill_on_drop(true).spawn();
        let mut child = spawned.expect("starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut listener = Self { child, lines };
        assert_eq!(listener.next().await, "listening");
        listener
    }

    /// The next report.
    pub async fn next(&mut self) -> String {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await;
        line.expect("a report in time").expect("readable").expect("it listens still")
    }

    /// Ends it; the reports that were not asked for yet.
    pub async fn rest(mut self) -> Vec<String> {
        self.child.kill().await.expect("ended");
        let mut rest = Vec::new();
        while let Some(line) = self.lines.next_line().await.expect("readable") {
            rest.push(line);
        }
        rest
    }
}
