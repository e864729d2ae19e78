//! What the person at the terminal sees.

use std::fmt;

use indicatif::{ProgressBar, ProgressStyle};

use crate::files::File;

/// How an upload went.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    pub(crate) uploaded: usize,
    pub(crate) skipped: usize,
    pub(crate) failed: usize,
    pub(crate) bytes: u64,
    /// DICOM files among those that were uploaded.
    pub(crate) dicom: usize,
}

impl Summary {
    /// Counts one file that is there now.
    pub(crate) fn count(&mut self, fresh: bool, file: &File) {
        if fresh {
            self.uploaded += 1;
            self.bytes += file.size;
            self.dicom += usize::from(file.dicom);
        } else {
            self.skipped += 1;
        }
    }

    /// All files.
    pub(crate) fn total(&self) -> usize {
        self.uploaded + self.skipped + self.failed
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} uploaded ({}", self.uploaded, indicatif::HumanBytes(self.bytes))?;
        if self.dicom > 0 {
            write!(f, "; {} of them DICOM", self.dicom)?;
        }
        write!(f, ")")?;
        if self.skipped > 0 {
            write!(f, ", {} were there already (--again uploads them anew)", self.skipped)?;
        }
        write!(f, ", {} failed", self.failed)
    }
}

/// Draws on a terminal, and nowhere else.
pub(crate) fn bar(files: usize) -> ProgressBar {
    let style = "{bar:40} {pos}/{len} files  {per_sec}  {eta} left";
    let style = ProgressStyle::with_template(style).unwrap_or(ProgressStyle::default_bar());
    ProgressBar::new(files as u64).with_style(style)
}
