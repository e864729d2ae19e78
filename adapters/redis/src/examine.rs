//! What `lobar doctor` finds out about Redis.

use std::time::Duration;

use lobar_core::diagnostic::Diagnostic;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError, RedisResult, Script};
use tokio::time::timeout;
use uuid::Uuid;

/// How long each look may take.
const LIMIT: Duration = Duration::from_secs(3);
/// The oldest release on which scripts may read the time and then write.
const OLDEST: u32 = 5;

/// Looks at the Redis of `url`: whether it is reachable, which release it is, whether this user may
/// do what is needed, and what happens when its memory is full.
pub async fn examine(url: &str) -> Vec<Diagnostic> {
    let reachable = "redis: reachable";
    let client = match super::client(url) {
        Ok(client) => client,
        Err(error) => {
            let fix = "Write LOBAR_SIGNAL as redis://[user:password@]host:port/database.";
            return vec![Diagnostic::fault(reachable, error.source.to_string(), fix)];
        }
    };
    let mut connection = match connect(&client).await {
        Ok(connection) => connection,
        Err(why) => {
            let fix = "Start Redis, or correct host, port, user or password in LOBAR_SIGNAL; for \
                       TLS write rediss://. Until then pages follow by looking at the store.";
            return vec![Diagnostic::fault(reachable, why, fix)];
        }
    };
    let mut checks = vec![Diagnostic::good(reachable, "answers")];
    match info(&mut connection).await {
        Ok(info) => {
            checks.push(version(&info));
            checks.push(memory(&info));
        }
        Err(error) => checks.push(Diagnostic::advice(
            "redis: version",
            format!("INFO is refused: {error}"),
            "Allow INFO to this user (ACL SETUSER … +info), or check the release by hand.",
        )),
    }
    checks.push(allowed("redis: may publish", "+publish", publish(&mut connection).await));
    checks.push(allowed("redis: may subscribe", "+subscribe", subscribe(&client).await));
    let commands = "~lobar:* +hmget +hset +hget +del +pexpire +set +get +time +zadd +zrem \
                    +zrangebyscore +hdel +hgetall +evalsha +script|load";
    checks.push(allowed("redis: may run scripts", commands, script(&mut connection).await));
    checks
}

async fn connect(client: &Client) -> Result<MultiplexedConnection, String> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(LIMIT))
        .set_response_timeout(Some(LIMIT));
    let connecting = client.get_multiplexed_async_connection_with_config(&config);
    match timeout(LIMIT, connecting).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {LIMIT:?}")),
    }
}

async fn info(connection: &mut MultiplexedConnection) -> RedisResult<String> {
    redis::cmd("INFO").query_async(connection).await
}

/// The value of one line of INFO.
fn line<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    let values = info.lines().filter_map(|line| line.split_once(':'));
    values.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value.trim())
}

fn version(info: &str) -> Diagnostic {
    let what = "redis: version";
    let found = line(info, "redis_version").unwrap_or("not told");
    let major = found.split('.').next().and_then(|major| major.parse::<u32>().ok());
    match major {
        Some(major) if major >= OLDEST => Diagnostic::good(what, found),
        Some(_) => Diagnostic::fault(what, found, format!("Use Redis {OLDEST} or later.")),
        None => Diagnostic::advice(what, found, format!("Make sure that it is {OLDEST} or later.")),
    }
}

fn memory(info: &str) -> Diagnostic {
    let what = "redis: memory";
    let limit = line(info, "maxmemory").and_then(|bytes| bytes.parse::<u64>().ok()).unwrap_or(0);
    let policy = line(info, "maxmemory_policy").unwrap_or("not told");
    let found = format!("limit {limit} bytes, policy {policy}");
    if limit > 0 && policy == "noeviction" {
        let fix = "CONFIG SET maxmemory-policy volatile-ttl: with noeviction a full Redis refuses \
                   the cache and presence; nothing is lost, but pages are read from the store.";
        return Diagnostic::advice(what, found, fix);
    }
    Diagnostic::good(what, found)
}

async fn publish(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    redis::cmd("PUBLISH").arg("lobar:doctor").arg("").query_async(connection).await
}

async fn subscribe(client: &Client) -> RedisResult<()> {
    let subscribing = async {
        let mut pubsub = client.get_async_pubsub().await?;
        pubsub.subscribe("lobar:doctor").await
    };
    let late = || RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
    timeout(LIMIT, subscribing).await.unwrap_or_else(|_| Err(late()))
}

/// Everything that the cache and presence do, on a key that expires at once.
async fn script(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    let tried = Script::new(
        "redis.call('TIME')
         redis.call('HSET', KEYS[1], 'a', 1)
         redis.call('HGET', KEYS[1], 'a')
         redis.call('HMGET', KEYS[1], 'a')
         redis.call('HGETALL', KEYS[1])
         redis.call('HDEL', KEYS[1], 'a')
         redis.call('SET', KEYS[1], 1)
         redis.call('GET', KEYS[1])
         redis.call('DEL', KEYS[1])
         redis.call('ZADD', KEYS[1], 1, 'a')
         redis.call('ZRANGEBYSCORE', KEYS[1], 1, 1)
         redis.call('PEXPIRE', KEYS[1], 1000)
         redis.call('ZREM', KEYS[1], 'a')",
    );
    tried.key(format!("lobar:doctor:{}", Uuid::new_v4())).invoke_async(connection).await
}

fn allowed(what: &str, rights: &str, tried: RedisResult<()>) -> Diagnostic {
    match tried {
        Ok(()) => Diagnostic::good(what, "allowed"),
        Err(error) => {
            let fix = format!("Allow it to this user: ACL SETUSER … {rights} &lobar:*");
            Diagnostic::fault(what, error.to_string(), fix)
        }
    }
}

#[cfg(test)]
mod tests {
    use lobar_core::diagnostic::Severity;

    use super::*;

    #[test]
    fn a_full_redis_that_refuses_is_advised_against_and_any_other_is_fine() {
        let of = |limit, policy| {
            memory(&format!("# Memory\r\nmaxmemory:{limit}\r\nmaxmemory_policy:{policy}\r\n"))
        };
        assert_eq!(of(0, "noeviction").verdict, Severity::Good);
        assert_eq!(of(1 << 30, "allkeys-lru").verdict, Severity::Good);
        let advised = of(1 << 30, "noeviction");
        assert_eq!(advised.verdict, Severity::Advice);
        assert!(advised.fix.contains("volatile-ttl"));
    }

    #[test]
    fn a_release_without_scripts_that_read_the_time_is_refused() {
        assert_eq!(version("redis_version:7.0.15\r\n").verdict, Severity::Good);
        assert_eq!(version("redis_version:3.2.1\r\n").verdict, Severity::Fault);
        assert_eq!(version("").verdict, Severity::Advice);
    }
}
