//! Presence: who announced what, and until when it holds by Redis's own clock.
//!
//! A Redis that was restarted knows nobody although everybody is at work. So it keeps since when it
//! has known anything, and for as long as the workers need to announce themselves again the answer
//! is that it is not known.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use lobar_core::failure::PortError;
use lobar_core::presence::{HEARTBEAT_INTERVAL, Presence, PresentWorker, WorkerLoad};
use redis::Script;
use redis::aio::MultiplexedConnection;
use uuid::Uuid;

use super::link::SharedConnection;

/// How long an answer may take.
const LIMIT: Duration = Duration::from_millis(500);
/// How long after its beginning presence may not be complete.
const INCOMPLETE: Duration = HEARTBEAT_INTERVAL.saturating_add(Duration::from_secs(2));
/// Who is there by when that ends, what each said, and since when anything is known.
const KEYS: [&str; 3] = ["lobar:roster:until", "lobar:roster:said", "lobar:roster:since"];

/// What every script begins with: the time in milliseconds, and who has fallen silent is gone.
macro_rules! script {
    ($then:literal) => {
        LazyLock::new(|| {
            Script::new(concat!(
                "local time = redis.call('TIME')
                 local now = time[1] * 1000 + math.floor(time[2] / 1000)
                 redis.call('SET', KEYS[3], now, 'NX')
                 for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)) do
                   redis.call('ZREM', KEYS[1], gone)
                   redis.call('HDEL', KEYS[2], gone)
                 end
                ",
                $then
            ))
        })
    };
}

static ANNOUNCE: LazyLock<Script> = script!(
    "redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
     redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])"
);

static LEAVE: LazyLock<Script> = script!(
    "redis.call('ZREM', KEYS[1], ARGV[1])
     redis.call('HDEL', KEYS[2], ARGV[1])"
);

static MEMBERS: LazyLock<Script> =
    script!("return {now - redis.call('GET', KEYS[3]), redis.call('HGETALL', KEYS[2])}");

/// Workers in Redis.
pub struct RedisPresence(Arc<SharedConnection>);

/// Nobody may be missing from an answer.
#[derive(Debug, thiserror::Error)]
enum Unknown {
    #[error(
        "Redis began to know the workers only {0:?} ago; some may not have announced themselves"
    )]
    Incomplete(Duration),
}

impl RedisPresence {
    /// Connects when it is first used.
    pub fn open(url: &str) -> Result<Self, PortError> {
        Ok(Self(SharedConnection::new(super::client(url)?, LIMIT)))
    }

    /// Waits up to `limit` for each answer instead.
    pub fn within(self, limit: Duration) -> Self {
        Self(self.0.within(limit))
    }
}

#[async_trait]
impl Presence for RedisPresence {
    async fn heartbeat(
        &self,
        worker: Uuid,
        load: &WorkerLoad,
        keep: Duration,
    ) -> Result<(), PortError> {
        let what = "redis roster: announce";
        let said = serde_json::to_string(load).map_err(|e| PortError::permanent(what, e))?;
        let announce = |mut connection: MultiplexedConnection| async move {
            let mut announce = ANNOUNCE.key(&KEYS);
            let keep = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX);
            announce.arg(worker.to_string()).arg(keep).arg(said);
            announce.invoke_async::<()>(&mut connection).await
        };
        self.0.ask(what, announce).await
    }

    async fn leave(&self, worker: Uuid) -> Result<(), PortError> {
        let leave = |mut connection: MultiplexedConnection| async move {
            LEAVE.key(&KEYS).arg(worker.to_string()).invoke_async::<()>(&mut connection).await
        };
        self.0.ask("redis roster: leave", leave).await
    }

    async fn workers(&self) -> Result<Vec<PresentWorker>, PortError> {
        let what = "redis roster: members";
        let ask = |mut connection: MultiplexedConnection| async move {
            MEMBERS.key(&KEYS).invoke_async::<(i64, HashMap<String, String>)>(&mut connection).await
        };
        let (known_for, said) = self.0.ask(what, ask).await?;
        let known_for = Duration::from_millis(u64::try_from(known_for).unwrap_or(0));
        if known_for < INCOMPLETE {
            return Err(PortError::transient(what, Unknown::Incomplete(known_for)));
        }
        // What another release says in another form counts as a worker that says nothing.
        let members = said.into_iter().filter_map(|(worker, said)| {
            let load = serde_json::from_str(&said).unwrap_or_default();
            Some(PresentWorker { worker: worker.parse().ok()?, load })
        });
        Ok(members.collect())
    }
}
