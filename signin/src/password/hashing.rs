//! Passwords as argon2id, a bounded number at once.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use argon2::password_hash::PasswordHasher as _;
use argon2::password_hash::phc::{Output, PasswordHash as Phc};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use lobar_core::accounts::PasswordHash;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::normalized;

/// Memory of one hash, in KiB. With [`PASSES`] and [`LANES`] one of the settings of OWASP's Password Storage Cheat
/// Sheet for argon2id: 19 MiB, two passes, one lane.
pub const MEMORY: u32 = 19 * 1024;

/// Passes over the memory.
pub const PASSES: u32 = 2;

/// Lanes that are computed side by side.
pub const LANES: u32 = 1;

/// Hash of no password: what is compared where there is no account, so that the answer takes as long as where there
/// is one.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Calls that may wait for each one that is computed.
const WAITING: usize = 16;

/// Too many passwords are being computed already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are being checked: try again in a moment")]
pub struct Busy;

/// Computes hashes of passwords on threads of their own. No more than a fixed number at once, each with
/// [`MEMORY`]; a fixed number more may wait, and the rest is refused. So a flood costs bounded memory and leaves
/// the other processors to those who are signed in.
#[derive(Clone, Debug)]
pub struct Passwords {
    admitted: Arc<Semaphore>,
    computing: Arc<Semaphore>,
    memory: Memory,
}

/// What checks computed in, for the next ones: as many as compute at once. Memory that is freed stays with the heap of the
/// thread that had it, so that in a flood each of the runtime's threads would come to hold as much.
#[derive(Clone, Debug, Default)]
struct Memory(Arc<Mutex<Vec<Vec<Block>>>>);

impl Memory {
    fn take(&self) -> Vec<Block> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn give_back(&self, memory: Vec<Block>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(memory);
    }
}

/// The right to compute one hash; given back when it is dropped.
#[derive(Debug)]
pub struct Turn {
    _admitted: OwnedSemaphorePermit,
    _computing: OwnedSemaphorePermit,
    memory: Memory,
}

impl Passwords {
    /// So many at once.
    pub fn new(at_once: NonZeroUsize) -> Self {
        let at_once = at_once.get();
        Self {
            admitted: Arc::new(Semaphore::new(at_once.saturating_mul(1 + WAITING))),
            computing: Arc::new(Semaphore::new(at_once)),
            memory: Memory::default(),
        }
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// [`Busy`] when too many wait already.
    pub async fn turn(&self) -> Result<Turn, Busy> {
        let admitted = self.admitted.clone().try_acquire_owned().map_err(|_| Busy)?;
        let computing = self.computing.clone().acquire_owned().await.map_err(|_| Busy)?;
        Ok(Turn { _admitted: admitted, _computing: computing, memory: self.memory.clone() })
    }

    /// Hashes a password that [`accept`](super::accept) took.
    ///
    /// # Errors
    /// [`Busy`] when too many wait already.
    pub async fn hash(&self, password: &str) -> Result<PasswordHash, Busy> {
        Ok(self.turn().await?.hash(password).await)
    }
}

impl Turn {
    /// Whether this is the password of that hash. Without a hash, or with one that cannot be read, the answer is no,
    /// after as long. The turn comes back, so that what follows from the answer can be noted before the next one.
    pub async fn verify(self, password: &str, hash: Option<&PasswordHash>) -> (Self, bool) {
        let (password, hash) = (password.to_owned(), hash.cloned());
        let memory = self.memory.clone();
        compute(self, move || {
            let mut blocks = memory.take();
            let is_known = verify(&password, hash.as_ref(), &mut blocks);
            memory.give_back(blocks);
            is_known
        })
        .await
    }

    /// Hashes a password that [`accept`](super::accept) took.
    pub async fn hash(self, password: &str) -> PasswordHash {
        let password = password.to_owned();
        compute(self, move || hash(&password)).await.1
    }
}

/// The turn goes with the work: a caller who leaves does not make room while the thread still computes.
async fn compute<T: Send + 'static>(
    turn: Turn,
    work: impl FnOnce() -> T + Send + 'static,
) -> (Turn, T) {
    let done = tokio::task::spawn_blocking(move || {
        let answer = work();
        (turn, answer)
    });
    done.await.expect("hashing does not panic, and nothing aborts it")
}

fn hash(password: &str) -> PasswordHash {
    let password = normalized(password).unwrap_or_default();
    let hash = argon2().hash_password(password.as_bytes());
    PasswordHash(hash.expect("the parameters are fixed and good").to_string())
}

