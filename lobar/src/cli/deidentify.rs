//! The command line of de-identification.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use lobar_deidentify::Rectangle;

/// What to take persons out of, and how.
#[derive(Args)]
pub struct Deidentify {
    /// DICOM files and folders; folders are walked.
    #[arg(required = true, value_name = "IN")]
    pub inputs: Vec<PathBuf>,
    /// Folder for what comes out; made where it is missing. Files are named by their new UIDs.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// File with the secret, 32 bytes or more; made where it is missing. With the same file the same patient gets the
    /// same pseudonym in every run. Without it the secret is forgotten when the command ends.
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// What becomes of dates.
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = DatesWanted::Remove)]
    pub dates: DatesWanted,
    /// Blacken a rectangle of every image: x,y,width,height in pixels from the upper left corner. Uncompressed images
    /// only. May be given several times.
    #[arg(long, value_name = "X,Y,W,H")]
    pub mask: Vec<Rectangle>,
    /// Print one JSON object a file.
    #[arg(long)]
    pub json: bool,
}

/// What becomes of dates.
#[derive(Clone, Copy, ValueEnum)]
pub enum DatesWanted {
    /// They are taken out.
    Remove,
    /// All of a patient are moved back by the same number of days.
    Shift,
}
