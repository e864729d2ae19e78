//! What a SQLite database does on a full disk, and once there is room again. The disk is a bound on the pages of the
//! database, which SQLite answers like a full one; the connection that met it is closed, and the bound with it.

use std::sync::Arc;
use std::time::Duration;

use lobar_core::access::{Grant, Grants};
use lobar_core::accounts::{AccountError, Accounts, NewAccount, NewSession, NewToken, SecretHash};
use lobar_core::failure::{PortError, chain};
use lobar_core::finding::{Finding, Label, ModelRef};
use lobar_core::image::{Lane, NewImage, Reason, State};
use lobar_core::model_registry::{ModelRegistry, NewModel, RegistryError, ShadowFinding};
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::quarantine::Quarantine;
use lobar_core::queue::{LeaseError, Outgoing, Queue, Settlement};
use lobar_core::store::{Basis, Claim, Completion, Fence, Outcome, Quarantined, Store};
use lobar_core::time::{Clock, SystemClock};
use lobar_core::verdict::{NewVerdict, Note, Opinion, Terms, VerdictError, Verdicts};
use lobar_sql::sqlite::{self, SqliteQueue, SqliteStore};
use serde_json::json;
use tempfile::TempDir;
use uuid::Uuid;

/// More changes than fit into what the pages of a new database leave free.
const MANY: usize = 400;
/// As long as a piece of text gets, so that little fits onto a page.
const LONG: usize = 900;
const LEASE: Duration = Duration::from_secs(600);

async fn open() -> (TempDir, Arc<SqliteStore>) {
    let folder = tempfile::tempdir().expect("a folder");
    let database = sqlite::open(&folder.path().join("lobar.db"), Arc::new(SystemClock)).await;
    (folder, Arc::new(database.expect("opens")))
}

/// Does `change` with numbers from 0 until the disk is full, and goes on once there is room. Answers how many of them
/// were acknowledged.
async fn fails_only_while_full(
    database: &SqliteStore,
    change: impl AsyncFn(usize) -> Result<(), PortError>,
) -> usize {
    // A bound below what there is becomes what there is.
    let bound = sqlx::query("pragma max_page_count = 1").execute(&database.pools().write).await;
    bound.expect("bounded");
    let mut refused = None;
    for n in 0..MANY {
        if let Err(error) = change(n).await {
            refused = Some((n, error));
            break;
        }
    }
    let (n, error) = refused.expect("the disk is full at some time");
    assert!(error.is_transient(), "{error}");
    assert!(chain(&error).contains("database or disk is full"), "{}", chain(&error));
    for n in n..n + 3 {
        change(n).await.expect("there is room again");
    }
    database.check().await.expect("and all is well");
    n + 3
}

fn new(n: usize) -> NewImage {
    let object = ObjectVersion {
        bucket: "xrays".into(),
        key: format!("incoming/north/{n:0LONG$}.jpg"),
        version: Some("v1".into()),
        etag: None,
        sequencer: None,
        size: Some(1),
    };
    NewImage { object, lane: Lane::Routine }
}

fn id(n: usize) -> ImageId {
    new(n).object.id()
}

async fn admit(store: &SqliteStore) {
    let images: Vec<_> = (0..MANY + 3).map(new).collect();
    store.admit(&images).await.expect("admitted");
}

async fn claim(store: &SqliteStore, n: usize) -> Result<Fence, PortError> {
    match store.claim(&[id(n)], 5).await?.remove(0) {
        Claim::Granted(claimed) => Ok(claimed.fence),
        other => panic!("not granted: {other:?}"),
    }
}

async fn count(store: &SqliteStore, state: State) -> usize {
    let overview = store.overview().await.expect("answers");
    let found = overview.by_state.into_iter().find(|(one, _)| *one == state);
    found.map_or(0, |(_, images)| images as usize)
}

fn ready() -> Outcome {
    Outcome::Ready(Box::new(Finding {
        model: ModelRef {
            version: "1".into(),
            sha256: "ab".repeat(32),
            preprocessing: "p1".into(),
        },
        probability: 0.1,
        threshold: 0.4,
        flagged: false,
        label: Label::Normal,
        subtype: None,
        heatmap: None,
        warnings: vec!["w".repeat(LONG)],
        timings_ms: std::collections::BTreeMap::new(),
    }))
}

async fn complete(store: &SqliteStore, n: usize, fence: Fence) -> Result<(), PortError> {
    let completion =
        Completion { id: id(n), fence, outcome: ready(), trace: None, basis: Basis::default() };
    let accepted = store.complete(&[completion]).await?;
    assert_eq!(accepted, [true]);
    Ok(())
}

