//! State shared by all routes, and how they call ports.
//!
//! HTTP threads have runtimes of their own that end when the server stops, while other roles of the
//! process may still be finishing work on the same pools. So each call to a port is a task on the
//! runtime that built the server. A task goes on when its client hangs up, and a panic in it is a
//! problem like any other.

use std::future::Future;
use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use lobar_core::accounts::Accounts;
use lobar_core::audit::{Audit, NewEntry};
use lobar_core::batch::Batches;
use lobar_core::erasure::ErasurePorts;
use lobar_core::exposure::{Exposures, OpinionFirst};
use lobar_core::failure::PortError;
use lobar_core::model_registry::ModelRegistry;
use lobar_core::object_store::ObjectStore;
use lobar_core::quarantine::Quarantine;
use lobar_core::queue::Queue;
use lobar_core::signal::Signal;
use lobar_core::store::Store;
use lobar_core::study::Studies;
use lobar_core::time::Clock;
use lobar_core::verdict::Verdicts;
use lobar_core::worklist::Worklist;
use lobar_oidc::Oidc;
use lobar_signin::SignIn;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::Instrument as _;

use crate::access::identity::Identity;
use crate::exposure::Sent;
use crate::figure_reader::FigureReader;
use crate::file_room::FileRoom;
use crate::intake::Intake;
use crate::pending_uploads::PendingUploads;
use crate::problem::Problem;
use crate::rate::{Client, Shares};
use crate::readiness::Readiness;
use crate::record::Recorder;
use crate::response_cache::ResponseCache;
use crate::sending::Sending;
use crate::settings::ApiSettings;
use crate::stream::Hub;

/// Pictures that are drawn at once.
const DRAWN_AT_ONCE: usize = 4;
/// Of these, for one client.
const DRAWN_FOR_ONE: usize = 2;
/// Thumbnails that are drawn at once beside them.
const THUMBNAILS_AT_ONCE: usize = 2;
/// Of these, for one client.
const THUMBNAILS_FOR_ONE: usize = 1;

/// How long a scraper waits for fresh figures; it gets those of a moment ago then. Shorter than a scraper's own patience.
const FIGURES_LIMIT: Duration = Duration::from_secs(3);

/// Shared by all HTTP threads.
pub(crate) struct Context {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) models: Arc<dyn ModelRegistry>,
    pub(crate) verdicts: Arc<dyn Verdicts>,
    pub(crate) exposures: Arc<dyn Exposures>,
    pub(crate) worklist: Arc<dyn Worklist>,
    pub(crate) batches: Arc<dyn Batches>,
    pub(crate) studies: Arc<dyn Studies>,
    /// Of which images readers' own opinions are asked for first; `None` for none.
    pub(crate) opinion_first: Option<OpinionFirst>,
    /// Records what readers are sent.
    pub(crate) sent: Sent,
    pub(crate) quarantine: Arc<dyn Quarantine>,
    pub(crate) accounts: Arc<dyn Accounts>,
    pub(crate) sign_in: Arc<SignIn>,
    /// The provider that signs people in, if there is one.
    pub(crate) oidc: Option<Oidc>,
    pub(crate) audit: Arc<dyn Audit>,
    /// Writes the audit record.
    pub(crate) recorder: Recorder,
    pub(crate) uploads: Option<Arc<dyn Queue>>,
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) erasure: ErasurePorts,
    pub(crate) signal: Arc<dyn Signal>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) answers: Arc<ResponseCache>,
    pub(crate) figures: Arc<FigureReader>,
    pub(crate) readiness: Readiness,
    pub(crate) registry: prometheus::Registry,
    pub(crate) accepted: PendingUploads,
    pub(crate) settings: ApiSettings,
    /// Finds out who asks.
    pub(crate) identity: Identity,
    /// Bounds the bodies of requests.
    pub(crate) intake: Intake,
    /// Bounds the pictures that are drawn at once.
    pub(crate) drawing: Arc<Semaphore>,
    /// Bounds those of one client: however many it asks for, others wait for a few.
    pub(crate) drawing_shares: Shares<Client>,
    /// The same of thumbnails.
    pub(crate) thumbnails: Arc<Semaphore>,
    pub(crate) thumbnail_shares: Shares<Client>,
    /// Bounds answers that are not sent yet.
    pub(crate) sending: Sending,
    /// Bounds the DICOM files whose heads are read at once.
    pub(crate) reading: Arc<Semaphore>,
    /// Bounds the bytes of the files whose pictures are drawn.
    pub(crate) room: FileRoom,
    runtime: Handle,
}

