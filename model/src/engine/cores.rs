//! How an engine and its replicas share the cores of a machine.
//!
//! Threads of one engine wait for one another after every layer, and for longest where something else wants a core, as
//! decoding does. Engines of one thread wait for nobody: on two cores, two of them answer an eighth more images than one of
//! two threads (docs/benchmarks.md).

/// Replicas that are chosen at most: each needs memory for the activations of a batch.
const MOST: usize = 16;

/// Engines, and the threads of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// Engines that compute at once.
    pub replicas: usize,
    /// libtorch's threads of each.
    pub threads: usize,
}

/// The cores that this process may use.
#[must_use]
pub fn count() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// How `cores` are shared; a number that is 0 is chosen. Threads alone are those of one engine. One engine without a number of
/// threads leaves a quarter of the cores to decoding.
#[must_use]
pub fn split(replicas: usize, threads: usize, cores: usize) -> Split {
    let cores = cores.max(1);
    let replicas = match (replicas, threads) {
        (0, 0) => cores.min(MOST),
        (0, _) => 1,
        (replicas, _) => replicas,
    };
    let share = if replicas == 1 { cores * 3 / 4 } else { cores / replicas };
    let threads = if threads == 0 { share.max(1) } else { threads };
    Split { replicas, threads }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(replicas: usize, threads: usize, cores: usize) -> (usize, usize) {
        let split = split(replicas, threads, cores);
        (split.replicas, split.threads)
    }

    #[test]
    fn every_core_has_an_engine_where_nothing_is_chosen() {
        assert_eq!([1, 2, 8].map(|cores| of(0, 0, cores)), [(1, 1), (2, 1), (8, 1)]);
        assert_eq!([of(0, 0, 64), of(0, 0, 40)], [(16, 4), (16, 2)]);
    }

    #[test]
    fn what_somebody_chose_stands() {
        assert_eq!([of(0, 3, 8), of(3, 5, 8)], [(1, 3), (3, 5)]);
        assert_eq!([of(1, 0, 8), of(4, 0, 8), of(16, 0, 8)], [(1, 6), (4, 2), (16, 1)]);
    }
}
