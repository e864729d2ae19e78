//! The environment's variables.

use clap::Args as _;

use super::{PartialSettings, oidc};
use crate::failure::Failure;

/// Variables of the set-up scripts, the tests and other commands, which are no settings.
const NOT_SETTINGS: [&str; 10] = [
    "LOBAR_BIN",
    "LOBAR_CACHE",
    "LOBAR_CONFIG",
    "LOBAR_CUDA",
    "LOBAR_LIBTORCH_CUDA",
    "LOBAR_NODE_BIN",
    "LOBAR_SEED",
    "LOBAR_TEST_DATA",
    "LOBAR_TOKEN",
    "LOBAR_VENV",
];

/// The names of all variables.
pub fn names() -> impl Iterator<Item = String> {
    std::env::vars_os().filter_map(|(name, _)| name.into_string().ok())
}

/// A variable's value; an empty one counts as not set.
pub fn value(name: &str) -> Option<String> {
    #[allow(clippy::disallowed_methods)] // the one place that reads the environment
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A misspelt `LOBAR_*` is an error, not a silent default.
pub fn refuse_unknown(names: impl Iterator<Item = String>) -> Result<(), Failure> {
    let command = PartialSettings::augment_args(clap::Command::new("settings"));
    let known: Vec<&str> = command
        .get_arguments()
        .filter_map(|arg| arg.get_env().and_then(|name| name.to_str()))
        .chain(NOT_SETTINGS)
        .chain([oidc::SECRET])
        .collect();
    for name in names.filter(|name| name.starts_with("LOBAR_")) {
        if !known.contains(&name.as_str()) {
            return Err(Failure::usage(format!(
                "the environment variable {name} is no setting; known are {}",
                known.join(", ")
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_variable_is_refused_by_name() {
        let names = ["PATH", "LOBAR_BUKET"].map(String::from);
        let error = refuse_unknown(names.into_iter()).expect_err("refused");
        assert!(error.to_string().contains("LOBAR_BUKET"));
        assert!(refuse_unknown(["LOBAR_BUCKET".into()].into_iter()).is_ok());
    }
}
