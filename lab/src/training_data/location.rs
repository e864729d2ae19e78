//! What `--data` names: a folder, or `s3://BUCKET[/PREFIX]`.

use std::fmt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::LabError;

/// Where labelled images are.
#[derive(Debug, PartialEq, Eq)]
pub enum DataLocation {
    /// On this machine.
    Folder(PathBuf),
    /// In an object store.
    Bucket(Bucket),
}

/// A bucket, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Letters, digits, `.`, `_` and `-` only.
    pub bucket: String,
    /// Without slashes at its ends; empty for all of the bucket.
    pub prefix: String,
}

impl DataLocation {
    /// Reads the argument. A folder need not exist.
    pub fn of(data: &Path) -> Result<Self, LabError> {
        let Some((scheme, rest)) = data.to_str().and_then(|text| text.split_once("://")) else {
            return Ok(Self::Folder(data.to_owned()));
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let is_bucket = bucket.starts_with(|first: char| first.is_ascii_alphanumeric())
            && bucket.len() <= 100
            && bucket.chars().all(is_plain);
        if scheme != "s3" || !is_bucket {
            return Err(LabError::usage(format!(
                "--data is {}; it must be a folder or s3://BUCKET[/PREFIX]",
                data.display()
            )));
        }
        let prefix = prefix.trim_matches('/').to_owned();
        Ok(Self::Bucket(Bucket { bucket: bucket.to_owned(), prefix }))
    }
}

impl Bucket {
    /// The folder of its copy: one word, another for every endpoint, bucket and prefix.
    pub fn folder_name(&self, endpoint: Option<&str>) -> String {
        let place = format!("{}\0{}\0{}", endpoint.unwrap_or_default(), self.bucket, self.prefix);
        let digest = hex::encode(Sha256::digest(place.as_bytes()));
        format!("{}-{}", self.bucket, &digest[..16])
    }
}

impl fmt::Display for Bucket {
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

    fn bucket(text: &str) -> Bucket {
        match DataLocation::of(Path::new(text)).expect("read") {
            DataLocation::Bucket(bucket) => bucket,
            DataLocation::Folder(folder) => panic!("{text} was taken for the folder {folder:?}"),
        }
    }

    #[test]
    fn a_url_is_a_bucket_or_a_part_of_one() {
        for (text, name, prefix, shown) in [
            ("s3://scans", "scans", "", "s3://scans"),
            ("s3://scans/", "scans", "", "s3://scans"),
            ("s3://my.scans-2/a/b c/", "my.scans-2", "a/b c", "s3://my.scans-2/a/b c"),
        ] {
            let bucket = bucket(text);
            assert_eq!((bucket.bucket.as_str(), bucket.prefix.as_str()), (name, prefix));
            assert_eq!(bucket.to_string(), shown);
        }
    }

    #[test]
    fn anything_else_is_a_folder_unless_it_looks_like_a_url() {
        for text in ["cxr", "./cxr", "/data/s3", "s3:cxr", "s3"] {
            let place = DataLocation::of(Path::new(text)).expect("read");
            assert_eq!(place, DataLocation::Folder(text.into()));
        }
        for text in
            ["s3://", "s3:///cxr", "s3://..", "s3://../etc", "s3://a b", "http://x/y", "S3://x"]
        {
            let refused = DataLocation::of(Path::new(text)).expect_err(text);
            assert!(
                matches!(refused, LabError::Usage(_)) && refused.to_string().contains("--data"),
                "{refused}"
            );
        }
    }

    #[test]
    fn every_endpoint_bucket_and_prefix_has_a_folder_of_its_own() {
        let (scans, part) = (bucket("s3://scans"), bucket("s3://scans/../../part"));
        let names = [
            scans.folder_name(None),
            scans.folder_name(Some("http://127.0.0.1:9000")),
            part.folder_name(None),
            bucket("s3://other").folder_name(None),
        ];
        for (place, name) in names.iter().enumerate() {
            assert!(!name.contains('/') && !names[..place].contains(name), "{names:?}");
        }
        assert_eq!(scans.folder_name(None), bucket("s3://scans/").folder_name(None));
    }
}
