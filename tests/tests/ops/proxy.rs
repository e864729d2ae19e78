//! The proxy in front of the api, in a real nginx: who does not sign in sees nothing, who does sees their own, live events
//! at once.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use futures::StreamExt;
use lobar_testkit::services::{Server, free_port};
use lobar_tests::kit::{Client, Lobar, executable, radiograph_jpeg};
use reqwest::StatusCode;

use crate::tools::{run, said, text};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// nginx with `ops/nginx/api.conf` on a free port, in front of `page`.
fn nginx(page: &str) -> (Server, String) {
    let folder = tempfile::tempdir().expect("a folder").keep();
    let listen = format!("127.0.0.1:{}", free_port());
    let place = folder.to_str().expect("UTF-8").to_owned();
    let shipped = text("ops/nginx/api.conf");
    let mut server = shipped.clone();
    for (from, to) in
        [("listen 8000", format!("listen {listen}")), ("http://127.0.0.1:8080", page.to_owned())]
    {
        assert!(shipped.contains(from), "{from} is not in ops/nginx/api.conf");
        server = server.replace(from, &to);
    }
    // As the image's own nginx.conf, in a folder of the test's; root's workers keep root, whose folder it is.
    let user = if lobar_testkit::services::root() { "user root;" } else { "" };
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {place}/{kind};\n"))
        .concat();
    let main = format!(
        "{user}\ndaemon off;\nworker_processes 1;\npid {place}/pid;\nevents {{}}\n\
         http {{\n{temporary}{server}\n}}\n"
    );
    let path = folder.join("nginx.conf");
    std::fs::write(&path, main).expect("written");
    let program = program();
    let path = path.to_str().expect("UTF-8").to_owned();
    run(Command::new(program).args(["-t", "-q", "-e", "stderr", "-c", &path]));
    let server = Server::new(folder, &[program, "-e", "stderr", "-c", &path], &[]);
    server.start();
    (server, format!("http://{listen}"))
}

/// It lies where an ordinary user's PATH may not lead.
fn program() -> &'static str {
    let places = ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"];
    let found = places.into_iter().find(|path| Path::new(path).is_file());
    found.expect("nginx is missing: run `make test`, which installs it")
}

async fn answers(http: &reqwest::Client, url: &str, server: &Server) {
    let began = Instant::now();
    while http.get(url).send().await.is_err() {
        assert!(began.elapsed() < PATIENCE, "nginx does not answer: {}", server.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn nobody_sees_anything_who_did_not_sign_in_and_events_pass_at_once_to_who_did() {
    let dir = tempfile::tempdir().expect("a folder");
    // As in ops/compose and ops/kubernetes.
    let arguments = ["up", "--trusted-proxies", "127.0.0.1"];
    let lobar = Lobar::start(&executable(), &arguments, &dir.path().join("data"));
    let _ = Client::new(&lobar.page);
    let http = reqwest::Client::new();
    let (server, base) = nginx(&lobar.page);
    answers(&http, &base, &server).await;
    // From this very machine, but through a proxy: nobody is the local user.
    for path in ["/v1/images", "/v1/events", "/v1/session", "/v1/queues"] {
        let answer = http.get(format!("{base}{path}")).send().await.expect("answers");
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    for path in ["/metrics", "/readyz"] {
        let answer = http.get(format!("{base}{path}")).send().await.expect("answers");
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let token = token(&dir.path().join("data"), "clinician@*");

    let get = |path: &str| http.get(format!("{base}{path}")).bearer_auth(&token);
    let page = get("/").send().await.expect("answers");
    assert_eq!(page.status(), StatusCode::OK);
    // What a client says of itself is not believed; what a proxy before this one says is.
    let is_secure =
        |answer: reqwest::Response| answer.headers().contains_key("strict-transport-security");
    let spoofed = get("/").header("x-forwarded-proto", "https").send().await.expect("answers");
    assert!(!is_secure(spoofed));
    let spoofed = get("/").header("forwarded", "for=192.0.2.1;proto=https").send().await;
    assert!(!is_secure(spoofed.expect("answers")));
    let before = get("/").header("x-forwarded-for", "192.0.2.1");
    let before = before.header("x-forwarded-proto", "https").send().await.expect("answers");
    assert!(is_secure(before));
    let mut events = get("/v1/events?after=0").send().await.expect("a stream").bytes_stream();

    // As the page does it: with the address that the browser has, and where it comes from.
    let post = |body| {
        let request = http.post(format!("{base}/v1/images")).header("origin", &base).body(body);
        request.bearer_auth(&token).send()
    };
    let stored = post(radiograph_jpeg(600, 500, 1)).await.expect("answers");
    assert_eq!(stored.status(), StatusCode::ACCEPTED);
    let foreign = http.post(format!("{base}/v1/images")).header("origin", "http://evil.example");
    let foreign = foreign.bearer_auth(&token).body("x").send().await;
    assert_eq!(foreign.expect("answers").status(), StatusCode::FORBIDDEN);

    let began = Instant::now();
    let mut seen = String::new();
    while !seen.contains("\"ready\"") && !seen.contains("\"needs_human\"") {
        assert!(began.elapsed() < PATIENCE, "no result passed: {seen}");
        let part = tokio::time::timeout(PATIENCE, events.next()).await.expect("something passes");
        seen += &String::from_utf8_lossy(&part.expect("an open stream").expect("readable"));
    }

    // The command that hospitals upload with, as an uploader, who sees nothing.
    let token_of_the_uploader = self::token(&dir.path().join("data"), "uploader@north");
    let picture = dir.path().join("picture.jpeg");
    std::fs::write(&picture, radiograph_jpeg(600, 500, 2)).expect("written");
    let upload = Command::new(executable())
        .args(["upload", "--site", "north", "--to", &base])
        .arg(&picture)
        .env("XDG_STATE_HOME", dir.path())
        .env("LOBAR_TOKEN", token_of_the_uploader)
        .stdin(Stdio::null())
        .output()
        .expect("runs");
    assert!(upload.status.success(), "{}", said(&upload));
    drop(events);
    assert_eq!(lobar.stop(), 0);
}

/// A machine's token, made by the command on the server's own data.
fn token(data: &Path, grant: &str) -> String {
    let added = Command::new(executable())
        .args(["token", "add", grant, "--grant", grant, "--new-site", "--json", "--data"])
        .arg(data)
        .stdin(Stdio::null())
        .output()
        .expect("runs");
    assert!(added.status.success(), "{}", said(&added));
    let added: serde_json::Value = serde_json::from_slice(&added.stdout).expect("JSON");
    added["secret"].as_str().expect("a secret").to_owned()
}
