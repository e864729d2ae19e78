//! Peers that do not keep to the standard, vanish, or want too much.

use std::time::Duration;

use dicom_ul::pdu::{
    AbortRQServiceProviderReason as Reason, AbortRQSource, AssociationRJ, AssociationRJResult,
    AssociationRJServiceProviderPresentationReason as Congestion, AssociationRJSource,
    PDataValueType as Kind, Pdu,
};
use lobar_core::audit::{Action, Cursor, Filter};
use lobar_dicom::{Limits, Unreadable};
use lobar_tests::rig::Rig;
use tokio::io::AsyncWriteExt as _;

use super::client::{
    Peer, bytes, data_set, echo, fragment, request, short_data_set, store, value, without_data_set,
};
use super::fixture::{PATIENCE, serve, settings, uid, versions};

fn aborted(pdu: Option<Pdu>, reason: Reason) {
    let expected = Pdu::AbortRQ { source: AbortRQSource::ServiceProvider(reason) };
    assert_eq!(pdu, Some(expected));
}

#[tokio::test]
async fn a_length_of_four_gibibytes_is_aborted_and_not_read() {
    let rig = Rig::open().await;
    let lobar = serve(&rig, settings()).await;
    let mut peer = Peer::connect(lobar.address).await;
    peer.send_bytes(&[1, 0, 0xff, 0xff, 0xff, 0xff]).await;
    aborted(peer.read().await, Reason::InvalidPduParameter);
    let mut peer = Peer::associate(lobar.address, "PEER").await;
    peer.send_bytes(&[4, 0, 0xff, 0xff, 0xff, 0xff]).await;
    aborted(peer.read().await, Reason::InvalidPduParameter);
    lobar.stop().await;
}

#[tokio::test]
async fn what_has_no_place_is_aborted_by_its_reason() {
    let rig = Rig::open().await;
    let lobar = serve(&rig, settings()).await;
    let mut peer = Peer::connect(lobar.address).await;
    peer.send(&Pdu::ReleaseRQ).await;
    aborted(peer.read().await, Reason::UnexpectedPdu);
    let cases: [(Pdu, Reason); 4] = [
        (request("PEER"), Reason::UnexpectedPdu),
        (fragment(1, Kind::Data, true, b"data"), Reason::UnexpectedPdu),
        (fragment(9, Kind::Command, true, &echo(1)), Reason::UnexpectedPduParameter),
        (fragment(1, Kind::Command, true, b"nonsense"), Reason::InvalidPduParameter),
    ];
    for (pdu, reason) in cases {
        let mut peer = Peer::associate(lobar.address, "PEER").await;
        peer.send(&pdu).await;
        aborted(peer.read().await, reason);
    }
    let mut peer = Peer::associate(lobar.address, "PEER").await;
    peer.send_bytes(&[0x42, 0, 0, 0, 0, 4]).await;
    aborted(peer.read().await, Reason::UnrecognizedPdu);
    let mut peer = Peer::associate(lobar.address, "PEER").await;
    for _ in 0..17 {
        peer.send(&fragment(1, Kind::Command, false, &[0; 1000])).await;
    }
    aborted(peer.read().await, Reason::InvalidPduParameter);
    lobar.stop().await;
}

#[tokio::test]
async fn a_command_and_a_data_set_may_come_in_any_number_of_fragments() {
    let rig = Rig::open().await;
    let lobar = serve(&rig, settings()).await;
    let mut peer = Peer::associate(lobar.address, "PEER").await;
    // A byte a PDU.
    let command = echo(7);
    for (at, byte) in command.iter().enumerate() {
        peer.send(&fragment(1, Kind::Command, at + 1 == command.len(), &[*byte])).await;
    }
    assert_eq!(peer.answer().await, (0x8030, 7, 0));
    // A command, its data set and the next command in one PDU.
    let (one, set) = (uid(0), data_set(&uid(0)));
    let data = vec![
        value(3, Kind::Command, true, &store(8, &one)),
        value(3, Kind::Data, false, &set[..100]),
        value(3, Kind::Data, true, &set[100..]),
        value(1, Kind::Command, true, &echo(9)),
    ];
    peer.send(&Pdu::PData { data }).await;
    assert_eq!(peer.answer().await, (0x8001, 8, 0));
    assert_eq!(peer.answer().await, (0x8030, 9, 0));
    assert_eq!(peer.store(10, &uid(1), &data_set(&uid(1)), 7).await, 0);
    peer.release().await;
    assert_eq!(versions(&rig).await.len(), 2);
    lobar.stop().await;
}

