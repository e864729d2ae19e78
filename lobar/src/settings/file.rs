//! The settings file.

use std::path::PathBuf;

use super::Given;
use crate::failure::Failure;

/// `lobar.toml` in the working directory, if there is one, or the file that was named.
pub fn read(config: Option<PathBuf>) -> Result<Given, Failure> {
    let (path, named) = match config {
        Some(path) => (path, true),
        None => ("lobar.toml".into(), false),
    };
    match std::fs::read_to_string(&path) {
        Ok(text) => parse(&text)
            .map_err(|e| Failure::usage(format!("settings file {}: {e}", path.display()))),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && !named => Ok(Given::default()),
        Err(e) => Err(Failure::usage(format!("settings file {}: {e}", path.display()))),
    }
}

/// Unknown keys are errors.
pub fn parse(text: &str) -> Result<Given, toml::de::Error> {
    toml::from_str(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        assert!(parse("bukket = \"x\"").expect_err("refused").to_string().contains("bukket"));
        assert!(parse("[s3]\nsecret = \"x\"").expect_err("refused").to_string().contains("secret"));
    }

    #[test]
    fn a_named_file_must_exist() {
        assert!(read(Some("no/such/lobar.toml".into())).is_err());
    }
}