#[tokio::test]
async fn images_that_found_no_room_are_admitted_once_there_is_some() {
    let (_folder, store) = open().await;
    let admitted = fails_only_while_full(&store, async |n| store.admit(&[new(n)]).await.map(drop));
    assert_eq!(admitted.await, count(&store, State::Queued).await);
}

#[tokio::test]
async fn claims_and_results_that_found_no_room_are_kept_once_there_is_some() {
    let (_folder, store) = open().await;
    admit(&store).await;
    let claimed = fails_only_while_full(&store, async |n| claim(&store, n).await.map(drop)).await;
    assert_eq!(claimed, count(&store, State::Analysing).await);

    let (_folder, store) = open().await;
    admit(&store).await;
    let mut fences = Vec::new();
    for n in 0..MANY + 3 {
        fences.push(claim(&store, n).await.expect("claimed"));
    }
    let done = fails_only_while_full(&store, async |n| complete(&store, n, fences[n]).await).await;
    assert_eq!(done, count(&store, State::Ready).await);
    let events = store.events(lobar_core::event::Seq(0), 10 * MANY).await.expect("answers");
    let shown = events.iter().filter(|event| event.state == State::Ready).count();
    assert_eq!(shown, done, "each is told once");
}

#[tokio::test]
async fn removals_that_found_no_room_are_done_once_there_is_some() {
    let (_folder, store) = open().await;
    admit(&store).await;
    let removed = fails_only_while_full(&store, async |n| {
        store.remove(&new(n).object).await.map(|changed| assert_eq!(changed, [id(n)]))
    });
    assert_eq!(removed.await, count(&store, State::Removed).await);
}

#[tokio::test]
async fn messages_that_found_no_room_are_quarantined_and_decided_on_once_there_is_some() {
    let (_folder, store) = open().await;
    let put_aside = fails_only_while_full(&store, async |n| {
        let body = format!("{n:0LONG$}").into_bytes();
        let message = Quarantined { source: "uploads".into(), reason: "malformed".into(), body };
        store.quarantine(&message).await
    });
    let put_aside = put_aside.await as u64;
    assert_eq!(store.waiting().await.expect("answers"), [("malformed".to_owned(), put_aside)]);
    let by = "b".repeat(LONG);
    let entries = Quarantine::list(&*store, false, None, MANY).await.expect("answers");
    let decided = fails_only_while_full(&store, async |n| {
        match store.mark_replayed(entries[n].id, &by).await {
            Err(lobar_core::quarantine::QuarantineError::Port(error)) => Err(error),
            marked => marked.map(drop).map_err(|error| PortError::permanent("mark", error)),
        }
    });
    let (decided, waiting) = (decided.await as u64, store.waiting().await.expect("answers"));
    assert_eq!(waiting, [("malformed".to_owned(), put_aside - decided)]);
}

#[tokio::test]
async fn what_readers_say_is_kept_once_there_is_room() {
    let (_folder, store) = open().await;
    store.admit(&[new(0)]).await.expect("admitted");
    let fence = claim(&store, 0).await.expect("claimed");
    let outcome = Outcome::NeedsHuman { reason: Reason::Blank, detail: "d".into() };
    let completion = Completion { id: id(0), fence, outcome, trace: None, basis: Basis::default() };
    store.complete(&[completion]).await.expect("completed");
    let verdict = NewVerdict {
        image: id(0),
        model_version: None,
        opinion: Opinion::NotAssessable { causes: Vec::new() },
        note: Note("n".repeat(LONG)),
        reader: "ada".into(),
        role: "operator".into(),
        displayed: Vec::new(),
        rendering: None,
    };
    let terms = Terms::default();
    let kept = fails_only_while_full(&store, async |_| {
        match Verdicts::add(&*store, &verdict, &terms).await {
            Err(VerdictError::Port(error)) => Err(error),
            added => added.map(drop).map_err(|error| PortError::permanent("add", error)),
        }
    });
    assert_eq!(kept.await, store.of(id(0)).await.expect("answers").len());
}

