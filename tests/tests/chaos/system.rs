//! The whole system: real services of its own, every role as a process, and a proxy on every connection.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lobar_testkit::preload::ShiftedClock;
use lobar_testkit::services::free_port;
use lobar_testkit::services::http_proxy::{Fault, HttpProxy};
use lobar_testkit::services::ministack::{ACCESS_KEY, MiniStack, Queues, REGION, SECRET_KEY};
use lobar_testkit::services::postgres::{self, Database};
use lobar_testkit::services::proxy::Proxy;
use lobar_testkit::services::rabbitmq::RabbitMq;
use lobar_testkit::services::redis::RedisServer;
use tokio::sync::RwLock;

use super::amazon::Amazon;
use super::fault::{PROCESSES, Service};
use super::invariants::Violation;
use super::process::{Process, Start};

/// See the module's documentation.
pub(crate) struct System {
    // Dropped in this order: processes go before what they need.
    processes: Vec<Mutex<Process>>,
    /// In front of each service, for each process.
    pub(crate) links: BTreeMap<(usize, Service), Proxy>,
    /// In front of the api, for clients.
    pub(crate) page: Proxy,
    /// In front of S3 and SQS, for all processes.
    _answers: HttpProxy,
    pub(crate) amazon: Amazon,
    /// In front of S3, for who uploads.
    uploads: HttpProxy,
    pub(crate) database: Database,
    pub(crate) rabbitmq: RabbitMq,
    pub(crate) redis: RedisServer,
    pub(crate) s3: MiniStack,
    /// Held by who changes something without an answer to try again by: S3 and SQS are not stopped meanwhile.
    pub(crate) amazon_up: RwLock<()>,
    pub(crate) queue: Queues,
    pub(crate) bucket: String,
    /// PUTs on their way to the bucket so far.
    puts: Arc<AtomicUsize>,
    violations: Mutex<Vec<Violation>>,
    folder: tempfile::TempDir,
}

