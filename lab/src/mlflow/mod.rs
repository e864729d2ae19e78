//! Logs a training run to an MLflow server as well, while it goes on.
//!
//! A thread of its own speaks to the server, so training never waits for it. A server that is away costs
//! nothing but its log: what could not be logged is sent with the next epoch, and what is left at the end
//! is said on standard error. The run's number there is kept in the run's folder, so a run that goes on
//! goes on there.

mod server;

use lobar_console::noteln;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::error::LabError;
use crate::training::{Epoch, RunRecord};
use server::{Metric, Server};

/// Epochs that may wait for the server.
const WAITING: usize = 1024;

/// Where a run is logged.
#[derive(Clone, Debug)]
pub struct Target {
    /// The server's http or https URL.
    pub url: String,
    /// Experiment there; made if absent.
    pub experiment: String,
    /// Bearer token of that server.
    pub token: Option<String>,
}

/// A run's log. [`Log::end`] waits until the server knows all of it.
pub struct Log {
    epochs: SyncSender<Epoch>,
    thread: JoinHandle<()>,
}

impl Log {
    /// Begins to log the run in `folder`.
    ///
    /// # Errors
    /// When its URL is none.
    pub fn begin(target: Target, folder: &Path) -> Result<Self, LabError> {
        let Target { url, experiment, token } = target;
        let server = Server::new(&url, token)?;
        let (epochs, received) = sync_channel(WAITING);
        let folder = folder.to_owned();
        let thread = std::thread::Builder::new().name("mlflow".into()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime {
                Ok(runtime) => runtime.block_on(follow(&server, &experiment, &folder, &received)),
                Err(error) => noteln!("lobar: nothing is logged to MLflow: {error}"),
            }
        });
        Ok(Self { epochs, thread: thread.map_err(LabError::failed)? })
    }

    /// Logs a finished epoch, soon.
    pub fn epoch(&self, epoch: &Epoch) {
        // Full means that the server has been away for a thousand epochs; `run.json` has them all.
        let _ = self.epochs.try_send(epoch.clone());
    }

    /// The run has ended, well or not: waits until that is logged.
    pub fn end(self) {
        drop(self.epochs);
        let _ = self.thread.join();
    }
}

/// Logs epochs as they come, and the rest once they end.
async fn follow(server: &Server, experiment: &str, folder: &Path, epochs: &Receiver<Epoch>) {
    let mut log = Pending { server, experiment, folder, run: None, metrics: Vec::new() };
    while let Ok(epoch) = epochs.recv() {
        log.metrics.extend(metrics(&epoch));
        if let Err(error) = log.send().await {
            noteln!("lobar: MLflow: {error}; it is tried again after the next epoch");
        }
    }
    if let Err(error) = log.finish().await {
        noteln!("lobar: MLflow: {error}; the run's own folder has everything that was not logged");
    }
}

struct Pending<'a> {
    server: &'a Server,
    experiment: &'a str,
    folder: &'a Path,
    run: Option<String>,
    metrics: Vec<Metric>,
}

impl Pending<'_> {
    /// The run's number at the server: the one that its folder knows, or a new one.
    async fn run(&mut self) -> Result<String, String> {
        if let Some(run) = &self.run {
            return Ok(run.clone());
        }
        let kept: PathBuf = self.folder.join("mlflow-run");
        let run = match std::fs::read_to_string(&kept) {
            Ok(run) => {
                self.server.reopen(run.trim()).await?;
                run.trim().to_owned()
            }
            Err(_) => {
                let record = RunRecord::read(self.folder).map_err(|error| error.to_string())?;
                let name = self.folder.file_name().unwrap_or_default().to_string_lossy();
                let run = self.server.begin(self.experiment, &name, &record).await?;
                std::fs::write(&kept, &run).map_err(|error| error.to_string())?;
                run
            }
        };
        self.run = Some(run.clone());
        Ok(run)
    }

    async fn send(&mut self) -> Result<(), String> {
        let run = self.run().await?;
        self.server.log(&run, &self.metrics).await?;
        self.metrics.clear();
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), String> {
        self.send().await?;
        let run = self.run().await?;
        let record = RunRecord::read(self.folder).map_err(|error| error.to_string())?;
        self.server.finish(&run, self.folder, &record).await
    }
}

fn metrics(epoch: &Epoch) -> Vec<Metric> {
    let named = [
        ("train_loss", Some(epoch.loss)),
        ("learning_rate", Some(epoch.rate)),
        ("images_per_second", Some(epoch.images_per_second)),
        ("val_auc", Some(epoch.auc)),
        ("val_accuracy_at_half", Some(epoch.accuracy)),
        ("val_cross_entropy", Some(epoch.cross_entropy)),
        ("val_subtype_auc", epoch.subtype_auc),
    ];
    let metric = |(name, value): (&str, Option<f64>)| {
        value.map(|value| Metric::new(name, value, epoch.epoch as i64))
    };
    named.into_iter().filter_map(metric).collect()
}
