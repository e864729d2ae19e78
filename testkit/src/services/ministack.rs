//! MiniStack: S3 and SQS of Amazon, emulated, with notifications between them. One a test process, with
//! buckets and queues of its own for each test.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use aws_sdk_s3::types as s3;
use aws_sdk_sqs::types::QueueAttributeName as Attribute;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Server, free_port};
use crate::python_program;

/// How long a start may take on a busy machine.
const START: Duration = Duration::from_secs(60);
/// The region of everything.
pub const REGION: &str = "us-east-1";
/// The key pair that requests are signed with: any will do.
pub const ACCESS_KEY: &str = "trial";
/// The private half of [`ACCESS_KEY`].
pub const SECRET_KEY: &str = "trialtrial";

/// A running emulator.
pub struct MiniStack {
    server: Server,
    /// Where it listens.
    pub port: u16,
}

/// A queue with its dead-letter queue.
pub struct Queues {
    /// The queue's name.
    pub name: String,
    /// Its URL.
    pub url: String,
    /// Its ARN.
    pub arn: String,
    /// The URL of its dead-letter queue.
    pub dead_url: String,
}

/// The one that the tests of this process share. It starts with the first that asks.
pub async fn shared() -> &'static MiniStack {
    static SHARED: OnceLock<MiniStack> = OnceLock::new();
    let ministack = SHARED.get_or_init(MiniStack::start);
    ministack.ready().await;
    ministack
}

impl MiniStack {
    /// Starts one that keeps everything in memory; it answers some time later.
    pub fn start() -> Self {
        Self::start_with("0")
    }

    /// Starts one that can be stopped and started again without losing anything: objects are files from the start, all
    /// else becomes one when it is asked to stop.
    pub fn start_durable() -> Self {
        Self::start_with("1")
    }

    fn start_with(durable: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("lobar-ministack-").tempdir();
        let folder = folder.expect("a folder").keep();
        let port = free_port();
        let program = python_program("ministack");
        let (program, port_text) = (program.to_str().expect("UTF-8"), port.to_string());
        let temporary = folder.to_str().expect("UTF-8").to_owned();
        let (state, objects) = (format!("{temporary}/state"), format!("{temporary}/objects"));
        let environment = [
            ("BIND_HOST", "127.0.0.1"),
            ("MINISTACK_HOST", "127.0.0.1"),
            ("GATEWAY_PORT", port_text.as_str()),
            ("SERVICES", "s3,sqs"),
            ("TMPDIR", temporary.as_str()),
            ("HOME", temporary.as_str()),
            ("PERSIST_STATE", durable),
            ("STATE_DIR", state.as_str()),
            ("S3_PERSIST", durable),
            ("S3_DATA_DIR", objects.as_str()),
        ];
        let server = Server::new(folder, &[program], &environment);
        server.start();
        Self { server, port }
    }

