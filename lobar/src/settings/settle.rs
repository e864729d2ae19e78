//! Which value holds, where several are given or none is.

use std::net::{Ipv4Addr, SocketAddr};

use super::bounded::{BatchSize, Seconds, SomeSeconds, Workers};
use super::{
    AuditRetention, LocalPath, PartialSettings, RetentionPeriod, SessionTime, Settings, Switch,
    credentials, dicom, oidc, relations,
};
use crate::failure::Failure;
use lobar_opener::url::{QueueUrl, SignalUrl, SqliteFile, StoreUrl};

/// Settles flags and environment (`given`), the file, what `env` says of Amazon's variables, and the defaults.
pub fn settle(
    given: PartialSettings,
    file: PartialSettings,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Settings, Failure> {
    let given = given.or(file);
    let oidc = oidc::settle(&given, env)?;
    let data = given.data.unwrap_or_else(|| LocalPath::at("data"));
    let database = |name: &str| SqliteFile::at(data.join(name));
    let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let settings = Settings {
        listen: given.listen.unwrap_or(local(8080)),
        tls_cert: given.tls_cert,
        tls_key: given.tls_key,
        trusted_proxies: given.trusted_proxies.unwrap_or_default(),
        insecure_http: given.insecure_http.unwrap_or_default(),
        hosts: given.hosts.unwrap_or_default(),
        dicomweb_origins: given.dicomweb_origins.unwrap_or_default(),
        local_user: given.local_user.unwrap_or(Switch::On),
        metrics_listen: given.metrics_listen,
        s3_listen: given.s3_listen.unwrap_or(local(9000)),
        s3_forms: given.s3_forms.unwrap_or_default(),
        dicom_listen: given.dicom_listen,
        dicom_ae_title: given.dicom_ae_title.map_or_else(dicom::own_title, Ok)?,
        dicom_check_called: given.dicom_check_called.unwrap_or_default(),
        dicom_peers: given.dicom_peers.unwrap_or_default(),
        dicom_classes: given.dicom_classes.unwrap_or_default(),
        junk_names: given.junk_names.unwrap_or_default(),
        dicom_unreadable: given.dicom_unreadable.unwrap_or_default(),
        dicom_tls_cert: given.dicom_tls_cert,
        dicom_tls_key: given.dicom_tls_key,
        dicom_tls_client_ca: given.dicom_tls_client_ca,
        s3_endpoint: given.s3_endpoint,
        s3_credentials: credentials::key_pair(&given.s3, env)?,
        s3_region: credentials::region(&given.s3, env),
        bucket: given.bucket.unwrap_or_default(),
        store: given.store.unwrap_or_else(|| StoreUrl::Sqlite(database("lobar.db"))),
        uploads: given.uploads.unwrap_or_else(|| QueueUrl::Sqlite(database("queues.db"))),
        jobs: given.jobs.unwrap_or_else(|| QueueUrl::Sqlite(database("queues.db"))),
        signal: given.signal.unwrap_or(SignalUrl::Memory),
        model: given.model,
        models: given.models.unwrap_or_default(),
        device: given.device.unwrap_or_default(),
        precision: given.precision.unwrap_or_default(),
        unlike: given.unlike.unwrap_or_default(),
        threads: given.threads,
        replicas: given.replicas,
        batch: given.batch.unwrap_or(BatchSize::of::<16>()),
        drain: given.drain.unwrap_or(Seconds::of::<30>()),
        scale_target: given.scale_target.unwrap_or(SomeSeconds::of::<60>()),
        scale_floor: given.scale_floor.unwrap_or(Workers::of::<1>()),
        scale_ceiling: given.scale_ceiling.unwrap_or(Workers::of::<10>()),
        scale_calm: given.scale_calm.unwrap_or(Seconds::of::<180>()),
        scale_processes: given.scale_processes,
        events_retention: given.events_retention.unwrap_or(RetentionPeriod::days::<30>()),
        quarantine_retention: given.quarantine_retention.unwrap_or(RetentionPeriod::days::<90>()),
        results_retention: given.results_retention.unwrap_or(RetentionPeriod::FOREVER),
        images_retention: given.images_retention.unwrap_or(RetentionPeriod::FOREVER),
        versions_retention: given.versions_retention.unwrap_or(RetentionPeriod::days::<30>()),
        session_idle: given.session_idle.unwrap_or(SessionTime::minutes::<30>()),
        session_max: given.session_max.unwrap_or(SessionTime::minutes::<720>()),
        oidc,
        audit_retention: given.audit_retention.unwrap_or(AuditRetention::FOREVER),
        opinion_first: given.opinion_first.unwrap_or_default(),
        opinion_first_sites: given.opinion_first_sites.unwrap_or_default(),
        exposure_retention: given.exposure_retention.unwrap_or(RetentionPeriod::FOREVER),
        double_reading_sites: given.double_reading_sites.unwrap_or_default(),
        reading_cap: given.reading_cap.unwrap_or(SessionTime::minutes::<480>()),
        reading_lease: given.reading_lease.unwrap_or(SessionTime::minutes::<10>()),
        log: given.log.unwrap_or_default(),
        log_format: given.log_format.unwrap_or_default(),
        otlp: given.otlp,
        data,
    };
    relations::check(&settings)?;
    Ok(settings)
}
