//! Each role gets its ports.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use lobar_api::{Api, ApiPorts, ApiSettings, Check, HealthServer, Readiness};
use lobar_aws::Credentials;
use lobar_core::accounts::S3Keys;
use lobar_core::audit::{Action, Actor, NewEntry};
use lobar_core::erasure::ErasurePorts;
use lobar_core::object_store::{ObjectListing, ObjectStore};
use lobar_core::weights::WeightFiles;
use lobar_ingest::{Ingest, IngestMetrics, IngestPorts, IngestSettings, Retention};
use lobar_s3::{S3ObjectStore, S3Options, S3Weights};
use lobar_signin::SignIn;
use prometheus::Registry;
use serde_json::json;

use super::dependencies::Dependencies;
use super::ports::Ports;
use super::running::Running;
use super::{s3, s3_key_file};
use crate::failure::{Failure, chain};
use crate::settings::{OidcProvider, Role, Roles, Settings};
use crate::startup_message::WayIn;
use crate::{build_info, decoding, startup_message};

/// Serves `/metrics`, `/livez` and `/readyz` from the start on, where the settings ask for it.
pub fn tell_of_health(
    settings: &Settings,
    registry: &Registry,
    readiness: &Readiness,
    running: &mut Running,
) -> Result<(), Failure> {
    let Some(listen) = settings.metrics_listen else { return Ok(()) };
    let health = HealthServer::build(listen, registry.clone(), readiness.clone())
        .map_err(|e| Failure::failed(format!("metrics_listen {listen}: {e}")))?;
    let closing = running.closing.clone();
    running.start_last("health", async move { health.run(closing).await.map_err(Failure::failed) });
    Ok(())
}

/// Starts the roles in the order in which they need one another; the check `started` passes once all run.
pub async fn start(
    settings: &Settings,
    roles: &Roles,
    parts: &Ports,
    started: &Check,
    running: &mut Running,
) -> Result<(), Failure> {
    build_info::register_build(&parts.registry)?;
    decoding::register(&parts.registry)?;
    let mut ready = startup_message::StartupMessage::new(settings);
    let (s3, s3_health) = match roles.has(Role::S3) {
        true => Some(s3::start(settings, parts, started, running, &mut ready).await?).unzip(),
        false => (None, None),
    };
    let objects = objects(settings, s3).await?;
    let mut dependencies = Dependencies::of(settings, roles, parts, objects.clone())?;
    if let Some(ask) = s3_health {
        dependencies.add_s3(ask);
    }
    dependencies.watch(running);
    if roles.has(Role::Ingest) {
        let erasure = erasure(parts, objects.clone());
        let reads = (
            objects.clone() as Arc<dyn ObjectStore>,
            Some(objects.clone() as Arc<dyn ObjectListing>),
        );
        ingest(settings, parts, reads, Some(erasure), running)?;
    }
    // Before the worker, which takes seconds to load its network: an address that is taken is told at once.
    if roles.has(Role::Api) {
        ready.page = Some(api(settings, parts, objects.clone(), s3.is_some(), running).await?);
        ready.way_in = way_in(settings, parts).await?;
    }
    if roles.has(Role::Dicom) {
        let started = super::dicom::start(settings, roles, parts, objects.clone(), running);
        let address = Box::pin(started).await?;
        ready.dicom = address.map(|address| (settings.dicom_ae_title.clone(), address));
    }
    #[cfg(feature = "torch")]
    if roles.has(Role::Worker) {
        super::worker::start(settings, parts, objects, s3, running).await?;
    }
    #[cfg(feature = "torch")]
    if roles.has(Role::Autoscale) {
        super::autoscale::start(settings, parts, running)?;
    }
    started.pass();
    ready.announce(roles);
    Ok(())
}

/// The key pair of the settings, for everything of Amazon's.
pub fn credentials(settings: &Settings) -> Option<Credentials> {
    let pair = settings.s3_credentials.clone()?;
    let secret_key = pair.secret_key.reveal().to_owned();
    Some(Credentials { access_key: pair.access_key, secret_key })
}

/// The object store: the embedded one, or the one that the settings name.
pub async fn objects(
    settings: &Settings,
    embedded: Option<SocketAddr>,
) -> Result<Arc<S3ObjectStore>, Failure> {
    Ok(Arc::new(bucket(settings, embedded).await?))
}

/// The same as what it is: for those who examine it.
pub async fn bucket(
    settings: &Settings,
    embedded: Option<SocketAddr>,
) -> Result<S3ObjectStore, Failure> {
    let options = s3_options(settings, settings.bucket.as_str(), embedded)?;
    Ok(S3ObjectStore::connect(options).await)
}

/// Where models' weights lie: beside the uploads, in a bucket of their own.
pub async fn weights(
    settings: &Settings,
    embedded: Option<SocketAddr>,
) -> Result<Arc<dyn WeightFiles>, Failure> {
    let place = &settings.models;
    let options = s3_options(settings, place.bucket.as_str(), embedded)?;
    Ok(Arc::new(S3Weights::connect(options, &place.prefix).await))
}

/// How a bucket is reached.
///
/// # Errors
/// When the key pair of the embedded endpoint cannot be read.
pub fn s3_options(
    settings: &Settings,
    bucket: &str,
    embedded: Option<SocketAddr>,
) -> Result<S3Options, Failure> {
    let mut options = S3Options::new(bucket);
    options.region = Some(settings.s3_region.clone());
    options.credentials = credentials(settings);
    options.endpoint = settings.s3_endpoint.as_ref().map(|it| it.as_str().to_owned());
    if let Some(address) = embedded {
        options.endpoint = Some(format!("http://{address}"));
        options.credentials = Some(s3_key_file::known(settings)?);
    }
    Ok(options)
}

