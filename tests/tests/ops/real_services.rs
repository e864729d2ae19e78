//! The page on running on real services, its commands run as they stand.

use std::process::{Command, Stdio};

use lobar_testkit::services::{free_port, free_ports};
use lobar_tests::kit::{executable, originals, workspace};

use crate::tools::{file, said, text};

const IMAGES: usize = 6;

/// The block of commands, with the places and ports of this test in place of the page's.
fn commands(replaced: &[(&str, &str)]) -> String {
    let page = text("docs/running-on-services.md");
    let mut block = page
        .split("```\n")
        .find(|block| block.contains("ops/services.sh start"))
        .expect("the commands")
        .to_owned();
    for (from, to) in replaced {
        assert!(block.contains(from), "{from} is not in the page's commands");
        block = block.replace(from, to);
    }
    block
}

/// Every socket of the machine, a line each.
const LISTENING: &str = "cat /proc/net/tcp /proc/net/tcp6";

/// Whoever listens on these ports does so on a loopback address.
fn assert_loopback(sockets: &str, ports: &[u16]) {
    // As `/proc/net/tcp` writes 127.0.0.1, ::1 and ::ffff:127.0.0.1, and the state of listening.
    const LOOPBACK: [&str; 3] =
        ["0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"];
    let mut found = 0;
    for line in sockets.lines().filter(|line| line.split_whitespace().nth(3) == Some("0A")) {
        let (address, port) =
            line.split_whitespace().nth(1).and_then(|it| it.split_once(':')).expect("an address");
        let port = u16::from_str_radix(port, 16).expect("a port");
        if ports.contains(&port) {
            assert!(LOOPBACK.contains(&address), "port {port} listens on {address}");
            found += 1;
        }
    }
    assert!(found >= ports.len(), "{found} of {} ports are listened on", ports.len());
}

/// Ends the services also when the commands failed half-way.
struct Services(String);

impl Drop for Services {
    fn drop(&mut self) {
        let mut stop = Command::new("sh");
        let _ = stop.arg(file("ops/services.sh")).args(["stop", &self.0]).output();
    }
}

#[test]
fn the_page_s_commands_start_services_and_roles_and_bring_results() {
    let dir = tempfile::tempdir().expect("a folder");
    // PostgreSQL runs as another user when this is root.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(dir.path(), open).expect("changed");
    let path = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
    originals(&dir.path().join("xrays"), IMAGES);
    let (services, listen) = (path("services"), format!("127.0.0.1:{}", free_port()));
    let sockets = path("sockets");
    let program = executable();
    let program = program.parent().expect("a folder").to_str().expect("UTF-8");
    let script = commands(&[
        ("services.sh start", &format!("services.sh start {services}")),
        ("ops/services.sh stop", &format!("ops/services.sh stop {services}")),
        ("sh ops/services.sh stop", &format!("{LISTENING} >{sockets}; sh ops/services.sh stop")),
        ("/tmp/lobar-services/settings", &format!("{services}/settings")),
        ("$PWD/target/release", program),
        ("./xrays", &path("xrays")),
        ("127.0.0.1:8080", &listen),
        ("lobar upload", &format!("lobar upload --to http://{listen}")),
    ]);
    let _services = Services(services.clone());
    // The first command that fails is the last; roles in the background end with the script.
    let script = format!("set -eu\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{script}");
    let mut bash = Command::new("timeout");
    bash.args(["--kill-after=20", "400", "bash", "-c", &script]).current_dir(workspace());
    bash.env("LOBAR_LISTEN", &listen).env("LOBAR_DATA", path("data"));
    bash.env("XDG_STATE_HOME", dir.path()).stdin(Stdio::null());
    let mut ports = Vec::new();
    for variable in ["POSTGRES_PORT", "REDIS_PORT", "AWS_PORT"] {
        ports.push(free_port());
        bash.env(variable, ports[ports.len() - 1].to_string());
    }
    // RabbitMQ takes the two next ones for Erlang.
    let rabbitmq = free_ports(3);
    bash.env("RABBITMQ_PORT", rabbitmq.to_string());
    ports.extend(rabbitmq..rabbitmq + 3);
    let output = bash.output().expect("bash runs");
    assert!(output.status.success(), "{}", said(&output));
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    let results = shown.lines().filter(|line| line.ends_with(".jpeg")).count();
    assert!(results >= IMAGES, "{results} results of {IMAGES}:\n{}", said(&output));
    let listening = std::fs::read_to_string(&sockets).expect("the sockets");
    assert_loopback(&listening, &ports);
    // How many workers it tells of depends on how quickly they start.
    assert!(shown.contains("\"workers_wanted\":"), "no figures:\n{}", said(&output));
    assert!(!std::path::Path::new(&services).exists(), "the services left something behind");
}
