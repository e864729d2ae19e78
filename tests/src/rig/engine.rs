//! An engine that does what the test says. Without a script its answer is a plain function of the
//! pixels, so that a test can tell every image's own answer.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use lobar_core::engine::{
    Engine, EngineError, EngineInfo, NetworkInput, NoveltyPolicy, Prediction,
};
use lobar_core::finding::ModelRef;
use lobar_core::population::Population;
use tokio::sync::mpsc;

/// What an engine answers on a batch.
pub type Answers = Result<Vec<Result<Prediction, String>>, EngineError>;

type Script = Box<dyn FnMut(&[NetworkInput]) -> Answers + Send>;

/// See the module's documentation. The worker's own check, on an even slope of greys, is always
/// answered and is never seen by the script.
pub struct ScriptedEngine {
    info: EngineInfo,
    script: Script,
    /// The script of a replica.
    again: Option<Arc<dyn Fn() -> Script + Send + Sync>>,
}

/// The mean grey, 0..=1: the probability that a scripted engine gives.
pub fn score(input: &NetworkInput) -> f64 {
    let sum: u64 = input.pixels().iter().map(|&grey| u64::from(grey)).sum();
    sum as f64 / (input.pixels().len() as f64 * 255.0)
}

impl ScriptedEngine {
    /// An engine that runs `script` on each batch.
    pub fn new(script: impl FnMut(&[NetworkInput]) -> Answers + Send + 'static) -> Self {
        let model = ModelRef {
            version: "scripted-1".into(),
            sha256: "0".repeat(64),
            preprocessing: "test".into(),
        };
        let info = EngineInfo {
            model,
            threshold: 0.5,
            max_batch: 16,
            replicas: 1,
            device: "test".into(),
            tolerance: 0.0,
            novelty_policy: NoveltyPolicy::NoDetector,
            population: Population::default(),
        };
        Self { info, script: Box::new(script), again: None }
    }

    /// An engine that wants `replicas` to compute at once; each runs what `script` makes.
    pub fn replicated<F>(replicas: usize, script: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: FnMut(&[NetworkInput]) -> Answers + Send + 'static,
    {
        let mut engine = Self::new(script());
        engine.info.replicas = replicas;
        engine.again = Some(Arc::new(move || Box::new(script())));
        engine
    }

    /// The same engine, of the weights that [`super::model`] registers under this version.
    #[must_use]
    pub fn of(mut self, version: &str) -> Self {
        self.info.model.version = version.into();
        self.info.model.sha256 = super::models::sha256(version);
        self
    }

    /// An engine that answers [`score`] on everything.
    pub fn truthful() -> Self {
        Self::new(Self::answer)
    }

    /// What a truthful engine answers.
    pub fn answer(batch: &[NetworkInput]) -> Answers {
        let prediction = |input| {
            Ok(Prediction {
                probability: score(input),
                bacterial: None,
                heatmap: None,
                novelty: None,
            })
        };
        Ok(batch.iter().map(prediction).collect())
    }

    /// A truthful engine that waits in each batch until the test lets it go on.
    pub fn stepped() -> (Self, Steps) {
        Self::stepped_replicas(1)
    }

    /// The same, with replicas. One step lets one batch go on, the one that has waited for longest.
    pub fn stepped_replicas(replicas: usize) -> (Self, Steps) {
        let (arrive, arrived) = mpsc::channel(1024);
        let (go, gone): (SyncSender<()>, Receiver<()>) = sync_channel(1024);
        let gone = Arc::new(Mutex::new(gone));
        let engine = Self::replicated(replicas, move || {
            let (arrive, gone) = (arrive.clone(), gone.clone());
            move |batch: &[NetworkInput]| {
                let test_ended = || EngineError::DeviceLost("the test has ended".into());
                arrive.blocking_send(batch.to_vec()).map_err(|_| test_ended())?;
                let gone = gone.lock().map_err(|_| test_ended())?;
                gone.recv().map_err(|_| test_ended())?;
                Self::answer(batch)
            }
        });
        (engine, Steps { arrived, go })
    }
}

impl Engine for ScriptedEngine {
    fn info(&self) -> &EngineInfo {
        &self.info
    }

    fn infer(&mut self, batch: &[NetworkInput]) -> Answers {
        if batch.len() == 1 && is_slope(&batch[0]) {
            return Self::answer(batch);
        }
        (self.script)(batch)
    }

    fn replica(&self) -> Option<Box<dyn Engine + Send>> {
        let again = self.again.clone()?;
        let script = again();
        Some(Box::new(Self { info: self.info.clone(), script, again: Some(again) }))
    }
}

fn is_slope(input: &NetworkInput) -> bool {
    let mut pixels = input.pixels().iter().enumerate();
    pixels.all(|(at, &grey)| usize::from(grey) == at % NetworkInput::SIDE)
}

/// The test's hand on a stepped engine. Dropping it loses the device.
pub struct Steps {
    arrived: mpsc::Receiver<Vec<NetworkInput>>,
    go: SyncSender<()>,
}

impl Steps {
    /// The next batch that is in the engine now.
    pub async fn arrived(&mut self) -> Vec<NetworkInput> {
        self.arrived.recv().await.expect("the engine lives")
    }

    /// Whether a batch is in the engine, without waiting.
    pub fn try_arrived(&mut self) -> Option<Vec<NetworkInput>> {
        self.arrived.try_recv().ok()
    }

    /// Lets one batch go on.
    pub fn go(&self) {
        let _ = self.go.try_send(());
    }

    /// Lets every batch go on that is or will be in the engine, up to a thousand.
    pub fn go_on(&self) {
        while self.go.try_send(()).is_ok() {}
    }
}
