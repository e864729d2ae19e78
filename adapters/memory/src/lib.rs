//! Parts that need no service: a signal, a cache and a presence service within this process, and a signal by
//! looking again and again.

mod cache;
mod poll;
mod presence;
mod signal;

pub use cache::MemoryCache;
pub use poll::PollSignal;
pub use presence::MemoryPresence;
pub use signal::MemorySignal;
