//! Whether the network works, and whom it answers for.

use lobar_core::diagnostic::Diagnostic;
use lobar_core::engine::{Engine as _, EngineInfo, NoveltyPolicy};
use lobar_core::population::{Outsiders, Population};

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
    match (population.ages, population.outsiders) {
        (None, _) => Diagnostic::advice(
            WHAT,
            "its card names none, so nobody's age is checked: it answers for everybody",
            "Train it anew with the ages of those whom its images show in its card: docs/patients.md, Ages.",
        ),
        (Some(ages), Outsiders::Warn) => Diagnostic::advice(
            WHAT,
            format!("images of others than those aged {ages} are answered, with a warning"),
            "Leave them to a human with LOBAR_OUT_OF_POPULATION=human, unless answers on them are only studied.",
        ),
        (Some(ages), Outsiders::NeedHuman) => {
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
    fn ages_that_nobody_checks_or_that_are_only_warned_of_are_told() {
        let known = Some(Ages { from: 1, to: 5 });
        let told = |known, outsiders| ages(&Population { ages: known, outsiders });
        assert_eq!(told(known, Outsiders::NeedHuman).verdict, Severity::Good);
        let warns = told(known, Outsiders::Warn);
        assert_eq!(warns.verdict, Severity::Advice);
        assert!(warns.found.contains("1 to 5 years"), "{}", warns.found);
        let unchecked = told(None, Outsiders::NeedHuman);
        assert_eq!(unchecked.verdict, Severity::Advice);
        assert!(unchecked.found.contains("nobody's age is checked"), "{}", unchecked.found);
    }
}