/// The parts of a [`Context`] that are made elsewhere.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) models: Arc<dyn ModelRegistry>,
    pub(crate) verdicts: Arc<dyn Verdicts>,
    pub(crate) exposures: Arc<dyn Exposures>,
    pub(crate) worklist: Arc<dyn Worklist>,
    pub(crate) batches: Arc<dyn Batches>,
    pub(crate) studies: Arc<dyn Studies>,
    pub(crate) opinion_first: Option<OpinionFirst>,
    pub(crate) sent: Sent,
    pub(crate) quarantine: Arc<dyn Quarantine>,
    pub(crate) accounts: Arc<dyn Accounts>,
    pub(crate) audit: Arc<dyn Audit>,
    pub(crate) recorder: Recorder,
    pub(crate) uploads: Option<Arc<dyn Queue>>,
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) erasure: ErasurePorts,
    pub(crate) signal: Arc<dyn Signal>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) answers: Arc<ResponseCache>,
    pub(crate) figures: Arc<FigureReader>,
    pub(crate) readiness: Readiness,
    pub(crate) registry: prometheus::Registry,
    pub(crate) oidc: Option<Oidc>,
}

impl Context {
    /// Calls ports on `runtime`.
    pub(crate) fn new(shared: Shared, settings: ApiSettings, runtime: Handle) -> Self {
        let sign_in = SignIn::new(
            Arc::clone(&shared.accounts),
            Arc::clone(&shared.clock),
            settings.sign_in.clone(),
        );
        Self {
            sign_in: Arc::new(sign_in),
            oidc: shared.oidc,
            accounts: shared.accounts,
            audit: shared.audit,
            recorder: shared.recorder,
            identity: Identity::new(settings.has_local_user()),
            store: shared.store,
            models: shared.models,
            verdicts: shared.verdicts,
            exposures: shared.exposures,
            worklist: shared.worklist,
            batches: shared.batches,
            studies: shared.studies,
            opinion_first: shared.opinion_first,
            sent: shared.sent,
            quarantine: shared.quarantine,
            uploads: shared.uploads,
            objects: shared.objects,
            erasure: shared.erasure,
            signal: shared.signal,
            clock: shared.clock,
            hub: shared.hub,
            answers: shared.answers,
            figures: shared.figures,
            readiness: shared.readiness,
            registry: shared.registry,
            accepted: PendingUploads::default(),
            intake: Intake::new(&settings),
            drawing: Arc::new(Semaphore::new(DRAWN_AT_ONCE)),
            drawing_shares: Shares::new(DRAWN_FOR_ONE),
            thumbnails: Arc::new(Semaphore::new(THUMBNAILS_AT_ONCE)),
            thumbnail_shares: Shares::new(THUMBNAILS_FOR_ONE),
            sending: Sending::new(settings.answer_bytes, settings.largest_picture()),
            reading: Arc::new(Semaphore::new(available_parallelism().map_or(1, NonZero::get))),
            room: FileRoom::new(settings.limits.max_bytes as u64),
            settings,
            runtime,
        }
    }

    /// Runs `work` on the program's own runtime.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Problem> {
        let done = self.runtime.spawn(work.in_current_span()).await;
        done.map_err(|error| Problem::internal("task", &error))
    }

    /// Records a change before it is answered: see [`Recorder::record`].
    pub(crate) async fn record(self: &Arc<Self>, entry: NewEntry) -> Result<(), Problem> {
        let own = Arc::clone(self);
        self.run(async move { own.recorder.record(entry).await }).await?
    }

    /// Asks the store.
    pub(crate) async fn ask<T, F>(
        &self,
        question: impl FnOnce(Arc<dyn Store>) -> F,
    ) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, PortError>> + Send + 'static,
    {
        self.ask_port(&self.store, question).await
    }

    /// Asks another port.
    pub(crate) async fn ask_port<P, T, E, F>(
        &self,
        port: &Arc<P>,
        question: impl FnOnce(Arc<P>) -> F,
    ) -> Result<T, Problem>
    where
        P: ?Sized,
        T: Send + 'static,
        E: Into<Problem> + Send + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        self.run(question(Arc::clone(port))).await?.map_err(Into::into)
    }

    /// Brings the gauges of queues and workers up to date for a scraper, unless that takes too long.
    pub(crate) async fn refresh_figures(&self) {
        let figures = Arc::clone(&self.figures);
        let read = self.run(async move { figures.current().await });
        match timeout(FIGURES_LIMIT, read).await {
            Ok(Ok(Ok(_))) => {}
            Ok(Ok(Err(error))) => {
                tracing::warn!(%error, "queue figures not renewed: a port did not answer")
            }
            _ => tracing::warn!("queue figures not renewed: reading them takes too long"),
        }
    }

    /// Computes something that takes longer than a request may hold an HTTP thread.
    pub(crate) async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let span = tracing::Span::current();
        let done = self.runtime.spawn_blocking(move || span.in_scope(work)).await;
        done.map_err(|error| Problem::internal("computation", &error))
    }
}
