//! `lobar data`.

use lobar_console::outln;
use lobar_lab::exploration::{Survey, survey};
use lobar_lab::report::data_page;

use crate::failure::{Failure, chain};
use crate::{cli, training_data};

/// Looks at a data folder and says what is there, to the terminal and as a page.
pub fn report(args: &cli::DataReport) -> Result<(), Failure> {
    let data = training_data::bring(&args.data)?;
    let survey = survey(&data.folder, args.names).map_err(|e| Failure::failed(chain(&e)))?;
    if let Some(out) = &args.out {
        let page = data_page(&data.name, &survey).map_err(|e| Failure::failed(chain(&e)))?;
        std::fs::write(out, page)
            .map_err(|e| Failure::failed(format!("cannot write {}: {e}", out.display())))?;
    }
    print(&match args.json {
        true => serde_json::to_string(&survey).map_err(Failure::failed)?,
        false => text(&survey),
    });
    Ok(())
}

fn text(survey: &Survey) -> String {
    let warnings = survey.warnings.iter().map(|warning| format!("! {warning}"));
    let splits = survey.splits.iter().map(|it| {
        format!(
            "{:<6} {:>6} normal, {:>6} pneumonia ({} bacterial, {} viral), {} patients",
            it.split.name(),
            it.normal,
            it.pneumonia,
            it.bacterial,
            it.viral,
            it.patients
        )
    });
    let numbers = survey.numbers.iter().map(|it| {
        let auc = |auc: Option<f64>| auc.map_or("-".to_owned(), |auc| format!("{auc:.3}"));
        format!("{:<29} {:>9}  {:>13}  {:>6}", it.name, auc(it.auc), auc(it.shift_auc), it.known)
    });
    let heading = "AUC of one number alone         classes  train or test  images".to_owned();
    let lines = warnings.chain([String::new()]).chain(splits).chain([String::new(), heading]);
    lines.chain(numbers).collect::<Vec<_>>().join("\n")
}

fn print(text: &str) {
    outln!("{text}");
}