#[tokio::test]
async fn an_association_that_is_cut_at_any_byte_leaves_nothing_behind() {
    let rig = Rig::open().await;
    let lobar = serve(&rig, settings()).await;
    let set = short_data_set(&uid(0));
    let half = set.len() / 2;
    let recorded = [
        bytes(&request("PEER")),
        bytes(&fragment(1, Kind::Command, true, &echo(1))),
        bytes(&fragment(3, Kind::Command, true, &store(2, &uid(0)))),
        bytes(&fragment(3, Kind::Data, false, &set[..half])),
        bytes(&fragment(3, Kind::Data, true, &set[half..])),
        bytes(&Pdu::ReleaseRQ),
    ];
    let ends: Vec<usize> = recorded
        .iter()
        .scan(0, |end, part| {
            *end += part.len();
            Some(*end)
        })
        .collect();
    let recorded = recorded.concat();
    for end in 0..recorded.len() {
        let mut peer = Peer::connect(lobar.address).await;
        peer.send_bytes(&recorded[..end]).await;
        // Half of them say that they send no more, the others vanish.
        if end % 2 == 0 {
            peer.0.shutdown().await.expect("half-closed");
            while peer.read().await.is_some() {}
        }
        if end < ends[4] {
            assert!(versions(&rig).await.is_empty(), "half an instance was stored: {end}");
        }
    }
    lobar.until("lobar_dicom_associations_open", "", 0.0).await;
    let mut peer = Peer::associate(lobar.address, "PEER").await;
    assert_eq!(peer.store(1, &uid(0), &set, 4096).await, 0);
    assert_eq!(versions(&rig).await.len(), 1);
    peer.release().await;
    lobar.stop().await;
}

#[tokio::test]
async fn a_thousand_idle_associations_and_connections_harm_nobody() {
    let rig = Rig::open().await;
    let lobar = serve(&rig, settings()).await;
    let (mut idle, mut accepted, mut full) = (Vec::new(), 0, 0);
    for number in 0..1000 {
        let mut peer = Peer::connect(lobar.address).await;
        // Every other one asks for an association, the rest for nothing.
        if number % 2 == 0 {
            peer.send(&request(&format!("IDLE{}", number % 7))).await;
            match peer.read().await {
                Some(Pdu::AssociationAC(_)) => accepted += 1,
                Some(Pdu::AssociationRJ(AssociationRJ { result, source })) => {
                    full += 1;
                    assert_eq!(result, AssociationRJResult::Transient);
                    let limit = Congestion::LocalLimitExceeded;
                    assert_eq!(source, AssociationRJSource::ServiceProviderPresentation(limit));
                }
                other => panic!("{other:?}"),
            }
        }
        idle.push(peer);
    }
    let limits = Limits::default();
    assert_eq!(accepted, 7 * limits.associations_per_peer);
    assert_eq!(accepted + full, 500);
    let mut good = Peer::associate(lobar.address, "GOOD").await;
    assert_eq!(good.store(1, &uid(0), &data_set(&uid(0)), 4096).await, 0);
    good.release().await;
    drop(idle);
    lobar.until("lobar_dicom_associations_open", "", 0.0).await;
    lobar.stop().await;
}

