//! Messages that are broken, foreign or made to hurt.

use lobar_ingest::notification::{Item, QuarantineReason};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::*;

#[test]
fn garbage_is_refused_whole() {
    let garbage: [&[u8]; 9] = [
        b"",
        b"hello",
        b"\xff\xfe",
        b"{}",
        b"[]",
        b"null",
        br#"{"Records":{}}"#,
        br#"{"Type":"Notification"}"#,
        br#"{"Type":"Notification","Message":"hello"}"#,
    ];
    for body in garbage {
        assert_eq!(items(body), [Item::Refused(QuarantineReason::Malformed, body.to_vec())]);
    }
}

#[test]
fn a_bucket_off_the_list_is_the_wrong_source_in_every_form() {
    for body in [AWS, SNS, EVENTBRIDGE_CREATED] {
        let items = parse(body, &["another".to_owned()]).items;
        assert!(matches!(items.as_slice(), [Item::Refused(QuarantineReason::WrongSource, _)]));
    }
}

#[test]
fn another_services_event_is_the_wrong_source() {
    let text = String::from_utf8(AWS.to_vec()).expect("UTF-8");
    let other = text.replace("aws:s3", "aws:sqs");
    assert!(matches!(
        items(other.as_bytes())[..],
        [Item::Refused(QuarantineReason::WrongSource, _)]
    ));
    let text = String::from_utf8(EVENTBRIDGE_CREATED.to_vec()).expect("UTF-8");
    let other = text.replace("aws.s3", "my.app");
    assert!(matches!(
        items(other.as_bytes())[..],
        [Item::Refused(QuarantineReason::WrongSource, _)]
    ));
}

#[test]
fn a_key_at_the_limit_is_read_and_one_beyond_is_refused() {
    let with = |key: &str| {
        let text = String::from_utf8(AWS.to_vec()).expect("UTF-8");
        items(text.replace("incoming/north/HappyFace.jpg", key).as_bytes())
    };
    assert!(matches!(with(&"%C3%A9".repeat(512))[..], [Item::Created(_)]));
    assert!(matches!(with(&"k".repeat(1025))[..], [Item::Refused(QuarantineReason::BadKey, _)]));
    assert!(matches!(with("")[..], [Item::Refused(QuarantineReason::BadKey, _)]));
    assert!(matches!(with("a%00b")[..], [Item::Refused(QuarantineReason::BadKey, _)]));
    assert!(matches!(with("/../..%2F.%2F")[..], [Item::Created(_)]));
}

/// Fields removed, replaced by other kinds of values, and bytes changed at random: whatever comes,
/// there is an answer, and it accounts for every record.
#[test]
fn no_mutation_of_a_message_panics_or_goes_unaccounted() {
    let mut random = StdRng::seed_from_u64(0x10BA2);
    let mut understood = 0;
    for round in 0..20_000 {
        let mut body = ALL[round % ALL.len()].to_vec();
        if round % 2 == 0 {
            for _ in 0..random.random_range(1..6) {
                let at = random.random_range(0..body.len());
                match random.random_range(0..3) {
                    0 => body[at] = random.random(),
                    1 => body.truncate(at.max(1)),
                    _ => body.insert(at, b"\"{}[]:,\\0%+"[random.random_range(0..11)]),
                }
            }
        } else {
            let mut value = serde_json::from_slice(&body).expect("a fixture is JSON");
            for _ in 0..random.random_range(1..4) {
                mutate(&mut value, &mut random);
            }
            body = value.to_string().into_bytes();
        }
        let items = items(&body);
        assert!(!items.is_empty());
        understood += usize::from(!matches!(items[0], Item::Refused(..)));
        let value: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
        let records = value.as_ref().and_then(|v| v.get("Records")?.as_array().map(Vec::len));
        if let Some(records) = records.filter(|n| *n > 0) {
            assert_eq!(items.len(), records);
        }
        for item in &items {
            if let Item::Created(object) | Item::Removed(object) | Item::NullRemoved(object) = item
            {
                assert!(["xrays", "plain"].contains(&object.bucket.as_str()));
                assert!((1..=1024).contains(&object.key.len()));
            }
        }
    }
    assert!(understood > 1_000, "the mutations left some messages readable: {understood}");
}

/// Changes one value somewhere in the tree.
fn mutate(value: &mut serde_json::Value, random: &mut StdRng) {
    use serde_json::{Value, json};
    let deeper = random.random_bool(0.85);
    match value {
        Value::Object(fields) if deeper && !fields.is_empty() => {
            let at = random.random_range(0..fields.len());
            let key = fields.keys().nth(at).expect("within").clone();
            if random.random_bool(0.1) {
                fields.remove(&key);
            } else {
                mutate(&mut fields[&key], random);
            }
        }
        Value::Array(items) if deeper && !items.is_empty() => {
            let at = random.random_range(0..items.len());
            mutate(&mut items[at], random);
        }
        other => {
            let values = [
                json!(null),
                json!(-1),
                json!(1e300),
                json!(""),
                json!("\u{0}%"),
                json!([]),
                json!({}),
                json!(true),
            ];
            *other = values[random.random_range(0..values.len())].clone();
        }
    }
}
