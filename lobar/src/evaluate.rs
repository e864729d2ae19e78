//! `lobar evaluate`.

use lobar_console::{noteln, outln};
use lobar_core::engine::Engine as _;
use lobar_lab::dataset::{Split, digest, read};
use lobar_lab::evaluation::{ask, evaluate};
use lobar_lab::looks;
use lobar_lab::report::{EvaluatedSplit, EvaluationReport, Mistakes};
use lobar_lab::stress::{ask_altered, rows};
use lobar_model::weights::Weights;
use serde_json::json;

use crate::cli;
use crate::engine::{self, EngineChoice};
use crate::failure::{Failure, chain};
use crate::{model_file, training_data};

/// What training cuts out of its images to choose on, beside the folders' own splits.
const VALIDATION: &str = "validation";

/// Evaluates a model on labelled images, at the threshold in its card, through the engine that
/// serves.
pub fn run(args: &cli::Evaluate) -> Result<(), Failure> {
    let split = Split::ALL.into_iter().find(|split| split.name() == args.split);
    if split.is_none() && args.split != VALIDATION {
        let known: Vec<_> = Split::ALL.iter().map(|split| split.name()).collect();
        return Err(Failure::usage(format!(
            "--split is {:?}; it can be {VALIDATION}, {}",
            args.split,
            known.join(", ")
        )));
    }
    let data = training_data::bring(&args.data)?;
    let wanted = EngineChoice::from(&args.engine);
    let mut engine = engine::load(&wanted)?;
    let samples = match split {
        Some(split) => read(&data.folder, &[split]).map_err(|e| Failure::failed(chain(&e)))?,
        None => data.parts(&[Split::Train, Split::Val], args.split_seed)?.validation,
    };
    let answers = ask(&mut engine, &samples).map_err(|e| Failure::failed(chain(&e)))?;
    let info = engine.info().clone();
    let mut evaluation = evaluate(&answers, info.threshold);
    let data_sha256 = digest(&samples);
    let looks = match split {
        Some(Split::Test) => looks::note_or_warn(&data.folder, &data_sha256, &info.model.version),
        _ => None,
    };
    if !args.no_stress {
        let altered = ask_altered(&mut engine, &samples).map_err(|e| Failure::failed(chain(&e)))?;
        evaluation.stress = rows(&answers, &altered, info.threshold);
    }
    if let Some(out) = &args.out {
        let failed = |e: &dyn std::error::Error| Failure::failed(chain(e));
        let weights =
            Weights::open(&model_file::find(wanted.model.as_ref())?).map_err(|e| failed(&e))?;
        let card = weights.card().ok_or_else(|| Failure::failed("the model carries no card"))?;
        let mistakes = Mistakes::of(&samples, &answers, info.threshold).map_err(|e| failed(&e))?;
        let part =
            EvaluatedSplit { split: &args.split, data_sha256, evaluation: &evaluation, mistakes };
        let report = EvaluationReport {
            card,
            sha256: &info.model.sha256,
            device: &info.device,
            parts: vec![part],
            names: args.names,
        };
        let written = report.write(out).map_err(|e| failed(&e))?;
        for path in written {
            noteln!("wrote {}", path.display());
        }
    }
    print(&match args.json {
        true => json!({
            "model": info.model,
            "split": args.split,
            "models_shown_this_split": looks,
            "evaluation": evaluation,
        })
        .to_string(),
        false => format!(
            "model {} on {} ({})\n\n{evaluation}",
            info.model.version, args.split, info.device
        ),
    });
    if let Some(looks) = looks {
        noteln!(
            "{looks} model(s) have been shown this test split ({}). Whoever chooses among models by it has made it a \
             validation set.",
            looks::FILE
        );
    }
    Ok(())
}

fn print(text: &str) {
    outln!("{text}");
}
