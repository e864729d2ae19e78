//! What can be set about the server.

use std::net::SocketAddr;
use std::time::Duration;

use lobar_core::access::Sites;
use lobar_core::accounts::S3Keys;
use lobar_core::exposure::SiteShares;
use lobar_core::junk::JunkNames;
use lobar_core::scaling::Policy;
use lobar_oidc::OidcSettings;
use lobar_signin::SignInSettings;

use crate::peer::ProxyNetwork;
use crate::tls::TlsFiles;
use crate::viewer::ViewerOrigin;

/// Settings of the HTTP server. The default suits one machine: loopback only.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// Where to listen; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Certificate and key, to speak TLS with; `None` for plain HTTP.
    pub tls: Option<TlsFiles>,
    /// Proxies that are believed when they say where a request comes from.
    pub trusted_proxies: Vec<ProxyNetwork>,
    /// Requests that one address, or IPv6 network of 64 bits, may send at once without being signed in, and again every
    /// ten seconds. Many, since a hospital behind one address opens its pages at the same hour.
    pub address_burst: u32,
    /// Names in `Host` that are answered, besides `localhost` and IP addresses.
    pub hosts: Vec<String>,
    /// Whose pages may ask for what is under `/dicom-web/`, with a token.
    pub viewers: Vec<ViewerOrigin>,
    /// Bucket of the uploads, from which ids are derived.
    pub bucket: String,
    /// Site of uploads that name none.
    pub default_site: String,
    /// Files that ingest puts aside, of which uploads are told. The same as for ingest.
    pub junk_names: JunkNames,
    /// HTTP threads.
    pub threads: usize,
    /// What a picture may be at most, as for the worker; also bounds an upload's bytes.
    pub limits: lobar_imaging::Limits,
    /// Longest side of a picture for the page, in pixels.
    pub picture_side: u32,
    /// How long a silent event stream waits before it shows that it lives. At most 15 s.
    pub heartbeat: Duration,
    /// How often new events are looked for when no signal comes.
    pub poll: Duration,
    /// Event streams that are open at once; more are refused, so that their descriptors leave room for requests.
    pub streams: usize,
    /// Event streams of one person or machine that are open at once: pages, tabs, screens on a wall. Never more than a
    /// quarter of all, so that others find room.
    pub streams_of_one: usize,
    /// How often an open stream looks whether its session is still open.
    pub stream_check: Duration,
    /// Batches of events that a slow client may fall behind before it reads the store itself.
    pub lag: usize,
    /// How long `POST /v1/predict` waits for the pipeline.
    pub predict_timeout: Duration,
    /// How long a client may take to send a body, at whatever rate.
    pub upload_timeout: Duration,
    /// How long a body may stand still, and the time over which its rate is measured.
    pub body_grace: Duration,
    /// Bytes a second that a body must bring on average over each `body_grace`, unless it ends.
    pub body_rate: usize,
    /// Bytes that the bodies of all requests in flight may hold together. At least as much as the largest body.
    pub body_bytes: usize,
    /// Bytes that answers above 32 KiB may hold together until their clients have taken them; one client has half.
    pub answer_bytes: usize,
    /// How long a client may take nothing of an answer before its connection is closed (`TCP_USER_TIMEOUT`, on Linux).
    pub reader_patience: Duration,
    /// How long a presigned URL is valid.
    pub presigned_for: Duration,
    /// Makes the S3 key pairs of callers, where the bucket is at the embedded endpoint, which knows them. A URL to upload
    /// is then signed with its caller's pair, and of no use once they have no right to it.
    pub s3_keys: Option<S3Keys>,
    /// How long requests may finish after the stop.
    pub drain: Duration,
    /// How long sessions and links last.
    pub sign_in: SignInSettings,
    /// The provider that signs people in beside passwords (OpenID Connect).
    pub oidc: Option<OidcSettings>,
    /// Whether whoever uses this machine itself is let in as long as nobody has an account.
    pub local_user: bool,
    /// Of which share of images readers' own opinions are asked for before the result is shown.
    pub opinion_first: SiteShares,
    /// At which sites two readers read each image for themselves.
    pub double_reading: Sites,
    /// How long an image may wait for a reader before it goes before all others in the order of urgency.
    pub reading_cap: Duration,
    /// How long an image counts as open in front of its reader after they last said so.
    pub reading_lease: Duration,
    /// How many workers there should be for a load.
    pub scaling: Policy,
    /// Whether this process was started with a model file of its own, which its worker then serves
    /// whatever the registry says.
    pub pinned: bool,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            tls: None,
            trusted_proxies: Vec::new(),
            address_burst: 2_000,
            hosts: Vec::new(),
            viewers: Vec::new(),
            bucket: "xrays".into(),
            default_site: "local".into(),
            junk_names: JunkNames::default(),
            threads: 2,
            limits: lobar_imaging::Limits::default(),
            picture_side: 1600,
            heartbeat: Duration::from_secs(10),
            poll: Duration::from_secs(1),
            streams: 10_000,
            streams_of_one: 100,
            stream_check: Duration::from_secs(10),
            lag: 256,
            predict_timeout: Duration::from_secs(30),
            upload_timeout: Duration::from_secs(120),
            body_grace: Duration::from_secs(10),
            body_rate: 4 << 10,
            body_bytes: 256 << 20,
            answer_bytes: 128 << 20,
            reader_patience: Duration::from_secs(30),
            presigned_for: Duration::from_secs(15 * 60),
            s3_keys: None,
            drain: Duration::from_secs(10),
            sign_in: SignInSettings::default(),
            oidc: None,
            local_user: true,
            opinion_first: SiteShares::default(),
            double_reading: Sites::none(),
            reading_cap: Duration::from_secs(8 * 60 * 60),
            reading_lease: Duration::from_secs(10 * 60),
            scaling: Policy::default(),
            pinned: false,
        }
    }
}

/// What a grey PNG with sides of so many pixels has at most, in bytes: one a pixel, and what the format adds to pixels that
/// cannot be compressed.
pub(crate) fn png_bytes(side: u32) -> usize {
    let side = side as usize;
    side * side + side * side / 64 + (64 << 10)
}

impl ApiSettings {
    /// Event streams of one caller.
    pub(crate) fn streams_of_one(&self) -> usize {
        self.streams_of_one.min(self.streams / 4).max(1)
    }

    /// The largest picture, in bytes.
    pub(crate) fn largest_picture(&self) -> usize {
        png_bytes(self.picture_side)
    }

    /// Whether there is a local user: only where no other machine reaches the server.
    pub(crate) fn has_local_user(&self) -> bool {
        self.local_user && self.listen.ip().is_loopback() && self.trusted_proxies.is_empty()
    }
}