#[tokio::test]
async fn models_and_what_a_shadow_saw_are_kept_once_there_is_room() {
    let (_folder, store) = open().await;
    let registered = fails_only_while_full(&store, async |n| {
        let model = NewModel {
            version: n.to_string(),
            sha256: format!("{n:064}"),
            key: format!("{n}.safetensors"),
            bytes: 1,
            card: json!({ "notes": "n".repeat(LONG) }),
        };
        match store.register(&model, "ada").await {
            Err(RegistryError::Port(error)) => Err(error),
            done => done.map(drop).map_err(|error| PortError::permanent("register", error)),
        }
    });
    assert_eq!(registered.await, store.models().await.expect("answers").len());

    admit(&store).await;
    let recorded = fails_only_while_full(&store, async |n| {
        let finding = ShadowFinding {
            image: id(n),
            version: "1".into(),
            probability: 0.1,
            flagged: false,
            shown_version: "0".into(),
            shown_probability: 0.2,
            shown_flagged: false,
        };
        store.record_shadow(&[finding]).await
    });
    let recorded = recorded.await as u64;
    let compared = store.compare("1").await.expect("answers");
    assert_eq!(compared.iter().map(|one| one.images).sum::<u64>(), recorded);
}

#[tokio::test]
async fn messages_that_found_no_room_are_sent_and_put_aside_once_there_is_some() {
    let (_folder, database) = open().await;
    let queue = SqliteQueue::new(database.clone(), "uploads");
    let body = || "b".repeat(LONG);
    let sent = fails_only_while_full(&database, async |_| {
        queue.send(vec![Outgoing::now(body())]).await.remove(0)
    });
    let sent = sent.await;
    assert_eq!(queue.depth().await.expect("answers").ready as usize, sent);

    let taken = queue.receive(sent, Duration::ZERO, LEASE).await.expect("received");
    assert_eq!(taken.len(), sent);
    let dead = fails_only_while_full(&database, async |n| {
        let settlement = Settlement::Dead { reason: body() };
        let settled = queue.settle(vec![(taken[n].receipt.clone(), settlement)]).await.remove(0);
        settled.map_err(|error| match error {
            LeaseError::Port(error) => error,
            LeaseError::Lost => PortError::permanent("settle", "the lease was lost"),
        })
    });
    let dead = dead.await;
    assert_eq!(queue.depth().await.expect("answers").dead as usize, dead);
}

#[tokio::test]
async fn a_probe_s_arrival_that_found_no_room_is_noted_once_there_is_some() {
    let (_folder, store) = open().await;
    let noted =
        fails_only_while_full(&store, async |n| store.note_probe(Uuid::from_u128(n as u128)).await);
    for n in 0..noted.await {
        assert!(store.take_probe(Uuid::from_u128(n as u128)).await.expect("answers"));
    }
}

/// A refusal is none here.
fn port(error: AccountError) -> PortError {
    match error {
        AccountError::Port(error) => error,
        refused => PortError::permanent("accounts", refused),
    }
}

fn secret(n: usize) -> SecretHash {
    let mut secret = [0; 32];
    secret[..8].copy_from_slice(&n.to_be_bytes());
    SecretHash(secret)
}

/// Grants whose text is [`LONG`] at least.
fn long_grants() -> Grants {
    let sites = (0..LONG / 50).map(|n| format!("{n:060}")).collect::<Vec<_>>().join(",");
    [format!("reader@{sites}").parse::<Grant>().expect("a grant")].into_iter().collect()
}

#[tokio::test]
async fn people_tokens_and_sessions_are_kept_once_there_is_room() {
    let (_folder, store) = open().await;
    let account = |n: usize| NewAccount {
        name: format!("person {n:04}"),
        grants: long_grants(),
        external: None,
    };
    let added = fails_only_while_full(&store, async |n| {
        Accounts::add(&*store, &account(n)).await.map(drop).map_err(port)
    });
    let added = added.await;
    let people = store.accounts().await.expect("answers");
    assert_eq!(people.len(), added);

    let opened = fails_only_while_full(&store, async |n| {
        let session = NewSession {
            proven: None,
            sid: None,
            account: people[0].id,
            secret: secret(n),
            expires_at: SystemClock.now().plus(LEASE),
            client: "c".repeat(LONG),
        };
        store.open_session(&session).await.map(drop).map_err(port)
    });
    let opened = opened.await;
    let sessions = store.sessions(people[0].id, LEASE).await.expect("answers");
    assert_eq!(sessions.len(), opened);
    for n in 0..opened {
        assert!(store.session(&secret(n), LEASE).await.expect("answers").is_some());
    }

    let added = fails_only_while_full(&store, async |n| {
        let token = NewToken {
            name: n.to_string(),
            grants: long_grants(),
            secret: secret(n),
            expires_at: None,
        };
        store.add_token(&token).await.map(drop).map_err(port)
    });
    assert_eq!(added.await, store.tokens().await.expect("answers").len());
}
