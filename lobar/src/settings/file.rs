//! The settings file.
//!
//! Its values go through the same readers as flags do. Errors name the key or the line, and repeat neither
//! line nor value: both may hold a password.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, Args as _, Command, FromArgMatches as _};
use toml::Value;

use super::PartialSettings;
use super::partial::PartialS3Settings;
use super::source;
use crate::failure::Failure;

/// `lobar.toml` in the working directory, if there is one, or the file that was named.
pub fn read(config: Option<PathBuf>) -> Result<PartialSettings, Failure> {
    let (path, named) = match config {
        Some(path) => (path, true),
        None => ("lobar.toml".into(), false),
    };
    let refused = |why: String| Failure::usage(format!("settings file {}: {why}", path.display()));
    match std::fs::read_to_string(&path) {
        Ok(text) => parse(&text).map_err(refused),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && !named => {
            Ok(PartialSettings::default())
        }
        Err(e) => Err(refused(e.to_string())),
    }
}

/// Unknown keys are errors.
pub fn parse(text: &str) -> Result<PartialSettings, String> {
    let mut table: toml::Table = text.parse().map_err(|error| malformed(text, &error))?;
    let s3 = match table.remove("s3") {
        Some(s3) => s3.try_into().map_err(|e: toml::de::Error| format!("s3: {}", e.message()))?,
        None => PartialS3Settings::default(),
    };
    let command = PartialSettings::augment_args(Command::new(source::FILE).no_binary_name(true))
        .disable_help_flag(true)
        .mut_args(|arg| arg.env(None::<&str>));
    let is_given = |value: &Value| value.as_array().is_none_or(|items| !items.is_empty());
    let given = table.iter().filter(|(_, value)| is_given(value));
    let words = given.map(|(key, value)| word(&command, key, value));
    let words: Vec<OsString> = words.collect::<Result<_, _>>()?;
    let given = command.try_get_matches_from(words);
    let given = given.and_then(|matches| PartialSettings::from_arg_matches(&matches));
    Ok(PartialSettings { s3, ..given.map_err(|error| source::text(&error))? })
}

/// `--key=value`.
fn word(command: &Command, key: &str, value: &Value) -> Result<OsString, String> {
    let arg = command.get_arguments().find(|arg| arg.get_id() == key).ok_or_else(|| {
        let known: Vec<_> = command.get_arguments().map(|arg| arg.get_id().as_str()).collect();
        format!("{key} is no setting; known are {}, s3", known.join(", "))
    })?;
    let text = match value {
        Value::Array(items) if takes_several(arg) => {
            let items: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
            items.map(|items| items.join(","))
        }
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        _ => None,
    };
    let long = arg.get_long().unwrap_or_default();
    match text {
        Some(text) => Ok(format!("--{long}={text}").into()),
        None if takes_several(arg) => Err(format!("{key}: a text or a list of texts is expected")),
        None => Err(format!("{key}: a text or a number is expected")),
    }
}

fn takes_several(arg: &Arg) -> bool {
    arg.get_value_delimiter().is_some()
}

fn malformed(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    format!("line {}: {}", before.matches('\n').count() + 1, error.message())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        assert!(parse("bukket = \"x\"").expect_err("refused").contains("bukket"));
        assert!(parse("[s3]\nsecret = \"x\"").expect_err("refused").contains("secret"));
    }

    #[test]
    fn a_named_file_must_exist() {
        assert!(read(Some("no/such/lobar.toml".into())).is_err());
    }

    #[test]
    fn what_is_wrong_is_refused_by_key_or_line_and_not_repeated() {
        for (text, named) in [
            ("batch = 0", "batch: \"0\""),
            ("batch = true", "batch: a text"),
            ("data = \"\"", "data: "),
            ("bucket = [\"a\"]", "bucket: a text"),
            ("batch = 8\nstore = \"mysql://me:pass@db/x\"", "store: no adapter for `mysql:`"),
            ("batch = 8\nstore = \"postgres://me:pass@db/x", "line 2: "),
            ("jobs = 'amqp://me:pass'\njobs = 'amqp://me:pass'", "line 2: "),
        ] {
            let error = parse(text).expect_err("refused");
            assert!(error.contains(named) && !error.contains("pass"), "{text}: {error}");
        }
    }

    #[test]
    fn hosts_are_a_list_or_a_text_with_commas() {
        let [list, text] =
            ["hosts = ['a', 'b.c']", "hosts = 'a,b.c'"].map(|it| parse(it).expect("hosts"));
        assert_eq!(list, text);
        assert_eq!(list.hosts.map(|hosts| hosts.len()), Some(2));
    }
}
