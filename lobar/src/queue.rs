//! `lobar queue`: how many messages each queue has, and its dead letters, asked of the configured queues directly, whether or
//! not anything runs.

use std::sync::Arc;

use lobar_api::rfc3339;
use lobar_console::outln;
use lobar_core::audit::Action;
use lobar_core::failure::PortError;
use lobar_core::queue::{DeadLetter, Depth, Queue as Port};
use lobar_core::time::SystemClock;
use lobar_opener::Opener;
use serde_json::{Value, json};

use crate::cli::{Queue, QueueName};
use crate::failure::{Failure, chain};
use crate::on_record::{Record, entry};
use crate::registry::refuse_nowhere;
use crate::service::{failed, opener};
use crate::settings::Settings;

/// How many dead letters are put back in one call.
const AT_ONCE: usize = 500;

/// What a command answers: the same for programs and for people.
struct Answer {
    json: Value,
    text: String,
}

/// Runs one command.
pub async fn run(command: Queue) -> Result<(), Failure> {
    let args = command.args();
    let settings = Settings::load(args.service.given.clone(), args.service.config.clone())?;
    refuse_nowhere(&settings.store)?;
    let opener = opener(&settings, Arc::new(SystemClock));
    let done = carry_out(&command, &opener, &settings).await;
    opener.close().await;
    let answer = done?;
    outln!("{}", if args.json { answer.json.to_string() } else { answer.text });
    Ok(())
}

async fn carry_out(
    command: &Queue,
    opener: &Opener,
    settings: &Settings,
) -> Result<Answer, Failure> {
    match command {
        Queue::List { .. } => {
            let mut depths = Vec::new();
            for name in QueueName::ALL {
                let depth = open(opener, settings, name).await?.depth().await.map_err(port)?;
                depths.push((name, depth));
            }
            Ok(list(&depths))
        }
        Queue::Dead { which, limit, bodies, .. } => {
            let queue = open(opener, settings, *which).await?;
            if *bodies {
                let database = opener.database("store", &settings.store).await.map_err(failed)?;
                let detail = json!({ "change": "dead letters", "queue": which.as_str() });
                Record::new(database).read(Action::QueueViewed, detail).await?;
            }
            let letters = queue.dead_letters(*limit as usize).await.map_err(port)?;
            Ok(dead(*which, &letters, *bodies))
        }
        Queue::Redrive { which, limit, .. } => {
            let queue = open(opener, settings, *which).await?;
            let database = opener.database("store", &settings.store).await.map_err(failed)?;
            // Those that come back meanwhile are not put back again.
            let there = queue.depth().await.map_err(port)?.dead;
            let most = limit.map_or(there, |limit| there.min(u64::from(limit)));
            let detail = json!({ "change": "redrive", "queue": which.as_str(), "messages": most });
            let redrives = redrive(&*queue, usize::try_from(most).unwrap_or(usize::MAX));
            let record = Record::new(database);
            let moved = record.change(entry(Action::QueueChanged, detail), redrives).await?;
            let word = which.as_str();
            let text = match moved {
                0 => format!("The queue {word} has no dead letters."),
                n => format!("Back on the queue {word}: {n}. What nobody understands comes back."),
            };
            Ok(Answer { json: json!({ "queue": word, "redriven": moved }), text })
        }
    }
}

async fn redrive(queue: &dyn Port, most: usize) -> Result<usize, Failure> {
    let mut moved = 0;
    while moved < most {
        let more = queue.redrive(AT_ONCE.min(most - moved)).await.map_err(|error| match moved {
            0 => port(error),
            n => Failure::failed(format!("{}; {n} before it are back", chain(&error))),
        })?;
        if more == 0 {
            break;
        }
        moved += more;
    }
    Ok(moved)
}

async fn open(
    opener: &Opener,
    settings: &Settings,
    name: QueueName,
) -> Result<Arc<dyn Port>, Failure> {
    let (setting, url, queue) = match name {
        QueueName::Uploads => ("uploads", &settings.uploads, "uploads"),
        QueueName::Stat => ("jobs", &settings.jobs, "jobs-stat"),
        QueueName::Routine => ("jobs", &settings.jobs, "jobs-routine"),
    };
    opener.queue(setting, url, queue).await.map_err(failed)
}

fn list(depths: &[(QueueName, Depth)]) -> Answer {
    let mut text =
        format!("{:<9}{:>9}{:>11}{:>9}{:>7}\n", "QUEUE", "READY", "IN FLIGHT", "DELAYED", "DEAD");
    let mut queues = serde_json::Map::new();
    for (name, depth) in depths {
        let Depth { ready, in_flight, delayed, dead, .. } = *depth;
        text += &format!("{:<9}{ready:>9}{in_flight:>11}{delayed:>9}{dead:>7}\n", name.as_str());
        queues.insert(
            name.as_str().into(),
            json!({ "ready": ready, "in_flight": in_flight, "delayed": delayed, "dead": dead }),
        );
    }
    if depths.iter().any(|(_, depth)| depth.dead > 0) {
        text += "`lobar queue dead QUEUE` says why messages are dead, `redrive` puts them back.\n";
    }
    Answer { json: json!({ "queues": queues }), text: text.trim_end().to_owned() }
}

fn dead(which: QueueName, letters: &[DeadLetter], bodies: bool) -> Answer {
    let reason = |letter: &DeadLetter| {
        letter.reason.clone().unwrap_or_else(|| "received too often".to_owned())
    };
    let items: Vec<Value> = letters
        .iter()
        .map(|letter| {
            let mut item = json!({
                "sent_at": rfc3339(letter.sent_at), "reason": reason(letter), "bytes": letter.body.len(),
                "trace": letter.trace.map(|trace| trace.to_string()),
            });
            if bodies {
                item["message"] = String::from_utf8_lossy(&letter.body).into();
            }
            item
        })
        .collect();
    let word = which.as_str();
    let mut text = match letters.len() {
        0 => format!("The queue {word} has no dead letters."),
        _ => format!("{:<21}{:>8}  REASON\n", "SENT", "BYTES"),
    };
    for letter in letters {
        let at = rfc3339(letter.sent_at);
        let at = at.get(..19).unwrap_or(&at);
        text += &format!("{at:<21}{:>8}  {}\n", letter.body.len(), reason(letter));
        if bodies {
            text += &format!("  {}\n", String::from_utf8_lossy(&letter.body));
        }
    }
    Answer { json: json!({ "queue": word, "items": items }), text: text.trim_end().to_owned() }
}

fn port(error: PortError) -> Failure {
    Failure::failed(chain(&error))
}
