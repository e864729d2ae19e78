//! `lobar user`, `lobar token` and `lobar site` as their operator runs them.

use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Output};

use lobar_tests::kit::{Lobar, executable};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};

/// A store that `lobar migrate` made, and commands on it.
struct Server(tempfile::TempDir);

impl Server {
    fn new() -> Self {
        let server = Self(tempfile::tempdir().expect("a folder"));
        assert_eq!(server.run(&["migrate"]).status.code(), Some(0));
        server
    }

    /// What the audit record says: action, whether it has a subject, and detail; every entry is by the command line.
    fn record(&self) -> Vec<(String, bool, Value)> {
        let lines = self.said(&["audit", "export"]);
        let entries = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let told = entries.filter(|entry| entry["action"] != "exported").map(|entry| {
            assert_eq!(
                (&entry["actor_kind"], &entry["actor"]),
                (&json!("local"), &json!("command line"))
            );
            let detail = entry["detail"].as_str().expect("text");
            let mut detail: Value = serde_json::from_str(detail).expect("JSON");
            let user = detail.as_object_mut().expect("an object").remove("os_user");
            assert_eq!(user.and_then(|user| user.as_u64()), Some(u64::from(os_user())));
            (
                entry["action"].as_str().expect("text").to_owned(),
                entry["subject"].is_string(),
                detail,
            )
        });
        told.collect()
    }

    /// Runs a statement of SQL on the store.
    fn statement(&self, sql: &str) {
        let url = format!("sqlite:{}", self.0.path().join("data/lobar.db").display());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let mut file = SqliteConnection::connect(&url).await.expect("opens");
            let sql = AssertSqlSafe(sql.to_owned());
            sqlx::raw_sql(sql).execute(&mut file).await.expect("done");
            file.close().await.expect("closes");
        });
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(executable());
        command.args(arguments).current_dir(self.0.path());
        command.arg("--data").arg(self.0.path().join("data")).output().expect("it runs")
    }

    /// What a command answers to a person.
    fn said(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", error(&output));
        String::from_utf8(output.stdout).expect("text")
    }

    /// What a command answers to a program.
    fn answer(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.said(&[arguments, &["--json"]].concat()))
            .expect("one JSON object")
    }

    /// What a command says that ends with this code.
    fn refused(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", error(&output));
        assert!(output.stdout.is_empty(), "{arguments:?} told something nonetheless");
        error(&output)
    }
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn somebody_is_invited_changed_kept_out_and_let_in_again() {
    let server = Server::new();
    assert!(server.said(&["user", "list"]).contains("Nobody has an account"));
    let url = ["--url", "https://lobar.example/"];
    let added = server.answer(&[&["user", "add", "Anna", "--grant", "admin@*"], &url[..]].concat());
    let link = added["link"].as_str().expect("a link");
    assert!(link.starts_with("https://lobar.example/#/link/lobar_l_"), "{link}");
    assert_eq!(
        (&added["account"]["state"], &added["account"]["grants"]),
        (&json!("invited"), &json!(["admin@*"]))
    );

    let invited = server.said(&["user", "add", "jane", "--grant", "clinician@north", "--new-site"]);
    assert!(invited.contains("http://127.0.0.1:8080/#/link/lobar_l_"), "{invited}");
    assert!(invited.contains("not shown again"), "{invited}");
    let reset = server.said(&["user", "reset", "JANE", "--forget-codes"]);
    assert!(reset.contains("/#/link/lobar_l_") && reset.contains("jane"), "{reset}");

    let changed = ["user", "grant", "jane", "--grant", "reader@north", "--grant", "operator@*"];
    assert_eq!(server.answer(&changed)["grants"], json!(["reader@north", "operator@*"]));
    assert_eq!(server.answer(&["user", "disable", "jane"])["state"], "disabled");
    assert!(server.refused(1, &["user", "reset", "jane"]).contains("lobar user enable"));
    assert_eq!(server.answer(&["user", "enable", "jane"])["state"], "invited");
    assert_eq!(server.answer(&["user", "sessions", "jane"])["items"], json!([]));
    assert_eq!(server.answer(&["user", "sign-out", "jane"])["ended"], 0);
    let everybody = server.answer(&["user", "list"]);
    let names: Vec<_> =
        everybody["items"].as_array().expect("a list").iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["Anna", "jane"]);
    let (list, json) = (server.said(&["user", "list"]), everybody.to_string());
    assert!(list.contains("reader@north operator@*"), "{list}");
    assert!(![list, json].iter().any(|text| text.contains("lobar_l_")), "a secret is shown once");
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let server = Server::new();
    server.said(&["user", "add", "anna", "--grant", "admin@*"]);
    server.said(&["site", "add", "north"]);
    let add = |more: &[&'static str]| [&["user", "add", "jane", "--grant"], more].concat();
    let unknown = server.refused(1, &add(&["clinician@nroth"]));
    assert!(unknown.contains("no site nroth") && unknown.contains("known are north"), "{unknown}");
    let apart = server.refused(2, &add(&["admin@north"]));
    assert!(apart.contains("admin@*"), "{apart}");
    server.refused(2, &add(&["root@*"]));
    server.refused(2, &["user", "add", "jane"]);
    server.refused(2, &["user", "add", " jane", "--grant", "reader@*"]);
    for url in ["ftp://x", "https://me:pw@x", "https://x/?a=1", "nonsense"] {
        server.refused(2, &["user", "add", "jane", "--grant", "reader@*", "--url", url]);
    }
    assert!(server.refused(1, &["user", "add", "ANNA", "--grant", "reader@*"]).contains("taken"));
    assert!(server.refused(1, &["user", "disable", "anna"]).contains("last account"));
    assert!(
        server
            .refused(1, &["user", "grant", "anna", "--grant", "reader@*"])
            .contains("last account")
    );
    for about in ["grant", "disable", "enable", "reset", "sessions", "sign-out"] {
        let more: &[&str] = if about == "grant" { &["--grant", "reader@*"] } else { &[] };
        let nobody = server.refused(1, &[&["user", about, "nobody"], more].concat());
        assert!(nobody.contains("lobar user list"), "{nobody}");
    }
    let everybody = server.answer(&["user", "list"]);
    assert_eq!(everybody["items"].as_array().map(Vec::len), Some(1), "{everybody}");
    assert_eq!(everybody["items"][0]["grants"], json!(["admin@*"]));
    assert_eq!(server.answer(&["site", "list"])["items"].as_array().map(Vec::len), Some(1));
}