fn verify(password: &str, hash: Option<&PasswordHash>, memory: &mut Vec<Block>) -> bool {
    let nobody = Phc::new(NOBODY).expect("it is well formed");
    let known = hash.and_then(|hash| Phc::new(&hash.0).ok());
    let password = normalized(password);
    let compared = known.as_ref().unwrap_or(&nobody);
    let text = password.as_deref().unwrap_or_default();
    let computed = computed(text.as_bytes(), compared, memory);
    // Outputs are compared in constant time.
    let same = computed.is_some() && computed == compared.hash;
    same && known.is_some() && password.is_some()
}

/// What a password comes to with the salt and the parameters of a hash; `None` where they cannot be computed with.
fn computed(password: &[u8], hash: &Phc, memory: &mut Vec<Block>) -> Option<Output> {
    let (salt, output) = (hash.salt.as_ref()?, hash.hash.as_ref()?);
    let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
    let version = hash.version.map(Version::try_from).transpose().ok()?.unwrap_or_default();
    let params = Params::try_from(hash).ok()?;
    let count = params.block_count();
    if memory.len() < count {
        memory.resize(count, Block::default());
    }
    let blocks = memory.get_mut(..count)?;
    let mut computed = vec![0; output.len()];
    let argon2 = Argon2::new(algorithm, version, params);
    argon2.hash_password_into_with_memory(password, salt, &mut computed, blocks).ok()?;
    Output::new(&computed).ok()
}

/// Whether a hash was made with other parameters than the present ones.
pub fn needs_rehash(hash: &PasswordHash) -> bool {
    let Ok(parsed) = Phc::new(&hash.0) else { return true };
    let Ok(params) = Params::try_from(&parsed) else { return true };
    let kept = (params.m_cost(), params.t_cost(), params.p_cost());
    parsed.algorithm.as_str() != Algorithm::Argon2id.as_str()
        || parsed.version != Some(Version::V0x13.into())
        || kept != (MEMORY, PASSES, LANES)
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY, PASSES, LANES, None).expect("they are within argon2's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passwords(at_once: usize) -> Passwords {
        Passwords::new(NonZeroUsize::new(at_once).expect("at least one"))
    }

    #[tokio::test]
    async fn a_password_is_known_again_and_no_other() {
        let passwords = passwords(1);
        let hash = passwords.hash("correct horse bättery").await.expect("room");
        assert!(hash.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "the form of a PHC string");
        assert!(!needs_rehash(&hash));
        let mut turn = passwords.turn().await.expect("room");
        for (password, right) in [
            ("correct horse bättery", true),
            ("correct horse ba\u{308}ttery", true),
            ("correct horse battery", false),
            ("", false),
            (&"a".repeat(1_000_000), false),
        ] {
            let (back, same) = turn.verify(password, Some(&hash)).await;
            assert_eq!(same, right);
            turn = back;
        }
        drop(turn);
        assert_ne!(passwords.clone().hash("correct horse bättery").await, Ok(hash));
    }

    #[tokio::test]
    async fn where_there_is_no_hash_nothing_is_right() {
        let passwords = passwords(1);
        let unreadable = PasswordHash("$argon2id$v=19$m=99".into());
        for hash in [None, Some(&unreadable)] {
            let turn = passwords.turn().await.expect("room");
            assert!(!turn.verify("", hash).await.1);
        }
        assert!(needs_rehash(&unreadable));
    }

    #[test]
    fn the_hash_of_nobody_costs_what_any_other_costs() {
        assert!(!needs_rehash(&PasswordHash(NOBODY.into())));
    }

    #[test]
    fn a_hash_of_other_parameters_is_to_be_made_anew() {
        for (from, to) in [("m=19456", "m=9216"), ("t=2", "t=3"), ("argon2id", "argon2i")] {
            assert!(needs_rehash(&PasswordHash(NOBODY.replace(from, to))), "{to}");
        }
    }

    #[tokio::test]
    async fn a_flood_is_refused_beyond_those_that_may_wait() {
        let passwords = passwords(1);
        let turn = passwords.turn().await.expect("room");
        let mut waiting = Vec::new();
        for _ in 0..WAITING {
            let mut waits = Box::pin(passwords.turn());
            let polled = std::future::poll_fn(|cx| {
                std::task::Poll::Ready(waits.as_mut().poll(cx).is_pending())
            });
            assert!(polled.await, "it waits");
            waiting.push(waits);
        }
        assert_eq!(passwords.turn().await.err(), Some(Busy));
        // Who goes away makes room for another one.
        waiting.pop();
        drop(turn);
        assert!(waiting.remove(0).await.is_ok());
        waiting.clear();
        assert!(passwords.turn().await.is_ok());
    }
}
