//! `lobar audit` as its user runs it, on a store that nothing else has open, and on an export of it.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;

use lobar_core::audit::{Action, Actor, Audit, NewEntry};
use lobar_core::time::SystemClock;
use lobar_opener::Opener;
use lobar_tests::kit::executable;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};

/// A store with so many entries, and the command line beside it.
struct Site(tempfile::TempDir);

impl Site {
    async fn with(entries: usize) -> Self {
        let site = Self(tempfile::tempdir().expect("a folder"));
        std::fs::create_dir_all(site.data()).expect("a folder");
        site.append(entries).await;
        site
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn url(&self) -> String {
        format!("sqlite:{}", self.data().join("lobar.db").display())
    }

    async fn append(&self, entries: usize) {
        let opener = Opener::new(Arc::new(SystemClock));
        let url = self.url().parse().expect("a URL");
        let store: Arc<dyn Audit> = opener.database("store", &url).await.expect("opens");
        let entry = NewEntry::new(Action::Viewed, Actor::local("grace"));
        store.append(&vec![entry; entries]).await.expect("appended");
        drop(store);
        opener.close().await;
    }

    /// Runs a statement as somebody does who may write the file.
    async fn tamper(&self, statement: &str) {
        let unguarded =
            "drop trigger if exists audit_unchanged; drop trigger if exists audit_kept; ";
        let mut file = SqliteConnection::connect(&self.url()).await.expect("opens");
        let sql = AssertSqlSafe(unguarded.to_owned() + statement);
        sqlx::raw_sql(sql).execute(&mut file).await.expect("done");
        file.close().await.expect("closes");
    }

    fn audit(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(executable());
        command
            .arg("audit")
            .args(arguments)
            .arg("--data")
            .arg(self.data())
            .args(["--store", &self.url()]);
        command.env("USER", "ada").output().expect("it runs")
    }

    /// What a command that succeeds prints.
    fn prints(&self, arguments: &[&str]) -> String {
        let output = self.audit(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", said(&output.stderr));
        said(&output.stdout)
    }

    /// What a command answers to a program.
    fn answer(&self, arguments: &[&str]) -> Value {
        let text = self.prints(&[arguments, &["--json"]].concat());
        serde_json::from_str(&text).expect("one JSON object")
    }

    /// What a verification that fails answers to a program, and says.
    fn broken(&self, arguments: &[&str]) -> (Value, String) {
        let output = self.audit(&[&["verify", "--json"], arguments].concat());
        assert_eq!(output.status.code(), Some(1), "{}", said(&output.stdout));
        let answer = serde_json::from_slice(&output.stdout).expect("one JSON object");
        (answer, said(&output.stderr))
    }

    /// Keeps what is printed in a file.
    fn keep(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.to_str().expect("text").to_owned()
    }
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn a_changed_a_removed_and_an_inserted_row_are_found() {
    for (statement, number) in [
        ("update audit set actor = 'somebody else' where number = 3", 3),
        ("delete from audit where number = 3", 4),
        ("delete from audit where number < 3", 3),
        (
            "update audit set number = 6 where number = 5;
             insert into audit (number, v, at, action, actor_kind, actor, detail, previous, hash)
               select 5, v, at, action, actor_kind, 'somebody else', detail, hash, hash from audit
               where number = 4",
            5,
        ),
    ] {
        let site = Site::with(5).await;
        assert_eq!(site.answer(&["verify"])["entries"], 5);
        site.tamper(statement).await;
        let (answer, told) = site.broken(&[]);
        assert_eq!((&answer["verified"], &answer["number"]), (&json!(false), &json!(number)));
        assert!(told.contains(&format!("broken at entry {number}")), "{told}");
        // And in an export.
        let export = site.prints(&["export"]);
        let file = site.keep("export.ndjson", &export);
        if number != 3 || statement.starts_with("update") {
            assert_eq!(site.broken(&["--file", &file]).0["number"], number);
        } else {
            assert_eq!(site.answer(&["verify", "--file", &file])["begin"], "unproven");
        }
    }
}

#[tokio::test]
async fn an_end_that_was_cut_off_is_found_by_a_checkpoint_that_was_kept_elsewhere() {
    let site = Site::with(3).await;
    let kept = site.keep("kept", &site.prints(&["checkpoint"]));
    let as_json = site.keep("kept.json", &site.answer(&["checkpoint"]).to_string());
    site.append(2).await;
    for file in [&kept, &as_json] {
        let answer = site.answer(&["verify", "--from", file]);
        assert_eq!((&answer["first"], &answer["newest"]["number"]), (&json!(3), &json!(5)));
    }
    site.tamper("delete from audit where number >= 3").await;
    assert_eq!(site.answer(&["verify"])["entries"], 2, "without one it looks whole");
    let (answer, told) = site.broken(&["--from", &kept]);
    assert!(answer["number"] == 3 && told.contains("ends with entry 2"), "{told}");
    let none = site.keep("none", "what is this");
    assert_eq!(site.audit(&["verify", "--from", &none]).status.code(), Some(2));
    assert_eq!(site.audit(&["verify", "--file", "/nowhere/at/all"]).status.code(), Some(2));
}

#[tokio::test]
async fn an_export_is_recorded_and_is_followed_without_the_store() {
    let site = Site::with(4).await;
    let export = site.prints(&["export"]);
    assert_eq!(export.lines().count(), 4);
    let file = site.keep("export.ndjson", &export);
    let elsewhere = Site(tempfile::tempdir().expect("a folder"));
    let answer = elsewhere.answer(&["verify", "--file", &file]);
    assert_eq!((&answer["begin"], &answer["entries"]), (&json!("first"), &json!(4)));
    assert!(!elsewhere.data().exists(), "nothing is made");
    let changed = site.keep("changed.ndjson", &export.replacen("grace", "somebody", 1));
    assert_eq!(elsewhere.broken(&["--file", &changed]).0["number"], 1);

    let fhir = site.prints(&["export", "--format", "fhir", "--since", "2020-01-01"]);
    let events: Vec<Value> =
        fhir.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(events.len(), 5, "with the export before");
    assert!(events.iter().all(|event| event["resourceType"] == "AuditEvent"));
    let exported = &events[4];
    assert_eq!(exported["type"]["code"], "110106");
    assert_eq!(exported["agent"][0]["who"]["display"], "ada");
    assert_eq!(site.prints(&["export", "--until", "2020-01-01"]), "");
    assert_eq!(site.answer(&["verify"])["entries"], 7, "each export is an entry");
}
