//! When the certificate ends, and whether the files are those in use. NaN without TLS.

use prometheus::{Gauge, Registry};

#[derive(Clone)]
pub(super) struct TlsMetrics {
    expiration: Gauge,
    reloaded: Gauge,
}

impl TlsMetrics {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let expiration = Gauge::new(
            "lobar_tls_certificate_expiration_timestamp_seconds",
            "When the TLS certificate in use ends (notAfter, the first of its chain): the Unix time. NaN without TLS.",
        )?;
        let reloaded = Gauge::new(
            "lobar_tls_certificate_last_reload_successful",
            "Whether the files of the TLS certificate are those in use: 1, or 0 when they could not be used. NaN without TLS.",
        )?;
        for gauge in [&expiration, &reloaded] {
            gauge.set(f64::NAN);
            registry.register(Box::new(gauge.clone()))?;
        }
        Ok(Self { expiration, reloaded })
    }

    /// A certificate is in use that ends at `ends`, the Unix time in seconds.
    pub(super) fn loaded(&self, ends: i64) {
        self.expiration.set(ends as f64);
        self.is_current(true);
    }

    /// Whether the files are those in use.
    pub(super) fn is_current(&self, current: bool) {
        self.reloaded.set(f64::from(u8::from(current)));
    }
}