#[tokio::test]
async fn who_is_silent_is_aborted() {
    let rig = Rig::open().await;
    let mut impatient = settings();
    impatient.limits.idle = Duration::from_millis(200);
    impatient.limits.artim = Duration::from_millis(500);
    let lobar = serve(&rig, impatient).await;
    let mut silent = Peer::associate(lobar.address, "PEER").await;
    aborted(silent.read().await, Reason::ReasonNotSpecified);
    assert!(silent.read().await.is_none(), "and the connection is closed");
    let mut halfway = Peer::associate(lobar.address, "PEER").await;
    halfway.send_bytes(&bytes(&fragment(1, Kind::Command, true, &echo(1)))[..20]).await;
    aborted(halfway.read().await, Reason::ReasonNotSpecified);
    let mut nothing = Peer::connect(lobar.address).await;
    assert!(nothing.read().await.is_none());
    lobar.stop().await;
}

#[tokio::test]
async fn what_cannot_be_read_is_kept_and_answered_as_configured() {
    for (unreadable, expected) in [(Unreadable::Refuse, 0xC000), (Unreadable::Accept, 0xB007)] {
        let rig = Rig::open().await;
        let mut configured = settings();
        configured.unreadable = unreadable;
        let lobar = serve(&rig, configured).await;
        let mut peer = Peer::associate(lobar.address, "PEER").await;
        assert_eq!(peer.store(1, &uid(0), b"no data set", 4096).await, expected);
        // The association goes on.
        assert_eq!(peer.store(2, &uid(0), &data_set(&uid(0)), 4096).await, 0);
        peer.release().await;
        let keys: Vec<String> = versions(&rig).await.into_iter().map(|it| it.object.key).collect();
        assert_eq!(keys.len(), 2);
        assert!(keys.iter().any(|key| key.starts_with("incoming/local/dicom/unreadable/")));
        lobar.stop().await;
        let filter = Filter { action: Some(Action::Uploaded), ..Filter::default() };
        let entries = rig.audit.page(&filter, Cursor::After(0), 10).await.expect("reads");
        assert_eq!(entries.len(), 1);
        let detail = &entries[0].detail;
        assert!(detail.contains("\"instances\":1") && detail.contains("\"others\":1"), "{detail}");
    }
}

#[tokio::test]
async fn an_instance_that_is_not_what_its_command_says_is_refused() {
    let rig = Rig::open().await;
    let lobar = serve(&rig, settings()).await;
    let mut peer = Peer::associate(lobar.address, "PEER").await;
    assert_eq!(peer.store(1, &uid(1), &data_set(&uid(0)), 4096).await, 0xA900);
    assert_eq!(peer.store(2, "no UID", &data_set(&uid(0)), 4096).await, 0x0117);
    // A command that no data set follows.
    let command = without_data_set(3, &uid(0));
    peer.send(&fragment(3, Kind::Command, true, &command)).await;
    assert_eq!(peer.answer().await, (0x8001, 3, 0x0117));
    assert!(versions(&rig).await.is_empty());
    peer.release().await;
    lobar.stop().await;
}

#[tokio::test]
async fn who_sends_no_request_is_not_waited_for() {
    let rig = Rig::open().await;
    let mut patient = settings();
    patient.limits.artim = Duration::from_secs(3600);
    let lobar = serve(&rig, patient).await;
    let mut peer = Peer::connect(lobar.address).await;
    peer.send_bytes(&[0x42, 0, 0, 0, 0, 4]).await;
    aborted(peer.read().await, Reason::UnrecognizedPdu);
    // It keeps its side open: what it sends arrives nowhere once the connection is gone.
    let closed = async {
        while peer.0.write_all(&[0]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, closed).await.expect("the connection is closed");
    lobar.stop().await;
}

#[tokio::test]
async fn what_is_too_long_is_refused_and_the_association_goes_on() {
    let rig = Rig::open().await;
    let mut small = settings();
    small.limits.instance_bytes = 4096;
    let lobar = serve(&rig, small).await;
    let mut peer = Peer::associate(lobar.address, "PEER").await;
    assert_eq!(peer.store(1, &uid(0), &data_set(&uid(0)), 1000).await, 0xC001);
    assert_eq!(peer.store(2, &uid(0), &short_data_set(&uid(0)), 1000).await, 0);
    peer.release().await;
    assert_eq!(versions(&rig).await.len(), 1);
    lobar.stop().await;
}
