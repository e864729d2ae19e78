//! Certificates of the test's own authority, as files.

use std::path::PathBuf;
use std::time::Duration;

use lobar_api::TlsFiles;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use tempfile::TempDir;

/// Somebody whom clients trust, and a folder for the files of a server.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A folder with a certificate and its key.
pub struct Files(TempDir);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self { issuer: CertifiedIssuer::self_signed(params, key).expect("signed") }
    }

    /// A certificate for these names that ends with a year, and its key: both in PEM.
    pub fn pair(&self, names: &[&str], last_year: i32) -> (String, String) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(last_year + 1, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        (certificate.pem(), key.serialize_pem())
    }

    /// A client that trusts nobody else.
    pub fn client(&self) -> reqwest::ClientBuilder {
        // Another test of this process may have chosen it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let root = reqwest::Certificate::from_pem(self.issuer.pem().as_bytes()).expect("PEM");
        reqwest::Client::builder().tls_certs_only([root])
    }
}

impl Files {
    /// With this pair in them.
    pub fn with(pair: &(String, String)) -> Self {
        let files = Self(TempDir::new().expect("a folder"));
        files.write(pair);
        files
    }

    /// Replaces both, one after the other, as people do.
    pub fn write(&self, (certificate, key): &(String, String)) {
        std::fs::write(self.certificate(), certificate).expect("written");
        std::fs::write(self.key(), key).expect("written");
    }

    pub fn certificate(&self) -> PathBuf {
        self.0.path().join("chain.pem")
    }

    pub fn key(&self) -> PathBuf {
        self.0.path().join("key.pem")
    }

    /// As the server is told of them; looked at all the time, so that a test need not wait.
    pub fn settings(&self) -> TlsFiles {
        let look_every = Duration::from_millis(20);
        TlsFiles { look_every, ..TlsFiles::new(self.certificate(), self.key()) }
    }
}
