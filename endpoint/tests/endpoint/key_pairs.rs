//! What a key pair of one site must not do, however it is asked for, and how it ends.

use std::collections::BTreeSet;
use std::time::Duration;

use lobar_core::access::Grant;
use lobar_core::accounts::{Accounts as _, KeyOwner, NewAccount, S3KeyPair, S3Keys, TokenId};
use lobar_core::audit::{Action, Audit as _, Cursor, Entry, Filter};
use lobar_core::object::ObjectVersion;
use lobar_core::time::{Clock as _, SystemClock};
use uuid::Uuid;

use crate::fixture::{Running, aws_as, noise, python_as};
use crate::policies::{OWN, PLACES, asked, begin, keys, machine, operator, put, request};
use crate::signed::{Request, plain, presigned, send};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_does_not_tell_whether_an_object_is_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = begin(folder.path()).await;
    let (_, uploader) = machine(&running, &["uploader@north"], None).await;
    let (_, reader) = machine(&running, &["reader@north"], None).await;
    for (pair, place) in [(&uploader, PLACES[0]), (&uploader, PLACES[1]), (&reader, PLACES[1])] {
        for operation in ["GetObject", "HeadObject", "GetObjectTagging", "GetObjectAttributes"] {
            let there = asked(operation, place, pair, running.address);
            let missing = Request { path: there.path.replace("there", "other"), ..there.clone() };
            let conditional = Request {
                headers: [there.headers.clone(), vec![("if-none-match", "*".to_owned())]].concat(),
                ..there.clone()
            };
            let known = send(running.address, pair, &there).await;
            assert_eq!(known.status, 403, "{operation} at {place}");
            for other in [missing, conditional] {
                let told = send(running.address, pair, &other).await;
                assert_eq!(known.telling(), told.telling(), "{operation} at {place}");
            }
        }
    }
    // An old version may be of what was deleted.
    let there = asked("GetObject", OWN, &reader, running.address);
    assert_eq!(send(running.address, &reader, &there).await.status, 200);
    let old = Request { query: "versionId=null".to_owned(), ..there };
    assert_eq!(send(running.address, &reader, &old).await.status, 403);
    // Whether something is there would tell by the condition.
    let rewrite =
        Request { headers: vec![("if-match", "*".to_owned())], ..put("incoming/north/there.jpg") };
    assert_eq!(send(running.address, &uploader, &rewrite).await.status, 403);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_way_of_writing_a_key_leads_out_of_the_prefix() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = begin(folder.path()).await;
    let (_, pair) = machine(&running, &["clinician@north"], None).await;
    for key in [
        "incoming/north/../south/x.jpg",
        "incoming/north/%2E%2E/south/x.jpg",
        "incoming/north/..%2Fsouth/x.jpg",
        "incoming/north/..%5Csouth/x.jpg",
        "incoming/north/./x.jpg",
        "incoming//north/x.jpg",
        "/incoming/north/x.jpg",
        "%2Fincoming/north/x.jpg",
        "incoming/north",
        "incoming%2Fsouth%2Fx.jpg",
        "incoming/north%252Fx.jpg",
        "incoming/North/x.jpg",
        "INCOMING/north/x.jpg",
        "incoming/%EF%BD%8Eorth/x.jpg",
        "incoming/north%00/x.jpg",
        "incoming/north%20/x.jpg",
        "incoming/Doe,Jane/x.jpg",
        "x.jpg",
    ] {
        let answer = send(running.address, &pair, &put(key)).await;
        assert!(matches!(answer.status, 400 | 403), "{key}: {answer:?}");
    }
    let copy = |source: &str| Request {
        headers: vec![("x-amz-copy-source", source.to_owned())],
        body: Vec::new(),
        ..put("incoming/north/copied.jpg")
    };
    for source in [
        "xrays/incoming/south/there.jpg",
        "/xrays/incoming/south/there.jpg",
        "xrays/incoming%2Fsouth%2Fthere.jpg",
        "xrays/incoming/north/../south/there.jpg",
        "xrays/incoming/north/there.jpg?versionId=null",
        "xrays/there.jpg",
        "lobar-models/incoming/north/there.jpg",
    ] {
        let answer = send(running.address, &pair, &copy(source)).await;
        assert!(matches!(answer.status, 400 | 403), "{source}: {answer:?}");
    }
    let other = Request { path: "/lobar-models/incoming/north/x.jpg".into(), ..put("x") };
    assert_eq!(send(running.address, &pair, &other).await.status, 403);
    let list = Request { query: "list-type=2".into(), ..request("GET", "/xrays") };
    let listed = send(running.address, &operator(), &list).await.body;
    assert_eq!(listed.matches("<Key>").count(), PLACES.len(), "{listed}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_pair_and_its_urls_end_with_its_token_and_with_its_grants() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = begin(folder.path()).await;
    let address = running.address;
    let (token, pair) = machine(&running, &["uploader@north"], None).await;
    let url = presigned(address, &pair, &put("incoming/north/signed.jpg"));
    let elsewhere = presigned(address, &pair, &put("incoming/south/signed.jpg"));
    assert_eq!(plain(address, &url).await.status, 200);
    assert_eq!(plain(address, &elsewhere).await.status, 403);
    // Another page's browser may not use it either.
    let page = Request {
        headers: [url.headers.clone(), vec![("origin", "https://elsewhere.example".to_owned())]]
            .concat(),
        ..url.clone()
    };
    assert_eq!(plain(address, &page).await.status, 403);
    assert!(running.queues.revoke_token(token.id).await.expect("asked"));
    for answer in [plain(address, &url).await, send(address, &pair, &put("incoming/north/x")).await]
    {
        assert_eq!(answer.status, 403);
        assert!(answer.body.contains("InvalidAccessKeyId"), "{}", answer.body);
    }

    let (_, over) = machine(&running, &["uploader@north"], Some(SystemClock.now())).await;
    assert_eq!(send(address, &over, &put("incoming/north/x")).await.status, 403);

    // A person's pair signs what the api hands out.
    let new = NewAccount {
        name: "jane".into(),
        grants: ["clinician@north".parse::<Grant>().expect("a grant")].into_iter().collect(),
        external: None,
    };
    let jane = running.queues.add(&new).await.expect("added");
    let of_jane = keys().pair(KeyOwner::Person(jane.id));
    let url = presigned(address, &of_jane, &put("incoming/north/jane.jpg"));
    assert_eq!(plain(address, &url).await.status, 200);
    running.queues.disable(jane.id, true).await.expect("disabled");
    assert_eq!(plain(address, &url).await.status, 403);
    // There is no local user any more.
    let local = keys().pair(KeyOwner::Local);
    assert_eq!(send(address, &local, &put("incoming/north/x")).await.status, 403);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_signs_with_what_they_can_make_themselves() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = begin(folder.path()).await;
    let (token, pair) = machine(&running, &["uploader@north"], None).await;
    let forged = S3Keys::of_operator(&"x".repeat(40)).expect("long enough");
    let forged = forged.pair(KeyOwner::Machine(token.id));
    let answer = send(running.address, &forged, &put("incoming/north/x")).await;
    assert!(answer.body.contains("SignatureDoesNotMatch"), "{}", answer.body);
    let other = keys().pair(KeyOwner::Machine(TokenId(Uuid::now_v7())));
    let borrowed = S3KeyPair { access_key: other.access_key, ..pair };
    let answer = send(running.address, &borrowed, &put("incoming/north/x")).await;
    assert!(answer.body.contains("SignatureDoesNotMatch"), "{}", answer.body);
    running.stop().await;
}

