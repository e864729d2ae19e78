//! What became of every upload: the counters that a reader wants to see.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use lobar_tests::kit::{Client, Follower, Seen, Uploaded};
use serde_json::Value;

/// How long everything may take to become quiet.
const PATIENCE: Duration = Duration::from_secs(900);

/// The counters, as Jepsen prints them, and how long results took.
#[derive(Debug, Default)]
pub struct Account {
    /// PUTs.
    pub attempted: usize,
    /// PUTs that were answered.
    pub acknowledged: usize,
    /// Acknowledged, and neither a result nor a reason.
    pub lost: usize,
    /// Results shown twice.
    pub duplicated: usize,
    /// Shown after a kill that met it in a worker's hands.
    pub recovered: usize,
    /// Another end than it should have had.
    pub unexpected: usize,
    /// The longest from a kill to the result of what it met.
    pub slowest_recovery: Duration,
    /// The median from PUT to result.
    pub routine: Duration,
    /// The same of the urgent ones.
    pub stat: Duration,
}

/// Waits until work has ended on everything that was uploaded.
pub async fn until_quiet(client: &Client, uploaded: &[Uploaded]) {
    let began = Instant::now();
    loop {
        let known = client.try_get("/v1/images?limit=1").await;
        let open = client.try_get("/v1/images?limit=1&status=queued,analysing").await;
        if let (Some(known), Some(open)) = (known, open)
            && total(&known) >= ids(uploaded).len() as u64
            && total(&open) == 0
        {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "it does not become quiet");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn total(page: &Value) -> u64 {
    page["total"].as_u64().expect("a number")
}

fn ids(uploaded: &[Uploaded]) -> HashMap<String, &Uploaded> {
    uploaded.iter().map(|one| (one.object.id().to_string(), one)).collect()
}

/// Counts, once it is quiet and the page has caught up. `kills` are the moments of SIGKILLs.
pub async fn account(
    client: &Client,
    page: &Follower,
    uploaded: &[Uploaded],
    attempted: usize,
    kills: &[Instant],
) -> Account {
    let ids = ids(uploaded);
    let results = caught_up(page, &ids).await;
    let mut current: HashMap<&str, usize> = HashMap::new();
    for one in uploaded {
        let latest = current.entry(one.object.key.as_str()).or_default();
        *latest = (*latest).max(one.place);
    }
    let mut account = Account { attempted, acknowledged: uploaded.len(), ..Account::default() };
    let images: HashMap<String, Value> = client
        .images()
        .await
        .into_iter()
        .map(|image| (image["id"].as_str().expect("an id").to_owned(), image))
        .collect();
    account.unexpected += images.keys().filter(|id| !ids.contains_key(*id)).count();
    let (mut stat, mut routine) = (Vec::new(), Vec::new());
    for (id, one) in &ids {
        let shown = results.get(id).map_or(&[][..], Vec::as_slice);
        account.duplicated += shown.len().saturating_sub(1);
        let Some(image) = images.get(id) else {
            account.lost += 1;
            continue;
        };
        let status = image["status"].as_str().expect("a word");
        let latest = current[one.object.key.as_str()] == one.place;
        let expected = match one.reason {
            _ if !latest => "superseded",
            Some(_) => "needs_human",
            None => "ready",
        };
        account.lost += usize::from(["queued", "analysing"].contains(&status));
        let wrong = status != expected || (latest && image["reason"].as_str() != one.reason);
        if wrong {
            println!("unexpected: {status}, not {expected}: {}", image["reason"]);
        }
        account.unexpected += usize::from(wrong);
        if let (Some(result), true) = (shown.first(), latest) {
            let took = result.at.saturating_duration_since(one.at);
            if one.stat { &mut stat } else { &mut routine }.push(took);
        }
    }
    (account.stat, account.routine) = (median(stat), median(routine));
    for kill in kills {
        for recovery in recoveries(page, *kill) {
            account.recovered += 1;
            account.slowest_recovery = account.slowest_recovery.max(recovery);
        }
    }
    account
}

/// The page's results, once it has one of every image that must have one.
async fn caught_up(
    page: &Follower,
    ids: &HashMap<String, &Uploaded>,
) -> HashMap<String, Vec<Seen>> {
    let mut seen = 0;
    loop {
        // Quiet for three seconds: nothing more is coming.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let now = page.seen().len();
        if now == seen {
            let results = page.results();
            let unknown = results.keys().filter(|id| !ids.contains_key(*id)).count();
            assert_eq!(unknown, 0, "the page shows images that nobody uploaded");
            return results;
        }
        seen = now;
    }
}

/// How long each image took to end that was being analysed when a process was killed.
fn recoveries(page: &Follower, kill: Instant) -> Vec<Duration> {
    let mut analysing: HashMap<String, bool> = HashMap::new();
    let seen = page.seen();
    for one in seen.iter().filter(|one| one.at <= kill) {
        analysing.insert(one.image.clone(), one.status == "analysing");
    }
    analysing.retain(|_, analysing| *analysing);
    let ends = seen.iter().filter(|one| one.at > kill);
    let ends = ends.filter(|one| !["queued", "analysing"].contains(&one.status.as_str()));
    let mut recoveries = Vec::new();
    for end in ends {
        if analysing.remove(&end.image).is_some() {
            recoveries.push(end.at.duration_since(kill));
        }
    }
    recoveries
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
