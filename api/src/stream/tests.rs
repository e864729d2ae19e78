//! Streams of clients of some sites, beside others that are busy.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{FutureExt as _, Stream, StreamExt as _};
use lobar_core::access::{SiteName, Sites};
use lobar_core::event::{Event, Seq};
use lobar_core::image::{Lane, NewImage};
use lobar_core::object::ObjectVersion;
use lobar_core::position::Position;
use lobar_core::store::Store;
use lobar_core::time::SystemClock;
use lobar_sql::sqlite::{self, SqliteStore};
use prometheus::IntGauge;
use tempfile::TempDir;
use tokio::runtime::Handle;

use super::batch::Batch;
use super::frame::{OPENING, images};
use super::hub::PAGE;
use super::{Client, Hub, OpenStream, Start};

const HEARTBEAT: Duration = Duration::from_secs(15);

type Told = std::pin::Pin<Box<dyn Stream<Item = std::io::Result<Bytes>>>>;

/// A store, and the hub of a process that follows it when told to.
struct Process {
    store: Arc<SqliteStore>,
    hub: Arc<Hub>,
    _folder: TempDir,
}

impl Process {
    async fn open() -> Self {
        let folder = TempDir::new().expect("a folder");
        let file = folder.path().join("lobar.db");
        let store = sqlite::open(&file, Arc::new(SystemClock)).await.expect("a database");
        let clients = IntGauge::new("clients", "Clients.").expect("a metric");
        let hub = Hub::new(Position::START, 1_000, Handle::current(), clients);
        Self { store: Arc::new(store), hub: Arc::new(hub), _folder: folder }
    }

    /// Images that arrive; answers the event of the last.
    async fn admit(&self, of: &str, count: usize) -> Event {
        let object = |n| ObjectVersion {
            bucket: "xrays".into(),
            key: format!("{of}/{n}.jpg"),
            version: Some("v1".into()),
            etag: None,
            sequencer: None,
            size: None,
        };
        let image = |n| NewImage { object: object(n), lane: Lane::Routine };
        let images: Vec<_> = (0..count).map(image).collect();
        self.store.admit(&images).await.expect("admitted");
        self.events().await.pop().expect("an event")
    }

    async fn events(&self) -> Vec<Event> {
        self.store.events(Seq(0), usize::MAX).await.expect("events")
    }

    /// Hands out everything new.
    async fn follow(&self) {
        let follows = self.hub.position();
        let new = self.events().await;
        let new = new.into_iter().filter(|event| event.seq > follows.seq()).collect();
        self.hub.hand_out(Batch::new(follows, new));
    }

    fn connect(&self, site: &str, after: Position) -> Client {
        let open = OpenStream::open(&self.hub, 10, None).expect("room");
        let (hub, store) = (Arc::clone(&self.hub), Arc::clone(&self.store));
        let batches = hub.subscribe();
        let start = Start { after, reset: false };
        let sites = Sites::one(SiteName::parse(site).expect("a name"));
        Client::new(hub, store, batches, start, sites, HEARTBEAT, open)
    }

    /// A client's stream after its opening.
    async fn client(&self, site: &str, after: Position) -> Told {
        let mut told: Told = Box::pin(self.connect(site, after).into_stream());
        assert_eq!(next(&mut told).await, OPENING);
        told
    }
}

async fn next(told: &mut Told) -> Bytes {
    told.next().await.expect("an open stream").expect("no error")
}

#[tokio::test]
async fn a_client_of_one_site_is_told_of_its_own_events_alone_from_the_store_and_live() {
    let process = Process::open().await;
    let early = process.admit("incoming/north/early", 1).await;
    process.admit("incoming/south", 2 * PAGE).await;
    process.admit("elsewhere", 1).await;
    let late = process.admit("incoming/north/late", 1).await;
    process.follow().await;
    let mut told = process.client("north", Position::START).await;
    assert_eq!(next(&mut told).await, images([&early]));
    assert_eq!(next(&mut told).await, images([&late]));
    process.admit("incoming/south/live", 3).await;
    process.follow().await;
    let live = process.admit("incoming/north/live", 1).await;
    process.admit("elsewhere/live", 1).await;
    process.follow().await;
    assert_eq!(next(&mut told).await, images([&live]));
    // It comes back, with the last that it was told of.
    let mut told = process.client("north", late.position()).await;
    assert_eq!(next(&mut told).await, images([&live]));
}

#[tokio::test]
async fn events_of_others_move_a_client_s_position_and_send_no_byte() {
    let process = Process::open().await;
    let mut told = process.client("north", Position::START).await;
    for n in 0..10 {
        process.admit(&format!("incoming/south/{n}"), 5).await;
        process.follow().await;
        assert_eq!(told.next().now_or_never().map(|_| "told"), None);
    }
    let own = process.admit("incoming/north", 1).await;
    process.follow().await;
    // Were it behind, it would have to read from this store.
    process.store.close().await;
    assert_eq!(told.next().now_or_never().map(|told| told.is_some()), Some(true));
    let own_again = Event { seq: Seq(own.seq.0 + 1), ..own };
    process.hub.hand_out(Batch::new(process.hub.position(), vec![own_again.clone()]));
    assert_eq!(next(&mut told).await, images([&own_again]));
}

#[tokio::test]
async fn events_of_others_do_not_move_a_client_s_heartbeats() {
    let process = Process::open().await;
    let mut client = process.connect("north", Position::START);
    assert_eq!(client.next().await.expect("open"), OPENING);
    let due = client.next_heartbeat();
    for n in 0..10 {
        process.admit(&format!("incoming/south/{n}"), 1).await;
        process.follow().await;
        assert_eq!(client.next().now_or_never(), None);
        assert_eq!(client.next_heartbeat(), due);
    }
}
