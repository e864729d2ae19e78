//! What can be set, where it comes from, and what it means.
//!
//! Defaults < file (`lobar.toml`, `--config`) < environment `LOBAR_*` < flags. Every setting is a type that is
//! read once, by one reader, wherever it stands; what cannot work is refused by name before anything starts.
//! Nothing else in the program reads the environment.
//!
//! - `given`: every setting, as it may be given; here a new one is added.
//! - `source`: how one is read, and how a wrong one is refused. `file`, `environment`: where they stand.
//! - `bounded`, `collector`, `dicom`, `names`, `logging`, `models`, `oidc`, `retention`, `roles`, `session_time`, `switch`: their types.
//! - `settle`: which value holds, and the defaults. `relations`: what several of them say together.
//! - `shown`: how they are printed: without secrets, and so that they read again.

mod bounded;
mod collector;
mod credentials;
mod dicom;
pub mod environment;
mod file;
mod logging;
mod models;
mod names;
mod oidc;
mod opinion;
mod partial;
mod redact;
mod relations;
mod retention;
mod roles;
mod session_time;
mod settle;
mod sites;
mod source;
mod switch;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;

use lobar_api::{ProxyNetwork, TlsFiles, ViewerOrigin};
use lobar_core::compute::{DeviceChoice, PrecisionChoice};
use lobar_core::engine::NoveltyPolicy;
use lobar_core::exposure::{Share, SiteShares};
use lobar_core::junk::JunkNames;
use lobar_core::scaling::Policy;
use lobar_dicom::{AeTitle, DicomTls, Peers, Unreadable};
use lobar_signin::SignInSettings;

pub use bounded::{BatchSize, Replicas, Seconds, SomeSeconds, Threads, Workers};
pub use collector::Collector;
pub use credentials::KeyPair;
pub use dicom::SopClass;
pub use logging::{LogFilter, LogFormat};
pub use models::ModelsPlace;
pub use names::{BucketName, EndpointUrl, HostName, LocalPath};
pub use oidc::OidcProvider;
pub use opinion::OwnShares;
pub use partial::PartialSettings;
pub use retention::{AuditRetention, RetentionPeriod};
pub use roles::{Role, Roles};
pub use session_time::SessionTime;
pub use sites::SomeSites;
pub use source::read;
pub use switch::Switch;

use crate::failure::Failure;
use lobar_opener::url::{QueueUrl, SignalUrl, StoreUrl};

/// Everything, settled.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub data: LocalPath,
    pub listen: SocketAddr,
    /// Certificate and key are both given, or neither is.
    pub tls_cert: Option<LocalPath>,
    pub tls_key: Option<LocalPath>,
    pub trusted_proxies: Vec<ProxyNetwork>,
    pub insecure_http: Switch,
    /// Compared without regard to case.
    pub hosts: Vec<HostName>,
    /// Compared to the letter.
    pub dicomweb_origins: Vec<ViewerOrigin>,
    pub local_user: Switch,
    pub metrics_listen: Option<SocketAddr>,
    pub s3_listen: SocketAddr,
    /// Whether browsers may upload to the embedded S3 endpoint by a form.
    pub s3_forms: Switch,
    /// `None`: the usual address, and no DICOM where that is taken.
    pub dicom_listen: Option<SocketAddr>,
    pub dicom_ae_title: AeTitle,
    pub dicom_check_called: Switch,
    pub dicom_peers: Peers,
    pub dicom_classes: Vec<SopClass>,
    pub dicom_unreadable: Unreadable,
    /// Names of files that are put aside where they hold no image.
    pub junk_names: JunkNames,
    /// Certificate and key are both given, or neither is.
    pub dicom_tls_cert: Option<LocalPath>,
    pub dicom_tls_key: Option<LocalPath>,
    pub dicom_tls_client_ca: Option<LocalPath>,
    pub s3_endpoint: Option<EndpointUrl>,
    /// `None`: the data folder's own pair for the embedded endpoint, the usual AWS chain elsewhere.
    pub s3_credentials: Option<KeyPair>,
    pub s3_region: String,
    pub bucket: BucketName,
    pub store: StoreUrl,
    pub uploads: QueueUrl,
    pub jobs: QueueUrl,
    pub signal: SignalUrl,
    pub model: Option<LocalPath>,
    pub models: ModelsPlace,
    pub device: DeviceChoice,
    pub precision: PrecisionChoice,
    /// Never [`NoveltyPolicy::NoDetector`].
    pub unlike: NoveltyPolicy,
    pub threads: Option<Threads>,
    /// `None`: chosen for the machine.
    pub replicas: Option<Replicas>,
    pub batch: BatchSize,
    pub drain: Seconds,
    pub scale_target: SomeSeconds,
    pub scale_floor: Workers,
    pub scale_ceiling: Workers,
    pub scale_calm: Seconds,
    /// `None`: one a GPU, or one for every two cores.
    pub scale_processes: Option<Replicas>,
    pub events_retention: RetentionPeriod,
    /// Of what waits nothing is deleted.
    pub quarantine_retention: RetentionPeriod,
    pub results_retention: RetentionPeriod,
    pub images_retention: RetentionPeriod,
    /// Only of the embedded S3 endpoint.
    pub versions_retention: RetentionPeriod,
    /// Not above `session_max`.
    pub session_idle: SessionTime,
    pub session_max: SessionTime,
    /// The provider that signs people in beside passwords.
    pub oidc: Option<OidcProvider>,
    pub audit_retention: AuditRetention,
    pub opinion_first: Share,
    /// In its place, for single sites.
    pub opinion_first_sites: OwnShares,
    pub exposure_retention: RetentionPeriod,
    /// Where two readers read each image for themselves.
    pub double_reading_sites: SomeSites,
    /// How long an image may wait for a reader.
    pub reading_cap: SessionTime,
    pub reading_lease: SessionTime,
    pub log: LogFilter,
    pub log_format: LogFormat,
    pub otlp: Option<Collector>,
}

