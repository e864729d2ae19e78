//! Callers of the last minutes, by what they signed in with: they are let in for a little while when the store, which
//! could say whether they still may, is away. What is kept in the cache can then be read on.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lobar_core::time::Stamp;
use uuid::Uuid;

use super::identity::Known;
use crate::problem::Problem;

/// How long after the store last said so.
const TRUSTED: Duration = Duration::from_secs(120);
/// Callers that are remembered.
const REMEMBERED: usize = 10_000;
/// Names secrets: a version 5 UUID is a hash, so none is kept.
const SECRETS: Uuid = Uuid::from_u128(0x2a9c_5d17_83e0_4f6b_b0c4_917d_6e3a_58f2);

/// See the module's documentation.
#[derive(Default)]
pub(crate) struct RecentCallers(Mutex<HashMap<Uuid, (Known, Stamp)>>);

impl RecentCallers {
    /// What was found for a secret; where nothing could be asked, what was found for it not long ago.
    pub(crate) fn or_recent(
        &self,
        secret: &str,
        now: Stamp,
        found: Result<Option<Known>, Problem>,
    ) -> Result<Option<Known>, Problem> {
        let name = Uuid::new_v5(&SECRETS, secret.as_bytes());
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match found {
            Ok(Some(known)) => {
                if recent.len() >= REMEMBERED {
                    recent.retain(|_, (_, at)| now.since(*at) < TRUSTED);
                }
                if recent.len() < REMEMBERED {
                    recent.insert(name, (known.clone(), now));
                }
                Ok(Some(known))
            }
            Ok(None) => {
                recent.remove(&name);
                Ok(None)
            }
            Err(problem) => match recent.get(&name) {
                Some((known, at)) if now.since(*at) < TRUSTED && !known.is_over(now) => {
                    Ok(Some(known.clone()))
                }
                _ => Err(problem),
            },
        }
    }
}

impl RecentCallers {
    /// Whether somebody signed in with it once, and it was not found void since. It may have ended by itself.
    pub(crate) fn knows(&self, secret: &str) -> bool {
        let name = Uuid::new_v5(&SECRETS, secret.as_bytes());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&name)
    }

    /// Forgets an account or a token, whatever it signed in with.
    pub(crate) fn forget(&self, id: Uuid) {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        recent.retain(|_, (known, _)| known.caller.who.id() != id);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lobar_core::access::Caller;

    use super::*;
    use crate::problem::Kind;

    fn away() -> Result<Option<Known>, Problem> {
        Err(Problem::new(Kind::Unavailable, "away"))
    }

    #[test]
    fn who_was_known_is_let_in_for_two_minutes_while_the_store_is_away() {
        let (recent, now) = (RecentCallers::default(), Stamp(1));
        let known = Known { caller: Arc::new(Caller::local()), session: None };
        assert!(recent.or_recent("a", now, away()).is_err());
        assert!(recent.or_recent("a", now, Ok(Some(known))).is_ok_and(|known| known.is_some()));
        let later = now.plus(TRUSTED / 2);
        assert!(recent.or_recent("a", later, away()).is_ok_and(|known| known.is_some()));
        assert!(recent.or_recent("b", later, away()).is_err());
        assert!(recent.or_recent("a", now.plus(TRUSTED), away()).is_err());
    }

    #[test]
    fn who_signed_out_is_not_let_in_again() {
        let (recent, now) = (RecentCallers::default(), Stamp(1));
        let known = Known { caller: Arc::new(Caller::local()), session: None };
        assert!(recent.or_recent("a", now, Ok(Some(known))).is_ok());
        assert!(recent.or_recent("a", now, Ok(None)).is_ok_and(|known| known.is_none()));
        assert!(recent.or_recent("a", now, away()).is_err());
    }
}