impl System {
    /// Starts everything.
    pub(crate) async fn open(seed: u64) -> Self {
        let s3 = MiniStack::start_durable();
        let (database, rabbitmq, redis) = tokio::join!(
            postgres::Cluster::start_on_a_disk(),
            RabbitMq::start(),
            RedisServer::start()
        );
        s3.ready().await;
        let database = database.database();
        let queue = s3.queues(1_000).await;
        let bucket = s3.bucket(&queue, true).await;
        let models = format!("s3://{}", s3.quiet_bucket().await);

        let local = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let (answers, amazon) = (HttpProxy::open(s3.port).await, Amazon::new(seed));
        amazon.rule(&answers);
        let mut links = BTreeMap::new();
        for process in 0..PROCESSES.len() {
            for service in Service::ALL {
                let server = match service {
                    Service::Postgres => local(database.cluster().port()),
                    Service::RabbitMq => rabbitmq.address(),
                    Service::Amazon => answers.address,
                    Service::Redis => redis.address,
                };
                links.insert((process, service), Proxy::open(server).await);
            }
        }
        let listen = local(free_port());
        let (page, uploads) = (Proxy::open(listen).await, HttpProxy::open(s3.port).await);
        let folder = tempfile::tempdir().expect("a folder");
        let start = |(place, role): (usize, &&'static str)| {
            let at = |service| links[&(place, service)].address;
            let aws = format!("http://{}", at(Service::Amazon));
            let environment = [
                ("LOBAR_STORE", database.url_through(at(Service::Postgres).port())),
                ("LOBAR_JOBS", format!("{}?prefix=t", rabbitmq.url_through(at(Service::RabbitMq)))),
                ("LOBAR_UPLOADS", format!("sqs://{}", queue.name)),
                ("LOBAR_SIGNAL", format!("redis://{}/0", at(Service::Redis))),
                ("LOBAR_S3_ENDPOINT", aws.clone()),
                ("AWS_ENDPOINT_URL_SQS", aws),
                ("AWS_REGION", REGION.into()),
                ("AWS_ACCESS_KEY_ID", ACCESS_KEY.into()),
                ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.into()),
                ("LOBAR_BUCKET", bucket.clone()),
                ("LOBAR_MODELS", models.clone()),
            ];
            let listen = if *role == "api" { listen } else { local(0) };
            Mutex::new(Process::start(Start {
                role,
                clock: ShiftedClock::new(folder.path(), &format!("{role}-{place}")),
                data: folder.path().join(format!("{role}-{place}")),
                listen: listen.to_string(),
                environment: environment.map(|(name, value)| (name.to_owned(), value)).into(),
            }))
        };
        let processes = PROCESSES.iter().enumerate().map(start).collect();
        let system = Self {
            processes,
            links,
            page,
            _answers: answers,
            amazon,
            uploads,
            database,
            rabbitmq,
            redis,
            s3,
            amazon_up: RwLock::default(),
            queue,
            bucket,
            puts: Arc::default(),
            violations: Mutex::default(),
            folder,
        };
        system.lose_answers_to_uploads(false);
        system
    }

    /// One of [`PROCESSES`].
    pub(crate) fn process(&self, place: usize) -> MutexGuard<'_, Process> {
        self.processes[place].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The api's address for clients, behind a proxy.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.page.address)
    }

    /// The bucket's address for who uploads.
    pub(crate) fn uploads_url(&self) -> String {
        self.uploads.url()
    }

    /// From now on the answers to some PUTs are lost, or none.
    pub(crate) fn lose_answers_to_uploads(&self, lost: bool) {
        let puts = self.puts.clone();
        self.uploads.rule(move |request| {
            let is_put = request.method == "PUT";
            let before = puts.fetch_add(usize::from(is_put), Ordering::Relaxed);
            if lost && is_put && before.is_multiple_of(2) { Fault::Lose } else { Fault::Pass }
        });
    }

    /// PUTs that clients sent.
    pub(crate) fn attempted(&self) -> usize {
        self.puts.load(Ordering::Relaxed)
    }

    /// Something must not be.
    pub(crate) fn tell(&self, violation: Violation) {
        println!("VIOLATION: {violation:?}");
        self.violations.lock().unwrap_or_else(PoisonError::into_inner).push(violation);
    }

    /// What was told so far.
    pub(crate) fn told(&self) -> Vec<Violation> {
        self.violations.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Starts what has ended by itself, and says so.
    pub(crate) fn look_after(&self) {
        for (place, role) in PROCESSES.iter().enumerate() {
            // A process that a fault holds is not looked after.
            let Ok(mut process) = self.processes[place].try_lock() else { continue };
            if let Some(what) = process.ended() {
                self.tell(Violation::Process { name: format!("{role} ({place})"), what });
                process.start_again();
            }
        }
    }

    /// What the logs say that they must not: names, and panics.
    pub(crate) fn read_logs(&self, patient: &str) {
        for (place, role) in PROCESSES.iter().enumerate() {
            let text = std::fs::read_to_string(self.process(place).log()).unwrap_or_default();
            let name = format!("{role} ({place})");
            if let Some(line) = text.lines().find(|line| line.contains("panicked at")) {
                self.tell(Violation::Process { name: name.clone(), what: line.to_owned() });
            }
            let family = patient.split(',').next().unwrap_or(patient);
            if text.contains(family) || text.contains("M%C3%BCller") {
                self.tell(Violation::Personal { name });
            }
        }
    }

    /// Keeps the logs for who looks into a failure, and says where they are.
    pub(crate) fn keep_logs(&self, seed: u64) {
        let kept = std::env::temp_dir().join(format!("lobar-chaos-{seed}"));
        let _ = std::fs::create_dir_all(&kept);
        for file in std::fs::read_dir(self.folder.path()).into_iter().flatten().flatten() {
            if file.path().extension().is_some_and(|end| end == "log") {
                let _ = std::fs::copy(file.path(), kept.join(file.file_name()));
            }
        }
        println!("the logs are in {}", kept.display());
    }
}
