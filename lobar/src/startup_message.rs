//! The start-up message on standard output: addresses and credentials file.

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
    #[allow(clippy::print_stdout)] // scripts and people read it there
    pub fn announce(&self, roles: &Roles) {
        println!("Lobar {} runs: {roles}.", env!("CARGO_PKG_VERSION"));
        println!("  data  {}", self.data.display());
        if let Some(s3) = self.s3 {
            println!(
                "  S3    http://{s3}  (bucket {}, access key {})",
                self.bucket, self.access_key
            );
        }
        if let Some(page) = self.page {
            println!("  page  http://{page}");
        }
        println!("Decision support for research. A clinician must view every image.");
    }
}
