//! The memory that decoding may take in this process, over all pictures that are decoded at once.
//!
//! What a picture will take is known from its header. It waits until that much is free, behind those that
//! came before it; what could never fit is refused. So neither one large picture nor many at once end a
//! process whose memory is bounded.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use lobar_core::image::Reason;

use crate::Rejection;

/// What may be taken when nobody said otherwise, bytes.
const UNLESS_SET: u64 = 1 << 30;

static PROCESS: Memory = Memory::new(UNLESS_SET);

/// Sets how much memory all decoding in this process may take together, in bytes; 1 GiB unless set.
pub fn limit_decoding_memory(bytes: u64) {
    PROCESS.state().limit = bytes;
    PROCESS.changed.notify_all();
}

/// Waits until `bytes` are free in this process; refuses what never fits.
pub(crate) fn reserve(bytes: u64) -> Result<Reserved, Rejection> {
    PROCESS.reserve(bytes)
}

/// A bound in bytes, and what of it is in use.
#[derive(Debug)]
pub(crate) struct Memory {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    limit: u64,
    used: u64,
    /// The next number given to one that waits, and the number whose turn it is: first come, first served,
    /// so that a large picture is not passed over for ever.
    next: u64,
    turn: u64,
}

/// A share of the memory, free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Reserved {
    memory: &'static Memory,
    bytes: u64,
}

impl Memory {
    const fn new(limit: u64) -> Self {
        let state = State { limit, used: 0, next: 0, turn: 0 };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Figures are whole after every statement.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reserve(&'static self, bytes: u64) -> Result<Reserved, Rejection> {
        let mut state = self.state();
        if bytes > state.limit {
            let detail = format!(
                "Decoding it takes {} MiB of memory; at most {} MiB are there for it.",
                bytes.div_ceil(1 << 20),
                state.limit >> 20
            );
            return Err(Rejection::new(Reason::TooManyPixels, detail));
        }
        let own = state.next;
        state.next += 1;
        // Alone it goes on, even when the limit was lowered meanwhile.
        let waits = |s: &mut State| s.turn != own || (s.used > 0 && s.used + bytes > s.limit);
        state = self.changed.wait_while(state, waits).unwrap_or_else(PoisonError::into_inner);
        state.turn += 1;
        self.changed.notify_all();
        state.used += bytes;
        Ok(Reserved { memory: self, bytes })
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.memory.state().used -= self.bytes;
        self.memory.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;
    use std::thread;

    use super::*;

    #[test]
    fn what_never_fits_is_refused_by_name() {
        static MEMORY: Memory = Memory::new(10 << 20);
        let refused = MEMORY.reserve((10 << 20) + 1).unwrap_err();
        assert_eq!(refused.reason, Reason::TooManyPixels);
        assert!(refused.detail.contains("11 MiB") && refused.detail.contains("10 MiB"));
        assert!(MEMORY.reserve(10 << 20).is_ok());
        assert_eq!(MEMORY.state().used, 0, "what was dropped is free again");
    }

    #[test]
    fn who_waits_is_served_in_turn_and_never_beyond_the_limit() {
        static MEMORY: Memory = Memory::new(100);
        let first = MEMORY.reserve(60).unwrap();
        let (served, order) = sync_channel(2);
        let waiting: Vec<_> = [(0, 90), (1, 20)]
            .map(|(number, bytes)| {
                let served = served.clone();
                let thread = thread::spawn(move || {
                    let _reserved = MEMORY.reserve(bytes).unwrap();
                    assert!(MEMORY.state().used <= 100);
                    served.send(number).unwrap();
                });
                // The next one comes later for certain.
                while MEMORY.state().next < number + 2 {
                    thread::yield_now();
                }
                thread
            })
            .into();
        assert!(order.try_recv().is_err(), "20 would fit, but came behind 90");
        drop(first);
        assert_eq!(order.recv().unwrap(), 0);
        assert_eq!(order.recv().unwrap(), 1);
        waiting.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(MEMORY.state().used, 0);
    }
}