/// Notification to durable job. With a `listing` it compares the bucket with the store now and then.
pub fn ingest(
    settings: &Settings,
    parts: &Ports,
    (objects, listing): (Arc<dyn ObjectStore>, Option<Arc<dyn ObjectListing>>),
    erasure: Option<ErasurePorts>,
    running: &mut Running,
) -> Result<(), Failure> {
    let ingest = Ingest::new(
        IngestPorts {
            uploads: parts.uploads()?,
            jobs: parts.jobs.clone(),
            store: parts.store.clone(),
            batches: parts.batches.clone(),
            objects,
            listing,
            erasure,
            signal: parts.signal.clone(),
            clock: parts.clock.clone(),
            metrics: IngestMetrics::register(&parts.registry).map_err(Failure::failed)?,
        },
        IngestSettings {
            retention: retention(settings),
            junk: settings.junk_names.clone(),
            ..IngestSettings::new(settings.bucket.as_str())
        },
    );
    let health = ingest.health();
    running.watch(parts.readiness.check("ingest"), move || match health.is_ready() {
        true => Ok(()),
        false => Err("waits for the store or a queue".into()),
    });
    let stop =
        lobar_ingest::Stop { receiving: running.receiving.clone(), abort: running.abort.clone() };
    running.start("ingest", async move {
        ingest.run(stop).await;
        Ok(())
    });
    Ok(())
}

/// The store and the bucket, to erase from.
fn erasure(parts: &Ports, objects: Arc<S3ObjectStore>) -> ErasurePorts {
    ErasurePorts { erasures: parts.erasures.clone(), objects }
}

/// How long things are kept.
fn retention(settings: &Settings) -> Retention {
    Retention {
        events: settings.events_retention.time(),
        quarantine: settings.quarantine_retention.time(),
        results: settings.results_retention.time(),
        images: settings.images_retention.time(),
        audit: settings.audit_retention.time(),
        exposure: settings.exposure_retention.time(),
    }
}

/// How somebody gets in while nobody can sign in: where there is no local user, by the first admin's link.
async fn way_in(settings: &Settings, parts: &Ports) -> Result<Option<WayIn>, Failure> {
    if settings.has_local_user() {
        let any = parts.accounts.any().await;
        let any = any.map_err(|error| Failure::failed(format!("accounts: {}", chain(&error))))?;
        return Ok((!any).then_some(WayIn::LocalUser));
    }
    let sign_in = SignIn::new(parts.accounts.clone(), parts.clock.clone(), settings.sign_in());
    let made = sign_in.first_admin().await;
    let made = made
        .map_err(|error| Failure::failed(format!("the first admin's link: {}", chain(&error))))?;
    let Some((admin, secret)) = made else { return Ok(None) };
    // Printed only once it is on record.
    let mut told = NewEntry::new(Action::PersonChanged, Actor::system());
    (told.subject, told.detail) =
        (Some(admin.id.0), json!({ "change": "first admin's link made" }));
    let written = parts.audit.append(&[told]).await;
    written
        .map_err(|error| Failure::failed(format!("the first admin's link: {}", chain(&error))))?;
    Ok(Some(WayIn::FirstAdmin(secret.expose())))
}

async fn api(
    settings: &Settings,
    parts: &Ports,
    objects: Arc<S3ObjectStore>,
    embedded: bool,
    running: &mut Running,
) -> Result<SocketAddr, Failure> {
    let operator = embedded.then(|| s3_key_file::known(settings)).transpose()?;
    let s3_keys = operator.and_then(|pair| S3Keys::of_operator(&pair.secret_key));
    let api = Api::build(
        ApiPorts {
            store: parts.store.clone(),
            models: parts.models.clone(),
            verdicts: parts.verdicts.clone(),
            exposures: parts.exposures.clone(),
            worklist: parts.worklist.clone(),
            batches: parts.batches.clone(),
            studies: parts.studies.clone(),
            quarantine: parts.quarantine.clone(),
            accounts: parts.accounts.clone(),
            audit: parts.audit.clone(),
            erasure: erasure(parts, objects.clone()),
            objects,
            signal: parts.signal.clone(),
            jobs: parts.jobs.clone(),
            clock: parts.clock.clone(),
            registry: parts.registry.clone(),
            readiness: parts.readiness.clone(),
            uploads: parts.uploads.clone(),
            cache: parts.cache.clone(),
            presence: parts.presence.clone(),
        },
        ApiSettings {
            listen: settings.listen,
            tls: settings.tls(),
            trusted_proxies: settings.trusted_proxies.clone(),
            bucket: settings.bucket.to_string(),
            hosts: settings.hosts.iter().map(ToString::to_string).collect(),
            viewers: settings.dicomweb_origins.clone(),
            junk_names: settings.junk_names.clone(),
            drain: settings.drain.seconds().min(Duration::from_secs(10)),
            streams: super::descriptors::raise(),
            scaling: settings.scaling(),
            pinned: settings.model.is_some(),
            local_user: settings.has_local_user(),
            s3_keys,
            sign_in: settings.sign_in(),
            opinion_first: settings.opinion_shares(),
            double_reading: settings.double_reading_sites.sites().clone(),
            reading_cap: settings.reading_cap.time(),
            reading_lease: settings.reading_lease.time(),
            oidc: settings.oidc.as_ref().map(OidcProvider::settings).transpose()?,
            ..ApiSettings::default()
        },
    )
    .await
    .map_err(|e| Failure::failed(chain(&e)))?;
    let address = api.local_addr();
    let receiving = running.receiving.clone();
    running.start("api", async move { api.run(receiving).await.map_err(Failure::failed) });
    Ok(address)
}
