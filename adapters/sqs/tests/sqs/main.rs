//! The queue on SQS, as MiniStack emulates it: the contract, what SQS does on a bad day, through an HTTP
//! proxy, and what `lobar doctor` finds. Time is real.
#![allow(clippy::disallowed_methods)] // the tasks that a test spawns end before it does

mod bad_days;
mod contract;
mod examine;
mod queue;

use std::sync::Arc;

use lobar_aws::{Access, Credentials};
use lobar_core::time::SystemClock;
use lobar_sqs::{SqsOptions, SqsQueue};
use lobar_testkit::services::ministack::{ACCESS_KEY, REGION, SECRET_KEY};

/// Who asks.
fn access() -> Access {
    let pair = Credentials::new(ACCESS_KEY, SECRET_KEY);
    Access { region: Some(REGION.to_owned()), credentials: Some(pair) }
}

/// A queue behind `endpoint`.
fn options(queue: &str, endpoint: String) -> SqsOptions {
    SqsOptions { endpoint: Some(endpoint), access: access(), ..SqsOptions::new(queue) }
}

/// Our adapter of a queue, with little patience for a test's sake.
async fn queue(name: &str, endpoint: String) -> Arc<SqsQueue> {
    queue_with(name, endpoint, |_| {}).await
}

/// The same with other options.
async fn queue_with(
    name: &str,
    endpoint: String,
    change: impl FnOnce(&mut SqsOptions),
) -> Arc<SqsQueue> {
    let mut options = options(name, endpoint);
    options.attempts = 3;
    change(&mut options);
    Arc::new(SqsQueue::open(options, Arc::new(SystemClock)).await.expect("a queue"))
}
