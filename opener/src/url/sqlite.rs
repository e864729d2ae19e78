//! `sqlite:FILE`.

use std::fmt;
use std::path::{Path, PathBuf};

use super::{UrlError, built_in};

/// A database in one file: `sqlite:FILE`, `sqlite://FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqliteFile(PathBuf);

impl SqliteFile {
    /// The database at `path`.
    pub fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What follows `sqlite:`.
    pub(super) fn parse(path: &str) -> Result<Self, UrlError> {
        built_in("sqlite", "sqlite", cfg!(feature = "sqlite"))?;
        match path.strip_prefix("//").unwrap_or(path) {
            "" => Err(UrlError::malformed("sqlite", "it names no file")),
            path => Ok(Self(path.into())),
        }
    }
}

impl fmt::Display for SqliteFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A path that itself begins with two slashes would lose them when it is read.
        let slashes =
            if self.0.as_os_str().as_encoded_bytes().starts_with(b"//") { "//" } else { "" };
        write!(f, "sqlite:{slashes}{}", self.0.display())
    }
}
