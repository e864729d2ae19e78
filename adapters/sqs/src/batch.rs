//! SQS batch calls: at most ten entries and a size limit per call; one result per entry.

use std::time::Duration;

use aws_sdk_sqs::types::BatchResultErrorEntry;
use futures::{StreamExt, stream};
use lobar_core::retry::Backoff;

use super::error::SqsError;

/// Entries of one call.
pub(super) const MOST: usize = 10;
/// Calls under way at once.
const CALLS: usize = 8;

/// How often an entry that failed for a passing reason is tried, and the pauses between.
#[derive(Clone, Copy)]
pub(super) struct RetryPolicy {
    tries: u32,
    pauses: Backoff,
}

/// For what must be done before a lease ends.
pub(super) const FAST_RETRY: RetryPolicy = RetryPolicy {
    tries: 5,
    pauses: Backoff { first: Duration::from_millis(50), max: Duration::from_millis(400) },
};
/// For what may take its time.
pub(super) const RELAXED_RETRY: RetryPolicy = RetryPolicy {
    tries: 4,
    pauses: Backoff { first: Duration::from_millis(200), max: Duration::from_secs(3) },
};

/// An entry with its id, unique in its call.
pub(super) type BatchEntry<E> = (String, E);

/// What a call answered: the ids that succeeded, and the entries that failed.
pub(super) struct BatchResponse {
    done: Vec<String>,
    failed: Vec<(String, SqsError)>,
}

impl BatchResponse {
    pub(super) fn new<'a>(
        done: impl Iterator<Item = &'a str>,
        failed: &[BatchResultErrorEntry],
    ) -> Self {
        let failed = failed.iter().map(|one| (one.id().to_owned(), SqsError::entry(one)));
        Self { done: done.map(str::to_owned).collect(), failed: failed.collect() }
    }

    /// One entry's part. SQS answers each; what is not answered may or may not have happened.
    fn of(&self, id: &str) -> Result<(), SqsError> {
        if let Some((_, refusal)) = self.failed.iter().find(|(failed, _)| failed == id) {
            return Err(refusal.clone());
        }
        if self.done.iter().any(|done| done == id) { Ok(()) } else { Err(SqsError::Unanswered) }
    }
}

/// Calls for all entries; one answer an entry, in order. `size` is an entry's part of the `room` in
/// bytes that one call has. A call that fails as a whole has been tried again by the SDK already.
pub(super) async fn each<E, F>(
    entries: Vec<E>,
    (room, size): (usize, fn(&E) -> usize),
    patience: RetryPolicy,
    call: impl Fn(Vec<BatchEntry<E>>) -> F,
) -> Vec<Result<(), SqsError>>
where
    E: Clone,
    F: Future<Output = Result<BatchResponse, SqsError>>,
{
    let mut results = vec![Ok(()); entries.len()];
    let calls = stream::iter(chunked(entries, room, size)).map(|group| {
        let call = &call;
        async move { tried(group, patience, call).await }
    });
    let mut calls = calls.buffer_unordered(CALLS);
    while let Some(answers) = calls.next().await {
        for (place, answer) in answers {
            if let Some(result) = results.get_mut(place) {
                *result = answer;
            }
        }
    }
    results
}

/// One group of entries, those again that failed for a passing reason.
async fn tried<E, F>(
    mut group: Vec<(usize, E)>,
    patience: RetryPolicy,
    call: &impl Fn(Vec<BatchEntry<E>>) -> F,
) -> Vec<(usize, Result<(), SqsError>)>
where
    E: Clone,
    F: Future<Output = Result<BatchResponse, SqsError>>,
{
    let mut answers = Vec::with_capacity(group.len());
    for attempt in 0.. {
        let entries = group.iter().map(|(place, entry)| (place.to_string(), entry.clone()));
        let answer = match call(entries.collect()).await {
            Ok(answer) => answer,
            Err(refusal) => {
                answers.extend(group.into_iter().map(|(place, _)| (place, Err(refusal.clone()))));
                return answers;
            }
        };
        let last = attempt + 1 >= patience.tries;
        group.retain(|(place, _)| match answer.of(&place.to_string()) {
            Err(refusal) if refusal.is_transient() && !last => true,
            answer => {
                answers.push((*place, answer));
                false
            }
        });
        if group.is_empty() {
            return answers;
        }
        tokio::time::sleep(patience.pauses.delay(attempt, rand::random())).await;
    }
    answers
}

/// Entries in groups for one call each, with their places.
fn chunked<E>(entries: Vec<E>, room: usize, size: fn(&E) -> usize) -> Vec<Vec<(usize, E)>> {
    let mut groups: Vec<Vec<(usize, E)>> = Vec::new();
    let mut taken = 0;
    for (place, entry) in entries.into_iter().enumerate() {
        let needs = size(&entry);
        match groups.last_mut() {
            Some(group) if group.len() < MOST && taken + needs <= room => {
                taken += needs;
                group.push((place, entry));
            }
            _ => {
                taken = needs;
                groups.push(vec![(place, entry)]);
            }
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn refused(status: u16) -> SqsError {
        SqsError::Answered { status, code: String::new() }
    }

    #[test]
    fn a_call_has_at_most_ten_entries_and_so_many_bytes() {
        let lengths = |sizes: Vec<usize>| -> Vec<usize> {
            chunked(sizes, 100, |size| *size).iter().map(Vec::len).collect()
        };
        assert_eq!(lengths(vec![1; 25]), [10, 10, 5]);
        assert_eq!(lengths(vec![60, 40, 1, 100, 99]), [2, 1, 1, 1]);
        assert_eq!(lengths(vec![]), [0; 0]);
    }

    #[tokio::test]
    async fn each_entry_has_its_own_answer_and_passing_failures_are_tried_again() {
        let calls = Cell::new(0);
        let results = each((0..12).collect(), (usize::MAX, |_| 0), FAST_RETRY, |entries| {
            calls.set(calls.get() + 1);
            let mut answer = BatchResponse { done: Vec::new(), failed: Vec::new() };
            for (id, entry) in entries {
                match entry {
                    3 => answer.failed.push((id, refused(400))),
                    // Throttled at first, then not.
                    4 if calls.get() < 4 => answer.failed.push((id, refused(500))),
                    5 => answer.failed.push((id, refused(500))),
                    6 => {}
                    _ => answer.done.push(id),
                }
            }
            async { Ok(answer) }
        });
        let results = results.await;
        let failed: Vec<_> =
            results.iter().enumerate().filter(|(_, result)| result.is_err()).collect();
        assert_eq!(
            failed,
            [(3, &Err(refused(400))), (5, &Err(refused(500))), (6, &Err(SqsError::Unanswered)),]
        );
        assert_eq!(calls.get(), FAST_RETRY.tries + 1, "ten entries again and again, two once");
    }

    #[tokio::test]
    async fn a_call_that_fails_fails_all_its_entries_and_no_others() {
        let results =
            each((0..12).collect(), (usize::MAX, |_| 0), FAST_RETRY, |entries| async move {
                if entries.len() < MOST {
                    return Err(SqsError::Timeout);
                }
                Ok(BatchResponse::new(entries.iter().map(|(id, _)| id.as_str()), &[]))
            });
        let results = results.await;
        assert!(results[..10].iter().all(Result::is_ok));
        assert_eq!(results[10..], [Err(SqsError::Timeout), Err(SqsError::Timeout)]);
    }
}
