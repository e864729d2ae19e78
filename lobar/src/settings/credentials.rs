//! Who asks Amazon's services, or what speaks as they do.

use std::path::PathBuf;

use super::partial::PartialS3Settings;
use crate::failure::Failure;

/// S3 credentials.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyPair {
    pub access_key: String,
    pub secret_key: Secret,
    /// The file that the secret was read from, unless the environment held it.
    pub secret_key_file: Option<PathBuf>,
}

/// A text that never reaches an output.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text, for the one who must send it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Secret {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim() {
            "" => Err("it is empty"),
            text => Ok(Self(text.to_owned())),
        }
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

/// Both halves or neither; the environment's go before the file's.
pub fn key_pair(
    file: &PartialS3Settings,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<KeyPair>, Failure> {
    let access_key = env("AWS_ACCESS_KEY_ID").or(file.access_key.clone());
    let (secret_key, secret_key_file) = match (env("AWS_SECRET_ACCESS_KEY"), &file.secret_key_file)
    {
        (Some(secret), _) => (Some(secret), None),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path).map_err(|e| {
                Failure::usage(format!("s3.secret_key_file {}: {e}", path.display()))
            })?;
            (Some(text.trim().to_owned()), Some(path.clone()))
        }
        (None, None) => (None, None),
    };
    match (access_key, secret_key) {
        (Some(access_key), Some(secret)) => {
            Ok(Some(KeyPair { access_key, secret_key: Secret(secret), secret_key_file }))
        }
        (None, None) => Ok(None),
        (Some(_), None) => Err(Failure::usage(
            "there is an S3 access key but no secret; set AWS_SECRET_ACCESS_KEY or s3.secret_key_file",
        )),
        (None, Some(_)) => Err(Failure::usage(
            "there is an S3 secret but no access key; set AWS_ACCESS_KEY_ID or s3.access_key",
        )),
    }
}

/// The region; the environment's goes before the file's.
pub fn region(file: &PartialS3Settings, env: &dyn Fn(&str) -> Option<String>) -> String {
    let of_env = env("AWS_REGION").or_else(|| env("AWS_DEFAULT_REGION"));
    of_env.or(file.region.clone()).unwrap_or("us-east-1".into())
}
