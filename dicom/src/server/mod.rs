//! The server: it listens, and a task serves each connection.

pub(crate) mod admission;

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use lobar_core::audit::Audit;
use lobar_core::commitment::Commitments;
use lobar_core::erasure::Erasures;
use lobar_core::object_store::{ObjectListing, ObjectStore};
use lobar_core::store::Store;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::admission::{Admission, Waiting};
use crate::negotiation::Terms;
use crate::pdu::Connection;
use crate::recording::Recorder;
use crate::reports::{self, Reports};
use crate::room::Room;
use crate::storing::{PutPorts, Puts};
use crate::tls::{Tls, shown};
use crate::{AeTitle, DicomMetrics, DicomTls, Limits, Origin, Peers, TlsError, association};

/// How long associations that are cut off may take to record what they stored.
const LAST_ENTRIES: Duration = Duration::from_secs(3);

/// What is answered for a data set that cannot be read. It is kept either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Unreadable {
    /// A warning: the modality is done with it.
    Accept,
    /// A failure: the modality says that it was not stored.
    #[default]
    Refuse,
}

impl FromStr for Unreadable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "accept" => Ok(Self::Accept),
            "refuse" => Ok(Self::Refuse),
            _ => Err(format!("{text:?} is neither accept nor refuse")),
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accept => "accept",
            Self::Refuse => "refuse",
        })
    }
}

/// What the role works on.
pub struct DicomPorts {
    /// The uploads bucket.
    pub objects: Arc<dyn ObjectStore>,
    /// The same, to look for instances.
    pub listing: Arc<dyn ObjectListing>,
    /// What became of images that the bucket has already.
    pub store: Arc<dyn Store>,
    /// Which of them are erased.
    pub erasures: Arc<dyn Erasures>,
    /// What peers asked about, until they are told.
    pub commitments: Arc<dyn Commitments>,
    /// The audit record.
    pub audit: Arc<dyn Audit>,
    /// The role's metrics.
    pub metrics: DicomMetrics,
}

/// How the role behaves.
#[derive(Clone, Debug)]
pub struct DicomSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Its own title.
    pub title: AeTitle,
    /// Whether who calls another title is rejected.
    pub check_called: bool,
    /// Who may come.
    pub peers: Peers,
    /// Storage SOP classes beside those of [`tables::STORAGE_CLASSES`](crate::tables::STORAGE_CLASSES).
    pub more_classes: Vec<String>,
    /// What is answered for a data set that cannot be read.
    pub unreadable: Unreadable,
    /// TLS, where associations have to come by it.
    pub tls: Option<DicomTls>,
    /// Bounds.
    pub limits: Limits,
}

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The address is taken, or is none of this machine.
    #[error("cannot listen for DICOM on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's own words.
        source: std::io::Error,
    },
    /// The certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// When to stop.
#[derive(Clone)]
pub struct Stop {
    /// No new associations; those that are open end when what is under way is done.
    pub receiving: CancellationToken,
    /// The drain is over.
    pub abort: CancellationToken,
}

/// What all associations share.
pub(crate) struct Shared {
    pub(crate) terms: Terms,
    pub(crate) limits: Arc<Limits>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) room: Room,
    pub(crate) puts: Arc<Puts>,
    pub(crate) listing: Arc<dyn ObjectListing>,
    /// Who looks for an instance in the bucket has a permit.
    pub(crate) listings: Semaphore,
    pub(crate) erasures: Arc<dyn Erasures>,
    pub(crate) reports: Reports,
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) recorder: Recorder,
    pub(crate) metrics: DicomMetrics,
    pub(crate) unreadable: Unreadable,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: Stop,
}

/// The server, listening.
pub struct Dicom {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<Tls>>,
    ports: DicomPorts,
    settings: DicomSettings,
}

impl Dicom {
    /// Listens; nobody is served before [`Dicom::run`].
    ///
    /// # Errors
    /// When the address cannot be listened on, or certificates cannot be used.
    pub async fn build(ports: DicomPorts, settings: DicomSettings) -> Result<Self, BuildError> {
        let failed = |source| BuildError::Listen { address: settings.listen, source };
        let tls = settings.tls.clone().map(Tls::open).transpose()?.map(Arc::new);
        let listener = TcpListener::bind(settings.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, tls, ports, settings })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until it is told to stop, and what is under way is done.
    pub async fn run(self, stop: Stop) {
        let Self { listener, tls, ports, settings, .. } = self;
        let tasks = TaskTracker::new();
        let limits = Arc::new(settings.limits);
        let bucket = ports.listing.bucket().to_owned();
        let erasures = ports.erasures;
        let puts = PutPorts {
            objects: ports.objects,
            store: ports.store,
            erasures: Arc::clone(&erasures),
        };
        let shared = Arc::new(Shared {
            terms: Terms {
                title: settings.title,
                check_called: settings.check_called,
                peers: settings.peers,
                more_classes: settings.more_classes,
                pdu_bytes: limits.pdu_bytes,
            },
            admission: Admission::new(Arc::clone(&limits), ports.metrics.clone()),
            room: Room::of(limits.memory_bytes),
            puts: Arc::new(Puts::new(puts, bucket, tasks.clone())),
            listing: ports.listing,
            listings: Semaphore::new(limits.listings),
            erasures,
            reports: Reports::new(ports.commitments, &limits),
            tls: tls.clone(),
            limits,
            recorder: Recorder::new(ports.audit),
            metrics: ports.metrics,
            unreadable: settings.unreadable,
            tasks: tasks.clone(),
            stop: stop.clone(),
        });
        tasks.spawn(reports::send_due(Arc::clone(&shared)));
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stop.receiving.cancelled() => break,
            };
            match accepted {
                Ok((stream, from)) => {
                    let waiting = shared.admission.wait();
                    let (tls, shared) = (tls.clone(), Arc::clone(&shared));
                    tasks.spawn(Box::pin(connected(stream, from, tls, shared, waiting)));
                }
                Err(error) => {
                    tracing::warn!(%error, "a DICOM connection could not be accepted");
                    // Out of descriptors: the next try would fail at once.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        drop(listener);
        tasks.close();
        tokio::select! {
            () = tasks.wait() => {}
            () = stop.abort.cancelled() => {
                // What was stored is recorded; the modality sends the rest again.
                let _ = timeout(LAST_ENTRIES, tasks.wait()).await;
            }
        }
    }
}

async fn connected(
    stream: TcpStream,
    from: SocketAddr,
    tls: Option<Arc<Tls>>,
    shared: Arc<Shared>,
    waiting: Waiting,
) {
    let _ = stream.set_nodelay(true);
    let (connection, certificate): (Box<dyn Connection>, _) = match tls {
        None => (Box::new(stream), None),
        Some(tls) => {
            let greeting = timeout(shared.limits.artim, tls.accept(stream));
            let greeted = tokio::select! {
                greeted = greeting => greeted.ok(),
                () = waiting.gives_way() => None,
                () = shared.stop.receiving.cancelled() => None,
            };
            match greeted {
                Some(Ok(stream)) => {
                    let certificate = shown(&stream);
                    (Box::new(stream), certificate)
                }
                Some(Err(error)) => {
                    tracing::info!(address = %from.ip(), %error, "a TLS handshake failed");
                    return shared.metrics.association(crate::metrics::Outcome::Failed);
                }
                None => return,
            }
        }
    };
    let origin = Origin { address: from.ip(), certificate };
    association::serve(connection, origin, shared, waiting).await;
}
