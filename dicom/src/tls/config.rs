//! From files to configurations of TLS.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};

use super::verify::PeerVerifier;
use super::{DicomTls, TlsError};
use crate::Fingerprint;

const VERSIONS: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];

/// What the files hold.
#[derive(PartialEq, Eq)]
pub(super) struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    authorities: Option<Vec<u8>>,
}

impl Contents {
    pub(super) fn read(files: &DicomTls) -> Result<Self, TlsError> {
        let contents =
            |path: &Path| std::fs::read(path).map_err(|error| failed(path, error.to_string()));
        Ok(Self {
            certificate: contents(&files.certificate)?,
            key: contents(&files.key)?,
            authorities: files.client_authorities.as_deref().map(contents).transpose()?,
        })
    }
}

/// What follows from them.
pub(super) struct Configured {
    provider: Arc<CryptoProvider>,
    accepting: Arc<ServerConfig>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    /// The authorities; none where no file names one.
    roots: Arc<RootCertStore>,
}

impl Configured {
    pub(super) fn new(files: &DicomTls, contents: &Contents) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let chain = certificates(&files.certificate, &contents.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&contents.key);
        let no_key = "holds no private key in PEM that can be read (not encrypted)";
        let key = key.map_err(|_| failed(&files.key, no_key))?;
        let mut roots = RootCertStore::empty();
        let authorities = files.client_authorities.as_deref().zip(contents.authorities.as_deref());
        if let Some((path, pem)) = authorities {
            for certificate in certificates(path, pem)? {
                roots.add(certificate).map_err(|error| failed(path, error.to_string()))?;
            }
        }
        let roots = Arc::new(roots);
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_protocol_versions(VERSIONS).map_err(|e| setup(&e))?;
        let builder = match authorities {
            Some(_) => {
                let (roots, provider) = (Arc::clone(&roots), Arc::clone(&provider));
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                builder.with_client_cert_verifier(verifier.build().map_err(|e| setup(&e))?)
            }
            None => builder.with_no_client_auth(),
        };
        let accepting = builder.with_single_cert(chain.clone(), key.clone_key());
        let accepting = Arc::new(accepting.map_err(|e| setup(&e))?);
        Ok(Self { provider, accepting, chain, key, roots })
    }

    /// For peers that come.
    pub(super) fn accepting(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.accepting)
    }

    /// For a peer that is called, and has to show one of these certificates, or where there are none, one for its host.
    pub(super) fn calling(
        &self,
        certificates: &BTreeSet<Fingerprint>,
    ) -> Result<Arc<ClientConfig>, TlsError> {
        let verifier = PeerVerifier {
            provider: Arc::clone(&self.provider),
            roots: Arc::clone(&self.roots),
            certificates: certificates.clone(),
        };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider));
        let builder = builder.with_protocol_versions(VERSIONS).map_err(|e| setup(&e))?;
        let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
        let config = builder.with_client_auth_cert(self.chain.clone(), self.key.clone_key());
        Ok(Arc::new(config.map_err(|e| setup(&e))?))
    }
}

fn setup(error: &dyn std::error::Error) -> TlsError {
    TlsError::Setup(error.to_string())
}

fn failed(path: &Path, why: impl Into<String>) -> TlsError {
    TlsError::File { path: path.to_owned(), why: why.into() }
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    chain.ok_or_else(|| failed(path, "holds no certificates in PEM (-----BEGIN CERTIFICATE-----)"))
}
