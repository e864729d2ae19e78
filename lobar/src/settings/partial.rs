//! Every setting, as it may be given.

use clap::Args;
use lobar_api::{ProxyNetwork, ViewerOrigin};
use lobar_core::compute::{DeviceChoice, PrecisionChoice};
use lobar_core::engine::NoveltyPolicy;
use lobar_core::exposure::Share;
use lobar_core::junk::JunkNames;
use lobar_dicom::{AeTitle, Peers, Unreadable};
use lobar_oidc::{ClaimPath, GroupRoles, Issuer};

use std::net::SocketAddr;

use super::bounded::{BatchSize, Replicas, Seconds, SomeSeconds, Threads, Workers};
use super::collector::Collector;
use super::dicom::SopClass;
use super::logging::{LogFilter, LogFormat};
use super::models::ModelsPlace;
use super::names::{BucketName, EndpointUrl, HostName, LocalPath};
use super::oidc::{Label, Word};
use super::opinion::OwnShares;
use super::retention::{AuditRetention, RetentionPeriod};
use super::session_time::SessionTime;
use super::sites::SomeSites;
use super::source::read;
use super::switch::Switch;
use lobar_opener::url::{QueueUrl, SignalUrl, StoreUrl};

/// Settings that may be missing. Flags and the environment fill one, the settings file another, both by the
/// same readers; a name in the file is the field's.
#[derive(Args, Clone, Debug, Default, PartialEq)]
pub struct PartialSettings {
    /// Folder for everything that is kept on this machine.
    #[arg(long, env = "LOBAR_DATA", value_name = "DIR", value_parser = read::<LocalPath>())]
    pub data: Option<LocalPath>,
    /// Address of the page and the API.
    #[arg(long, env = "LOBAR_LISTEN", value_name = "ADDR", value_parser = read::<SocketAddr>())]
    pub listen: Option<SocketAddr>,
    /// File with the TLS certificate of the page and the API, and the chain behind it, in PEM. Looked at every five
    /// seconds: a new one needs no restart.
    #[arg(long, env = "LOBAR_TLS_CERT", value_name = "FILE", value_parser = read::<LocalPath>())]
    pub tls_cert: Option<LocalPath>,
    /// File with the private key of the certificate, in PEM.
    #[arg(long, env = "LOBAR_TLS_KEY", value_name = "FILE", value_parser = read::<LocalPath>())]
    pub tls_key: Option<LocalPath>,
    /// Proxies that are believed when they say where a request comes from (`Forwarded`, `X-Forwarded-For`, `-Proto`,
    /// `-Host`): addresses and networks such as `10.0.0.0/8`; with commas.
    #[arg(long, env = "LOBAR_TRUSTED_PROXIES", value_name = "ADDR,…", value_delimiter = ',', value_parser = read::<ProxyNetwork>())]
    pub trusted_proxies: Option<Vec<ProxyNetwork>>,
    /// Whether other machines may reach the page and the API without TLS, in a closed network: `off`, `on`.
    #[arg(long, env = "LOBAR_INSECURE_HTTP", value_name = "SWITCH", value_parser = read::<Switch>())]
    pub insecure_http: Option<Switch>,
    /// Host names by which the page and the embedded S3 endpoint are reached, beside localhost and addresses; with
    /// commas.
    #[arg(long, env = "LOBAR_HOSTS", value_name = "NAME,…", value_delimiter = ',', value_parser = read::<HostName>())]
    pub hosts: Option<Vec<HostName>>,
    /// Origins of viewers in the browser, such as `https://viewer.example`, whose pages may ask `/dicom-web/` with a token;
    /// with commas.
    #[arg(long, env = "LOBAR_DICOMWEB_ORIGINS", value_name = "ORIGIN,…", value_delimiter = ',', value_parser = read::<ViewerOrigin>())]
    pub dicomweb_origins: Option<Vec<ViewerOrigin>>,
    /// Whether whoever uses this machine itself is let in, over loopback, as long as nobody has an account: `on`, `off`.
    #[arg(long, env = "LOBAR_LOCAL_USER", value_name = "SWITCH", value_parser = read::<Switch>())]
    pub local_user: Option<Switch>,
    /// Address of `/metrics`, `/livez` and `/readyz` alone; for nodes without the api role.
    #[arg(long, env = "LOBAR_METRICS_LISTEN", value_name = "ADDR", value_parser = read::<SocketAddr>())]
    pub metrics_listen: Option<SocketAddr>,
    /// Address of the embedded S3 endpoint.
    #[arg(long, env = "LOBAR_S3_LISTEN", value_name = "ADDR", value_parser = read::<SocketAddr>())]
    pub s3_listen: Option<SocketAddr>,
    /// Whether browsers may upload to the embedded S3 endpoint by a form with a signed policy: `off`, `on`.
    #[arg(long, env = "LOBAR_S3_FORMS", value_name = "SWITCH", value_parser = read::<Switch>())]
    pub s3_forms: Option<Switch>,
    /// Address of the DICOM role. Left out, it is `127.0.0.1:11112`, and `lobar up` goes on without where that is taken.
    #[arg(long, env = "LOBAR_DICOM_LISTEN", value_name = "ADDR", value_parser = read::<SocketAddr>())]
    pub dicom_listen: Option<SocketAddr>,
    /// Lobar's own AE title.
    #[arg(long, env = "LOBAR_DICOM_AE_TITLE", value_name = "TITLE", value_parser = read::<AeTitle>())]
    pub dicom_ae_title: Option<AeTitle>,
    /// Whether who calls another AE title than Lobar's own is rejected: `off`, `on`.
    #[arg(long, env = "LOBAR_DICOM_CHECK_CALLED", value_name = "SWITCH", value_parser = read::<Switch>())]
    pub dicom_check_called: Option<Switch>,
    /// Who may send by DICOM, and to which site it belongs:
    /// `AE=HOST,… site=NAME [lane=stat] [store=off] [address=HOST:PORT] [tls=on] [cert=SHA256,…]; …`. Without it whoever comes from this machine.
    #[arg(long, env = "LOBAR_DICOM_PEERS", value_name = "AE=HOST,…;…", value_parser = read::<Peers>())]
    pub dicom_peers: Option<Peers>,
    /// UIDs of storage SOP classes that are taken beside CR, DX and secondary capture; with commas.
    #[arg(long, env = "LOBAR_DICOM_CLASSES", value_name = "UID,…", value_delimiter = ',', value_parser = read::<SopClass>())]
    pub dicom_classes: Option<Vec<SopClass>>,
    /// Names of files that are put aside instead of being shown to anybody, where they hold no image: with `*` and `?`, with
    /// commas; `off` for none. Left out, they are what systems leave in folders, and texts.
    #[arg(long, env = "LOBAR_JUNK_NAMES", value_name = "NAME,…", value_parser = read::<JunkNames>())]
    pub junk_names: Option<JunkNames>,
    /// What a modality is answered when its data set cannot be read, which is kept either way: `refuse`, `accept`.
    #[arg(long, env = "LOBAR_DICOM_UNREADABLE", value_name = "WHAT", value_parser = read::<Unreadable>())]
    pub dicom_unreadable: Option<Unreadable>,
    /// File with the TLS certificate of the DICOM role, and the chain behind it, in PEM. With it all associations come by
    /// TLS.
    #[arg(long, env = "LOBAR_DICOM_TLS_CERT", value_name = "FILE", value_parser = read::<LocalPath>())]
    pub dicom_tls_cert: Option<LocalPath>,
    /// File with the private key of that certificate, in PEM.
    #[arg(long, env = "LOBAR_DICOM_TLS_KEY", value_name = "FILE", value_parser = read::<LocalPath>())]
    pub dicom_tls_key: Option<LocalPath>,
    /// File with the certificates of the authorities, one of which must have certified who sends by DICOM, in PEM.
    #[arg(long, env = "LOBAR_DICOM_TLS_CLIENT_CA", value_name = "FILE", value_parser = read::<LocalPath>())]
    pub dicom_tls_client_ca: Option<LocalPath>,
    /// Address of an S3 endpoint elsewhere, instead of the embedded one.
    #[arg(long, env = "LOBAR_S3_ENDPOINT", value_name = "URL", value_parser = read::<EndpointUrl>())]
    pub s3_endpoint: Option<EndpointUrl>,
    /// Bucket to watch.
    #[arg(long, env = "LOBAR_BUCKET", value_name = "NAME", value_parser = read::<BucketName>())]
    pub bucket: Option<BucketName>,
    /// Where results live: `sqlite:FILE`, `postgres://USER:PASSWORD@HOST[:PORT]/DATABASE`.
    #[arg(long, env = "LOBAR_STORE", value_name = "URL", hide_env_values = true, value_parser = read::<StoreUrl>())]
    pub store: Option<StoreUrl>,
    /// Where upload notifications arrive: `sqlite:FILE`, `sqs://QUEUE[?endpoint=URL&region=REGION]`,
    /// `amqp[s]://USER:PASSWORD@HOST[:PORT]/VHOST`, `postgres://USER:PASSWORD@HOST[:PORT]/DATABASE`.
    #[arg(long, env = "LOBAR_UPLOADS", value_name = "URL", hide_env_values = true, value_parser = read::<QueueUrl>())]
    pub uploads: Option<QueueUrl>,
    /// Where jobs wait for workers: `sqlite:FILE`, `amqp[s]://…`, `postgres://…`, or `sqs://PREFIX` for the
    /// queues PREFIX-stat and PREFIX-routine.
    #[arg(long, env = "LOBAR_JOBS", value_name = "URL", hide_env_values = true, value_parser = read::<QueueUrl>())]
    pub jobs: Option<QueueUrl>,
    /// How changes are announced: `memory:` within one process, `redis[s]://…` between several, which
    /// also caches answers and knows the workers, `poll:` between several without any service.
    #[arg(long, env = "LOBAR_SIGNAL", value_name = "URL", hide_env_values = true, value_parser = read::<SignalUrl>())]
    pub signal: Option<SignalUrl>,
    /// Model file (safetensors with its card).
    #[arg(long, env = "LOBAR_MODEL", value_name = "FILE", value_parser = read::<LocalPath>())]
    pub model: Option<LocalPath>,
    /// Where models' weights lie: `s3://BUCKET[/PREFIX]`, with the endpoint and credentials of the
    /// uploads bucket.
    #[arg(long, env = "LOBAR_MODELS", value_name = "URL", value_parser = read::<ModelsPlace>())]
    pub models: Option<ModelsPlace>,
    /// Where the network runs: `auto`, `cpu`, `cuda:N`.
    #[arg(long, env = "LOBAR_DEVICE", value_name = "DEVICE", value_parser = read::<DeviceChoice>())]
    pub device: Option<DeviceChoice>,
    /// Arithmetic of the network: `auto`, `fp32`, `bf16`, `int8`.
    #[arg(long, env = "LOBAR_PRECISION", value_name = "PRECISION", value_parser = read::<PrecisionChoice>())]
    pub precision: Option<PrecisionChoice>,
    /// What becomes of an image unlike those that the model was trained on: `human` leaves it to a person,
    /// `warn` answers it with a warning.
    #[arg(long, env = "LOBAR_UNLIKE", value_name = "WHAT", value_parser = read::<NoveltyPolicy>())]
    pub unlike: Option<NoveltyPolicy>,
    /// Threads of each engine on a CPU.
    #[arg(long, env = "LOBAR_THREADS", value_name = "N", value_parser = read::<Threads>())]
    pub threads: Option<Threads>,
    /// Engines that compute at once on a CPU, on the same weights; one a core when left out.
    #[arg(long, env = "LOBAR_REPLICAS", value_name = "N", value_parser = read::<Replicas>())]
    pub replicas: Option<Replicas>,
    /// Most images in one batch.
    #[arg(long, env = "LOBAR_BATCH", value_name = "N", value_parser = read::<BatchSize>())]
    pub batch: Option<BatchSize>,
    /// Seconds that work in flight may take to finish when the process is told to stop.
    #[arg(long, env = "LOBAR_DRAIN", value_name = "SECONDS", value_parser = read::<Seconds>())]
    pub drain: Option<Seconds>,
    /// Seconds in which a backlog should be worked off; how many workers are wanted follows from it.
    #[arg(long, env = "LOBAR_SCALE_TARGET", value_name = "SECONDS", value_parser = read::<SomeSeconds>())]
    pub scale_target: Option<SomeSeconds>,
    /// Fewest workers wanted, whatever the load.
    #[arg(long, env = "LOBAR_SCALE_FLOOR", value_name = "N", value_parser = read::<Workers>())]
    pub scale_floor: Option<Workers>,
    /// Most workers wanted, whatever the load.
    #[arg(long, env = "LOBAR_SCALE_CEILING", value_name = "N", value_parser = read::<Workers>())]
    pub scale_ceiling: Option<Workers>,
    /// Seconds for which fewer workers must have been enough before one step down.
    #[arg(long, env = "LOBAR_SCALE_CALM", value_name = "SECONDS", value_parser = read::<Seconds>())]
    pub scale_calm: Option<Seconds>,
    /// Worker processes that `lobar autoscale` runs at most; one a GPU, or one for every two cores, when left out.
    #[arg(long, env = "LOBAR_SCALE_PROCESSES", value_name = "N", value_parser = read::<Replicas>())]
    pub scale_processes: Option<Replicas>,
    /// How long events are kept, for pages that come back: days (`30d`), hours (`12h`), `forever`.
    #[arg(long, env = "LOBAR_EVENTS_RETENTION", value_name = "TIME", value_parser = read::<RetentionPeriod>())]
    pub events_retention: Option<RetentionPeriod>,
    /// How long messages in quarantine are kept after they were replayed or discarded; what waits stays.
    #[arg(long, env = "LOBAR_QUARANTINE_RETENTION", value_name = "TIME", value_parser = read::<RetentionPeriod>())]
    pub quarantine_retention: Option<RetentionPeriod>,
    /// How long results are kept, with heat maps and verdicts, from when their images were received; then these images
    /// are removed from the list.
    #[arg(long, env = "LOBAR_RESULTS_RETENTION", value_name = "TIME", value_parser = read::<RetentionPeriod>())]
    pub results_retention: Option<RetentionPeriod>,
    /// How long images are kept, from when they were received; then they are erased, with their objects in the bucket.
    #[arg(long, env = "LOBAR_IMAGES_RETENTION", value_name = "TIME", value_parser = read::<RetentionPeriod>())]
    pub images_retention: Option<RetentionPeriod>,
    /// How long the embedded S3 endpoint keeps versions that were replaced or deleted.
    #[arg(long, env = "LOBAR_VERSIONS_RETENTION", value_name = "TIME", value_parser = read::<RetentionPeriod>())]
    pub versions_retention: Option<RetentionPeriod>,
    /// How long a session may go unused before it ends: minutes (`30m`), hours (`2h`), days.
    #[arg(long, env = "LOBAR_SESSION_IDLE", value_name = "TIME", value_parser = read::<SessionTime>())]
    pub session_idle: Option<SessionTime>,
    /// When a session ends however much it is used: minutes, hours (`12h`), days (`7d`).
    #[arg(long, env = "LOBAR_SESSION_MAX", value_name = "TIME", value_parser = read::<SessionTime>())]
    pub session_max: Option<SessionTime>,
    /// URL of the OpenID Connect provider that signs people in beside passwords.
    #[arg(long, env = "LOBAR_OIDC_ISSUER", value_name = "URL", value_parser = read::<Issuer>())]
    pub oidc_issuer: Option<Issuer>,
    /// What Lobar is called at the provider.
    #[arg(long, env = "LOBAR_OIDC_CLIENT_ID", value_name = "ID", value_parser = read::<Word>())]
    pub oidc_client_id: Option<Word>,
    /// File that holds what Lobar proves it with, unless `LOBAR_OIDC_CLIENT_SECRET` does; none for a public client.
    #[arg(long, env = "LOBAR_OIDC_CLIENT_SECRET_FILE", value_name = "FILE", value_parser = read::<LocalPath>())]
    pub oidc_client_secret_file: Option<LocalPath>,
    /// What is asked for beside `openid`; with commas.
    #[arg(long, env = "LOBAR_OIDC_SCOPES", value_name = "NAME,…", value_delimiter = ',', value_parser = read::<Word>())]
    pub oidc_scopes: Option<Vec<Word>>,
    /// Claim with the person's groups: `groups`, or the way to a nested one, `realm_access.roles`.
    #[arg(long, env = "LOBAR_OIDC_GROUPS_CLAIM", value_name = "CLAIM", value_parser = read::<ClaimPath>())]
    pub oidc_groups_claim: Option<ClaimPath>,
    /// Claim with the person's name.
    #[arg(long, env = "LOBAR_OIDC_NAME_CLAIM", value_name = "CLAIM", value_parser = read::<ClaimPath>())]
    pub oidc_name_claim: Option<ClaimPath>,
    /// What members of the provider's groups may do: `radiology=clinician@north,south; it=operator@* admin@*`.
    #[arg(long, env = "LOBAR_OIDC_ROLES", value_name = "GROUP=ROLE@SITES;…", value_parser = read::<GroupRoles>())]
    pub oidc_roles: Option<GroupRoles>,
    /// What the page calls the provider: `Sign in with …`.
    #[arg(long, env = "LOBAR_OIDC_LABEL", value_name = "WORDS", value_parser = read::<Label>())]
    pub oidc_label: Option<Label>,
    /// When a session of somebody whom the provider signed in ends however much it is used, if before that of others:
    /// minutes, hours (`1h`), days.
    #[arg(long, env = "LOBAR_OIDC_SESSION_MAX", value_name = "TIME", value_parser = read::<SessionTime>())]
    pub oidc_session_max: Option<SessionTime>,
    /// How long entries of the audit record are kept: 180 days at least, `forever` unless told otherwise.
    #[arg(long, env = "LOBAR_AUDIT_RETENTION", value_name = "TIME", value_parser = read::<AuditRetention>())]
    pub audit_retention: Option<AuditRetention>,
    /// Of which share of images readers are asked for their own opinion before they see the result: 0 to 1. It must be
    /// the same for every process of the role api.
    #[arg(long, env = "LOBAR_OPINION_FIRST", value_name = "SHARE", value_parser = read::<Share>())]
    pub opinion_first: Option<Share>,
    /// The share of single sites, in the place of that of all: `SITE=SHARE`; with commas.
    #[arg(long, env = "LOBAR_OPINION_FIRST_SITES", value_name = "SITE=SHARE,…", value_parser = read::<OwnShares>())]
    pub opinion_first_sites: Option<OwnShares>,
    /// How long first opinions are kept, and what readers met of answers: days, hours, `forever`.
    #[arg(long, env = "LOBAR_EXPOSURE_RETENTION", value_name = "TIME", value_parser = read::<RetentionPeriod>())]
    pub exposure_retention: Option<RetentionPeriod>,
    /// Sites where two readers read each image for themselves, the second without knowing what the first said; with commas, `*`
    /// for all. It must be the same for every process of the role api.
    #[arg(long, env = "LOBAR_DOUBLE_READING_SITES", value_name = "SITE,…", value_parser = read::<SomeSites>())]
    pub double_reading_sites: Option<SomeSites>,
    /// How long an image may wait for a reader before it goes before all others in the order of urgency: minutes, hours (`8h`),
    /// days.
    #[arg(long, env = "LOBAR_READING_CAP", value_name = "TIME", value_parser = read::<SessionTime>())]
    pub reading_cap: Option<SessionTime>,
    /// How long an image counts as open in front of its reader after they last used the page: minutes (`10m`), hours.
    #[arg(long, env = "LOBAR_READING_LEASE", value_name = "TIME", value_parser = read::<SessionTime>())]
    pub reading_lease: Option<SessionTime>,
    /// What to log: a level, or a filter such as `info,lobar_worker=debug`.
    #[arg(long, env = "LOBAR_LOG", value_name = "FILTER", value_parser = read::<LogFilter>())]
    pub log: Option<LogFilter>,
    /// How to log: `text` or `json`.
    #[arg(long, env = "LOBAR_LOG_FORMAT", value_name = "FORMAT", value_parser = read::<LogFormat>())]
    pub log_format: Option<LogFormat>,
    /// OpenTelemetry collector that spans are sent to, over OTLP/HTTP: `http://HOST:4318`. Without it none are.
    #[arg(long, env = "LOBAR_OTLP", value_name = "URL", value_parser = read::<Collector>())]
    pub otlp: Option<Collector>,
    /// Credentials, from the environment or the file only.
    #[arg(skip)]
    pub s3: PartialS3Settings,
}

