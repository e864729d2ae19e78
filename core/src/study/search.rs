//! Searching patients' studies, series and instances, as DICOM queries do (PS3.4, C.2.2.2).

use super::{Attributes, Pattern, Uid};
use crate::access::Sites;
use crate::failure::PortError;
use crate::object::ImageId;
use crate::time::Stamp;

/// What is searched for: each result is one of these.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// Studies.
    Study,
    /// Series.
    Series,
    /// Instances.
    Instance,
}

/// Texts that are matched to the letter, but for wildcards.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Text {
    /// Patient ID (0010,0020), also one that was merged into another.
    PatientId,
    /// Issuer of Patient ID (0010,0021).
    Issuer,
    /// Patient's Sex (0010,0040).
    Sex,
    /// Accession Number (0008,0050).
    Accession,
    /// Study ID (0020,0010).
    StudyId,
    /// Study Description (0008,1030).
    StudyDescription,
    /// Series Description (0008,103E).
    SeriesDescription,
    /// Body Part Examined (0018,0015).
    BodyPart,
}

/// Names: case is nothing to them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Name {
    /// Patient's Name (0010,0010), without accents too.
    Patient,
    /// Referring Physician's Name (0008,0090).
    ReferringPhysician,
}

/// Whole numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Number {
    /// Series Number (0020,0011).
    Series,
    /// Instance Number (0020,0013).
    Instance,
    /// Rows (0028,0010).
    Rows,
    /// Columns (0028,0011).
    Columns,
}

/// What a result must match. One on what lies below the level is matched by a study, or a series, that has such an instance.
#[derive(Clone, PartialEq, Eq)]
pub enum Condition {
    /// One of these UIDs, of the study, the series or the instance.
    Uids(Level, Vec<Uid>),
    /// One of these SOP classes.
    Classes(Vec<Uid>),
    /// A text.
    Text(Text, Pattern),
    /// A name.
    Name(Name, Pattern),
    /// The modality matches one of these.
    Modality(Vec<Pattern>),
    /// The study has a series whose modality matches one of these, at whatever level is searched (PS3.4, C.3.4).
    ModalityInStudy(Vec<Pattern>),
    /// The study's date lies between the beginnings of these days, the second not included. A study without a date has that of
    /// its first receipt.
    Made(Stamp, Stamp),
    /// The study's time lies between these seconds of a day, both included.
    TimeOfDay(u32, u32),
    /// The patient was born between these days, `YYYYMMDD`, both included.
    Born(Option<String>, Option<String>),
    /// A number.
    Number(Number, i64),
}

/// A search. All of its conditions must be met.
#[derive(Clone, PartialEq, Eq)]
pub struct Search {
    /// What is searched for.
    pub level: Level,
    /// Where.
    pub sites: Sites,
    /// What must be met.
    pub conditions: Vec<Condition>,
    /// Results that are passed over.
    pub offset: usize,
    /// Results at most.
    pub limit: usize,
}

/// One result.
#[derive(Clone, PartialEq, Eq)]
pub struct Found {
    /// What is known down to the level that was searched; a study without a date has that of its first receipt, an instance
    /// and a series what [`made`](super::made()) says.
    pub attributes: Attributes,
    /// Whether the study's date and time are those of its first receipt, in UTC.
    pub dated_by_receipt: bool,
    /// The image; the one received last of the series, or of the study's first series.
    pub image: ImageId,
    /// Modalities in Study (0008,0061), in the order of their letters.
    pub modalities: Vec<String>,
    /// Number of Study Related Series (0020,1206).
    pub series_in_study: u64,
    /// Number of Study Related Instances (0020,1208).
    pub instances_in_study: u64,
    /// Number of Series Related Instances (0020,1209); of a study nothing.
    pub instances_in_series: u64,
}

/// The results of a search.
#[derive(Clone, Debug)]
pub struct Results {
    /// In order: the newest study first, its series and instances by their numbers.
    pub found: Vec<Found>,
    /// Whether there are more behind them.
    pub more: bool,
}

/// Why a search has no results.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// It reads so much that it was given up.
    #[error("the search takes too long")]
    TooLong,
    /// The store could not be asked.
    #[error(transparent)]
    Port(#[from] PortError),
}

macro_rules! silent {
    ($($name:ident),*) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    )*};
}

silent!(Condition, Search, Found);
