//! What can go wrong, and where.

use std::fmt;
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;

/// The processes of the system, by their roles.
pub(crate) const PROCESSES: [&str; 5] = ["ingest", "ingest", "worker", "worker", "api"];

/// A service that the roles need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Service {
    Postgres,
    RabbitMq,
    /// S3 and SQS.
    Amazon,
    Redis,
}

impl Service {
    pub(crate) const ALL: [Self; 4] = [Self::Postgres, Self::RabbitMq, Self::Amazon, Self::Redis];
}

/// Where a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Target {
    /// One of [`PROCESSES`].
    Process(usize),
    Service(Service),
    /// The connections of one of [`PROCESSES`] to a service.
    Link(usize, Service),
    /// The connections of clients to the api.
    Page,
    /// What S3 and SQS answer.
    Answers,
    /// Notifications on their way.
    Notifications,
    /// The way of uploads to the bucket.
    Uploads,
}

/// What is done to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// SIGKILL to a process, and another in its place.
    Kill,
    /// SIGTERM to a process, and another in its place.
    Replace,
    /// SIGSTOP to a process, and SIGCONT.
    Pause,
    /// The clock of a process is set ten minutes ahead, and set right again.
    Ahead,
    /// The clock of a process is set ten minutes back, and set right again.
    Behind,
    /// SIGKILL to a service, which comes back.
    Crash,
    /// A service is stopped, and comes back.
    Restart,
    /// PostgreSQL takes no changes.
    ReadOnly,
    /// A service's disk is full: files of PostgreSQL get no longer, RabbitMQ blocks publishers.
    DiskFull,
    /// Redis forgets everything.
    Flush,
    /// Connections break; new ones pass.
    Cut,
    /// Nothing passes, and nobody is told.
    Freeze,
    /// Every piece is late.
    Slow,
    /// Connections break, and new ones as well.
    Down,
    /// Connections end in the middle of an answer.
    Truncate,
    /// A part of all requests to S3 and SQS is refused: throttled, or with a 5xx.
    Refuse,
    /// S3 and SQS do a part of what they are asked for, and nobody hears of it.
    Lose,
    /// Bodies of objects come in drips, or end early.
    Drip,
    /// Notifications that came before come again.
    Repeat,
    /// Notifications come twice, and out of order.
    Reorder,
    /// PUTs are stored, and the uploader does not hear of it.
    Unanswered,
}

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    pub(crate) target: Target,
}

impl Kind {
    pub(crate) const ALL: [Self; 21] = [
        Self::Kill,
        Self::Replace,
        Self::Pause,
        Self::Ahead,
        Self::Behind,
        Self::Crash,
        Self::Restart,
        Self::ReadOnly,
        Self::DiskFull,
        Self::Flush,
        Self::Cut,
        Self::Freeze,
        Self::Slow,
        Self::Down,
        Self::Truncate,
        Self::Refuse,
        Self::Lose,
        Self::Drip,
        Self::Repeat,
        Self::Reorder,
        Self::Unanswered,
    ];

    /// How often it is drawn, against the others.
    pub(crate) fn weight(self) -> f64 {
        match self {
            Self::Kill | Self::Cut => 3.0,
            Self::Pause | Self::Freeze | Self::Slow | Self::Down | Self::Truncate => 2.0,
            Self::Repeat => 2.0,
            _ => 1.0,
        }
    }

    /// Where it may strike.
    pub(crate) fn targets(self) -> Vec<Target> {
        let services = |some: &[Service]| some.iter().copied().map(Target::Service).collect();
        match self {
            Self::Kill | Self::Replace | Self::Pause | Self::Ahead | Self::Behind => {
                (0..PROCESSES.len()).map(Target::Process).collect()
            }
            // The emulator of S3 and SQS writes its queues down when it is asked to stop: a crash would lose what was
            // acknowledged.
            Self::Crash => services(&[Service::Postgres, Service::RabbitMq, Service::Redis]),
            Self::Restart => services(&[Service::Postgres, Service::RabbitMq, Service::Amazon]),
            Self::ReadOnly => services(&[Service::Postgres]),
            Self::DiskFull => services(&[Service::Postgres, Service::RabbitMq]),
            Self::Flush => services(&[Service::Redis]),
            Self::Cut | Self::Freeze | Self::Slow | Self::Down | Self::Truncate => {
                let links = (0..PROCESSES.len())
                    .flat_map(|process| Service::ALL.map(|service| Target::Link(process, service)));
                links.chain([Target::Page]).collect()
            }
            Self::Refuse | Self::Lose | Self::Drip => vec![Target::Answers],
            Self::Repeat | Self::Reorder => vec![Target::Notifications],
            Self::Unanswered => vec![Target::Uploads],
        }
    }

    /// How long one lasts. Now and then a pause or a silence outlasts every lease and every heartbeat.
    pub(crate) fn lasts(self, random: &mut StdRng) -> Duration {
        let long = random.random_bool(0.15);
        let seconds = match self {
            Self::Cut | Self::Flush | Self::Repeat => 0.0..0.1,
            Self::Pause | Self::Freeze if long => 32.0..42.0,
            Self::Kill | Self::Replace | Self::Crash | Self::Restart => 0.0..4.0,
            _ => 0.5..8.0,
        };
        Duration::from_secs_f64(random.random_range(seconds))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(process) => write!(f, "{} ({process})", PROCESSES[*process]),
            Self::Service(service) => write!(f, "{service:?}"),
            Self::Link(process, service) => {
                write!(f, "{} ({process}) to {service:?}", PROCESSES[*process])
            }
            Self::Page => f.write_str("clients to api"),
            Self::Answers => f.write_str("answers of Amazon"),
            Self::Notifications => f.write_str("notifications"),
            Self::Uploads => f.write_str("uploads"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {}", self.kind, self.target)
    }
}
