//! `lobar predict`: files here and now, by the worker's own steps, without any service.

use std::path::{Path, PathBuf};
use std::time::Instant;

use lobar_api::result_json;
use lobar_console::outln;
use lobar_core::engine::Engine;
use lobar_core::image::Reason;
use lobar_core::store::Outcome;
use lobar_core::study::{AgeTold, Attributes};
use lobar_core::time::{Clock as _, SystemClock};
use lobar_imaging::{Limits, Prepared, Read, Rejection};
use lobar_upload::verdict;
use lobar_worker::finding;
use rayon::prelude::*;
use serde_json::{Value, json};

use crate::cli;
use crate::engine::{self, EngineChoice};
use crate::failure::Failure;

/// Classifies the files in the order given. Fails when one could not be read at all; a file that
/// is no X-ray is an answer, not a failure.
pub fn run(args: &cli::Predict) -> Result<(), Failure> {
    let mut engine = engine::load(&EngineChoice::from(&args.engine))?;
    let mut unreadable = 0;
    for files in args.files.chunks(args.engine.batch.count()) {
        if lobar_console::is_closed() {
            break;
        }
        for answer in classify(&mut engine, files)? {
            unreadable += usize::from(answer["reason"] == "unreadable");
            print(&answer, args.json);
        }
    }
    match unreadable {
        0 => Ok(()),
        n => Err(Failure::failed(format!("{n} of {} files could not be read", args.files.len()))),
    }
}

fn classify(engine: &mut impl Engine, files: &[PathBuf]) -> Result<Vec<Value>, Failure> {
    let read: Vec<_> = files.par_iter().map(|file| look_at(file)).collect();
    let inputs: Vec<_> =
        read.iter().filter_map(|seen| Some(seen.as_ref().ok()?.prepared.input.clone())).collect();
    let began = Instant::now();
    let answers = engine.infer(&inputs).map_err(Failure::failed)?;
    let infer_ms = began.elapsed().as_secs_f64() * 1e3 / inputs.len().max(1) as f64;
    let info = engine.info().clone();
    let mut answers = answers.into_iter();
    let rows = files.iter().zip(read).map(|(file, seen)| {
        let Seen { prepared, age, decode_ms } = match seen {
            Ok(seen) => seen,
            Err(refused) => return refused.row(file),
        };
        let outcome = match answers.next() {
            Some(Ok(prediction)) => {
                let warnings = prepared.warnings.iter().map(ToString::to_string).collect();
                let timings = [("decode", decode_ms), ("infer", infer_ms)];
                let timings = timings.map(|(stage, ms)| (stage.to_owned(), ms)).into();
                finding::assemble(&info, prediction, warnings, timings, &age)
            }
            Some(Err(why)) => finding::unusable(why),
            None => finding::unusable("The network gave no answer."),
        };
        row(file, outcome)
    });
    Ok(rows.collect())
}

fn row(file: &Path, outcome: Outcome) -> Value {
    match outcome {
        Outcome::Ready(finding) => json!({
            "file": file.to_string_lossy(), "status": "ready", "reason": null, "result": result_json(*finding),
        }),
        Outcome::NeedsHuman { reason, detail } | Outcome::Failed { reason, detail } => {
            Refused::of(reason, detail).row(file)
        }
        Outcome::Superseded => Refused::of(Reason::ObjectMissing, String::new()).row(file),
    }
}

/// A file that the network is asked about.
struct Seen {
    prepared: Prepared,
    age: AgeTold,
    decode_ms: f64,
}

fn look_at(file: &Path) -> Result<Seen, Refused> {
    let unreadable = |detail: String| Refused {
        code: "unreadable",
        text: "The file could not be read.",
        detail,
    };
    let kind = std::fs::metadata(file).map_err(|error| unreadable(error.to_string()))?;
    if !kind.is_file() {
        // A pipe that nobody writes to would be waited for without end.
        return Err(unreadable("not a regular file".into()));
    }
    let bytes = std::fs::read(file).map_err(|error| unreadable(error.to_string()))?;
    let began = Instant::now();
    let Read { attributes, prepared } = lobar_imaging::read(&bytes, &Limits::default());
    let prepared = prepared?;
    let age = AgeTold::of(attributes.map(Attributes::bounded).as_ref(), SystemClock.now());
    Ok(Seen { prepared, age, decode_ms: began.elapsed().as_secs_f64() * 1e3 })
}

/// Why a file was not assessed.
struct Refused {
    code: &'static str,
    text: &'static str,
    detail: String,
}

impl Refused {
    fn of(reason: Reason, detail: String) -> Self {
        Self { code: reason.code(), text: reason.text(), detail }
    }

    fn row(self, file: &Path) -> Value {
        json!({
            "file": file.to_string_lossy(),
            "status": "needs_human",
            "reason": self.code,
            "reason_text": self.text,
            "reason_detail": self.detail,
            "result": null,
        })
    }
}

impl From<Rejection> for Refused {
    fn from(rejection: Rejection) -> Self {
        Self::of(rejection.reason, rejection.detail)
    }
}

fn print(answer: &Value, as_json: bool) {
    match as_json {
        true => outln!("{answer}"),
        false => outln!("{}\t{}", verdict(answer), answer["file"].as_str().unwrap_or("?")),
    }
}
