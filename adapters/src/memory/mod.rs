//! Parts that need no service: a signal within this process, and one by looking again and again.

mod poll;
mod signal;

pub use poll::PollSignal;
pub use signal::MemorySignal;
