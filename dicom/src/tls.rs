//! TLS (PS3.15, annex B; BCP 195): certificate and key from files, which may be replaced while the server runs, and the
//! authority whose certificates peers have to show.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::Fingerprint;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Where certificates are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DicomTls {
    /// The chain, the server's own certificate first, in PEM.
    pub certificate: PathBuf,
    /// Its private key, not encrypted, in PEM.
    pub key: PathBuf,
    /// Certificates of authorities, in PEM; with it, who has no certificate of one of them is turned away.
    pub client_authorities: Option<PathBuf>,
}

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or does not hold what it should.
    #[error("{}: {why}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// They do not belong together.
    #[error("TLS cannot be set up with these certificates: {0}")]
    Setup(String),
}

/// The files as they are now.
pub(crate) struct Tls {
    files: DicomTls,
    state: Mutex<State>,
}

struct State {
    looked: Instant,
    contents: Contents,
    config: Arc<ServerConfig>,
}

#[derive(PartialEq, Eq)]
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    authorities: Option<Vec<u8>>,
}

impl Tls {
    pub(crate) fn open(files: DicomTls) -> Result<Self, TlsError> {
        let contents = read(&files)?;
        let config = config(&files, &contents)?;
        let state = Mutex::new(State { looked: Instant::now(), contents, config });
        Ok(Self { files, state })
    }

    /// Greets a peer.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        TlsAcceptor::from(self.current()).accept(stream).await
    }

    /// The configuration; new files are taken when they can be used.
    fn current(&self) -> Arc<ServerConfig> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.elapsed() >= LOOK_EVERY {
            state.looked = Instant::now();
            match self.newer(&state.contents) {
                Ok(Some((contents, config))) => {
                    tracing::info!("new TLS certificate in use for DICOM");
                    (state.contents, state.config) = (contents, config);
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, "the new TLS certificate for DICOM cannot be used: the one before stays in use");
                }
            }
        }
        Arc::clone(&state.config)
    }

    fn newer(&self, than: &Contents) -> Result<Option<(Contents, Arc<ServerConfig>)>, TlsError> {
        let contents = read(&self.files)?;
        if contents == *than {
            return Ok(None);
        }
        let config = config(&self.files, &contents)?;
        Ok(Some((contents, config)))
    }
}

/// The certificate that the other side has shown: its own, the first of its chain.
pub(crate) fn shown(stream: &TlsStream<TcpStream>) -> Option<Fingerprint> {
    let chain = stream.get_ref().1.peer_certificates();
    chain.and_then(<[_]>::first).map(|certificate| Fingerprint::of(certificate))
}

fn read(files: &DicomTls) -> Result<Contents, TlsError> {
    let contents =
        |path: &Path| std::fs::read(path).map_err(|error| failed(path, error.to_string()));
    Ok(Contents {
        certificate: contents(&files.certificate)?,
        key: contents(&files.key)?,
        authorities: files.client_authorities.as_deref().map(contents).transpose()?,
    })
}

fn failed(path: &Path, why: impl Into<String>) -> TlsError {
    TlsError::File { path: path.to_owned(), why: why.into() }
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    chain.ok_or_else(|| failed(path, "holds no certificates in PEM (-----BEGIN CERTIFICATE-----)"))
}

fn config(files: &DicomTls, contents: &Contents) -> Result<Arc<ServerConfig>, TlsError> {
    let setup = |error: &dyn std::error::Error| TlsError::Setup(error.to_string());
    let provider = Arc::new(ring::default_provider());
    let chain = certificates(&files.certificate, &contents.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&contents.key);
    let no_key = "holds no private key in PEM that can be read (not encrypted)";
    let key = key.map_err(|_| failed(&files.key, no_key))?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_protocol_versions(&[&TLS13, &TLS12]).map_err(|e| setup(&e))?;
    let builder = match (&files.client_authorities, &contents.authorities) {
        (Some(path), Some(pem)) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path, pem)? {
                roots.add(certificate).map_err(|error| failed(path, error.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().map_err(|e| setup(&e))?)
        }
        _ => builder.with_no_client_auth(),
    };
    let config = builder.with_single_cert(chain, key).map_err(|e| setup(&e))?;
    Ok(Arc::new(config))
}
