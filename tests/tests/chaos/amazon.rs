//! What S3 and SQS do to their clients: a rule for the proxy in front of them, and the notifications that passed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lobar_testkit::services::http_proxy::{Fault, HttpProxy, Request, Response, edit_messages};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};

use super::fault::Kind;

/// The share of requests that a fault concerns.
const SHARE: f64 = 0.4;

/// What is wrong at the moment, and which notifications passed.
pub(crate) struct Moods {
    answers: Option<Kind>,
    reordered: bool,
    passed: Vec<String>,
    random: StdRng,
}

/// The proxy's rule and its state.
#[derive(Clone)]
pub(crate) struct Amazon(Arc<Mutex<Moods>>);

impl Amazon {
    pub(crate) fn new(seed: u64) -> Self {
        let random = StdRng::seed_from_u64(seed);
        let (answers, reordered, passed) = (None, false, Vec::new());
        Self(Arc::new(Mutex::new(Moods { answers, reordered, passed, random })))
    }

    /// Puts the rule into a proxy.
    pub(crate) fn rule(&self, proxy: &HttpProxy) {
        let amazon = self.clone();
        proxy.rule(move |request| amazon.answer(request));
    }

    /// From now on a share of the answers goes wrong like this, or none.
    pub(crate) fn set_answers(&self, kind: Option<Kind>) {
        self.moods().answers = kind;
    }

    /// From now on notifications come doubled and out of order, or as they are.
    pub(crate) fn set_reordered(&self, reordered: bool) {
        self.moods().reordered = reordered;
    }

    /// Some of the notifications that passed, to be sent again.
    pub(crate) fn some_that_passed(&self, count: usize) -> Vec<String> {
        let mut moods = self.moods();
        let Moods { passed, random, .. } = &mut *moods;
        passed.choose_multiple(random, count).cloned().collect()
    }

    fn moods(&self) -> MutexGuard<'_, Moods> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, request: &mut Request) -> Fault {
        let mut moods = self.moods();
        if moods.answers.is_some() && moods.random.random_bool(SHARE) {
            let of_sqs = !request.action().is_empty();
            let throttled = moods.random.random_bool(0.5);
            match moods.answers {
                Some(Kind::Refuse) => {
                    return Fault::Answer(match (of_sqs, throttled) {
                        (true, true) => Response::sqs(400, "RequestThrottled"),
                        (true, false) => Response::sqs(503, "ServiceUnavailable"),
                        (false, true) => Response::s3(503, "SlowDown"),
                        (false, false) => Response::s3(500, "InternalError"),
                    });
                }
                Some(Kind::Lose) => return Fault::Lose,
                Some(Kind::Drip) if !of_sqs && throttled => {
                    return Fault::Drip(2_000, Duration::from_millis(100));
                }
                Some(Kind::Drip) if !of_sqs => return Fault::Truncate(1_500),
                _ => {}
            }
        }
        if request.action() != "ReceiveMessage" {
            return Fault::Pass;
        }
        let (amazon, reordered) = (self.clone(), moods.reordered);
        edit_messages(move |messages| {
            let mut moods = amazon.moods();
            let bodies = messages.iter().filter_map(|message| message["Body"].as_str());
            moods.passed.extend(bodies.map(str::to_owned));
            if reordered {
                let again = messages.clone();
                messages.extend(again);
                messages.shuffle(&mut moods.random);
            }
        })
    }
}
