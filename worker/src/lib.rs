//! The worker: from a job to a result.
//!
//! ```text
//! receive(n ≤ free slots) ─▶ claim ─▶ fetch, decode, check ─▶ batcher ─▶ device thread ─▶ complete ─▶ settle
//!     └─ a keeper extends each lease from the moment of receipt; a lost lease stops its work
//! ```
//!
//! What each module does:
//! - `capacity`: how much is in hand at once: sizes that fit one another.
//! - `slots`: permits held from receipt to settlement. They bound memory, and the stop waits for them.
//! - `intake`: receives, and keeps the leases.
//! - `claim`: claims images in the store, and hands each to a task of its own.
//! - `suspect`: images whose earlier attempt ended without a report take their turn, a few at a time or alone.
//! - `work`: fetches and decodes one image.
//! - `lane_semaphore`: lets urgent images fetch and decode before routine ones.
//! - `failing_fetches`: tells an object that cannot be read from a bucket that is away.
//! - [`batcher`]: which images go together; pure.
//! - `device`: the thread that owns the engine.
//! - [`model`]: which model that is: another may take its place between two batches, or look on unseen.
//! - `dispatch`: keeps the device busy, and watches it.
//! - `finish`: writes what came out, in one transaction a batch, and settles.
//! - `services`: stops receiving while a service fails, so that infrastructure costs no attempts.
//! - `worker`, `running` and `stage`: the role, built, run and drained.

pub mod batcher;
mod capacity;
mod claim;
mod context;
mod device;
mod dispatch;
mod failing_fetches;
pub mod finding;
mod finish;
mod health;
mod intake;
mod lane_semaphore;
mod metrics;
pub mod model;
mod pace;
mod running;
mod services;
mod settings;
mod slots;
mod stage;
mod suspect;
mod work;
mod work_item;
mod worker;

pub use capacity::{Capacity, CapacityError};
pub use device::DeviceFault;
pub use health::{WorkerHealth, WorkerPulses};
pub use lobar_consumer::Stop;
pub use metrics::WorkerMetrics;
pub use settings::{UnreadableObject, WorkerSettings};
pub use worker::{Worker, WorkerError, WorkerPorts};
