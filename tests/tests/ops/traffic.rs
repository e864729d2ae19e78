//! Who may talk to whom: the network policies, held against the table in docs/operating.md.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::kubernetes::documents;
use crate::tools::{at, text};

const ROLES: [&str; 4] = ["ingest", "worker", "dicom", "api"];

/// Whether a policy is about the pods of a role.
fn selects(policy: &Value, role: &str) -> bool {
    let of = |label: &str| match label {
        "app.kubernetes.io/name" => "lobar".to_owned(),
        "app.kubernetes.io/component" => role.to_owned(),
        other => panic!("{other}: pods have no such label"),
    };
    let selector = at(policy, "/spec/podSelector");
    let labels = at(selector, "/matchLabels").as_object().expect("labels");
    let expressions = selector["matchExpressions"].as_array().cloned().unwrap_or_default();
    labels.iter().all(|(label, value)| *value == of(label))
        && expressions.iter().all(|wanted| {
            assert_eq!(wanted["operator"], "In");
            let values = wanted["values"].as_array().expect("values");
            values.contains(&of(wanted["key"].as_str().expect("a label")).into())
        })
}

/// The rules for one way, `ingress` or `egress`, of a role's pods.
fn rules(role: &str, way: &str) -> Vec<Value> {
    let policies = documents("NetworkPolicy");
    let about = policies.iter().filter(|policy| selects(policy, role));
    about.flat_map(|policy| policy["spec"][way].as_array().cloned().unwrap_or_default()).collect()
}

/// The ports, by number or name, of rules that name ports.
fn ports(rules: &[Value]) -> BTreeSet<String> {
    let ports = rules.iter().flat_map(|rule| rule["ports"].as_array().into_iter().flatten());
    ports.map(|port| port["port"].to_string().trim_matches('"').to_owned()).collect()
}

/// What a role talks to, as the table says, as ports.
fn written(role: &str) -> BTreeSet<String> {
    let text = text("docs/operating.md");
    let begins = format!("| `{role}` |");
    let row = text.lines().find(|line| line.starts_with(&begins)).expect("a row of the table");
    let cell = row.split('|').nth(2).expect("what it talks to");
    let mut ports = BTreeSet::from(["53"]);
    for (word, of) in [
        ("store", &["5432"][..]),
        ("bucket", &["443"]),
        ("signal", &["6379"]),
        ("queue", &["443", "5671", "5672"]),
    ] {
        ports.extend(cell.contains(word).then_some(of).into_iter().flatten());
    }
    ports.into_iter().map(str::to_owned).collect()
}

#[test]
fn each_role_may_reach_what_the_table_of_roles_names_and_nothing_else() {
    for role in ROLES {
        assert_eq!(ports(&rules(role, "egress")), written(role), "{role}");
        let open = rules(role, "egress").into_iter().filter(|rule| rule["ports"].is_null());
        for rule in open {
            assert_eq!(role, "dicom", "only peers listen where they like");
            for peer in at(&rule, "/to").as_array().expect("peers") {
                assert!(at(peer, "/ipBlock/cidr").as_str().expect("an address").ends_with("/32"));
            }
        }
    }
}

#[test]
fn each_role_is_reached_at_its_ports_from_those_who_are_named() {
    for (role, named) in [
        ("ingest", &["metrics"][..]),
        ("worker", &["metrics"]),
        ("dicom", &["dicom", "metrics"]),
        ("api", &["http", "metrics"]),
    ] {
        let rules = rules(role, "ingress");
        assert_eq!(ports(&rules).iter().collect::<Vec<_>>(), named, "{role}");
        assert!(rules.iter().all(|rule| rule["from"].is_array()), "{role}: from anywhere");
    }
}

#[test]
fn what_no_rule_allows_is_denied_and_nobody_reaches_instance_metadata() {
    let policies = documents("NetworkPolicy");
    let denies = |policy: &&Value| {
        let spec = &policy["spec"];
        spec["ingress"].is_null()
            && spec["egress"].is_null()
            && spec["policyTypes"] == serde_json::json!(["Ingress", "Egress"])
    };
    let denying = policies.iter().find(denies).expect("one that allows nothing");
    assert!(ROLES.iter().chain(&["migrate"]).all(|role| selects(denying, role)));
    for rule in ROLES.iter().flat_map(|role| rules(role, "egress")) {
        for peer in at(&rule, "/to").as_array().expect("somebody") {
            if peer.pointer("/ipBlock/cidr").is_some_and(|cidr| cidr == "0.0.0.0/0") {
                assert_eq!(at(peer, "/ipBlock/except/0"), "169.254.0.0/16");
            }
        }
    }
}
