//! What `lobar doctor` says about Redis.

use lobar_core::diagnostic::{Diagnostic, Severity};
use lobar_redis::examine;
use lobar_testkit::services::redis::{RedisServer, shared};

fn faults(checks: &[Diagnostic]) -> Vec<&str> {
    let faults = checks.iter().filter(|check| check.verdict == Severity::Fault);
    faults.map(|check| check.what.as_str()).collect()
}

#[tokio::test]
async fn a_redis_that_allows_everything_is_good() {
    let checks = examine(&shared().await.url()).await;
    assert!(checks.len() >= 6);
    assert!(checks.iter().all(|check| check.verdict == Severity::Good), "{checks:?}");
}

#[tokio::test]
async fn what_a_user_may_not_do_is_named_with_the_right_that_is_missing() {
    let rights = ["~lobar:*", "&lobar:*", "+@all", "-publish", "-hset"];
    let redis =
        RedisServer::start_with(&[&["--user", "lobar", "on", ">hidden"], &rights[..]].concat())
            .await;
    let checks = examine(&format!("redis://lobar:hidden@{}/0", redis.address)).await;
    assert_eq!(faults(&checks), ["redis: may publish", "redis: may run scripts"], "{checks:?}");
    assert!(checks.iter().any(|check| check.fix.contains("+publish")));
    assert!(checks.iter().any(|check| check.fix.contains("+hset")));
}

#[tokio::test]
async fn the_rights_that_a_fix_names_are_enough_for_everything() {
    let redis = RedisServer::start_with(&["--user", "lobar", "on", ">hidden"]).await;
    let url = format!("redis://lobar:hidden@{}/0", redis.address);
    let checks = examine(&url).await;
    assert!(!faults(&checks).is_empty());
    let admin = redis::Client::open(redis.url()).expect("a client");
    let mut admin = admin.get_multiplexed_async_connection().await.expect("connects");
    for check in checks {
        let Some((_, rights)) = check.fix.split_once("ACL SETUSER … ") else { continue };
        let mut grant = redis::cmd("ACL");
        grant.arg("SETUSER").arg("lobar");
        for right in rights.trim_end_matches("), or check the release by hand.").split(' ') {
            grant.arg(right);
        }
        grant.exec_async(&mut admin).await.expect("granted");
    }
    let checks = examine(&url).await;
    assert!(checks.iter().all(|check| check.verdict == Severity::Good), "{checks:?}");
}

#[tokio::test]
async fn a_wrong_password_and_an_absent_server_are_told_without_the_password() {
    let redis = RedisServer::start_with(&["--requirepass", "right"]).await;
    let refused = examine(&format!("redis://:hidden-one@{}/0", redis.address)).await;
    redis.stop();
    let away = examine(&format!("redis://:hidden-one@{}/0", redis.address)).await;
    let nonsense = examine("redis://:hidden-one@/0").await;
    let plain = examine(&format!("rediss://:hidden-one@{}/0", shared().await.address)).await;
    for checks in [refused, away, nonsense, plain] {
        assert_eq!(faults(&checks), ["redis: reachable"]);
        let text = format!("{checks:?}");
        assert!(text.contains("LOBAR_SIGNAL") && !text.contains("hidden-one"), "{text}");
    }
}

#[tokio::test]
async fn a_full_redis_that_would_refuse_is_advised_against() {
    let full = ["--maxmemory", "100mb", "--maxmemory-policy", "noeviction"];
    let redis = RedisServer::start_with(&full).await;
    let checks = examine(&redis.url()).await;
    let advice: Vec<_> = checks.iter().filter(|check| check.verdict != Severity::Good).collect();
    assert_eq!((advice.len(), advice[0].verdict), (1, Severity::Advice));
    assert!(advice[0].fix.contains("volatile-ttl"));
}