impl PartialSettings {
    /// Those of `self`, and of `other` what `self` leaves open; but for the S3 credentials.
    pub fn or(self, other: Self) -> Self {
        Self {
            data: self.data.or(other.data),
            listen: self.listen.or(other.listen),
            tls_cert: self.tls_cert.or(other.tls_cert),
            tls_key: self.tls_key.or(other.tls_key),
            trusted_proxies: self.trusted_proxies.or(other.trusted_proxies),
            insecure_http: self.insecure_http.or(other.insecure_http),
            hosts: self.hosts.or(other.hosts),
            dicomweb_origins: self.dicomweb_origins.or(other.dicomweb_origins),
            local_user: self.local_user.or(other.local_user),
            metrics_listen: self.metrics_listen.or(other.metrics_listen),
            s3_listen: self.s3_listen.or(other.s3_listen),
            s3_forms: self.s3_forms.or(other.s3_forms),
            dicom_listen: self.dicom_listen.or(other.dicom_listen),
            dicom_ae_title: self.dicom_ae_title.or(other.dicom_ae_title),
            dicom_check_called: self.dicom_check_called.or(other.dicom_check_called),
            dicom_peers: self.dicom_peers.or(other.dicom_peers),
            dicom_classes: self.dicom_classes.or(other.dicom_classes),
            junk_names: self.junk_names.or(other.junk_names),
            dicom_unreadable: self.dicom_unreadable.or(other.dicom_unreadable),
            dicom_tls_cert: self.dicom_tls_cert.or(other.dicom_tls_cert),
            dicom_tls_key: self.dicom_tls_key.or(other.dicom_tls_key),
            dicom_tls_client_ca: self.dicom_tls_client_ca.or(other.dicom_tls_client_ca),
            s3_endpoint: self.s3_endpoint.or(other.s3_endpoint),
            bucket: self.bucket.or(other.bucket),
            store: self.store.or(other.store),
            uploads: self.uploads.or(other.uploads),
            jobs: self.jobs.or(other.jobs),
            signal: self.signal.or(other.signal),
            model: self.model.or(other.model),
            models: self.models.or(other.models),
            device: self.device.or(other.device),
            precision: self.precision.or(other.precision),
            unlike: self.unlike.or(other.unlike),
            threads: self.threads.or(other.threads),
            replicas: self.replicas.or(other.replicas),
            batch: self.batch.or(other.batch),
            drain: self.drain.or(other.drain),
            scale_target: self.scale_target.or(other.scale_target),
            scale_floor: self.scale_floor.or(other.scale_floor),
            scale_ceiling: self.scale_ceiling.or(other.scale_ceiling),
            scale_calm: self.scale_calm.or(other.scale_calm),
            scale_processes: self.scale_processes.or(other.scale_processes),
            events_retention: self.events_retention.or(other.events_retention),
            quarantine_retention: self.quarantine_retention.or(other.quarantine_retention),
            results_retention: self.results_retention.or(other.results_retention),
            images_retention: self.images_retention.or(other.images_retention),
            versions_retention: self.versions_retention.or(other.versions_retention),
            session_idle: self.session_idle.or(other.session_idle),
            session_max: self.session_max.or(other.session_max),
            oidc_issuer: self.oidc_issuer.or(other.oidc_issuer),
            oidc_client_id: self.oidc_client_id.or(other.oidc_client_id),
            oidc_client_secret_file: self.oidc_client_secret_file.or(other.oidc_client_secret_file),
            oidc_scopes: self.oidc_scopes.or(other.oidc_scopes),
            oidc_groups_claim: self.oidc_groups_claim.or(other.oidc_groups_claim),
            oidc_name_claim: self.oidc_name_claim.or(other.oidc_name_claim),
            oidc_roles: self.oidc_roles.or(other.oidc_roles),
            oidc_label: self.oidc_label.or(other.oidc_label),
            oidc_session_max: self.oidc_session_max.or(other.oidc_session_max),
            audit_retention: self.audit_retention.or(other.audit_retention),
            opinion_first: self.opinion_first.or(other.opinion_first),
            opinion_first_sites: self.opinion_first_sites.or(other.opinion_first_sites),
            exposure_retention: self.exposure_retention.or(other.exposure_retention),
            double_reading_sites: self.double_reading_sites.or(other.double_reading_sites),
            reading_cap: self.reading_cap.or(other.reading_cap),
            reading_lease: self.reading_lease.or(other.reading_lease),
            log: self.log.or(other.log),
            log_format: self.log_format.or(other.log_format),
            otlp: self.otlp.or(other.otlp),
            s3: other.s3,
        }
    }
}

/// The S3 settings that the file may hold; the environment's `AWS_*` go before them.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PartialS3Settings {
    /// Access key id.
    pub access_key: Option<String>,
    /// File that holds the secret access key.
    pub secret_key_file: Option<std::path::PathBuf>,
    /// Region.
    pub region: Option<String>,
}
