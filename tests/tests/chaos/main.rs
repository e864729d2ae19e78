//! The whole system under all faults at once, drawn by a seed: services that crash, processes that are killed and
//! paused, networks that break, answers that are lost, notifications that come twice. Clients from outside say
//! whether all invariants hold.
//!
//! `LOBAR_SEED=7 cargo test --workspace --test chaos -- --ignored --nocapture` replays a seed: the same faults at the
//! same times and the same uploads. What the machine makes of them may differ.

#![allow(unreachable_pub, clippy::disallowed_methods, clippy::print_stdout)] // a suite exports nothing, spawns and prints

mod account;
mod amazon;
#[cfg(test)]
mod broken_histories;
mod bucket;
mod clients;
mod fault;
mod inject;
mod invariants;
mod plan;
mod process;
mod run;
mod schedule;
mod system;

/// Without `LOBAR_SEED`, these.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=20;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "takes minutes a seed; docs/reliability.md has the counters of twenty"]
async fn all_faults_at_once_lose_double_and_mix_up_nothing() {
    let seeds = match std::env::var("LOBAR_SEED") {
        Ok(seed) => {
            let seed = seed.parse().expect("LOBAR_SEED is a number");
            seed..=seed
        }
        Err(_) => SEEDS,
    };
    let mut failed = Vec::new();
    for seed in seeds {
        let (account, violations) = run::run(seed).await;
        println!("{account}");
        if !violations.is_empty() {
            failed.push((seed, violations));
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}
