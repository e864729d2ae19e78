//! Names of things elsewhere: buckets, hosts, folders and files of this machine, endpoints.

use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use url::Url;

use crate::failure::Failure;

/// A bucket's name. Looser than Amazon's rules, as other object stores are: letters, digits, `.`, `_` and
/// `-`, a letter or digit first, at most 100 in all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketName(String);

/// A host's name, without a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName(String);

/// A folder or file of this machine, which need not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalPath(PathBuf);

/// The address of an HTTP service: `http://HOST[:PORT]`, `https://…`. As it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointUrl(String);

impl BucketName {
    /// Where models' weights lie unless another is named.
    pub fn of_models() -> Self {
        Self("lobar-models".into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for BucketName {
    fn default() -> Self {
        Self("xrays".into())
    }
}

impl HostName {
    /// The name, as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl EndpointUrl {
    /// The URL, as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for LocalPath {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl AsRef<Path> for LocalPath {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl LocalPath {
    /// This place.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Refuses it, as the setting `name`, unless it is a file.
    pub fn require_file(&self, name: &str) -> Result<(), Failure> {
        match self.0.is_file() {
            true => Ok(()),
            false => Err(Failure::usage(format!("{name} is {self}, where no file is"))),
        }
    }
}

impl FromStr for BucketName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let is_name = text.starts_with(|first: char| first.is_ascii_alphanumeric())
            && text.len() <= 100
            && text.chars().all(allowed);
        if !is_name {
            return Err(format!(
                "{text:?} is no bucket's name: letters, digits, `.`, `_`, `-`, a letter or digit first, at \
                 most 100"
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for HostName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_label = |label: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
            !label.is_empty() && label.chars().all(allowed)
        };
        let name = text.trim();
        if name.len() > 253 || !name.split('.').all(is_label) {
            return Err(format!(
                "{text:?} is no host's name, such as xrays.example.org, without a port"
            ));
        }
        Ok(Self(name.to_owned()))
    }
}

impl FromStr for LocalPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("it is empty; it must name a place on this machine".to_owned()),
            path => Ok(Self(path.into())),
        }
    }
}

impl FromStr for EndpointUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Without the text: somebody may have put a password into it.
        let wrong = || "it is no address such as http://127.0.0.1:9000 or https://HOST".to_owned();
        let url = Url::parse(text).map_err(|_| wrong())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("it holds a user or a password; set AWS_ACCESS_KEY_ID and \
                        AWS_SECRET_ACCESS_KEY instead"
                .to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong());
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for BucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for LocalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.display())
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_nothing_can_have_are_refused() {
        for text in ["xrays", "X.rays_1-a"] {
            assert!(text.parse::<BucketName>().is_ok(), "{text}");
        }
        for text in ["", "x rays", "-x", "x/y", "s3://x"] {
            assert!(text.parse::<BucketName>().is_err(), "{text:?} was read");
        }
        assert!("xrays.example.org".parse::<HostName>().is_ok());
        for text in ["", "a..b", "host:8080", "http://host", "a b"] {
            assert!(text.parse::<HostName>().is_err(), "{text:?} was read");
        }
    }

    #[test]
    fn an_endpoint_is_an_http_address_without_a_login() {
        for text in ["http://127.0.0.1:9000", "https://s3.example.org/", "http://[::1]:9000"] {
            assert_eq!(text.parse::<EndpointUrl>().expect("an endpoint").as_str(), text);
        }
        for text in ["", "127.0.0.1:9000", "s3://x", "http://", "http://me:pass@host"] {
            let error = text.parse::<EndpointUrl>().expect_err("refused");
            assert!(!error.contains("pass@"), "{error}");
        }
    }
}
