//! The tables of the conformance statement are those of the code.

use std::collections::BTreeSet;

use lobar_dicom::Limits;
use lobar_dicom::tables::{
    COMMITMENT, IMPLEMENTATION_CLASS, IMPLEMENTATION_VERSION, Named, STORAGE_CLASSES, Status,
    TRANSFER_SYNTAXES, VERIFICATION,
};
use lobar_testkit::workspace;

fn page() -> String {
    std::fs::read_to_string(workspace().join("docs/conformance.md")).expect("a page")
}

/// The rows of the table below a heading, without its head.
fn table<'a>(page: &'a str, heading: &str) -> Vec<&'a str> {
    let (_, rest) = page.split_once(heading).unwrap_or_else(|| panic!("no {heading}"));
    let rows = rest.lines().skip_while(|line| !line.starts_with('|'));
    rows.take_while(|line| line.starts_with('|')).skip(2).collect()
}

#[test]
fn the_sop_classes_are_those_of_the_code() {
    let row = |one: &Named| format!("| {} | `{}` |", one.name, one.uid);
    let expected: Vec<String> =
        [VERIFICATION].iter().chain(&STORAGE_CLASSES).chain([&COMMITMENT]).map(row).collect();
    assert_eq!(table(&page(), "### N.4.1 SOP classes"), expected);
}

#[test]
fn the_transfer_syntaxes_stand_in_the_order_of_preference() {
    let row =
        |one: &lobar_dicom::tables::TransferSyntax| format!("| {} | `{}` |", one.name, one.uid);
    let expected: Vec<String> = TRANSFER_SYNTAXES.iter().map(row).collect();
    assert_eq!(table(&page(), "### N.4.2 Transfer syntaxes"), expected);
}

#[test]
fn the_statuses_are_those_of_the_code() {
    let row = |one: &Status| format!("| {:04X} | {} | {} |", one.code, one.given_to, one.meaning);
    let expected: Vec<String> = Status::ALL.iter().map(row).collect();
    assert_eq!(table(&page(), "### N.4.3 Statuses"), expected);
}

#[test]
fn the_limits_are_those_of_the_code() {
    let limits = Limits::default();
    let page = page();
    let kib = |bytes: usize| format!("{} KiB", bytes >> 10);
    let mib = |bytes: usize| format!("{} MiB", bytes >> 20);
    let seconds = |time: std::time::Duration| format!("{} s", time.as_secs());
    let values = [
        ("Connections on which no association was asked for yet", limits.connections.to_string()),
        ("Associations at once", limits.associations.to_string()),
        (
            "Associations at once of one AE title at one address",
            limits.associations_per_peer.to_string(),
        ),
        ("Longest A-ASSOCIATE-RQ", kib(limits.request_bytes as usize)),
        ("Maximum Length Received (longest P-DATA-TF)", kib(limits.pdu_bytes as usize)),
        ("Longest command set", kib(limits.command_bytes)),
        ("Longest instance, as a file", mib(limits.instance_bytes)),
        ("Memory for data sets on their way, all together", mib(limits.memory_bytes)),
        (
            "Slowest that a data set may come, over 60 s",
            format!("{} KiB/s", limits.bytes_per_second >> 10),
        ),
        (
            "Instances in one request for storage commitment",
            limits.commitment_instances.to_string(),
        ),
        ("Reports on storage commitment that wait to be taken", limits.reports.to_string()),
        ("The same, by one AE title", limits.reports_per_peer.to_string()),
        (
            "Reports on storage commitment that one process sends at once",
            limits.reports_at_once.to_string(),
        ),
        ("ARTIM timer", seconds(limits.artim)),
        ("Silence within an association", seconds(limits.idle)),
        ("Time for a peer to take what is written to it", seconds(limits.write)),
        ("Time for the bucket to make an instance durable", seconds(limits.storing)),
        ("Time for a peer that is called to answer", seconds(limits.calling)),
    ];
    let expected: Vec<String> =
        values.iter().map(|(what, value)| format!("| {what} | {value} |")).collect();
    assert_eq!(table(&page, "### N.5.2 Limits"), expected);
    let pauses: Vec<String> = limits.report_again.iter().map(|it| seconds(*it)).collect();
    assert!(page.contains(&format!("after {}", pauses.join(", "))), "{pauses:?}");
    assert!(page.contains(&format!("until {} after the request", seconds(limits.report_for))));
}

#[test]
fn the_implementation_is_named_as_the_code_names_it() {
    for name in [IMPLEMENTATION_CLASS, IMPLEMENTATION_VERSION] {
        assert!(page().contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn no_instance_is_taken_that_is_longer_than_what_is_read() {
    assert_eq!(Limits::default().instance_bytes, lobar_imaging::Limits::default().max_bytes);
}

/// Read, and not offered: the release of the standard that has it is younger than the modalities.
const READ_ONLY: [&str; 1] = ["1.2.840.10008.1.2.8.1"];

#[test]
fn what_is_offered_is_what_is_read() {
    let read: BTreeSet<&str> = lobar_imaging::transfer_syntaxes()
        .filter_map(|(uid, _, is_read)| is_read.then_some(uid))
        .filter(|uid| !READ_ONLY.contains(uid))
        .collect();
    let offered: BTreeSet<&str> = TRANSFER_SYNTAXES.iter().map(|one| one.uid).collect();
    assert_eq!(offered, read);
}
