//! How groups take turns, for queues that let them: see docs/adr/0051-groups-take-turns.md.

use std::time::Duration;

use lobar_core::queue::{Delivery, Outgoing, Queue, Settlement};

use super::{QueueHarness, settle, take};

/// Runs the sentences on groups on a harness.
#[macro_export]
macro_rules! queue_turns {
    ($harness:ty) => {
        $crate::queue_turns! { $harness, [
            who_sends_few_need_not_wait_for_the_many_of_another,
            a_group_that_comes_late_is_owed_nothing_for_the_time_before,
            messages_of_one_group_are_received_in_the_order_of_their_sending,
            what_was_given_back_is_received_before_what_was_sent_after_it,
            a_redriven_message_does_not_wait_behind_turns_of_another_time,
            the_messages_without_a_group_are_one_more_group,
        ] }
    };
    ($harness:ty, [$($sentence:ident,)*]) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $sentence() {
            $crate::contract::queue::$sentence::<$harness>().await;
        }
    )*};
}

/// Sends `count` messages of a group, named after it and numbered from `from`, in batches of several sizes.
async fn send(queue: &dyn Queue, group: &str, from: usize, count: usize) {
    let numbers: Vec<usize> = (from..from + count).collect();
    for batch in numbers.chunks(7) {
        let named = (!group.is_empty()).then(|| group.to_owned());
        let message = |n: &usize| Outgoing::now(format!("{group}{n}")).of_group(named.clone());
        for sent in queue.send(batch.iter().map(message).collect()).await {
            sent.expect("sent");
        }
    }
}

fn bodies(taken: &[Delivery]) -> Vec<String> {
    taken.iter().map(|one| String::from_utf8_lossy(&one.body).into_owned()).collect()
}

/// How many of the messages are of the group.
fn of(taken: &[Delivery], group: &str) -> usize {
    bodies(taken).iter().filter(|body| body.trim_end_matches(char::is_numeric) == group).count()
}

async fn done(queue: &dyn Queue, taken: Vec<Delivery>) {
    for one in taken {
        assert!(settle(queue, &one.receipt, Settlement::Done).await);
    }
}

/// Three messages after two hundred of another group, and five after them.
pub async fn who_sends_few_need_not_wait_for_the_many_of_another<H: QueueHarness>() {
    let harness = H::start().await;
    let queue = harness.open().await;
    send(&*queue, "many", 0, 200).await;
    send(&*queue, "few", 0, 3).await;
    let first = take::<H>(&*queue, 7).await;
    assert_eq!((of(&first, "few"), of(&first, "many")), (3, 4), "{:?}", bodies(&first));
    // Nor when much of it is being worked on, nor in another process.
    send(&*harness.open().await, "third", 0, 5).await;
    let next = take::<H>(&*queue, 10).await;
    assert_eq!((of(&next, "third"), of(&next, "many")), (5, 5), "{:?}", bodies(&next));
}

/// A group that comes when another is half through, and both when they come again.
pub async fn a_group_that_comes_late_is_owed_nothing_for_the_time_before<H: QueueHarness>() {
    let harness = H::start().await;
    let queue = harness.open().await;
    send(&*queue, "early", 0, 100).await;
    done(&*queue, take::<H>(&*queue, 60).await).await;
    send(&*queue, "late", 0, 100).await;
    send(&*queue, "early", 100, 60).await;
    let taken = take::<H>(&*queue, 40).await;
    assert!(of(&taken, "late").abs_diff(20) <= 1, "{:?}", bodies(&taken));
    done(&*queue, taken).await;
    // Who is through with its own and comes again shares from then on.
    done(&*queue, take::<H>(&*queue, 160).await).await;
    super::assert_nothing::<H>(&*queue).await;
    send(&*queue, "late", 200, 20).await;
    send(&*queue, "early", 200, 20).await;
    let taken = take::<H>(&*queue, 20).await;
    assert!(of(&taken, "late").abs_diff(10) <= 1, "{:?}", bodies(&taken));
}

/// Two groups, one of which sends twice.
pub async fn messages_of_one_group_are_received_in_the_order_of_their_sending<H: QueueHarness>() {
    let harness = H::start().await;
    let queue = harness.open().await;
    send(&*queue, "a", 0, 20).await;
    send(&*queue, "b", 0, 20).await;
    send(&*queue, "a", 20, 20).await;
    let mut taken = Vec::new();
    for _ in 0..12 {
        taken.extend(bodies(&take::<H>(&*queue, 5).await));
    }
    for (group, count) in [("a", 40), ("b", 20)] {
        let own: Vec<&String> = taken.iter().filter(|body| body.starts_with(group)).collect();
        let sent: Vec<String> = (0..count).map(|n| format!("{group}{n}")).collect();
        assert!(own.iter().copied().eq(&sent), "{own:?}");
    }
}

/// Released, retried, and on lease for too long.
pub async fn what_was_given_back_is_received_before_what_was_sent_after_it<H: QueueHarness>() {
    let harness = H::start().await;
    let queue = harness.open().await;
    send(&*queue, "a", 0, 3).await;
    send(&*queue, "b", 0, 30).await;
    let taken = take::<H>(&*queue, 2).await;
    let back: Vec<String> = bodies(&taken);
    for (one, settlement) in
        taken.iter().zip([Settlement::Release, Settlement::Retry { after: Duration::ZERO }])
    {
        assert!(settle(&*queue, &one.receipt, settlement).await);
    }
    let again = bodies(&take::<H>(&*queue, 2).await);
    assert_eq!(again, back);
    // What is on lease for too long comes back before anything else.
    harness.advance(H::LEASE * 2).await;
    assert_eq!(bodies(&take::<H>(&*queue, 2).await), back);
}

/// A dead letter with a high turn, on a queue that has been empty since.
pub async fn a_redriven_message_does_not_wait_behind_turns_of_another_time<H: QueueHarness>() {
    let harness = H::start().await;
    let queue = harness.open().await;
    send(&*queue, "a", 0, 50).await;
    done(&*queue, take::<H>(&*queue, 49).await).await;
    let last = take::<H>(&*queue, 1).await;
    let dead = Settlement::Dead { reason: "nobody reads this".into() };
    assert!(settle(&*queue, &last[0].receipt, dead).await);
    send(&*queue, "b", 0, 20).await;
    assert_eq!(queue.redrive(1).await.expect("redriven"), 1);
    let next = take::<H>(&*queue, 2).await;
    assert_eq!(of(&next, "a"), 1, "{:?}", bodies(&next));
    // And its group is not behind for its sake.
    send(&*queue, "a", 50, 5).await;
    let next = take::<H>(&*queue, 10).await;
    assert!(of(&next, "a") >= 4, "{:?}", bodies(&next));
}

/// Messages that name no group, and as many that name one.
pub async fn the_messages_without_a_group_are_one_more_group<H: QueueHarness>() {
    let harness = H::start().await;
    let queue = harness.open().await;
    send(&*queue, "", 0, 30).await;
    send(&*queue, "b", 0, 30).await;
    let taken = take::<H>(&*queue, 20).await;
    assert_eq!((of(&taken, ""), of(&taken, "b")), (10, 10), "{:?}", bodies(&taken));
}
