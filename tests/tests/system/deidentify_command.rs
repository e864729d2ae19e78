//! `lobar deidentify` as its user runs it: folders in, a folder out, what was refused named.

use std::path::Path;
use std::process::{Command, Output};

use lobar_tests::kit::executable;
use serde_json::Value;

/// A data set of 2 by 2 pixels, implicit little endian without file meta information, as old archives have them.
fn radiograph(instance: &str, burned_in: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut put = |group: u16, element: u16, value: &[u8]| {
        bytes.extend(group.to_le_bytes());
        bytes.extend(element.to_le_bytes());
        let pad = value.len() % 2;
        bytes.extend(((value.len() + pad) as u32).to_le_bytes());
        bytes.extend(value);
        bytes.extend(&[0][..pad]);
    };
    put(0x0008, 0x0016, b"1.2.840.10008.5.1.4.1.1.1");
    put(0x0008, 0x0018, instance.as_bytes());
    put(0x0008, 0x0020, b"20240301");
    put(0x0008, 0x0060, b"CR");
    put(0x0010, 0x0010, b"MUSTERMANN^ERIKA");
    put(0x0010, 0x0020, b"4711");
    put(0x0020, 0x000d, b"1.2.3.1");
    put(0x0020, 0x000e, b"1.2.3.2");
    put(0x0028, 0x0002, &[1, 0]);
    put(0x0028, 0x0004, b"MONOCHROME2 ");
    for (element, number) in
        [(0x0010, 2), (0x0011, 2), (0x0100, 8), (0x0101, 8), (0x0102, 7), (0x0103, 0)]
    {
        put(0x0028, element, &[number, 0]);
    }
    put(0x0028, 0x0301, if burned_in { b"YES" } else { b"NO" });
    put(0x7fe0, 0x0010, &[1, 2, 3, 4]);
    bytes
}

fn deidentify(arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(executable());
    command.arg("deidentify").args(arguments).current_dir(folder).output().expect("it runs")
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn here() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir_all(folder.path().join("in/ward")).expect("a folder");
    for (name, uid, burned_in) in [
        ("in/1", "1.2.3.4", false),
        ("in/ward/2.dcm", "1.2.3.5", false),
        ("in/ward/3", "1.2.3.6", true),
    ] {
        std::fs::write(folder.path().join(name), radiograph(uid, burned_in)).expect("written");
    }
    folder
}

#[test]
fn a_folder_comes_out_without_its_patient_and_what_is_refused_is_named() {
    let folder = here();
    let done = deidentify(&["in", "--out", "in/out", "--key-file", "key", "--json"], folder.path());
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    let said = lines(&done);
    let refused: Vec<_> = said.iter().filter(|line| line["status"] == "refused").collect();
    assert_eq!((said.len(), refused.len()), (3, 1), "{said:?}");
    let words = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(
        words.contains("in/ward/3") && words.contains("Burned In Annotation is YES"),
        "{words}"
    );
    let mut pseudonyms = Vec::new();
    for line in said.iter().filter(|line| line["status"] == "done") {
        let name = line["written"].as_str().expect("a name");
        let bytes = std::fs::read(folder.path().join("in/out").join(name)).expect("written");
        assert!(!bytes.windows(10).any(|window| window == b"MUSTERMANN"));
        let tag = b"\x10\x00\x20\x00\x18\x00\x00\x00";
        let at = bytes.windows(8).position(|window| window == tag).expect("Patient ID");
        pseudonyms.push(bytes[at + 8..at + 32].to_vec());
    }
    assert_eq!(pseudonyms[0], pseudonyms[1]);

    // Again, with what is there: the same secret gives the same files, and nothing of it is taken in.
    let again =
        deidentify(&["in", "--out", "in/out", "--key-file", "key", "--json"], folder.path());
    assert_eq!(lines(&again), said);
}

#[test]
fn a_mask_lets_a_marked_image_out_and_a_secret_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = here();
    let done = deidentify(
        &["in", "--out", "out", "--key-file", "key", "--mask", "0,0,2,1", "--dates", "shift"],
        folder.path(),
    );
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    assert!(String::from_utf8_lossy(&done.stdout).starts_with("3 of 3 files"), "{done:?}");
    let mode = std::fs::metadata(folder.path().join("key")).expect("made").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn whoever_reads_no_further_gets_all_the_files() {
    use std::process::Stdio;
    let folder = here();
    let mut command = Command::new(executable());
    let arguments = ["deidentify", "in", "--out", "out", "--mask", "0,0,1,1", "--json"];
    let command = command.args(arguments).current_dir(folder.path());
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it runs");
    drop(child.stdout.take());
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    let written = std::fs::read_dir(folder.path().join("out")).expect("made").count();
    assert_eq!(written, 3);
}

#[test]
fn links_below_a_folder_are_named_and_fail_the_command() {
    let folder = here();
    std::os::unix::fs::symlink("1", folder.path().join("in/link")).expect("a link");
    std::os::unix::fs::symlink("ward", folder.path().join("in/wards")).expect("a link");
    let done = deidentify(&["in", "--out", "out", "--mask", "0,0,1,1"], folder.path());
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    let words = String::from_utf8_lossy(&done.stderr).into_owned();
    for link in ["in/link: it is a link", "in/wards: it is a link"] {
        assert!(words.contains(link), "{words}");
    }
}

#[test]
fn wrong_usage_is_told_before_anything_is_written() {
    let folder = here();
    std::fs::write(folder.path().join("short"), "abc").expect("written");
    for arguments in [
        &["in", "--out", "out", "--key-file", "short"][..],
        &["in", "--out", "out", "--key-file", "out/key"],
        &["in", "--out", "out", "--key-file", "in/../out/key"],
        &["in", "--out", "out", "--mask", "1,2,3"],
        &["in", "--out", "out", "--dates", "keep"],
        &["in"],
        &["--out", "out"],
    ] {
        let refused = deidentify(arguments, folder.path());
        assert_eq!(refused.status.code(), Some(2), "{arguments:?} {refused:?}");
        assert!(!folder.path().join("out").exists(), "{arguments:?}");
    }
    let nothing = deidentify(&["missing", "--out", "out"], folder.path());
    assert_eq!(nothing.status.code(), Some(1), "{nothing:?}");
}
