//! `lobar quarantine`: what ingest put aside, worked on directly in the configured store and queue, whether or not
//! anything runs.

use std::sync::Arc;

use lobar_api::quarantine::{QuarantineItem, QuarantineList, QuarantineMessage};
use lobar_console::outln;
use lobar_core::audit::Action;
use lobar_core::quarantine::{
    Entry, EntryId, EntryState, Quarantine as Port, QuarantineError, replay,
};
use lobar_core::queue::Queue;
use lobar_core::time::SystemClock;
use lobar_opener::Opener;
use serde_json::{Value, json};

use crate::cli::{Quarantine, Which};
use crate::failure::{Failure, chain};
use crate::on_record::{Record, entry};
use crate::registry::refuse_nowhere;
use crate::service::{failed, opener};
use crate::settings::Settings;

/// Entries read at once where a change is about many.
const PAGE: usize = 500;

/// What a command answers: the same for programs and for people.
struct Answer {
    json: Value,
    text: String,
}

/// Runs one command.
pub async fn run(command: Quarantine) -> Result<(), Failure> {
    let args = command.args();
    let settings = Settings::load(args.service.given.clone(), args.service.config.clone())?;
    refuse_nowhere(&settings.store)?;
    let opener = opener(&settings, Arc::new(SystemClock));
    let done = carry_out(&command, &opener, &settings).await;
    opener.close().await;
    let answer = done?;
    print(&if args.json { answer.json.to_string() } else { answer.text });
    Ok(())
}

async fn carry_out(
    command: &Quarantine,
    opener: &Opener,
    settings: &Settings,
) -> Result<Answer, Failure> {
    let database = opener.database("store", &settings.store).await.map_err(failed)?;
    let record = Record::new(database.clone());
    let quarantine: &dyn Port = &*database;
    let by = command.args().by.as_str();
    match command {
        Quarantine::List { all, limit, .. } => {
            let entries = quarantine.list(*all, None, *limit).await.map_err(port)?;
            let waiting = quarantine.waiting().await.map_err(port)?;
            let list = QuarantineList::new(entries, waiting, *limit);
            Ok(Answer { text: table(&list), json: json!(list) })
        }
        Quarantine::Show { id, .. } => {
            let id = EntryId(*id);
            record
                .read(Action::QuarantineViewed, json!({ "change": "show", "entry": id.0 }))
                .await?;
            let kept = quarantine.entry(id).await.map_err(port)?;
            let kept = kept.ok_or_else(|| refused(QuarantineError::Unknown(id)))?;
            let text = message(&QuarantineMessage::from(kept.clone()));
            Ok(Answer { json: json!(QuarantineMessage::from(kept)), text })
        }
        Quarantine::Replay { which, .. } => {
            let uploads = opener.queue("uploads", &settings.uploads, "uploads").await;
            let uploads: Arc<dyn Queue> = uploads.map_err(failed)?;
            let replays = |id| replay(quarantine, &*uploads, id, by);
            let done = each(quarantine, which, (&record, "replay"), replays).await?;
            let text = format!(
                "{} on the uploads queue again. What is refused again comes back here as a new entry.",
                are(done.len())
            );
            Ok(changed(done, text))
        }
        Quarantine::Discard { which, .. } => {
            let discards = |id| quarantine.discard(id, by);
            let done = each(quarantine, which, (&record, "discard"), discards).await?;
            let text = format!("{} discarded.", are(done.len()));
            Ok(changed(done, text))
        }
    }
}

/// Changes entries one after the other. The first that cannot be changed ends it; those before it are done, and say so.
async fn each<F>(
    quarantine: &dyn Port,
    which: &Which,
    (record, what): (&Record, &str),
    change: impl Fn(EntryId) -> F,
) -> Result<Vec<Entry>, Failure>
where
    F: Future<Output = Result<Entry, QuarantineError>>,
{
    let mut done = Vec::new();
    for id in chosen(quarantine, which).await? {
        let entry = entry(Action::QuarantineChanged, json!({ "change": what, "entry": id.0 }));
        let does = async { change(id).await.map_err(refused) };
        match record.change(entry, does).await {
            Ok(entry) => done.push(entry),
            Err(failure) => {
                let before = match done.len() {
                    0 => String::new(),
                    n => format!("; {n} before it are done"),
                };
                return Err(Failure::failed(format!("{failure}{before}")));
            }
        }
    }
    Ok(done)
}

