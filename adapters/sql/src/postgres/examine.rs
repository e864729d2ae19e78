//! What `lobar doctor` asks a PostgreSQL database.

use std::time::Duration;

use lobar_core::diagnostic::Diagnostic;
use lobar_core::time::{Clock, SystemClock};
use sqlx::postgres::{PgConnectOptions, PgConnection, Postgres};
use sqlx::{ConnectOptions, Connection};

use super::{Deferred, pool, pooler};
use crate::Driver;

/// How long it may take to connect.
const CONNECT: Duration = Duration::from_secs(5);
/// The oldest that this works with.
const OLDEST: i64 = 13;
/// Leases depend on hosts' clocks: more than this is felt.
const SKEW: Duration = Duration::from_secs(2);

type Answer = Result<Diagnostic, sqlx::Error>;

/// Looks at the database that `url` names, as `part` (`store`, `uploads`, `jobs`) uses it. Changes
/// nothing.
pub async fn examine(part: &str, url: &str) -> Vec<Diagnostic> {
    let reach = format!("{part}: database reachable");
    let options = match pool::options(url) {
        Ok(options) => options,
        Err(fault) => {
            let fix = format!("Correct the setting `{part}`.");
            return vec![Diagnostic::fault(reach, fault.to_string(), fix)];
        }
    };
    let mut conn = match tokio::time::timeout(CONNECT, options.connect()).await {
        Ok(Ok(conn)) => conn,
        refused => {
            let why = match refused {
                Ok(Err(error)) => error.to_string(),
                _ => format!("no answer within {} s", CONNECT.as_secs()),
            };
            return vec![Diagnostic::fault(reach, why, unreachable_fix(part, &options))];
        }
    };
    let mut checks =
        vec![Diagnostic::good(reach, format!("{}:{}", options.get_host(), options.get_port()))];
    let name = |what: &str| format!("{part}: {what}");
    if let Ok(true) = pooler::shares_servers(&options).await {
        let fix = "Name the server itself in the setting, or set `pool_mode = session` for this database.";
        checks.push(Diagnostic::fault(name("a pooler in between"), pooler::REFUSED, fix));
        let _ = conn.close().await; // prepared statements may fail on it
        return checks;
    }
    let answers = [
        version(&mut conn, name("server version")).await,
        schema(&mut conn, name("schema")).await,
        deferred(&mut conn, name("deferred migrations")).await,
        writable(&mut conn, name("permission to write")).await,
        clock(&mut conn, name("clock of the server")).await,
        durability(&mut conn, name("synchronous_commit")).await,
        disk(&mut conn, name("fsync")).await,
        connections(&mut conn, name("connections")).await,
    ];
    for answer in answers {
        checks.push(answer.unwrap_or_else(|error| {
            let fix = "See the server's log for this statement.";
            Diagnostic::fault(name("a question to the server"), error.to_string(), fix)
        }));
    }
    let _ = conn.close().await; // nothing hangs on it
    checks
}

fn unreachable_fix(part: &str, options: &PgConnectOptions) -> String {
    format!(
        "Start PostgreSQL on {}:{}, or correct the setting `{part}`; the database and its user must \
         exist: `create user …; create database … owner …`.",
        options.get_host(),
        options.get_port()
    )
}

async fn version(conn: &mut PgConnection, what: String) -> Answer {
    let (number, text): (i32, String) = sqlx::query_as(
        "select current_setting('server_version_num')::int, current_setting('server_version')",
    )
    .fetch_one(conn)
    .await?;
    Ok(if i64::from(number) / 10_000 >= OLDEST {
        Diagnostic::good(what, text)
    } else {
        Diagnostic::fault(what, text, format!("Upgrade to PostgreSQL {OLDEST} or later."))
    })
}

async fn schema(conn: &mut PgConnection, what: String) -> Answer {
    let ours: Vec<i64> = Postgres::MIGRATIONS.iter().map(|migration| migration.version).collect();
    let applied = match relation_exists(conn, "_sqlx_migrations").await? {
        false => Vec::new(),
        true => {
            sqlx::query_as("select version from _sqlx_migrations where success")
                .fetch_all(conn)
                .await?
        }
    };
    let missing = ours.iter().filter(|version| !applied.contains(&(**version,))).count();
    let newer = applied.iter().filter(|(version,)| !ours.contains(version)).count();
    Ok(match (missing, newer) {
        (0, 0) => Diagnostic::good(what, "up to date"),
        (0, newer) => Diagnostic::good(what, format!("{newer} migrations ahead of this release")),
        (missing, _) => Diagnostic::advice(
            what,
            format!("{missing} of {} migrations have not been run", ours.len()),
            "Run `lobar migrate`, or start a role, which does it as well.",
        ),
    })
}

async fn deferred(conn: &mut PgConnection, what: String) -> Answer {
    Ok(match Deferred::of_this_release().rest_names(conn).await {
        Ok(pending) if pending.is_empty() => Diagnostic::good(what, "none pending"),
        Ok(pending) => Diagnostic::advice(
            what,
            format!("pending: {}", pending.join(", ")),
            "Run `lobar migrate`; it may take long, and the system may run meanwhile.",
        ),
        Err(error) => {
            Diagnostic::fault(what, error.to_string(), "Take the release's own executable.")
        }
    })
}

