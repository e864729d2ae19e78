//! TLS in the process: certificate and key from files, which may be replaced while it runs.
//!
//! TLS 1.2 and 1.3 (RFC 8446), with HTTP/2 and HTTP/1.1 to choose from (ALPN, RFC 7301).

mod metrics;
mod pair;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use lobar_core::time::Clock;
use prometheus::Registry;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use tokio::sync::Mutex;
use tokio::time::{MissedTickBehavior, interval};

use self::metrics::TlsMetrics;
use self::pair::Pem;
pub use self::pair::{TlsError, TlsFiles};
use crate::server::BuildError;

/// How a server speaks: TLS with certificates, or plain HTTP.
pub(crate) struct Tls(Option<Arc<Certificates>>);

impl Tls {
    /// Reads the files, where there are any.
    ///
    /// # Errors
    /// When they cannot be used. A certificate that has expired is used, since nothing better is there.
    pub(crate) async fn open(
        files: Option<TlsFiles>,
        clock: Arc<dyn Clock>,
        registry: &Registry,
    ) -> Result<Self, BuildError> {
        let metrics = TlsMetrics::register(registry)?;
        let Some(files) = files else { return Ok(Self(None)) };
        let provider = Arc::new(ring::default_provider());
        let pem = Pem::read(&files).await?;
        let pair = pem.pair(&files, &provider)?;
        if pair.has_ended(clock.now()) {
            tracing::warn!(
                path = %files.certificate.display(),
                "the certificate has expired, so clients refuse it; replace it, no restart is needed"
            );
        }
        metrics.loaded(pair.ends);
        let used = RwLock::new(Arc::new(pair.key));
        let state = Mutex::new(State { pem, trouble: None });
        let certificates = Certificates { files, provider, clock, metrics, used, state };
        Ok(Self(Some(Arc::new(certificates))))
    }

    /// How connections are accepted; `None` for plain HTTP.
    pub(crate) fn config(&self) -> Result<Option<ServerConfig>, TlsError> {
        self.0.as_ref().map(config).transpose()
    }

    /// Looks for new files until it is dropped.
    pub(crate) async fn watch(&self) {
        let Some(certificates) = &self.0 else { return };
        let mut ticks = interval(certificates.files.look_every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            certificates.look().await;
        }
    }
}

fn config(certificates: &Arc<Certificates>) -> Result<ServerConfig, TlsError> {
    let builder = ServerConfig::builder_with_provider(Arc::clone(&certificates.provider));
    let builder = builder.with_protocol_versions(&[&TLS13, &TLS12]).map_err(TlsError::Setup)?;
    let resolver: Arc<dyn ResolvesServerCert> = certificates.clone();
    // The framework adds `h2` and `http/1.1` to the protocols.
    Ok(builder.with_no_client_auth().with_cert_resolver(resolver))
}

/// The certificate in use, and the files that it came from.
struct Certificates {
    files: TlsFiles,
    provider: Arc<CryptoProvider>,
    clock: Arc<dyn Clock>,
    metrics: TlsMetrics,
    used: RwLock<Arc<CertifiedKey>>,
    state: Mutex<State>,
}

struct State {
    /// What the files held when they were taken last.
    pem: Pem,
    /// Why what they hold now was not taken.
    trouble: Option<String>,
}

impl Certificates {
    /// Takes new files, if they can be used; else those before stay in use.
    async fn look(&self) {
        let mut state = self.state.lock().await;
        let read = Pem::read(&self.files).await;
        if read.as_ref().is_ok_and(|pem| *pem == state.pem) {
            if state.trouble.take().is_some() {
                self.metrics.is_current(true);
                tracing::info!("the files of the TLS certificate are again those in use");
            }
            return;
        }
        match read.and_then(|pem| self.take(&pem).map(|()| pem)) {
            Ok(pem) => {
                *state = State { pem, trouble: None };
                tracing::info!(path = %self.files.certificate.display(), "new TLS certificate in use");
            }
            Err(error) => {
                self.metrics.is_current(false);
                let error = error.to_string();
                if state.trouble.as_ref() != Some(&error) {
                    tracing::warn!(
                        path = %self.files.certificate.display(),
                        error,
                        "the new TLS certificate cannot be used: the one before stays in use; trying again in {} s",
                        self.files.look_every.as_secs_f64()
                    );
                }
                state.trouble = Some(error);
            }
        }
    }

    fn take(&self, pem: &Pem) -> Result<(), TlsError> {
        let pair = pem.pair(&self.files, &self.provider)?;
        if pair.has_ended(self.clock.now()) {
            return Err(TlsError::Expired(self.files.certificate.clone()));
        }
        *self.used.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pair.key);
        self.metrics.loaded(pair.ends);
        Ok(())
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.used.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("files", &self.files).finish_non_exhaustive()
    }
}
