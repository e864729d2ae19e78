//! Private services, and roles as processes on them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lobar_core::object_store::ObjectStore;
use lobar_s3::S3ObjectStore;
use lobar_testkit::services::free_port;
use lobar_testkit::services::ministack::{self, ACCESS_KEY, MiniStack, REGION, SECRET_KEY};
use lobar_testkit::services::postgres::{self, Database};
use lobar_testkit::services::rabbitmq::RabbitMq;
use lobar_testkit::services::redis::RedisServer;
use lobar_tests::aws::s3_options;
use lobar_tests::kit::{Client, Follower, Lobar, executable, node_executable};

/// Where the jobs travel.
#[derive(Clone, Copy, Debug)]
pub enum Jobs {
    RabbitMq,
    Sqs,
    Postgres,
}

/// A hospital's services, with a bucket, queues and a database that nobody else uses.
pub struct Cluster {
    environment: Vec<(String, String)>,
    listen: String,
    /// The page's address, the same after every restart of the api.
    pub page: String,
    /// The bucket, as an uploader sees it.
    pub bucket: Arc<dyn ObjectStore>,
    pub s3: &'static MiniStack,
    pub rabbitmq: &'static RabbitMq,
    /// Its own, since some tests stop it.
    pub redis: RedisServer,
    pub database: Database,
    started: AtomicUsize,
    folder: tempfile::TempDir,
}

impl Cluster {
    /// Services with nothing in them, and a database of this release's schema.
    pub async fn open(jobs: Jobs) -> Self {
        Self::open_on(postgres::Cluster::shared().await.database(), jobs).await
    }

    /// Services with nothing in them, and a database without a schema.
    pub async fn open_empty(jobs: Jobs) -> Self {
        Self::open_on(postgres::Cluster::shared().await.empty_database(), jobs).await
    }

    async fn open_on(database: Database, jobs: Jobs) -> Self {
        let (s3, rabbitmq) = (ministack::shared().await, RabbitMq::shared().await);
        let redis = RedisServer::start().await;
        let uploads = s3.queues(1_000).await;
        let bucket = s3.bucket(&uploads, true).await;
        let jobs = match jobs {
            Jobs::RabbitMq => format!("{}?prefix={}", rabbitmq.url(), rabbitmq.prefix()),
            Jobs::Postgres => database.url(),
            Jobs::Sqs => {
                let prefix = format!("jobs-{}", free_port());
                for lane in ["stat", "routine"] {
                    s3.queues_named(&format!("{prefix}-{lane}"), 1_000).await;
                }
                format!("sqs://{prefix}")
            }
        };
        let options = s3_options(&bucket, s3.url());
        let listen = format!("127.0.0.1:{}", free_port());
        let setting = |name: &str, value: String| (name.to_owned(), value);
        let environment = vec![
            setting("LOBAR_STORE", database.url()),
            setting("LOBAR_UPLOADS", format!("sqs://{}", uploads.name)),
            setting("LOBAR_JOBS", jobs),
            setting("LOBAR_SIGNAL", redis.url()),
            setting("LOBAR_S3_ENDPOINT", s3.url()),
            setting("AWS_ENDPOINT_URL_SQS", s3.url()),
            setting("AWS_REGION", REGION.into()),
            setting("AWS_ACCESS_KEY_ID", ACCESS_KEY.into()),
            setting("AWS_SECRET_ACCESS_KEY", SECRET_KEY.into()),
            setting("LOBAR_BUCKET", bucket),
            setting("LOBAR_MODELS", format!("s3://{}", s3.quiet_bucket().await)),
        ];
        Self {
            environment,
            page: format!("http://{listen}"),
            listen,
            bucket: Arc::new(S3ObjectStore::connect(options).await),
            s3,
            rabbitmq,
            redis,
            database,
            started: AtomicUsize::new(0),
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    /// A process with these roles, ready for work.
    pub fn run(&self, roles: &str) -> Lobar {
        self.run_with(roles, &[])
    }

    /// The same with other settings; an empty one is left out.
    pub fn run_with(&self, roles: &str, settings: &[(&str, String)]) -> Lobar {
        // Nodes that run no network are built without libtorch.
        let executable = if roles.contains("worker") { executable() } else { node_executable() };
        self.run_as(&executable, roles, settings)
    }

    /// `lobar autoscale`.
    pub fn autoscale(&self, settings: &[(&str, String)]) -> Lobar {
        self.start(&executable(), "autoscale", &["autoscale"], settings)
    }

    /// The same by another executable.
    pub fn run_as(&self, executable: &Path, roles: &str, settings: &[(&str, String)]) -> Lobar {
        let mut arguments = vec!["run", "--roles", roles];
        if roles.contains("api") {
            arguments.extend(["--listen", &self.listen]);
        }
        self.start(executable, roles, &arguments, settings)
    }

    fn start(
        &self,
        executable: &Path,
        name: &str,
        arguments: &[&str],
        settings: &[(&str, String)],
    ) -> Lobar {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let data = self.folder.path().join(format!("{name}-{number}"));
        let mut environment = self.environment.clone();
        for (name, value) in settings {
            environment.retain(|(known, _)| known != name);
            if !value.is_empty() {
                environment.push(((*name).to_owned(), value.clone()));
            }
        }
        Lobar::start_with(executable, arguments, &data, &environment)
    }

    /// What each process has logged.
    pub fn logs(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.folder.path()).expect("a folder");
        let paths = files.map(|file| file.expect("an entry").path());
        let logs = paths.filter(|path| path.extension().is_some_and(|end| end == "log"));
        logs.map(|path| std::fs::read_to_string(path).expect("a log")).collect()
    }

    /// What a setting of every process is.
    pub fn setting(&self, name: &str) -> String {
        let known = self.environment.iter().find(|(known, _)| known == name);
        known.expect("a setting of these tests").1.clone()
    }

    /// The API.
    pub fn client(&self) -> Client {
        Client::new(&self.page)
    }

    /// A page that is open.
    pub fn follow(&self) -> Follower {
        Follower::follow(&self.page)
    }
}
