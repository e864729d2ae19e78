//! What `lobar doctor` says about a database.

use std::sync::Arc;

use lobar_core::diagnostic::{Diagnostic, Severity};
use lobar_core::time::SystemClock;
use lobar_sql::postgres::{self, Deferred};
use lobar_testkit::services::postgres::Cluster;

fn verdict(checks: &[Diagnostic], what: &str) -> Severity {
    let found = checks.iter().find(|check| check.what.ends_with(what));
    found.unwrap_or_else(|| panic!("{what} is among {checks:?}")).verdict
}

#[tokio::test]
async fn a_database_that_is_ready_is_found_good_and_what_is_not_is_named() {
    let cluster = Cluster::shared().await;
    let database = cluster.database();
    let store = postgres::open(&database.url(), Arc::new(SystemClock)).await.expect("opens");
    Deferred::of_this_release().run(&store).await.expect("ran");
    store.close().await;
    let checks = postgres::examine("store", &database.url()).await;
    let odd = checks.iter().filter(|check| check.verdict != Severity::Good);
    let odd: Vec<_> = odd.map(|check| check.what.as_str()).collect();
    // The tests' servers keep nothing for good.
    assert!(odd == ["store: fsync"] && checks.len() == 9, "{checks:?}");

    let empty = cluster.empty_database();
    let checks = postgres::examine("store", &empty.url()).await;
    assert_eq!(verdict(&checks, "schema"), Severity::Advice);

    let url = database.url() + "&options[synchronous_commit]=off";
    let checks = postgres::examine("store", &url).await;
    assert_eq!(verdict(&checks, "synchronous_commit"), Severity::Advice);
    let url = database.url() + "&options[default_transaction_read_only]=on";
    let checks = postgres::examine("store", &url).await;
    assert_eq!(verdict(&checks, "permission to write"), Severity::Fault);

    let name = format!("reader_{}", database.name());
    database.sql(&format!(
        "create role {name} login; grant select on all tables in schema public to {name}"
    ));
    let url = database.url().replace("postgres@", &format!("{name}@"));
    let checks = postgres::examine("store", &url).await;
    assert_eq!(verdict(&checks, "permission to write"), Severity::Fault);
    database.sql(&format!("drop owned by {name}; drop role {name}"));
}

#[tokio::test]
async fn a_database_that_is_not_there_is_a_fault_with_a_fix_and_no_secret() {
    for url in ["postgres://lobar:secret@127.0.0.1:1/db", "postgres://lobar:secret@127.0.0.1:no/db"]
    {
        let checks = postgres::examine("jobs", url).await;
        assert!(checks.len() == 1 && checks[0].verdict == Severity::Fault, "{checks:?}");
        assert!(
            !checks[0].fix.is_empty() && !format!("{checks:?}").contains("secret"),
            "{checks:?}"
        );
    }
}
