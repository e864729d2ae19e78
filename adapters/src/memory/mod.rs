//! Parts that live in this process only.

mod signal;

pub use signal::MemorySignal;