async fn entries(running: &Running, action: Action, least: usize) -> Vec<Entry> {
    let filter = Filter { action: Some(action), ..Filter::default() };
    for _ in 0..600 {
        let found = running.queues.page(&filter, Cursor::After(0), 100).await.expect("asked");
        if found.len() >= least {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("fewer than {least} entries {action}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_key_pair_did_and_was_refused_is_on_record_without_its_keys() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = begin(folder.path()).await;
    let address = running.address;
    let (token, pair) = machine(&running, &["clinician@north"], None).await;
    let done = send(address, &pair, &put("incoming/north/JaneDoe.jpg")).await;
    let version = done.header("x-amz-version-id").expect("a version").to_owned();
    for _ in 0..3 {
        send(address, &pair, &request("GET", "/xrays/incoming/north/JaneDoe.jpg")).await;
        send(address, &pair, &request("DELETE", "/xrays/incoming/north/JaneDoe.jpg")).await;
        send(address, &pair, &put("incoming/south/JaneDoe.jpg")).await;
    }
    let uploaded = entries(&running, Action::Uploaded, 1).await;
    let object = ObjectVersion {
        bucket: "xrays".into(),
        key: "incoming/north/JaneDoe.jpg".into(),
        version: Some(version),
        etag: None,
        sequencer: None,
        size: None,
    };
    let entry = &uploaded[0];
    assert_eq!(entry.image, Some(object.id().0));
    assert_eq!((entry.actor_id, entry.site.as_deref()), (Some(token.id.0), Some("north")));
    assert_eq!((entry.role.as_deref(), entry.request.is_some()), (Some("clinician"), true));
    let read = entries(&running, Action::Exported, 1).await;
    let refused = entries(&running, Action::Refused, 2).await;
    assert_eq!((uploaded.len(), read.len(), refused.len()), (1, 1, 2), "once a minute");
    assert_eq!(read[0].image, entry.image);
    let operations: BTreeSet<_> =
        refused.iter().map(|entry| entry.detail()["operation"].to_string()).collect();
    assert_eq!(operations.into_iter().collect::<Vec<_>>(), ["\"DeleteObject\"", "\"PutObject\""]);
    for entry in uploaded.iter().chain(&read).chain(&refused) {
        assert!(!serde_json::to_string(entry).expect("JSON").contains("Doe"));
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_at_an_object_is_on_record_and_does_not_stand_for_fetching_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = begin(folder.path()).await;
    let (_, pair) = machine(&running, &["reader@north"], None).await;
    for _ in 0..2 {
        for method in ["HEAD", "GET"] {
            let there = request(method, "/xrays/incoming/north/there.jpg");
            assert_eq!(send(running.address, &pair, &there).await.status, 200, "{method}");
        }
    }
    let found = entries(&running, Action::Exported, 2).await;
    let operations: Vec<_> =
        found.iter().map(|entry| entry.detail()["operation"].clone()).collect();
    assert_eq!(operations, [serde_json::json!("HeadObject"), serde_json::Value::Null]);
    assert!(found[0].image.is_some() && found[0].image == found[1].image);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signature_of_version_2_is_refused_whoever_signs_and_however() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = begin(folder.path()).await;
    let (_, pair) = machine(&running, &["clinician@north"], None).await;
    for pair in [&pair, &operator()] {
        python_as(&running.url(), pair, "s3_version_2.py").await;
    }
    let form = request("HEAD", "/xrays/incoming/north/form.jpg");
    assert_eq!(send(running.address, &operator(), &form).await.status, 404, "it was not stored");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_in_parts_are_listed_of_the_own_site_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = begin(folder.path()).await;
    let address = running.address;
    for place in PLACES {
        let begun = asked("CreateMultipartUpload", place, &operator(), address);
        assert_eq!(send(address, &operator(), &begun).await.status, 200);
    }
    let (_, reader) = machine(&running, &["reader@north"], None).await;
    let (_, uploader) = machine(&running, &["uploader@north"], None).await;
    let own = asked("ListMultipartUploads", OWN, &reader, address);
    let listed = send(address, &reader, &own).await;
    assert_eq!(listed.status, 200, "{}", listed.body);
    assert!(listed.body.contains("<Key>incoming/north/large.jpg</Key>"), "{}", listed.body);
    assert_eq!(listed.body.matches("<Key>").count(), 1, "{}", listed.body);
    // Of others, of all, and beginnings that more than one site has.
    for query in [
        "prefix=incoming%2Fsouth%2F&uploads=",
        "uploads=",
        "prefix=incoming%2F&uploads=",
        "prefix=incoming%2Fnorth&uploads=",
    ] {
        let others = Request { query: query.to_owned(), ..request("GET", "/xrays") };
        let told = send(address, &reader, &others).await;
        assert_eq!(told.status, 403, "{query}");
        assert!(!told.body.contains("large.jpg"), "{query}: {}", told.body);
    }
    assert_eq!(send(address, &uploader, &own).await.status, 403, "who only uploads lists nothing");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_aws_cli_and_boto3_upload_for_their_site_and_read_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = begin(folder.path()).await;
    let (_, pair) = machine(&running, &["uploader@north"], None).await;
    let files = folder.path().join("files");
    std::fs::create_dir_all(files.join("deeper")).expect("a folder");
    std::fs::write(files.join("large.bin"), noise(20 << 20, 1)).expect("a file");
    std::fs::write(files.join("deeper/small \u{e9}+%.jpg"), "picture").expect("a file");
    let (url, files) = (running.url(), files.to_str().expect("text").to_owned());
    let aws = async |arguments: &[&str]| aws_as(&url, &pair, arguments).await;
    let north = "s3://xrays/incoming/north/";
    assert!(aws(&["s3", "cp", "--recursive", &files, north]).await.status.success());
    let large = format!("{files}/large.bin");
    for refused in [
        ["s3", "cp", &large, "s3://xrays/incoming/south/"],
        ["s3", "cp", &large, "s3://xrays/"],
        ["s3", "cp", "s3://xrays/incoming/north/large.bin", "/dev/null"],
        ["s3", "cp", "s3://xrays/incoming/south/there.jpg", north],
        ["s3", "ls", north, "--recursive"],
        ["s3", "rm", north, "--recursive"],
        ["s3", "sync", &files, north],
    ] {
        let output = aws(&refused).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let denied = said.contains("AccessDenied") || said.contains("403");
        assert!(!output.status.success() && denied, "{refused:?}: {said}");
    }
    python_as(&url, &pair, "s3_uploader.py").await;
    running.stop().await;
}
