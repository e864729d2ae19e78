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

/// Splits of `cores` that may be the quickest, of at most `most` engines: [`split`]'s own first, fewer engines of more threads, an engine
/// for every second core (whose threads may be two to a core), and one that leaves a quarter to decoding.
#[must_use]
pub fn candidates(cores: usize, most: usize) -> Vec<Split> {
    let cores = cores.max(1);
    let most = most.clamp(1, MOST);
    let mut splits = vec![split(0, 0, cores)];
    let shared = [1, 2, 4].map(|threads| Split { replicas: cores / threads, threads });
    let half = Split { replicas: cores / 2, threads: 1 };
    for candidate in shared.into_iter().chain([half, split(1, 0, cores)]) {
        if candidate.replicas > 0 && !splits.contains(&candidate) {
            splits.push(candidate);
        }
    }
    splits.retain(|split| split.replicas <= most);
    splits
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
    fn candidates_are_different_and_within_cores_and_memory() {
        let of = |cores, most| -> Vec<_> {
            candidates(cores, most).iter().map(|one| (one.replicas, one.threads)).collect()
        };
        assert_eq!(of(1, 16), [(1, 1)]);
        assert_eq!(of(2, 16), [(2, 1), (1, 2), (1, 1)]);
        assert_eq!(of(8, 16), [(8, 1), (4, 2), (2, 4), (4, 1), (1, 6)]);
        assert_eq!(of(64, 16), [(16, 4), (1, 48)]);
        assert_eq!(of(8, 2), [(2, 4), (1, 6)]);
    }

    #[test]
    fn what_somebody_chose_stands() {
        assert_eq!([of(0, 3, 8), of(3, 5, 8)], [(1, 3), (3, 5)]);
        assert_eq!([of(1, 0, 8), of(4, 0, 8), of(16, 0, 8)], [(1, 6), (4, 2), (16, 1)]);
    }
}
