//! A schedule carried out on the system: each fault begins at its time and ends after its own.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use lobar_testkit::services::proxy::{Proxy, Weather};
use tokio::sync::Mutex;
use tokio::task::{JoinSet, block_in_place};
use tokio::time::{Instant, sleep, sleep_until};

use super::fault::{Fault, Kind, PROCESSES, Service, Target};
use super::invariants::Violation;
use super::schedule::{Schedule, Step};
use super::system::System;

/// How late every piece is on a slow connection.
const LATE: Duration = Duration::from_millis(250);
/// After how many bytes of an answer a connection ends.
const TRUNCATED: usize = 700;
/// Seconds by which a clock is wrong.
const WRONG: i64 = 600;
/// How many notifications come again at once.
const AGAIN: usize = 8;

/// Carries out all of a schedule, and returns when the last fault has ended.
pub(crate) async fn carry_out(system: &Arc<System>, schedule: &Schedule) {
    let began = Instant::now();
    let mut faults = JoinSet::new();
    let mut turns: HashMap<Target, Arc<Mutex<()>>> = HashMap::new();
    for step in schedule.steps.clone() {
        let system = system.clone();
        let turn = turns.entry(step.fault.target).or_default().clone();
        faults.spawn(async move {
            sleep_until(began + step.at).await;
            // On a busy machine a service may take longer to come back than was planned.
            let _turn = turn.lock().await;
            strike(&system, &step).await;
        });
    }
    while let Some(ended) = faults.join_next().await {
        ended.expect("faults come to an end");
    }
}

async fn strike(system: &System, step: &Step) {
    let Step { lasts, fault: Fault { kind, target }, .. } = *step;
    match target {
        Target::Process(place) => on_process(system, kind, place, lasts).await,
        Target::Service(service) => on_service(system, kind, service, lasts).await,
        Target::Link(place, service) => {
            on_link(&system.links[&(place, service)], kind, lasts).await;
        }
        Target::Page => on_link(&system.page, kind, lasts).await,
        Target::Answers => {
            system.amazon.set_answers(Some(kind));
            sleep(lasts).await;
            system.amazon.set_answers(None);
        }
        Target::Notifications if kind == Kind::Repeat => again(system).await,
        Target::Notifications => {
            system.amazon.set_reordered(true);
            sleep(lasts).await;
            system.amazon.set_reordered(false);
        }
        Target::Uploads => {
            system.lose_answers_to_uploads(true);
            sleep(lasts).await;
            system.lose_answers_to_uploads(false);
        }
    }
}

async fn on_process(system: &System, kind: Kind, place: usize, lasts: Duration) {
    match kind {
        Kind::Pause => {
            system.process(place).pause(true);
            sleep(lasts).await;
            system.process(place).pause(false);
            return;
        }
        Kind::Ahead | Kind::Behind => {
            let wrong = if kind == Kind::Ahead { WRONG } else { -WRONG };
            system.process(place).set_clock(wrong);
            sleep(lasts).await;
            system.process(place).set_clock(0);
            return;
        }
        Kind::Replace => {
            let stopped = block_in_place(|| system.process(place).stop());
            let name = format!("{} ({place})", PROCESSES[place]);
            if let Err(what) = stopped {
                system.tell(Violation::Process { name, what });
            }
        }
        _ => block_in_place(|| system.process(place).kill()),
    }
    sleep(lasts).await;
    system.process(place).start_again();
}

async fn on_service(system: &System, kind: Kind, service: Service, lasts: Duration) {
    let database = &system.database;
    match (service, kind) {
        (Service::Postgres, Kind::ReadOnly) => {
            for only in ["on", "off"] {
                let set = format!("alter system set default_transaction_read_only = {only}");
                block_in_place(|| {
                    database.sql(&set);
                    database.sql("select pg_reload_conf()");
                });
                if only == "on" {
                    sleep(lasts).await;
                }
            }
        }
        (Service::Postgres, Kind::DiskFull) => {
            database.cluster().fill_disk(true).await;
            sleep(lasts).await;
            database.cluster().fill_disk(false).await;
        }
        (Service::Postgres, kind) => {
            block_in_place(|| match kind {
                Kind::Crash => database.cluster().kill(),
                _ => database.cluster().stop(),
            });
            sleep(lasts).await;
            database.cluster().start_again().await;
        }
        (Service::RabbitMq, Kind::DiskFull) => {
            system.rabbitmq.fill_disk(true).await;
            sleep(lasts).await;
            system.rabbitmq.fill_disk(false).await;
        }
        (Service::RabbitMq, kind) => {
            match kind {
                Kind::Crash => system.rabbitmq.kill().await,
                _ => system.rabbitmq.stop().await,
            }
            sleep(lasts).await;
            system.rabbitmq.start_again().await;
        }
        (Service::Redis, Kind::Flush) => system.redis.flush().await,
        (Service::Redis, _) => {
            block_in_place(|| system.redis.kill());
            sleep(lasts).await;
            system.redis.restart().await;
        }
        (Service::Amazon, _) => {
            let _down = system.amazon_up.write().await;
            block_in_place(|| system.s3.stop());
            sleep(lasts).await;
            system.s3.start_again().await;
        }
    }
}

async fn on_link(proxy: &Proxy, kind: Kind, lasts: Duration) {
    let weather = match kind {
        Kind::Slow => Weather::Slow(LATE),
        Kind::Freeze => Weather::Blackhole,
        Kind::Down => Weather::Down,
        Kind::Truncate => Weather::Truncate(TRUNCATED),
        _ => {
            proxy.cut();
            return;
        }
    };
    proxy.set(weather);
    sleep(lasts).await;
    proxy.set(Weather::Fair);
}

/// Sends some notifications that passed once more, as SQS and S3 may.
async fn again(system: &System) {
    let _up = system.amazon_up.read().await;
    let sqs = system.s3.sqs().await;
    for body in system.amazon.some_that_passed(AGAIN) {
        let send = sqs.send_message().queue_url(&system.queue.url).message_body(body);
        send.send().await.expect("sent");
    }
}
