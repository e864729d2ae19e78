//! What signing in and every request ask of accounts reads index ranges, as the server itself tells.

use std::collections::BTreeSet;
use std::time::Duration;

use lobar_core::access::Grants;
use lobar_core::accounts::{
    Accounts, External, NewAccount, NewLink, NewSession, PasswordHash, SecretHash,
};
use lobar_core::time::{Clock, SystemClock};
use lobar_testkit::services::postgres::{Cluster, Database};

use super::open;
use super::plans::{EXPLAINING, explained, mark};

/// More than any house has, so that a scan costs more than a range.
const PEOPLE: u64 = 20_000;
/// How often each verb runs, so that prepared statements come to their generic plans as well.
const TIMES: u64 = 8;
const IDLE: Duration = Duration::from_secs(1_800);

/// As [`fill`] numbers them.
fn secret(n: u64) -> SecretHash {
    let mut secret = [0; 32];
    secret[24..].copy_from_slice(&n.to_be_bytes());
    SecretHash(secret)
}

/// People, every other of them of another issuer, each with two sessions and a link; and as many tokens.
fn fill(database: &Database) {
    let now = SystemClock.now().0;
    let later = now + 3_600_000_000;
    let secret = "decode(lpad(to_hex(n), 64, '0'), 'hex')";
    database.sql(&format!(
        "insert into account (id, name, name_key, grants, issuer, subject, added_at)
         select md5('account' || n)::uuid, 'Person ' || n, 'person ' || n, 'reader@north',
           case when n % 2 = 0 then 'https://id.example' end, case when n % 2 = 0 then n::text end, {now}
         from generate_series(1, {PEOPLE}) as n;
         insert into session (id, account, secret, opened_at, used_at, expires_at, client)
         select md5('session' || n)::uuid, md5('account' || (n - 1) % {PEOPLE} + 1)::uuid, {secret}, {now},
           {now}, {later}, ''
         from generate_series(1, 2 * {PEOPLE}) as n;
         insert into link (account, secret, expires_at)
         select md5('account' || n)::uuid, {secret}, {later} from generate_series(1, {PEOPLE}) as n;
         insert into token (id, name, name_key, grants, secret, added_at)
         select md5('token' || n)::uuid, 'token ' || n, 'token ' || n, 'uploader@north', {secret}, {now}
         from generate_series(1, {PEOPLE}) as n;
         insert into stranger (bucket, failures, failed_at)
         select n, 1, {now} from generate_series(1, {PEOPLE}) as n"
    ));
    database.sql("vacuum (analyze) account, session, link, token, stranger");
}

async fn everything(accounts: &dyn Accounts) {
    let password = PasswordHash("$argon2id$".into());
    for n in 1..=TIMES {
        // Of another issuer, and of none.
        let n = 2 * n;
        let account = accounts.named(&format!("PERSON {n}")).await.expect("asked").expect("known");
        assert!(accounts.account(account.id).await.expect("asked").is_some());
        let external = External { issuer: "https://id.example".into(), subject: n.to_string() };
        assert!(accounts.external(&external).await.expect("asked").is_some());
        accounts.note_sign_in(account.id, false).await.expect("noted");
        accounts.note_sign_in(account.id, true).await.expect("noted");
        assert!(accounts.use_code(account.id, 7).await.expect("asked"));
        let bucket = u32::try_from(n).expect("small");
        accounts.note_stranger(bucket).await.expect("noted");
        assert!(accounts.stranger(bucket).await.expect("asked").is_some());
        let (session, _) = accounts.session(&secret(n), IDLE).await.expect("asked").expect("open");
        accounts.touch_session(session.id).await.expect("noted");
        assert_eq!(accounts.sessions(account.id, IDLE).await.expect("asked").len(), 2);
        assert!(accounts.end_session(account.id, session.id).await.expect("asked"));
        assert_eq!(accounts.end_sessions(account.id, Some(session.id)).await.expect("ended"), 1);
        accounts.set_password(account.id, None, &password, None).await.expect("set");
        assert!(accounts.renew_password(account.id, &password, &password).await.expect("asked"));
        let expires_at = SystemClock.now().plus(IDLE);
        // Whom another issuer signs in has no link.
        let own = format!("person {}", n - 1);
        let own = accounts.named(&own).await.expect("asked").expect("known");
        let (of, new) = (own.id, secret(3 * PEOPLE + n));
        let link = NewLink { account: of, secret: new, expires_at };
        accounts.add_link(&link).await.expect("added");
        assert!(accounts.linked(&new).await.expect("asked").is_some());
        assert!(accounts.redeem(&new, &password).await.expect("asked").is_some());
        let session = NewSession {
            proven: None,
            sid: None,
            account: of,
            secret: new,
            expires_at,
            client: String::new(),
        };
        accounts.open_session(&session).await.expect("opened");
        let token = accounts.token(&secret(n)).await.expect("asked").expect("found");
        assert!(accounts.token_by_id(token.id).await.expect("asked").is_some());
        let new =
            NewAccount { name: format!("new {n}"), grants: Grants::default(), external: None };
        accounts.add(&new).await.expect("added");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_in_and_being_signed_in_read_index_ranges() {
    let cluster = Cluster::start(&EXPLAINING).await;
    let database = cluster.database();
    fill(&database);
    let accounts = open(&database.url()).await;
    let since = mark(&database);
    everything(&*accounts).await;
    accounts.close().await;

    let plans = explained(&database, since);
    let mut used = BTreeSet::new();
    for plan in &plans {
        for table in ["account", "session", "link", "token", "stranger"] {
            assert!(!plan.contains(&format!("Seq Scan on {table}")), "{plan}");
        }
        used.extend(plan.lines().filter_map(|line| {
            let name = line.split(" using ").nth(1).or_else(|| line.split("Index Scan on ").nth(1));
            name.and_then(|rest| rest.split(' ').next()).map(str::to_owned)
        }));
    }
    println!("indexes used: {used:?}");
    for index in [
        "account_pk",
        "account_name",
        "account_external",
        "session_pk",
        "session_secret",
        "session_of_account",
        "link_pk",
        "link_secret",
        "token_pk",
        "token_secret",
        "stranger_pk",
    ] {
        assert!(used.contains(index), "{index} is used: {used:?}");
    }
}
