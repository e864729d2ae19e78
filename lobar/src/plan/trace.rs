//! Images as they arrived at the store, and how long they really took.

use std::sync::Arc;
use std::time::Duration;

use lobar_core::access::Sites;
use lobar_core::image::{Image, Lane, Lanes};
use lobar_core::store::{Filter, Store};
use lobar_core::time::{Clock, Stamp, SystemClock};
use lobar_plan::Waits;
use lobar_plan::arrivals::{Arrival, trace};
use serde_json::{Value, json};

use crate::failure::{Failure, chain};
use crate::registry::refuse_nowhere;
use crate::service::{failed, opener};
use crate::settings::Settings;

/// Images that are asked for at once.
const PAGE: usize = 1_000;

/// What the store knows of a time.
pub struct Trace {
    /// When images were admitted, from the first on.
    pub arrivals: Vec<Arrival>,
    /// From admission to the end, of those that have ended.
    measured: Lanes<Option<Waits>>,
    /// From the first admission to the last end.
    finished: Duration,
}

/// Reads the images of the last so long.
pub async fn read(settings: &Settings, last: Duration) -> Result<Trace, Failure> {
    refuse_nowhere(&settings.store)?;
    let clock = Arc::new(SystemClock);
    let since = clock.now().minus(last);
    let opener = opener(settings, clock);
    let images = match opener.database("store", &settings.store).await {
        Ok(database) => since_then(&*database, since).await,
        Err(error) => Err(failed(error)),
    };
    opener.close().await;
    let images = images?;
    if images.is_empty() {
        return Err(Failure::failed("the store has no image of that time"));
    }
    Ok(Trace::of(&images))
}

async fn since_then<S: Store + ?Sized>(store: &S, since: Stamp) -> Result<Vec<Image>, Failure> {
    let filter = Filter::at(Sites::All);
    let (mut images, mut after) = (Vec::new(), None);
    loop {
        let page = store.list(&filter, after, PAGE).await;
        let page = page.map_err(|e| Failure::failed(chain(&e)))?;
        let older = page.items.last().is_none_or(|image| image.received_at < since);
        images.extend(page.items.into_iter().take_while(|image| image.received_at >= since));
        after = page.next;
        if older || after.is_none() {
            return Ok(images);
        }
    }
}

impl Trace {
    fn of(images: &[Image]) -> Self {
        let arrival = |image: &Image| Arrival { at: image.received_at, lane: image.lane };
        let of_lane = |lane: Lane| {
            let ended = images.iter().filter(|image| image.lane == lane);
            let wait = |image: &Image| Some(image.finished_at?.since(image.received_at));
            Waits::of(ended.filter_map(wait).collect())
        };
        let measured = Lanes { stat: of_lane(Lane::Stat), routine: of_lane(Lane::Routine) };
        let first = images.iter().map(|image| image.received_at).min().unwrap_or_default();
        let last = images.iter().filter_map(|image| image.finished_at).max().unwrap_or(first);
        let arrivals = trace(images.iter().map(arrival).collect());
        Self { arrivals, measured, finished: last.since(first) }
    }

    /// What really happened, for people.
    pub fn text(&self, clock: &dyn Fn(f64) -> String) -> String {
        let mut text = format!("As it was: finished {}", clock(self.finished.as_secs_f64()));
        for lane in Lane::ALL {
            if let Some(Waits { images, p50, p95, p99, .. }) = self.measured.of(lane) {
                text += &format!(
                    "; {} {}: p50 {p50:.1} s, p95 {p95:.1} s, p99 {p99:.1} s",
                    images,
                    lane.as_str()
                );
            }
        }
        text + "."
    }

    /// The same for programs.
    pub fn json(&self) -> Value {
        json!({ "waits": self.measured, "finished": self.finished.as_secs_f64() })
    }
}