    /// Waits until it answers.
    pub async fn ready(&self) {
        let began = Instant::now();
        while !self.healthy().await {
            assert!(began.elapsed() < START, "MiniStack does not answer:\n{}", self.server.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Asks it to end. What was not made by [`Self::start_durable`] forgets everything.
    pub fn stop(&self) {
        self.server.stop();
    }

    /// Starts it again on the same port, and waits until it answers.
    pub async fn start_again(&self) {
        self.server.start();
        self.ready().await;
    }

    async fn healthy(&self) -> bool {
        let asked = async {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.ok()?;
            let ask = b"GET /_ministack/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
            stream.write_all(ask).await.ok()?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.ok()?;
            answer.starts_with(b"HTTP/1.1 200").then_some(())
        };
        asked.await.is_some()
    }

    /// Its address as a URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A client of SQS that is not ours.
    pub async fn sqs(&self) -> aws_sdk_sqs::Client {
        let credentials =
            aws_sdk_sqs::config::Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "test");
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(aws_sdk_sqs::config::BehaviorVersion::latest())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .region(aws_sdk_sqs::config::Region::new(REGION))
            .credentials_provider(credentials)
            .endpoint_url(self.url());
        aws_sdk_sqs::Client::from_conf(config.build())
    }

    /// A client of S3 that is not ours.
    pub async fn s3(&self) -> aws_sdk_s3::Client {
        let credentials =
            aws_sdk_s3::config::Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "test");
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(aws_sdk_s3::config::BehaviorVersion::latest())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .region(aws_sdk_s3::config::Region::new(REGION))
            .credentials_provider(credentials)
            .force_path_style(true)
            .endpoint_url(self.url());
        aws_sdk_s3::Client::from_conf(config.build())
    }

    /// A queue that nobody has used, with a dead-letter queue that keeps longer and takes what was
    /// received `receives` times.
    pub async fn queues(&self, receives: u32) -> Queues {
        self.queues_named(&format!("q-{}", uuid::Uuid::new_v4().simple()), receives).await
    }

    /// The same under a name of the test's.
    pub async fn queues_named(&self, name: &str, receives: u32) -> Queues {
        let sqs = self.sqs().await;
        let create = sqs.create_queue().queue_name(format!("{name}-dead"));
        let create = create.attributes(Attribute::MessageRetentionPeriod, "1209600");
        let dead = create.send().await.expect("a dead-letter queue");
        let dead_url = dead.queue_url().expect("a URL").to_owned();
        let dead_arn = self.arn(&dead_url).await;
        let policy = serde_json::json!({
            "deadLetterTargetArn": dead_arn, "maxReceiveCount": receives.to_string(),
        });
        let create = sqs.create_queue().queue_name(name);
        let create = create.attributes(Attribute::RedrivePolicy, policy.to_string());
        let queue = create.send().await.expect("a queue");
        let url = queue.queue_url().expect("a URL").to_owned();
        Queues { name: name.to_owned(), arn: self.arn(&url).await, url, dead_url }
    }

    async fn arn(&self, url: &str) -> String {
        self.attributes(url).await.remove(&Attribute::QueueArn).expect("an ARN")
    }

    /// All attributes of a queue.
    pub async fn attributes(&self, url: &str) -> HashMap<Attribute, String> {
        let ask = self.sqs().await.get_queue_attributes().queue_url(url);
        let found = ask.attribute_names(Attribute::All).send().await.expect("attributes");
        found.attributes().cloned().unwrap_or_default()
    }

    /// A bucket that nobody has used and that notifies nobody.
    pub async fn quiet_bucket(&self) -> String {
        let name = format!("b-{}", uuid::Uuid::new_v4().simple());
        self.s3().await.create_bucket().bucket(&name).send().await.expect("a bucket");
        name
    }

    /// A bucket that nobody has used, which notifies `queue` of what is stored and deleted.
    pub async fn bucket(&self, queue: &Queues, versions: bool) -> String {
        let name = format!("b-{}", uuid::Uuid::new_v4().simple());
        let s3 = self.s3().await;
        s3.create_bucket().bucket(&name).send().await.expect("a bucket");
        if versions {
            let on = s3::VersioningConfiguration::builder()
                .status(s3::BucketVersioningStatus::Enabled)
                .build();
            let put = s3.put_bucket_versioning().bucket(&name).versioning_configuration(on);
            put.send().await.expect("versioning");
        }
        let notify = s3::QueueConfiguration::builder()
            .queue_arn(&queue.arn)
            .events(s3::Event::from("s3:ObjectCreated:*"))
            .events(s3::Event::from("s3:ObjectRemoved:*"))
            .build()
            .expect("a notification");
        let all = s3::NotificationConfiguration::builder().queue_configurations(notify).build();
        let put = s3.put_bucket_notification_configuration().bucket(&name);
        put.notification_configuration(all).send().await.expect("notifications");
        name
    }
}
