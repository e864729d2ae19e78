//! Starts and drains worker processes on one machine, by the policy of [`lobar_core::scaling`].
//!
//! Once a second: [`Meter`] reads how much waits and what the workers can do, the policy says how many workers there
//! should be, [`Fleet`] says which process is to start or to drain (both are pure), and [`Launcher`] does it.
//!
//! A worker that is not needed any more is told to stop as by an operator: it takes no more work, finishes what it has
//! in hand and ends. None is ever killed. One that ends by itself is started again after a wait that doubles.
//! The guarantee is not the drain but the lease: what a worker leaves behind when it crashes, another takes over.

mod autoscaler;
mod fleet;
mod launcher;
mod meter;
mod metrics;

pub use autoscaler::{Autoscaler, AutoscalerHealth};
pub use fleet::{Counts, Fleet, Step};
pub use launcher::{Launcher, Place, core_groups};
pub use lobar_consumer::Stop;
pub use meter::{Meter, MeterPorts};
pub use metrics::AutoscaleMetrics;
