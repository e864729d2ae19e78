//! One reading of a setting, wherever it stands: a flag, the environment, or the file.

use std::ffi::OsStr;
use std::fmt::Display;
use std::marker::PhantomData;
use std::str::FromStr;

use clap::builder::TypedValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, Command, Error};

/// The name of the command that the settings file is read with.
pub const FILE: &str = "settings file";

/// Reads a `T`. What cannot be read is refused with the name by which it was set, and the text of the type's
/// error alone: clap would repeat the value, which may hold a password.
#[derive(Clone)]
pub struct Reader<T>(PhantomData<fn() -> T>);

/// How a setting of type `T` is read.
pub fn read<T>() -> Reader<T> {
    Reader(PhantomData)
}

impl<T> TypedValueParser for Reader<T>
where
    T: FromStr<Err: Display> + Clone + Send + Sync + 'static,
{
    type Value = T;

    fn parse_ref(&self, cmd: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<T, Error> {
        self.parse_ref_(cmd, arg, value, ValueSource::CommandLine)
    }

    fn parse_ref_(
        &self,
        cmd: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
        source: ValueSource,
    ) -> Result<T, Error> {
        let text = value.to_str().ok_or_else(|| refusal(&name(cmd, arg, source), &"not UTF-8"))?;
        text.parse().map_err(|why| refusal(&name(cmd, arg, source), &why))
    }
}

/// How the user called it: `LOBAR_DEVICE`, `--device`, or the file's `device`.
fn name(cmd: &Command, arg: Option<&Arg>, source: ValueSource) -> String {
    let Some(arg) = arg else { return "an argument".to_owned() };
    if cmd.get_name() == FILE {
        return arg.get_id().to_string();
    }
    match (source, arg.get_env(), arg.get_long()) {
        (ValueSource::EnvVariable, Some(name), _) => name.to_string_lossy().into_owned(),
        (_, _, Some(long)) => format!("--{long}"),
        _ => arg.get_id().to_string(),
    }
}

fn refusal(name: &str, why: &dyn Display) -> Error {
    let text = format!("{name}: {why}");
    let mut error = Error::raw(ErrorKind::ValueValidation, format!("{text}\n"));
    error.insert(ContextKind::Custom, ContextValue::String(text));
    error
}

/// The text of a refusal, without what clap puts around it.
pub fn text(error: &Error) -> String {
    match error.get(ContextKind::Custom) {
        Some(ContextValue::String(text)) => text.clone(),
        _ => error.to_string(),
    }
}
