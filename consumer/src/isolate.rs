//! Batches of which one item is rejected for good: the others must not fail with it.

use std::ops::Range;
use std::sync::Arc;

use lobar_core::failure::PortError;

/// Calls a port for `count` items, and for halves of them while it fails permanently, so that each
/// rejected item stands alone in the end. One result an item, in order.
///
/// `call` is given a range of the items; it must be all or nothing, as one transaction is, and answer
/// once an item. A transient failure is not narrowed down: it is the result of every item that has none
/// yet, and the port is not called again. At most `2 × count - 1` calls.
pub async fn isolate<A, F>(
    count: usize,
    call: impl Fn(Range<usize>) -> F,
) -> Vec<Result<A, Arc<PortError>>>
where
    F: Future<Output = Result<Vec<A>, PortError>>,
{
    let mut results = Vec::with_capacity(count);
    // Ranges still to be called, the first one last.
    let mut left = Vec::from_iter((count > 0).then_some(0..count));
    while let Some(range) = left.pop() {
        match call(range.clone()).await {
            Ok(answers) => {
                results.extend(answers.into_iter().take(range.len()).map(Ok));
                if results.len() < range.end {
                    let short = PortError::permanent("batch call", "fewer answers than items");
                    fill(&mut results, range.end, short);
                }
            }
            Err(error) if error.is_transient() => {
                fill(&mut results, count, error);
                break;
            }
            Err(_) if range.len() > 1 => {
                let middle = range.start + range.len() / 2;
                left.push(middle..range.end);
                left.push(range.start..middle);
            }
            Err(error) => fill(&mut results, range.end, error),
        }
    }
    results
}

/// Gives every item up to `end` that has no result this one.
fn fill<A>(results: &mut Vec<Result<A, Arc<PortError>>>, end: usize, error: PortError) {
    let error = Arc::new(error);
    results.resize_with(end.max(results.len()), || Err(error.clone()));
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// Isolates among ten items; answers the results as words, and the ranges that were called.
    async fn among_ten(
        call: impl Fn(&Range<usize>) -> Result<(), PortError>,
    ) -> (Vec<&'static str>, Vec<Range<usize>>) {
        let calls = RefCell::new(Vec::new());
        let results = isolate(10, |range| {
            calls.borrow_mut().push(range.clone());
            let answer = call(&range).map(|()| range.collect::<Vec<usize>>());
            std::future::ready(answer)
        })
        .await;
        let words = results.iter().enumerate().map(|(item, result)| match result {
            Ok(answer) if *answer == item => "done",
            Ok(_) => "another item's answer",
            Err(error) if error.is_transient() => "transient",
            Err(_) => "rejected",
        });
        (words.collect(), calls.into_inner())
    }

    fn rejected() -> PortError {
        PortError::permanent("test", "rejected")
    }

    #[tokio::test]
    async fn a_batch_that_is_accepted_is_called_once() {
        let (results, calls) = among_ten(|_| Ok(())).await;
        assert_eq!(results, vec!["done"; 10]);
        assert!(calls.iter().eq(std::iter::once(&(0..10))), "{calls:?}");
    }

    #[tokio::test]
    async fn one_rejected_item_is_found_and_the_others_are_done() {
        let (results, calls) =
            among_ten(|range| if range.contains(&3) { Err(rejected()) } else { Ok(()) }).await;
        let mut expected = vec!["done"; 10];
        expected[3] = "rejected";
        assert_eq!(results, expected);
        assert!(calls.len() <= 9, "by halves, not one by one: {calls:?}");
    }

    #[tokio::test]
    async fn when_every_item_is_rejected_the_calls_are_bounded() {
        let (results, calls) = among_ten(|_| Err(rejected())).await;
        assert_eq!((results, calls.len()), (vec!["rejected"; 10], 19));
    }

    #[tokio::test]
    async fn a_transient_failure_ends_the_calls_and_is_every_open_item_s_result() {
        let (results, calls) = among_ten(|range| match range.start {
            0 if range.len() > 5 => Err(rejected()),
            0 => Ok(()),
            _ => Err(PortError::transient("test", "away")),
        })
        .await;
        let expected: Vec<_> = [["done"; 5], ["transient"; 5]].concat();
        assert_eq!((results, calls.len()), (expected, 3));
    }

    #[tokio::test]
    async fn an_item_without_an_answer_is_rejected() {
        let results = isolate(2, |_| std::future::ready(Ok(vec![()]))).await;
        assert!(results[0].is_ok() && results[1].is_err());
        assert!(isolate(0, |_| std::future::ready(Ok(vec![()]))).await.is_empty());
    }
}