impl Settings {
    /// Of which share of each site's images readers say first what they see.
    pub fn opinion_shares(&self) -> SiteShares {
        let sites = self.opinion_first_sites.by_site().clone();
        SiteShares { others: self.opinion_first, sites }
    }

    /// Whether whoever uses this machine itself may be let in without signing in. Where a proxy on this machine passes
    /// on what others ask, nobody can tell the two apart.
    pub fn has_local_user(&self) -> bool {
        let alone = self.listen.ip().is_loopback() && self.trusted_proxies.is_empty();
        self.local_user.is_on() && alone
    }

    /// Settles flags and environment (`given`), the file and the defaults.
    ///
    /// # Errors
    /// Of usage, for what cannot be read, what does not fit together, and a model file that is not there.
    pub fn load(given: PartialSettings, config: Option<PathBuf>) -> Result<Self, Failure> {
        environment::refuse_unknown(environment::names())?;
        let settings = settle::settle(given, file::read(config)?, &environment::value)?;
        relations::check_places(&settings)?;
        Ok(settings)
    }

    /// The settings in the form of `lobar.toml`, without secrets. They read again as the same, but for
    /// passwords.
    pub fn to_toml(&self) -> String {
        redact::toml(self)
    }

    /// The certificate and its key, where the api speaks TLS.
    pub fn tls(&self) -> Option<TlsFiles> {
        let (certificate, key) = self.tls_cert.as_deref().zip(self.tls_key.as_deref())?;
        Some(TlsFiles::new(certificate, key))
    }

    /// The certificates of the DICOM role, where it speaks TLS.
    pub fn dicom_tls(&self) -> Option<DicomTls> {
        let (certificate, key) =
            self.dicom_tls_cert.as_deref().zip(self.dicom_tls_key.as_deref())?;
        let client_authorities = self.dicom_tls_client_ca.as_deref().map(Into::into);
        Some(DicomTls { certificate: certificate.into(), key: key.into(), client_authorities })
    }

    /// Where the embedded S3 endpoint listens, when the settings mean that one.
    pub fn embedded_s3(&self) -> Option<SocketAddr> {
        let embedded = self.s3_endpoint.is_none() && matches!(self.uploads, QueueUrl::Sqlite(_));
        embedded.then_some(self.s3_listen)
    }

    /// How long sessions last.
    pub fn sign_in(&self) -> SignInSettings {
        let (idle, longest) = (self.session_idle.time(), self.session_max.time());
        SignInSettings { idle, longest, ..SignInSettings::default() }
    }

    /// How many workers there should be for a load.
    pub fn scaling(&self) -> Policy {
        let (floor, ceiling) = (self.scale_floor.get(), self.scale_ceiling.get());
        let calm = self.scale_calm.seconds();
        Policy { calm, ..Policy::within(self.scale_target.seconds(), floor, ceiling) }
    }
}
