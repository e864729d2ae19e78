//! Whether the network works, and whom it answers for.

use lobar_core::diagnostic::Diagnostic;
use lobar_core::engine::{Engine as _, EngineInfo, NoveltyPolicy};
use lobar_core::population::Population;

use crate::settings::Settings;

/// The network must load and prove itself, as at the start of a worker.
pub fn examine(settings: &Settings) -> Vec<Diagnostic> {
    match crate::engine::load(&crate::engine::EngineChoice::from(settings)) {
        Ok(engine) => vec![network(engine.info()), ages(&engine.info().population)],
        Err(failure) => vec![Diagnostic::fault(
            "model",
            failure.to_string(),
            "Set LOBAR_MODEL to a file that `lobar train` made, and LOBAR_DEVICE to a device that is here.",
        )],
    }
}

fn network(info: &EngineInfo) -> Diagnostic {
    let found = format!("{} on {}", info.model.version, info.device);
    if info.novelty_policy == NoveltyPolicy::NeedsHuman {
        return Diagnostic::good("model", found);
    }
    if info.novelty_policy == NoveltyPolicy::Warn {
        return Diagnostic::advice(
            "model",
            format!("{found}; images unlike its training data are answered, with a warning"),
            "Leave them to a human with LOBAR_UNLIKE=human, unless all of yours are unlike them.",
        );
    }
    Diagnostic::advice(
        "model",
        format!("{found}; it cannot tell what it was not trained for"),
        "Give it that check with `lobar novelty fit`, or train it anew.",
    )
}

fn ages(population: &Population) -> Diagnostic {
    const WHAT: &str = "model: ages";
    match population.ages {
        None => Diagnostic::advice(
            WHAT,
            "its card names none, so nobody's age is checked: it answers for everybody",
            "Train it anew with the ages of those whom its images show in its card: docs/patients.md, Ages.",
        ),
        Some(ages) => {
            Diagnostic::good(WHAT, format!("those aged {ages}; images of others need a human"))
        }
    }
}

#[cfg(test)]
mod tests {
    use lobar_core::diagnostic::Severity;
    use lobar_core::population::Ages;

    use super::*;

    #[test]
    fn ages_that_nobody_checks_are_told() {
        let told = |known| ages(&Population { ages: known });
        let known = told(Some(Ages { from: 1, to: 5 }));
        assert_eq!(known.verdict, Severity::Good);
        assert!(known.found.contains("1 to 5 years"), "{}", known.found);
        let unchecked = told(None);
        assert_eq!(unchecked.verdict, Severity::Advice);
        assert!(unchecked.found.contains("nobody's age is checked"), "{}", unchecked.found);
    }
}
