//! Parts that need no service: a signal, a cache and a roster within this process, and a signal by
//! looking again and again.

mod cache;
mod poll;
mod roster;
mod signal;

pub use cache::MemoryCache;
pub use poll::PollSignal;
pub use roster::MemoryRoster;
pub use signal::MemorySignal;
