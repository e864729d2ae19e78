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

/// The proxy's bound lets through what Lobar takes, so that it is Lobar that refuses, with a reason.
#[test]
fn the_proxy_takes_the_largest_body_that_lobar_takes_and_little_more() {
    let shipped = text("ops/nginx/api.conf");
    let bound = shipped.lines().find_map(|line| line.trim().strip_prefix("client_max_body_size "));
    let bound = bound.and_then(|bound| bound.strip_suffix("m;")).expect("MiB");
    let bound = bound.parse::<usize>().expect("a number") << 20;
    let largest = lobar_api::largest_body(lobar_api::ApiSettings::default().limits.max_bytes);
    assert!(bound >= largest, "{bound} < {largest}");
    assert!(bound < largest + (4 << 20), "{bound} is far more than {largest}");
}

/// An nginx that speaks TLS, before the one of ops/nginx: an Ingress, a hospital's own proxy.
fn outer(inner: &str, trust: &str) -> (Server, String) {
    let folder = tempfile::tempdir().expect("a folder").keep();
    let place = folder.to_str().expect("UTF-8").to_owned();
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".into()]).expect("a certificate");
    std::fs::write(folder.join("cert.pem"), made.cert.pem()).expect("written");
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).expect("written");
    let listen = format!("127.0.0.1:{}", free_port());
    let user = if lobar_testkit::services::root() { "user root;" } else { "" };
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {place}/{kind};\n"))
        .concat();
    let main = format!(
        "{user}\ndaemon off;\nworker_processes 1;\npid {place}/pid;\nevents {{}}\n\
         http {{\n{temporary}access_log off;\nserver {{\nlisten {listen} ssl;\n\
         ssl_certificate {place}/cert.pem;\nssl_certificate_key {place}/key.pem;\n\
         location / {{\nproxy_pass {inner};\nproxy_set_header Host $http_host;\n{trust}\n}}\n}}\n}}\n"
    );
    let path = folder.join("nginx.conf");
    std::fs::write(&path, main).expect("written");
    let (program, path) = (program(), path.to_str().expect("UTF-8").to_owned());
    run(Command::new(program).args(["-t", "-q", "-e", "stderr", "-c", &path]));
    let server = Server::new(folder, &[program, "-e", "stderr", "-c", &path], &[]);
    server.start();
    (server, format!("https://{listen}"))
}

#[tokio::test]
async fn tls_that_ends_at_a_proxy_before_the_proxy_is_known_through_both() {
    let dir = tempfile::tempdir().expect("a folder");
    let lobar = Lobar::start(
        &executable(),
        &["up", "--trusted-proxies", "127.0.0.1"],
        &dir.path().join("data"),
    );
    let (inner, between) = nginx(&lobar.page);
    // Another test of this process may have chosen it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().danger_accept_invalid_certs(true).build();
    let http = http.expect("a client");
    answers(&http, &between, &inner).await;
    let added = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n\
                 proxy_set_header X-Forwarded-Proto $scheme;";
    let (server, base) = outer(&between, added);
    answers(&http, &base, &server).await;
    for spoofed in [None, Some("http")] {
        let mut request = http.get(&base);
        if let Some(protocol) = spoofed {
            request = request.header("x-forwarded-proto", protocol);
        }
        let answer = request.header("x-forwarded-for", "192.0.2.1").send().await.expect("answers");
        assert_eq!(answer.status(), StatusCode::OK);
        assert!(answer.headers().contains_key("strict-transport-security"), "{spoofed:?}");
    }
    // The cookie of a browser that speaks TLS is sent over TLS alone.
    let token = token(&dir.path().join("data"), "admin@*");
    let body = serde_json::json!({ "name": "jane", "grants": ["clinician@*"] });
    let invited = http.post(format!("{base}/v1/people")).bearer_auth(&token).json(&body).send();
    let invited: serde_json::Value = invited.await.expect("answers").json().await.expect("JSON");
    let secret = invited["link_secret"].as_str().unwrap_or_else(|| panic!("{invited}"));
    let password = "a long enough sentence";
    let body = serde_json::json!({ "secret": secret, "password": password });
    let redeemed = http.post(format!("{base}/v1/links/redeem")).json(&body).send().await;
    assert_eq!(redeemed.expect("answers").status(), StatusCode::OK);
    let body = serde_json::json!({ "name": "jane", "password": password });
    let signed_in = http.post(format!("{base}/v1/session")).header("origin", &base).json(&body);
    let signed_in = signed_in.send().await.expect("answers");
    assert_eq!(signed_in.status(), StatusCode::OK);
    let cookie = signed_in.headers()["set-cookie"].to_str().expect("text");
    assert!(cookie.starts_with("__Host-session=") && cookie.contains("; Secure"), "{cookie}");
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
