//! The Dockerfiles, as far as they can be checked without Docker.

use std::process::Command;

use lobar_testkit::services::{Server, free_port};
use lobar_tests::kit::executable;

use crate::tools::{file, run, said, text};

const FILES: [&str; 3] = ["worker", "node", "emulator"];

/// One instruction: its word and the rest, lines joined.
type Instruction = (String, String);

fn instructions(name: &str) -> Vec<Instruction> {
    let text = text(&format!("ops/docker/{name}.Dockerfile"));
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let joined = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let lines = joined.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| line.split_once(' ').expect("an instruction"))
        .map(|(word, rest)| (word.to_owned(), rest.trim().to_owned()))
        .collect()
}

/// The instructions of the last stage: what runs.
fn last_stage(name: &str) -> Vec<Instruction> {
    let all = instructions(name);
    let from = all.iter().rposition(|(word, _)| word == "FROM").expect("a FROM");
    all[from..].to_vec()
}

fn values<'a>(instructions: &'a [Instruction], word: &str) -> Vec<&'a str> {
    let wanted = instructions.iter().filter(|(w, _)| w == word);
    wanted.map(|(_, rest)| rest.as_str()).collect()
}

#[test]
fn every_base_is_pinned_by_a_tag_and_nothing_runs_as_root() {
    for name in FILES {
        for base in values(&instructions(name), "FROM") {
            let image = base.split(' ').next().expect("an image");
            let tag = image.split_once(':').map(|(_, tag)| tag);
            assert!(tag.is_some_and(|tag| tag != "latest"), "{name}: {image}");
        }
        let stage = last_stage(name);
        let user = values(&stage, "USER");
        assert_eq!(
            user,
            ["10001:10001"],
            "{name}: a number, so that Kubernetes knows it is not root"
        );
    }
}

#[test]
fn what_is_copied_from_the_repository_is_there_and_reaches_the_builder() {
    for name in FILES {
        for copy in values(&instructions(name), "COPY") {
            if copy.starts_with("--from=") {
                continue;
            }
            let words: Vec<&str> = copy.split(' ').collect();
            for source in &words[..words.len() - 1] {
                file(source);
            }
        }
        // What is copied within a build lies in the repository too, beside what cargo makes.
        for command in values(&instructions(name), "RUN") {
            for word in command.split_whitespace().filter(|word| !word.starts_with("target/")) {
                if ["ops/", "model/"].iter().any(|folder| word.starts_with(folder)) {
                    file(word);
                }
            }
        }
    }
    let ignored = text(".dockerignore");
    for folder in ["Cargo.toml", "Cargo.lock", ".cargo", "migrations", "ops/setup", "tests"] {
        assert!(ignored.contains(&format!("\n!{folder}\n")), "{folder} does not reach the builder");
    }
    let members = text("Cargo.toml");
    let members = members.lines().find(|line| line.starts_with("members")).expect("members");
    for member in members.split('"').skip(1).step_by(2) {
        assert!(ignored.contains(&format!("\n!{member}\n")), "{member} does not reach the builder");
    }
}

#[test]
fn what_the_images_run_and_set_is_known_to_lobar() {
    let help = run(Command::new(executable()).args(["run", "--help"]));
    for name in ["worker", "node"] {
        let stage = last_stage(name);
        for set in values(&stage, "ENV").iter().flat_map(|env| env.split_whitespace()) {
            let (variable, _) = set.split_once('=').expect("NAME=VALUE");
            let known = [format!("[env: {variable}=]"), format!("[env: {variable}]")];
            assert!(known.iter().any(|known| help.contains(known)), "{name}: {variable}");
        }
        assert_eq!(values(&stage, "ENTRYPOINT"), ["[\"/usr/local/bin/lobar\"]"]);
        let command: Vec<String> =
            serde_json::from_str(values(&stage, "CMD")[0]).expect("a list of words");
        let shown = Command::new(executable()).args(&command).arg("--help").output().expect("runs");
        assert!(shown.status.success(), "{name}: {}", said(&shown));
        let check = values(&stage, "HEALTHCHECK")[0];
        assert!(check.contains("healthcheck.sh\", \"9464\", \"readyz\""), "{name}: {check}");
    }
}

#[test]
fn pinned_python_packages_are_those_that_were_tried() {
    let tried = text("tests/requirements.txt");
    let commands = instructions("emulator");
    let packages = values(&commands, "RUN");
    let packages = packages.iter().flat_map(|run| run.split_whitespace());
    let packages: Vec<&str> = packages.filter(|word| word.contains("==")).collect();
    assert_eq!(packages.len(), 2);
    for package in packages {
        assert!(tried.lines().any(|line| line == package), "{package}");
    }
}

#[test]
fn the_health_check_tells_well_from_ill_and_from_away() {
    let port = free_port().to_string();
    let folder = tempfile::tempdir().expect("a folder").keep();
    std::fs::write(folder.join("well"), "").expect("written");
    let place = folder.to_str().expect("UTF-8").to_owned();
    let arguments =
        ["python3", "-m", "http.server", "--bind", "127.0.0.1", "--directory", &place, &port];
    let server = Server::new(folder, &arguments, &[]);
    let check = |path: &str| {
        let mut command = Command::new("bash");
        command.arg(file("ops/docker/healthcheck.sh")).args([&port, path]);
        command.output().expect("bash runs").status.success()
    };
    assert!(!check("well"), "nobody listens");
    server.start();
    let began = std::time::Instant::now();
    while !check("well") {
        assert!(began.elapsed().as_secs() < 30, "{}", server.log());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(!check("ill"), "404 is ill");
}