/// The number that the system has for whoever runs this.
fn os_user() -> u32 {
    std::fs::metadata("/proc/self").expect("there").uid()
}

#[test]
fn what_the_command_line_changes_is_on_record_before_it_is_done_and_when_it_ended() {
    let server = Server::new();
    server.said(&["user", "add", "Anna", "--grant", "reader@north", "--new-site"]);
    server.said(&["user", "list"]);
    server.refused(1, &["user", "add", "anna", "--grant", "reader@north"]);
    server.said(&["user", "grant", "anna", "--grant", "operator@*"]);
    server.said(&["user", "disable", "anna"]);
    server.said(&["user", "enable", "anna"]);
    server.said(&["user", "reset", "anna", "--forget-codes"]);
    server.said(&["user", "sign-out", "anna"]);
    server.said(&["token", "add", "pacs", "--grant", "uploader@north"]);
    server.said(&["token", "revoke", "pacs"]);
    server.said(&["site", "remove", "north"]);
    server.refused(1, &["model", "activate", "none"]);
    server.refused(1, &["quarantine", "show", "7"]);
    server.refused(1, &["quarantine", "discard", "7"]);
    let added = |grants: &str| json!({ "change": "added", "grants": [grants] });
    let change = |word: &str| json!({ "change": word });
    let (person, token, site) = ("person_changed", "token_changed", "site_changed");
    let pair = json!({ "change": "added", "grants": ["uploader@north"], "s3": false });
    let changes = [
        (site, false, change("added"), "done"),
        (person, true, added("reader@north"), "done"),
        (person, false, added("reader@north"), "failed"),
        (person, true, json!({ "change": "granted", "grants": ["operator@*"] }), "done"),
        (person, true, change("disabled"), "done"),
        (person, true, change("enabled"), "done"),
        (person, true, change("link made, codes removed"), "done"),
        (person, true, change("signed out everywhere"), "done"),
        (token, true, pair, "done"),
        (token, true, change("revoked"), "done"),
        (site, false, change("removed"), "done"),
        ("model_changed", false, json!({ "change": "activate", "model": "none" }), "failed"),
        ("quarantine_viewed", false, json!({ "change": "show", "entry": 7 }), ""),
        ("quarantine_changed", false, json!({ "change": "discard", "entry": 7 }), "failed"),
    ];
    let mut record = server.record().into_iter();
    for (action, subject, detail, end) in changes {
        let steps: &[&str] = if end.is_empty() { &[""] } else { &["begins", end] };
        for step in steps {
            let mut detail = detail.clone();
            if !step.is_empty() {
                detail["step"] = json!(step);
            }
            let (told, has_subject, said) = record.next().expect("an entry");
            assert_eq!((told.as_str(), &said), (action, &detail));
            // Whoever is added has an id only afterwards.
            let is_new = detail["change"] == "added" && *step == "begins";
            assert_eq!(has_subject, subject && !is_new, "{detail}");
        }
    }
    assert_eq!(record.next(), None);
    assert!(server.said(&["audit", "verify"]).contains("unbroken"));
}

