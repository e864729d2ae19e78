//! A certificate chain and its key, as two PEM files hold them.

use std::path::PathBuf;
use std::time::Duration;

use lobar_core::time::Stamp;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

/// The largest file that is read, in bytes: a chain is a few thousand.
const MOST_BYTES: u64 = 1 << 20;

/// Where the certificate and its key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, the server's own certificate first, in PEM.
    pub certificate: PathBuf,
    /// Its private key, not encrypted, in PEM: PKCS #8, PKCS #1 or SEC 1.
    pub key: PathBuf,
    /// How often the files are looked at for new ones.
    pub look_every: Duration,
}

impl TlsFiles {
    /// These files, looked at every five seconds.
    pub fn new(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        let (certificate, key) = (certificate.into(), key.into());
        Self { certificate, key, look_every: Duration::from_secs(5) }
    }
}

/// Why a certificate cannot be used. Says nothing of what a key's file holds.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not there, or may not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// The system's own words.
        source: std::io::Error,
    },
    /// A file is larger than any chain.
    #[error("{} is larger than {MOST_BYTES} bytes, so it is no certificate or key in PEM", .0.display())]
    TooLarge(PathBuf),
    /// A file that holds no chain.
    #[error("{} holds no chain of certificates in PEM (-----BEGIN CERTIFICATE-----)", .0.display())]
    NoCertificate(PathBuf),
    /// A file that holds no key, or an encrypted one.
    #[error("{} holds no private key in PEM that can be read (-----BEGIN PRIVATE KEY-----, not encrypted)", .0.display())]
    NoKey(PathBuf),
    /// A pair that does not belong together, or of a kind that is not known.
    #[error("{} and {} cannot be used together: {source}", certificate.display(), key.display())]
    Pair {
        /// The chain's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong with them.
        source: rustls::Error,
    },
    /// A new certificate that nobody would accept.
    #[error("{} holds a certificate that has expired already", .0.display())]
    Expired(PathBuf),
    /// TLS itself could not be set up.
    #[error("cannot set up TLS: {0}")]
    Setup(rustls::Error),
}

/// What the two files hold, unread.
#[derive(PartialEq, Eq)]
pub(super) struct Pem {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// A pair that belongs together.
pub(super) struct Pair {
    pub(super) key: CertifiedKey,
    /// When the first certificate of the chain ends: the Unix time, in seconds.
    pub(super) ends: i64,
}

impl Pem {
    /// Reads both files.
    pub(super) async fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let certificate = contents(&files.certificate).await?;
        Ok(Self { certificate, key: contents(&files.key).await? })
    }

    /// The pair, if it is one.
    pub(super) fn pair(
        &self,
        files: &TlsFiles,
        provider: &CryptoProvider,
    ) -> Result<Pair, TlsError> {
        let no_certificate = || TlsError::NoCertificate(files.certificate.clone());
        let chain: Result<Vec<CertificateDer<'static>>, _> =
            CertificateDer::pem_slice_iter(&self.certificate).collect();
        let chain = chain.map_err(|_| no_certificate())?;
        let ends: Option<Vec<i64>> = chain.iter().map(|certificate| end(certificate)).collect();
        let ends = ends.and_then(|ends| ends.into_iter().min()).ok_or_else(no_certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key);
        let key = key.map_err(|_| TlsError::NoKey(files.key.clone()))?;
        let key =
            CertifiedKey::from_der(chain, key, provider).map_err(|source| TlsError::Pair {
                certificate: files.certificate.clone(),
                key: files.key.clone(),
                source,
            })?;
        Ok(Pair { key, ends })
    }
}

impl Pair {
    pub(super) fn has_ended(&self, now: Stamp) -> bool {
        self.ends <= now.0.div_euclid(1_000_000)
    }
}

/// `notAfter` of a certificate (RFC 5280, 4.1.2.5).
fn end(certificate: &CertificateDer<'_>) -> Option<i64> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    Some(certificate.validity().not_after.timestamp())
}

async fn contents(path: &PathBuf) -> Result<Vec<u8>, TlsError> {
    let failed = |source| TlsError::Read { path: path.clone(), source };
    if tokio::fs::metadata(path).await.map_err(failed)?.len() > MOST_BYTES {
        return Err(TlsError::TooLarge(path.clone()));
    }
    tokio::fs::read(path).await.map_err(failed)
}
