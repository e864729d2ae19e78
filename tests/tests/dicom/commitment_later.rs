//! Storage commitment whose report comes later: whatever happens between request and report, what was promised is told, and
//! what is told is true when it is sent.

use std::time::Duration;

use lobar_core::audit::Actor;
use lobar_core::erasure::{ErasureOrder, ErasureReason};
use lobar_dicom::DicomSettings;
use lobar_testkit::services::free_port;
use lobar_tests::rig::Rig;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::fixture::{
    PATIENCE, Running, run, said, serve, settings, succeed, uid, versions, write_image,
};
use super::modality::{Listener, ask};

pub const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// The role, which reports to a port of this machine. Tries come one after another: time is the rig's.
pub fn reporting_to(port: u16) -> DicomSettings {
    listing(&format!("CR1=127.0.0.1 site=north address=127.0.0.1:{port}"))
}

fn listing(list: &str) -> DicomSettings {
    let mut settings = settings();
    settings.peers = list.parse().expect("a list");
    settings.limits.report_look = Duration::from_millis(20);
    settings
}

/// Stores the first image; its UID.
pub async fn stored(lobar: &Running) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let file = write_image(folder.path(), 0).display().to_string();
    succeed("storescu", &["-aet", "CR1", "127.0.0.1", &lobar.port(), &file]).await;
    uid(0)
}

/// How many requests wait, and how many were given up.
pub async fn kept(rig: &Rig) -> (u64, u64) {
    let found = rig.commitments.inner.commitments().await.expect("asked");
    (found.waiting, found.given_up)
}

pub async fn until(what: &str, reached: impl AsyncFn() -> bool) {
    let waited = async {
        while !reached().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waited).await.is_ok(), "in vain: {what}");
}