#[test]
fn what_cannot_be_put_on_record_is_not_done_and_shows_no_secret() {
    let server = Server::new();
    server.said(&["site", "add", "north"]);
    server.statement(
        "create trigger no_more before insert on audit begin select raise(abort, 'full'); end",
    );
    for command in [
        &["user", "add", "anna", "--grant", "admin@*"][..],
        &["token", "add", "pacs", "--grant", "uploader@north"],
        &["site", "add", "south"],
        &["site", "remove", "north"],
    ] {
        let refused = server.refused(1, command);
        assert!(refused.contains("nothing was done"), "{refused}");
    }
    assert!(server.said(&["user", "list"]).contains("Nobody has an account"));
    assert!(server.said(&["token", "list"]).contains("There is no token"));
    assert_eq!(server.answer(&["site", "list"])["items"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_token_is_shown_once_and_of_no_use_after_it_was_revoked() {
    let server = Server::new();
    let add = ["token", "add", "pacs", "--grant", "uploader@north", "--new-site"];
    let added = server.answer(&[&add[..], &["--expires", "90d"]].concat());
    let secret = added["secret"].as_str().expect("a secret");
    assert!(secret.starts_with("lobar_t_") && secret.len() == 51, "{secret}");
    assert!(server.refused(1, &add).contains("taken"));
    let for_ever = ["token", "add", "robot", "--grant", "operator@*", "--expires", "forever"];
    assert!(server.said(&for_ever).contains("until it is revoked"));
    let revoked = server.answer(&["token", "revoke", "pacs"]);
    assert_eq!(revoked["revoked"], true);
    assert_eq!(server.answer(&["token", "revoke", "pacs"])["revoked"], false);
    assert!(server.refused(1, &["token", "revoke", "other"]).contains("lobar token list"));
    let tokens = server.answer(&["token", "list"]);
    let states: Vec<_> =
        tokens["items"].as_array().expect("a list").iter().map(|one| &one["state"]).collect();
    assert_eq!(states, ["revoked", "active"]);
    assert!(
        tokens["items"][0]["expires_at"].is_string() && tokens["items"][1]["expires_at"].is_null()
    );
    let shown = server.said(&["token", "list"]) + &tokens.to_string();
    assert!(!shown.contains("lobar_t_"), "a secret is shown once");
}

#[test]
fn sites_are_added_once_listed_and_removed() {
    let server = Server::new();
    assert!(server.said(&["site", "list"]).contains("No site is known"));
    assert_eq!(server.answer(&["site", "add", "north"])["added"], true);
    assert_eq!(server.answer(&["site", "add", "north"])["added"], false);
    server.refused(2, &["site", "add", "Doe, Jane"]);
    assert_eq!(server.answer(&["site", "list"])["items"][0]["name"], "north");
    assert_eq!(server.answer(&["site", "remove", "north"])["removed"], true);
    assert!(server.refused(1, &["site", "remove", "north"]).contains("lobar site list"));
}

#[test]
fn a_store_that_is_not_there_is_named_and_not_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    for about in ["user", "token", "site"] {
        let mut command = Command::new(executable());
        command.args([about, "list", "--data"]).arg(&data).current_dir(folder.path());
        let output = command.output().expect("it runs");
        assert_eq!(output.status.code(), Some(1));
        assert!(error(&output).contains("lobar.db"), "{}", error(&output));
    }
    assert!(!data.exists());
}

#[test]
fn a_start_says_that_nobody_signs_in_as_long_as_that_is_so() {
    let server = Server::new();
    let lets_everybody_in = || {
        let lobar = Lobar::up(&server.0.path().join("data"));
        lobar.said.iter().any(|line| line.contains("let in without a password"))
    };
    assert!(lets_everybody_in());
    server.said(&["user", "add", "anna", "--grant", "admin@*"]);
    assert!(!lets_everybody_in());
}
