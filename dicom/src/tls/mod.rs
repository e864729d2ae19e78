//! TLS (PS3.15, annex B; BCP 195): certificate and key from files, which may be replaced while the server runs, and the
//! authority whose certificates peers have to show, those that come as those that are called.

mod config;
mod verify;

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use self::config::{Configured, Contents};
use crate::Fingerprint;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Where certificates are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DicomTls {
    /// The chain, Lobar's own certificate first, in PEM.
    pub certificate: PathBuf,
    /// Its private key, not encrypted, in PEM.
    pub key: PathBuf,
    /// Certificates of authorities, in PEM; with it, who has no certificate of one of them is turned away, and not called.
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
    configured: Arc<Configured>,
}

impl Tls {
    pub(crate) fn open(files: DicomTls) -> Result<Self, TlsError> {
        let contents = Contents::read(&files)?;
        let configured = Arc::new(Configured::new(&files, &contents)?);
        let state = Mutex::new(State { looked: Instant::now(), contents, configured });
        Ok(Self { files, state })
    }

    /// Whether an authority is set: without one nobody is called.
    pub(crate) fn has_authority(&self) -> bool {
        self.files.client_authorities.is_some()
    }

    /// Greets a peer that came.
    pub(crate) async fn accept(
        &self,
        stream: TcpStream,
    ) -> io::Result<server::TlsStream<TcpStream>> {
        TlsAcceptor::from(self.current().accepting()).accept(stream).await
    }

    /// Greets a peer that was called at `host`. Of one with `certificates` it shows one of these, whatever name that has; of
    /// others one for this host.
    pub(crate) async fn connect(
        &self,
        stream: TcpStream,
        host: &str,
        certificates: &BTreeSet<Fingerprint>,
    ) -> io::Result<client::TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let config = self.current().calling(certificates).map_err(io::Error::other)?;
        TlsConnector::from(config).connect(name, stream).await
    }

    /// What the files say; new ones are taken when they can be used.
    fn current(&self) -> Arc<Configured> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.elapsed() >= LOOK_EVERY {
            state.looked = Instant::now();
            match self.newer(&state.contents) {
                Ok(Some((contents, configured))) => {
                    tracing::info!("new TLS certificate in use for DICOM");
                    (state.contents, state.configured) = (contents, Arc::new(configured));
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, "the new TLS certificate for DICOM cannot be used: the one before stays in use");
                }
            }
        }
        Arc::clone(&state.configured)
    }

    fn newer(&self, than: &Contents) -> Result<Option<(Contents, Configured)>, TlsError> {
        let contents = Contents::read(&self.files)?;
        if contents == *than {
            return Ok(None);
        }
        let configured = Configured::new(&self.files, &contents)?;
        Ok(Some((contents, configured)))
    }
}

/// The certificate that a peer that came has shown: its own, the first of its chain.
pub(crate) fn shown(stream: &server::TlsStream<TcpStream>) -> Option<Fingerprint> {
    let chain = stream.get_ref().1.peer_certificates();
    chain.and_then(<[_]>::first).map(|certificate| Fingerprint::of(certificate))
}
