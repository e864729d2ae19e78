//! Every figure in one run.

use lobar_console::outln;
use serde_json::{Map, Value, json};

use super::{decode, engine, median, path, pipeline, print, print_table, sample};
use crate::cli;
use crate::engine::EngineChoice;
use crate::failure::Failure;
use crate::settings::Settings;

/// Images that go through queues and store alone for each that is fetched, decoded and computed.
const NULL_IMAGES: usize = 10;

/// Prints the machine and what each part does on it.
pub async fn run(args: cli::BenchAll) -> Result<(), Failure> {
    let cli::BenchAll { files, images, rounds, json: as_json, service } = args;
    let pictures = sample::pictures(&files)?;
    let rounds = usize::try_from(rounds).unwrap_or(usize::MAX);
    let settings = Settings::load(service.given.clone(), service.config.clone())?;
    let engine = engine::figures(&EngineChoice::from(&settings), rounds)?;
    let decode = decode::figures(&pictures, rounds)?;
    let (mut journeys, mut paths) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let journey = Box::pin(pipeline::figures(&pictures, images, service.clone()));
        journeys.push(journey.await?);
        let path = Box::pin(path::figures(images * NULL_IMAGES, 1, service.clone()));
        paths.push(path.await?);
    }
    let parts = [
        ("machine", machine()),
        ("engine", engine),
        ("decode", decode),
        ("pipeline", medians(&journeys)),
        ("queues_and_store", medians(&paths)),
    ];
    if as_json {
        let named = parts.into_iter().map(|(name, figures)| (name.to_owned(), figures));
        print(&Value::Object(named.collect()), true);
        return Ok(());
    }
    for (name, figures) in parts {
        outln!("{}", name.replace('_', " "));
        print_table(&figures);
        outln!("");
    }
    Ok(())
}

/// Each figure's median over the rounds; what is no number is that of the first.
fn medians(rounds: &[Value]) -> Value {
    let mut figures = Map::new();
    for (name, first) in rounds.first().and_then(Value::as_object).into_iter().flatten() {
        let mut values: Vec<f64> =
            rounds.iter().filter_map(|round| round.get(name)?.as_f64()).collect();
        let value = if values.is_empty() { first.clone() } else { json!(median(&mut values)) };
        figures.insert(name.clone(), value);
    }
    Value::Object(figures)
}

/// What the figures hold for.
fn machine() -> Value {
    let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name =
        processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    json!({
        "processor": name.map_or("unknown", |(_, name)| name),
        "cores": std::thread::available_parallelism().map_or(1, usize::from),
        "lobar": env!("CARGO_PKG_VERSION"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_become_medians_figure_by_figure() {
        let rounds = [(3.0, 10), (1.0, 30), (2.0, 20)]
            .map(|(rate, images)| json!({ "rate": rate, "images": images, "device": "cpu" }));
        let expected = json!({ "rate": 2.0, "images": 20.0, "device": "cpu" });
        assert_eq!(medians(&rounds), expected);
    }
}
