//! Where models' weights lie.

use std::fmt;
use std::str::FromStr;

use super::names::BucketName;

/// A bucket, or a part of one: `s3://BUCKET[/PREFIX]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelsPlace {
    pub bucket: BucketName,
    /// Without slashes at its ends; empty for all of the bucket.
    pub prefix: String,
}

impl Default for ModelsPlace {
    fn default() -> Self {
        Self { bucket: BucketName::of_models(), prefix: String::new() }
    }
}

impl FromStr for ModelsPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no place for models: it must be s3://BUCKET[/PREFIX]");
        let place = text.strip_prefix("s3://").ok_or_else(wrong)?;
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let bucket = bucket.parse().map_err(|_| wrong())?;
        Ok(Self { bucket, prefix: prefix.trim_matches('/').into() })
    }
}

impl fmt::Display for ModelsPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix.as_str() {
            "" => write!(f, "s3://{}", self.bucket),
            prefix => write!(f, "s3://{}/{prefix}", self.bucket),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_bucket_or_a_part_of_one() {
        for (text, bucket, prefix) in [
            ("s3://models", "models", ""),
            ("s3://models/", "models", ""),
            ("s3://shared/lobar/models/", "shared", "lobar/models"),
        ] {
            let place: ModelsPlace = text.parse().expect("a place");
            assert_eq!((place.bucket.as_str(), place.prefix.as_str()), (bucket, prefix));
            assert_eq!(place.to_string(), text.trim_end_matches('/'));
        }
        for text in ["", "models", "s3://", "s3:///models", "file:///models"] {
            assert!(text.parse::<ModelsPlace>().is_err(), "{text:?} was read");
        }
    }
}