/// Lets time pass by `step` again and again, whenever no report is under way, until `wanted` is there.
pub async fn meanwhile<T>(rig: &Rig, step: Duration, wanted: impl Future<Output = T>) -> T {
    let passing = async {
        loop {
            rig.commitments.pass(&rig.clock, step).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        wanted = wanted => wanted,
        () = passing => unreachable!("time goes on"),
    }
}

/// Waits until a report was tried as often, and put back. Time passes meanwhile.
pub async fn until_tried(rig: &Rig, tries: u32) {
    let tried = until("it is tried, and put back", async || rig.commitments.tries() >= tries);
    meanwhile(rig, MINUTE, tried).await;
}

/// A request that was promised, and whose first try found nobody.
async fn tried_once(rig: &Rig, port: &str, transaction: &str, uids: &[&str]) {
    assert_eq!(ask(port, transaction, uids).await.expect("an answer"), "0000");
    until_tried(rig, 1).await;
}

#[tokio::test]
async fn a_report_comes_after_a_restart_and_says_what_is_true_then() {
    let rig = Rig::open().await;
    let own = free_port();
    let lobar = serve(&rig, reporting_to(own)).await;
    let (image, port) = (stored(&lobar).await, lobar.port());
    tried_once(&rig, &port, "1.2.1", &[&image]).await;
    lobar.stop().await;
    assert_eq!(kept(&rig).await, (1, 0));
    for version in versions(&rig).await {
        rig.bucket.remove(&version.object).await.expect("removed");
    }
    let mut modality = Listener::start(own, &[]).await;
    let lobar = serve(&rig, reporting_to(own)).await;
    let report = meanwhile(&rig, MINUTE, modality.next()).await;
    assert_eq!(report, format!("2 1.2.1 [] [('{image}', 274)]"));
    until("it is done", async || kept(&rig).await == (0, 0)).await;
    lobar.until("lobar_dicom_commitments_total", "incomplete", 1.0).await;
    lobar.stop().await;
}

#[tokio::test]
async fn a_report_that_nobody_takes_for_a_day_is_given_up_and_counted() {
    let rig = Rig::open().await;
    let lobar = serve(&rig, reporting_to(free_port())).await;
    let image = stored(&lobar).await;
    assert_eq!(ask(&lobar.port(), "1.2.1", &[&image]).await.expect("an answer"), "0000");
    until_tried(&rig, 1).await;
    let mut hours = 0;
    while kept(&rig).await != (0, 1) {
        hours += 1;
        let tries = rig.commitments.tries();
        until("nothing is under way", async || rig.commitments.pass(&rig.clock, HOUR).await).await;
        // No pause is longer than an hour.
        until("it is tried again, or given up", async || {
            rig.commitments.tries() > tries || kept(&rig).await == (0, 1)
        })
        .await;
    }
    assert!((24..=25).contains(&hours), "after {hours} hours");
    lobar.until("lobar_dicom_commitments_total", "unreported", 1.0).await;
    lobar.stop().await;
}

#[tokio::test]
async fn a_request_that_cannot_be_kept_is_not_promised() {
    let rig = Rig::open().await;
    let own = free_port();
    let mut few = reporting_to(own);
    few.limits.reports_per_peer = 1;
    let lobar = serve(&rig, few).await;
    let (image, port) = (stored(&lobar).await, lobar.port());
    rig.commitments.switch.off();
    assert_eq!(ask(&port, "1.2.1", &[&image]).await.expect("an answer"), "0110");
    rig.commitments.switch.on();
    assert_eq!(ask(&port, "1.2.1", &[&image]).await.expect("an answer"), "0000");
    assert_eq!(ask(&port, "1.2.2", &[&image]).await.expect("an answer"), "0213");
    let mut modality = Listener::start(own, &[]).await;
    let report = meanwhile(&rig, MINUTE, modality.next()).await;
    assert_eq!(report, format!("1 1.2.1 ['{image}'] []"));
    until("it is done", async || kept(&rig).await == (0, 0)).await;
    assert_eq!(ask(&port, "1.2.2", &[&image]).await.expect("an answer"), "0000");
    assert_eq!(modality.next().await, format!("1 1.2.2 ['{image}'] []"));
    lobar.stop().await;
}

/// Erases what is stored.
async fn erase(rig: &Rig) {
    let order = ErasureOrder {
        reason: ErasureReason::Request,
        actor: Actor::local("ada"),
        role: None,
        request: None,
        detail: serde_json::json!({}),
    };
    let object = versions(rig).await.remove(0).object;
    rig.erasure.erasures.erase(&[object], &order).await.expect("erased");
}

#[tokio::test]
async fn nothing_is_told_of_an_image_that_is_erased_while_its_peer_is_called() {
    let rig = Rig::open().await;
    let own = free_port();
    let modality = Listener::start(own, &[]).await;
    // Whoever calls waits until they are put through.
    let slow = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let lobar = serve(&rig, reporting_to(slow.local_addr().expect("bound").port())).await;
    let (image, port) = (stored(&lobar).await, lobar.port());
    assert_eq!(ask(&port, "1.2.1", &[&image]).await.expect("an answer"), "0000");
    let (mut calling, _) = timeout(PATIENCE, slow.accept()).await.expect("called").expect("a call");
    erase(&rig).await;
    let mut answering = TcpStream::connect(("127.0.0.1", own)).await.expect("it listens");
    // Until one of them hangs up, in whichever way.
    let _ = tokio::io::copy_bidirectional(&mut calling, &mut answering).await;
    let given_up = until("it is given up", async || kept(&rig).await == (0, 1));
    meanwhile(&rig, MINUTE, given_up).await;
    lobar.stop().await;
    assert_eq!(modality.rest().await, Vec::<String>::new());
}

#[tokio::test]
async fn nothing_is_told_of_an_image_that_was_erased_meanwhile() {
    let rig = Rig::open().await;
    let own = free_port();
    let lobar = serve(&rig, reporting_to(own)).await;
    let (image, port) = (stored(&lobar).await, lobar.port());
    tried_once(&rig, &port, "1.2.1", &[&image]).await;
    erase(&rig).await;
    let given_up = until("it is given up", async || kept(&rig).await == (0, 1));
    meanwhile(&rig, MINUTE, given_up).await;
    lobar.until("lobar_dicom_commitments_total", "unreported", 1.0).await;
    // Asked again it is told the truth, also while the bucket still has the object.
    let mut modality = Listener::start(own, &[]).await;
    assert_eq!(ask(&port, "1.2.1", &[&image]).await.expect("an answer"), "0000");
    assert_eq!(modality.next().await, format!("2 1.2.1 [] [('{image}', 274)]"));
    lobar.stop().await;
}

#[tokio::test]
async fn who_was_taken_off_the_list_is_told_nothing_and_nor_is_who_has_their_address_now() {
    let rig = Rig::open().await;
    let own = free_port();
    let lobar = serve(&rig, reporting_to(own)).await;
    let image = stored(&lobar).await;
    tried_once(&rig, &lobar.port(), "1.2.1", &[&image]).await;
    lobar.stop().await;
    let modality = Listener::start(own, &[]).await;
    let others = [
        format!("CR2=127.0.0.1 site=north address=127.0.0.1:{own}"),
        format!("CR1=127.0.0.1 site=south address=127.0.0.1:{own}"),
        format!("CR1=10.0.0.5 site=north address=127.0.0.1:{own}"),
    ];
    for other in others {
        let tries = rig.commitments.tries();
        let lobar = serve(&rig, listing(&other)).await;
        until_tried(&rig, tries + 1).await;
        lobar.stop().await;
        assert_eq!(kept(&rig).await, (1, 0), "{other}");
    }
    assert_eq!(modality.rest().await, Vec::<String>::new());
    // Back on the list they are told.
    let mut modality = Listener::start(own, &[]).await;
    let lobar = serve(&rig, reporting_to(own)).await;
    let report = meanwhile(&rig, MINUTE, modality.next()).await;
    assert_eq!(report, format!("1 1.2.1 ['{image}'] []"));
    lobar.stop().await;
}

#[tokio::test]
async fn doctor_tells_of_requests_that_were_given_up() {
    let rig = Rig::open().await;
    let lobar = serve(&rig, reporting_to(free_port())).await;
    let image = stored(&lobar).await;
    tried_once(&rig, &lobar.port(), "1.2.1", &[&image]).await;
    let store = format!("sqlite:{}", rig.database().display());
    let data = tempfile::tempdir().expect("a folder");
    let data = data.path().display().to_string();
    let how = ["doctor", "--roles", "dicom", "--signal", "poll:", "--data", &data];
    let how = [&how[..], &["--store", &store]].concat();
    let told = said(&run(lobar_tests::kit::executable(), &how).await);
    assert!(told.contains("good    storage commitment: 1 requests wait"), "{told}");
    let given_up = until("it is given up", async || kept(&rig).await == (0, 1));
    meanwhile(&rig, HOUR, given_up).await;
    lobar.stop().await;
    let told = said(&run(lobar_tests::kit::executable(), &how).await);
    assert!(told.contains("advice  storage commitment: 0 requests wait"), "{told}");
}