async fn writable(conn: &mut PgConnection, what: String) -> Answer {
    let (read_only, create): (bool, bool) = sqlx::query_as(
        "select pg_is_in_recovery() or current_setting('transaction_read_only') = 'on',
           has_schema_privilege(current_schema(), 'create')",
    )
    .fetch_one(&mut *conn)
    .await?;
    if read_only {
        let fix = "Name the primary, not a standby; end `default_transaction_read_only`.";
        return Ok(Diagnostic::fault(what, "the server is read-only", fix));
    }
    let mut denied = Vec::new();
    for table in [
        "image",
        "finding",
        "removal",
        "event",
        "tally",
        "quarantine",
        "probe",
        "message",
        "model",
        "model_change",
        "assignment",
        "shadow_finding",
        "verdict",
        "verdict_withdrawal",
        "reading_claim",
        "account",
        "session",
        "link",
        "token",
        "site",
    ] {
        if !relation_exists(conn, table).await? {
            continue;
        }
        let (granted,): (bool,) = sqlx::query_as(
            "select has_table_privilege($1, 'select') and has_table_privilege($1, 'insert')
               and has_table_privilege($1, 'update') and has_table_privilege($1, 'delete')",
        )
        .bind(table)
        .fetch_one(&mut *conn)
        .await?;
        if !granted {
            denied.push(table);
        }
    }
    // Whoever may not change the record cannot be made to.
    if relation_exists(conn, "audit").await? {
        let (granted,): (bool,) = sqlx::query_as(
            "select has_table_privilege('audit', 'select') and has_table_privilege('audit', 'insert')",
        )
        .fetch_one(&mut *conn)
        .await?;
        if !granted {
            denied.push("audit");
        }
    }
    Ok(if !denied.is_empty() {
        let fix = "Grant select, insert, update, delete on these tables, or let the user own them.";
        Diagnostic::fault(what, format!("denied on: {}", denied.join(", ")), fix)
    } else if !create {
        let fix =
            "Let `lobar migrate` run as the owner of the schema, or `grant create on schema`.";
        Diagnostic::advice(what, "tables yes, changes of the schema no", fix)
    } else {
        Diagnostic::good(what, "tables and schema")
    })
}

async fn clock(conn: &mut PgConnection, what: String) -> Answer {
    let before = SystemClock.now();
    let (there,): (i64,) =
        sqlx::query_as("select (extract(epoch from clock_timestamp()) * 1000000)::bigint")
            .fetch_one(conn)
            .await?;
    let after = SystemClock.now();
    // Somewhere between the two, hence no further off than this.
    let off = Duration::from_micros((before.0 - there).max(there - after.0).max(0).unsigned_abs());
    let found = format!("differs by {} ms from this host's", off.as_millis());
    Ok(if off <= SKEW {
        Diagnostic::good(what, found)
    } else {
        let fix =
            "Keep the clocks of all hosts right (chrony, systemd-timesyncd): leases are times.";
        Diagnostic::advice(what, found, fix)
    })
}

async fn durability(conn: &mut PgConnection, what: String) -> Answer {
    let (commit,): (String,) =
        sqlx::query_as("select current_setting('synchronous_commit')").fetch_one(conn).await?;
    Ok(if commit == "off" {
        let fix = "Set `synchronous_commit = on` for this user: a power cut may take back results \
                   that were shown.";
        Diagnostic::advice(what, "off", fix)
    } else {
        Diagnostic::good(what, commit)
    })
}

async fn disk(conn: &mut PgConnection, what: String) -> Answer {
    let (fsync,): (String,) =
        sqlx::query_as("select current_setting('fsync')").fetch_one(conn).await?;
    Ok(if fsync == "off" {
        let fix = "Set `fsync = on`: a power cut may ruin the whole database.";
        Diagnostic::advice(what, fsync, fix)
    } else {
        Diagnostic::good(what, fsync)
    })
}

async fn connections(conn: &mut PgConnection, what: String) -> Answer {
    let (limit, used): (i64, i64) = sqlx::query_as(
        "select current_setting('max_connections')::bigint
           - current_setting('superuser_reserved_connections')::bigint,
           (select count(*) from pg_stat_activity where backend_type = 'client backend')",
    )
    .fetch_one(conn)
    .await?;
    let (free, ours) = (limit - used, i64::from(pool::CONNECTIONS));
    let found = format!("{used} of {limit} in use; a process takes up to {ours}");
    Ok(if free >= ours {
        Diagnostic::good(what, found)
    } else {
        let fix = "Raise `max_connections`, or run fewer processes on this server.";
        Diagnostic::advice(what, found, fix)
    })
}

async fn relation_exists(conn: &mut PgConnection, name: &str) -> Result<bool, sqlx::Error> {
    let (there,): (bool,) =
        sqlx::query_as("select to_regclass($1) is not null").bind(name).fetch_one(conn).await?;
    Ok(there)
}
