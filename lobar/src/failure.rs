//! How a command fails, and the exit code that says so.

use std::fmt;

use serde_json::Value;

use crate::log_line;
use crate::settings::LogFormat;

pub use lobar_core::failure::chain;

/// What a command could not do, in words for the person at the terminal.
#[derive(Debug)]
pub struct Failure {
    message: String,
    code: u8,
    format: LogFormat,
}

impl Failure {
    /// It was attempted and failed: exit code 1.
    pub fn failed(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), code: 1, format: LogFormat::Text }
    }

    /// Wrong usage or configuration: exit code 2.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), code: 2, format: LogFormat::Text }
    }

    /// To be told as the log is written.
    pub fn in_format(self, format: LogFormat) -> Self {
        Self { format, ..self }
    }

    /// The line that tells of it.
    pub fn line(&self) -> String {
        match self.format {
            LogFormat::Text => format!("lobar: {self}"),
            LogFormat::Json => Value::Object(log_line::of("ERROR", &self.message)).to_string(),
        }
    }

    /// The process's exit code.
    pub fn code(&self) -> u8 {
        self.code
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<lobar_upload::UploadError> for Failure {
    fn from(error: lobar_upload::UploadError) -> Self {
        match error {
            lobar_upload::UploadError::Usage(message) => Self::usage(message),
            lobar_upload::UploadError::Failed(message) => Self::failed(message),
        }
    }
}

#[cfg(feature = "torch")]
impl From<lobar_lab::LabError> for Failure {
    fn from(error: lobar_lab::LabError) -> Self {
        match error {
            lobar_lab::LabError::Usage(message) => Self::usage(message),
            lobar_lab::LabError::Failed(message) => Self::failed(message),
        }
    }
}

#[cfg(feature = "torch")]
impl From<Failure> for lobar_lab::LabError {
    fn from(failure: Failure) -> Self {
        match failure.code {
            2 => Self::Usage(failure.message),
            _ => Self::Failed(failure.message),
        }
    }
}
