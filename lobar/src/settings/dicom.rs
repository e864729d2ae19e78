//! Settings of the DICOM role that are not its own types.

use std::fmt;
use std::str::FromStr;

use lobar_core::study::Uid;
use lobar_dicom::AeTitle;

use crate::failure::Failure;

/// The UID of a storage SOP class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SopClass(String);

impl FromStr for SopClass {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        /// Where the standard's storage SOP classes are (PS3.4, annex B.5).
        const STORAGE: &str = "1.2.840.10008.5.1.4.1.1.";
        let uid = Uid::parse(text).filter(|uid| uid.as_str().starts_with(STORAGE));
        let uid = uid.ok_or_else(|| {
            format!("{text:?} is no storage SOP class of the standard, which begin with {STORAGE}")
        })?;
        Ok(Self(uid.as_str().to_owned()))
    }
}

impl fmt::Display for SopClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Lobar's own title, unless another is set.
pub fn own_title() -> Result<AeTitle, Failure> {
    "LOBAR".parse().map_err(Failure::usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_storage_class_is_refused() {
        assert!("1.2.840.10008.5.1.4.1.1.2".parse::<SopClass>().is_ok());
        for text in ["", "CT", "1.2.840.10008.1.1"] {
            assert!(text.parse::<SopClass>().is_err(), "{text}");
        }
    }
}
