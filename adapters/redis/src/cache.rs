//! The cache: a hash an image, with the position, the tag and the body; without the last two it is a
//! mark that the image changed. Scripts make each comparison and what follows it one step.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use lobar_core::cache::{Cache, Entry};
use lobar_core::failure::PortError;
use lobar_core::object::ImageId;
use lobar_core::position::Position;
use redis::Script;
use redis::aio::MultiplexedConnection;

use super::link::SharedConnection;

/// How long an answer may take: longer, and the store is as quick.
const LIMIT: Duration = Duration::from_millis(50);
/// Changes in one script.
const AT_ONCE: usize = 256;

/// Numbers are compared as Lua's doubles, which are exact up to 2^53.
static PUT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local known = redis.call('HGET', KEYS[1], 'seq')
         if known and tonumber(known) > tonumber(ARGV[1]) then return 0 end
         redis.call('HSET', KEYS[1], 'seq', ARGV[1], 'tag', ARGV[2], 'body', ARGV[3])
         redis.call('PEXPIRE', KEYS[1], ARGV[4])
         return 1",
    )
});

static FORGET: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "for i, key in ipairs(KEYS) do
           local known = redis.call('HGET', key, 'seq')
           if not known or tonumber(known) < tonumber(ARGV[i + 1]) then
             redis.call('DEL', key)
             redis.call('HSET', key, 'seq', ARGV[i + 1])
             redis.call('PEXPIRE', key, ARGV[1])
           end
         end",
    )
});

/// Answers in Redis.
pub struct RedisCache(Arc<SharedConnection>);

impl RedisCache {
    /// Connects when it is first used.
    pub fn open(url: &str) -> Result<Self, PortError> {
        Ok(Self(SharedConnection::new(super::client(url)?, LIMIT)))
    }

    /// Waits up to `limit` for each answer instead.
    pub fn within(self, limit: Duration) -> Self {
        Self(self.0.within(limit))
    }
}

/// The digit is that of the entry's form: another form gets another.
fn key(image: ImageId) -> String {
    format!("lobar:answer:2:{image}")
}

fn millis(keep: Duration) -> u64 {
    u64::try_from(keep.as_millis()).unwrap_or(u64::MAX).max(1)
}

type Fields = (Option<i64>, Option<String>, Option<Bytes>);

#[async_trait]
impl Cache for RedisCache {
    async fn get(&self, image: ImageId) -> Result<Option<Entry>, PortError> {
        let get = |mut connection: MultiplexedConnection| async move {
            let mut get = redis::cmd("HMGET");
            get.arg(key(image)).arg(&["seq", "tag", "body"]);
            get.query_async::<Fields>(&mut connection).await
        };
        Ok(match self.0.ask("redis cache: get", get).await? {
            (Some(seq), Some(tag), Some(body)) => {
                Some(Entry { position: Position::from_number(seq), tag, body })
            }
            _ => None,
        })
    }

    async fn put(&self, image: ImageId, entry: &Entry, keep: Duration) -> Result<bool, PortError> {
        let put = |mut connection: MultiplexedConnection| async move {
            let mut put = PUT.key(key(image));
            put.arg(entry.position.number()).arg(&entry.tag).arg(&entry.body[..]).arg(millis(keep));
            put.invoke_async(&mut connection).await
        };
        self.0.ask("redis cache: put", put).await
    }

    async fn forget(
        &self,
        changes: &[(ImageId, Position)],
        keep: Duration,
    ) -> Result<(), PortError> {
        for some in changes.chunks(AT_ONCE) {
            let forget = |mut connection: MultiplexedConnection| async move {
                let mut forget = FORGET.arg(millis(keep));
                for (image, position) in some {
                    forget.key(key(*image)).arg(position.number());
                }
                forget.invoke_async::<()>(&mut connection).await
            };
            self.0.ask("redis cache: forget", forget).await?;
        }
        Ok(())
    }
}
