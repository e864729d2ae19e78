//! `lobar image`: what became of one image, from the store directly, whether or not anything runs. For operators: it shows
//! neither the object's key nor what the network or a doctor said.

use std::sync::Arc;

use lobar_api::rfc3339;
use lobar_console::outln;
use lobar_core::audit::Action;
use lobar_core::event::Event;
use lobar_core::failure::PortError;
use lobar_core::image::Image;
use lobar_core::time::{Clock as _, Stamp, SystemClock};
use lobar_opener::Opener;
use serde_json::{Value, json};

use crate::cli::ImageStory;
use crate::failure::{Failure, chain};
use crate::on_record::Record;
use crate::registry::refuse_nowhere;
use crate::service::{failed, opener};
use crate::settings::Settings;

/// More events than an image has that is not uploaded over and over.
const EVENTS: usize = 1_000;

/// Prints the image's story.
pub async fn run(args: ImageStory) -> Result<(), Failure> {
    let settings = Settings::load(args.service.given.clone(), args.service.config.clone())?;
    refuse_nowhere(&settings.store)?;
    let opener = opener(&settings, Arc::new(SystemClock));
    let read = read(&args, &opener, &settings).await;
    opener.close().await;
    let (image, events) = read?;
    match args.json {
        true => outln!("{}", of(&image, &events)),
        false => outln!("{}", text(&image, &events, SystemClock.now())),
    }
    Ok(())
}

async fn read(
    args: &ImageStory,
    opener: &Opener,
    settings: &Settings,
) -> Result<(Image, Vec<Event>), Failure> {
    let database = opener.database("store", &settings.store).await.map_err(failed)?;
    let detail = json!({ "change": "history", "image": args.id });
    Record::new(database.clone()).read(Action::QueueViewed, detail).await?;
    let port = |error: PortError| Failure::failed(chain(&error));
    let image = database.image(args.id).await.map_err(port)?;
    let image = image.ok_or_else(|| {
        Failure::failed(format!(
            "the store knows no image {}: it was never admitted, or was erased",
            args.id
        ))
    })?;
    Ok((image, database.image_events(args.id, EVENTS).await.map_err(port)?))
}

/// Seconds from admission to the end; `None` before it.
fn took(image: &Image) -> Option<f64> {
    Some((image.finished_at?.0 - image.received_at.0) as f64 / 1e6)
}

/// What an event tells: the state, or that a verdict or the patient was changed.
fn word(event: &Event) -> &'static str {
    if event.verdict { "verdict or patient changed" } else { event.state.as_str() }
}

fn of(image: &Image, events: &[Event]) -> Value {
    let events: Vec<Value> = events
        .iter()
        .map(|event| {
            json!({
                "seq": event.seq.0, "at": rfc3339(event.at), "what": word(event),
                "trace": event.trace.map(|trace| trace.to_string()),
            })
        })
        .collect();
    json!({
        "id": image.id,
        "site": image.object.site(),
        "lane": image.lane.as_str(),
        "state": image.state.as_str(),
        "reason": image.reason.map(|reason| reason.code()),
        "detail": image.detail,
        "attempts": image.attempts,
        "received_at": rfc3339(image.received_at),
        "finished_at": image.finished_at.map(rfc3339),
        "seconds": took(image),
        "model": image.finding.as_ref().map(|finding| &finding.model.version),
        "timings_ms": image.finding.as_ref().map(|finding| &finding.timings_ms),
        "events": events,
    })
}

fn text(image: &Image, events: &[Event], now: Stamp) -> String {
    let site = image.object.site().unwrap_or("unknown");
    let mut text = format!("image {}\nsite {site}, lane {}", image.id, image.lane.as_str());
    text += &format!("\nreceived {}", rfc3339(image.received_at));
    text += &match (image.finished_at, took(image)) {
        (Some(at), Some(took)) => format!("\nfinished {}, after {took:.1} s", rfc3339(at)),
        _ => format!("\nnot finished for {} s", now.since(image.received_at).as_secs()),
    };
    text += &format!("\n{}, attempts: {}", image.state.as_str(), image.attempts);
    if let Some(reason) = image.reason {
        text += &format!("\nreason {}", reason.code());
    }
    if let Some(detail) = &image.detail {
        text += &format!(": {detail}");
    }
    if let Some(finding) = &image.finding {
        text += &format!("\nmodel {}", finding.model.version);
        for (stage, millis) in &finding.timings_ms {
            text += &format!(", {stage} {millis:.0} ms");
        }
    }
    text += "\n\nAT                             WHAT";
    for event in events {
        text += &format!("\n{:<31}{}", rfc3339(event.at), word(event));
        if let Some(trace) = event.trace {
            text += &format!("  trace {trace}");
        }
    }
    if events.is_empty() {
        text += "\nnone kept: they were pruned";
    }
    text
}