/// The entries that are meant, those put aside first coming first.
async fn chosen(quarantine: &dyn Port, which: &Which) -> Result<Vec<EntryId>, Failure> {
    if !which.ids.is_empty() {
        return Ok(which.ids.iter().copied().map(EntryId).collect());
    }
    let (mut chosen, mut before) = (Vec::new(), None);
    loop {
        let page = quarantine.list(false, before, PAGE).await.map_err(port)?;
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        let meant = |entry: &&Entry| {
            let asked = which.reason.as_ref().is_none_or(|reason| *reason == entry.reason);
            asked && entry.state == EntryState::Waiting
        };
        chosen.extend(page.iter().filter(meant).map(|entry| entry.id));
    }
    chosen.reverse();
    Ok(chosen)
}

fn changed(entries: Vec<Entry>, text: String) -> Answer {
    let items: Vec<QuarantineItem> = entries.into_iter().map(QuarantineItem::from).collect();
    Answer { json: json!({ "items": items }), text }
}

fn are(entries: usize) -> String {
    match entries {
        1 => "1 message is".into(),
        n => format!("{n} messages are"),
    }
}

/// Every entry in a line.
fn table(list: &QuarantineList) -> String {
    if list.items.is_empty() {
        return "Nothing is in quarantine.".into();
    }
    let mut text = format!(
        "{:<8}{:<21}{:<11}{:<21}{:>8}  WHY\n",
        "ID", "PUT ASIDE", "STATE", "REASON", "BYTES"
    );
    for item in &list.items {
        let at = item.at.get(..19).unwrap_or(&item.at);
        let (id, state, reason, bytes) = (item.id, item.state, &item.reason, item.bytes);
        let why = item.reason_text;
        text += &format!("{id:<8}{at:<21}{state:<11}{reason:<21}{bytes:>8}  {why}\n");
    }
    let waiting: u64 = list.waiting.values().sum();
    text += &format!(
        "{waiting} wait in all. `lobar quarantine show ID` prints a message, `replay` puts it back onto the \
         uploads queue, `discard` throws it away.\n"
    );
    text
}

/// One entry with its message.
fn message(kept: &QuarantineMessage) -> String {
    let item = &kept.item;
    let changed = match (&item.changed_at, &item.changed_by) {
        (Some(at), Some(by)) => format!(", {at}, by {by}"),
        _ => String::new(),
    };
    let body = match (&kept.message, &kept.message_base64) {
        (Some(text), _) => text.clone(),
        (None, Some(encoded)) => format!("(base64) {encoded}"),
        (None, None) => String::new(),
    };
    format!(
        "entry      {}\nfrom       {}\nreason     {}: {}\nput aside  {}\nstate      {}{changed}\nmessage    {body}\n",
        item.id, item.source, item.reason, item.reason_text, item.at, item.state
    )
}

fn refused(error: QuarantineError) -> Failure {
    match error {
        QuarantineError::Unknown(_) => Failure::failed(format!(
            "{error}; `lobar quarantine list --all` shows those that it has"
        )),
        QuarantineError::Port(error) => port(error),
        error @ QuarantineError::Discarded(_) => Failure::failed(error),
        error @ QuarantineError::Unreadable(_) => Failure::failed(format!(
            "{error}, so nothing was done with it; use the release that wrote it"
        )),
    }
}

fn port(error: lobar_core::failure::PortError) -> Failure {
    Failure::failed(chain(&error))
}

fn print(text: &str) {
    outln!("{}", text.trim_end());
}
