//! The start-up message on standard output: addresses and credentials file.

use lobar_console::outln;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::settings::{Roles, Settings};

/// The addresses, as they became known.
pub struct StartupMessage {
    pub page: Option<SocketAddr>,
    pub s3: Option<SocketAddr>,
    bucket: String,
    access_key: String,
    data: PathBuf,
}

impl StartupMessage {
    /// Nothing runs yet.
    pub fn new(settings: &Settings) -> Self {
        Self {
            page: None,
            s3: None,
            bucket: settings.bucket.to_string(),
            access_key: settings
                .s3_credentials
                .as_ref()
                .map_or("lobar".into(), |k| k.access_key.clone()),
            data: settings.data.to_path_buf(),
        }
    }

    /// Says where everything is, on standard output.
    pub fn announce(&self, roles: &Roles) {
        outln!("Lobar {} runs: {roles}.", env!("CARGO_PKG_VERSION"));
        outln!("  data  {}", self.data.display());
        if let Some(s3) = self.s3 {
            outln!("  S3    http://{s3}  (bucket {}, access key {})", self.bucket, self.access_key);
        }
        if let Some(page) = self.page {
            outln!("  page  http://{page}");
        }
        outln!("Decision support for research. A clinician must view every image.");
    }
}
