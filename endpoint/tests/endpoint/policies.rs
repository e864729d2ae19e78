//! Every operation x role x site, through real signed requests; and what else a key pair of one site must not do.
//!
//! The rows are those of the endpoint's own table, [`lobar_endpoint::operations`]: one that has no request here fails.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use lobar_core::access::{Grant, Role};
use lobar_core::accounts::{
    Accounts as _, KeyOwner, NewAccount, NewToken, S3KeyPair, S3Keys, SecretHash, Token,
};
use lobar_core::audit::{Action, Audit as _, Cursor, Entry, Filter};
use lobar_core::object::ObjectVersion;
use lobar_core::time::{Clock as _, Stamp, SystemClock};

use crate::fixture::{KEY_PAIR, Running, aws_as, python_as, start_with};
use crate::signed::{Answer, Request, plain, presigned, scope, send, signature};

/// Where a key is: at the site of the key pair, at another one, at none.
const PLACES: [&str; 3] = ["incoming/north/", "incoming/south/", ""];
const OWN: &str = PLACES[0];

async fn begin(folder: &std::path::Path) -> Running {
    let running = start_with(folder, |options| options.forms = true).await;
    for place in PLACES {
        let key = format!("{place}there.jpg");
        assert_eq!(send(running.address, &operator(), &put(&key)).await.status, 200);
    }
    running
}

fn operator() -> S3KeyPair {
    S3KeyPair { access_key: KEY_PAIR.0.to_owned(), secret_key: KEY_PAIR.1.to_owned() }
}

fn keys() -> S3Keys {
    S3Keys::of_operator(KEY_PAIR.1).expect("long enough")
}

/// A machine's token, and its key pair.
async fn machine(running: &Running, grants: &[&str], until: Option<Stamp>) -> (Token, S3KeyPair) {
    let grants: Vec<Grant> = grants.iter().map(|text| text.parse().expect("a grant")).collect();
    let new = NewToken {
        name: uuid::Uuid::now_v7().to_string(),
        grants: grants.into_iter().collect(),
        secret: SecretHash(rand_bytes()),
        expires_at: until,
    };
    let token = running.queues.add_token(&new).await.expect("added");
    let pair = keys().pair(KeyOwner::Machine(token.id));
    (token, pair)
}

fn rand_bytes() -> [u8; 32] {
    let (one, two) = (uuid::Uuid::now_v7(), uuid::Uuid::now_v7());
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(one.as_bytes());
    bytes[16..].copy_from_slice(two.as_bytes());
    bytes
}

fn request(method: &'static str, path: impl Into<String>) -> Request {
    Request { method, path: path.into(), ..Request::default() }
}

fn put(key: &str) -> Request {
    Request { body: b"picture".to_vec(), ..request("PUT", format!("/xrays/{key}")) }
}

/// A form with a policy that its own signer would allow anywhere.
fn form(pair: &S3KeyPair, key: &str) -> Request {
    let at = crate::signed::now();
    let credential = format!("{}/{}", pair.access_key, scope(&at));
    let policy = serde_json::json!({
        "expiration": "2099-01-01T00:00:00.000Z",
        "conditions": [
            {"bucket": "xrays"}, ["starts-with", "$key", ""],
            {"x-amz-algorithm": "AWS4-HMAC-SHA256"}, {"x-amz-credential": credential},
            {"x-amz-date": at},
        ],
    });
    let policy = BASE64_STANDARD.encode(policy.to_string());
    let signature = signature(pair, &at, &policy);
    let fields = [
        ("key", key),
        ("policy", &policy),
        ("x-amz-algorithm", "AWS4-HMAC-SHA256"),
        ("x-amz-credential", &credential),
        ("x-amz-date", &at),
        ("x-amz-signature", &signature),
    ];
    let mut body = String::new();
    for (name, value) in fields {
        body += &format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    }
    body += "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f.jpg\"\r\n\r\npicture\r\n--b--\r\n";
    let headers = vec![("content-type", "multipart/form-data; boundary=b".to_owned())];
    Request { headers, body: body.into_bytes(), ..request("POST", "/xrays") }
}

/// How an operation is asked for at a place, by whoever has this pair.
fn asked(operation: &str, place: &str, pair: &S3KeyPair, address: SocketAddr) -> Request {
    let key = |name: &str| format!("/xrays/{place}{name}");
    let query = |request: Request, query: &str| Request { query: query.to_owned(), ..request };
    let with = |request: Request, name, value: &str| {
        let headers = [request.headers, vec![(name, value.to_owned())]].concat();
        Request { headers, ..request }
    };
    let body =
        |request: Request, body: &str| Request { body: body.as_bytes().to_vec(), ..request };
    let prefix = place.replace('/', "%2F");
    let part = "partNumber=1&uploadId=none";
    match operation {
        "CreateBucket" => request("PUT", "/spare"),
        "DeleteBucket" => request("DELETE", "/not-there"),
        "ListBuckets" => request("GET", "/"),
        "HeadBucket" => request("HEAD", "/xrays"),
        "GetBucketLocation" => query(request("GET", "/xrays"), "location="),
        "GetBucketVersioning" => query(request("GET", "/xrays"), "versioning="),
        "PutBucketVersioning" => body(
            query(request("PUT", "/xrays"), "versioning="),
            "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
        ),
        "PutObject" => put(&format!("{place}put.jpg")),
        "PostObject" => Request {
            headers: [form(pair, "").headers, vec![("host", address.to_string())]].concat(),
            ..form(pair, &format!("{place}form.jpg"))
        },
        "CopyObject" => {
            with(request("PUT", key("copy.jpg")), "x-amz-copy-source", "xrays/incoming/north/there.jpg")
        }
        "DeleteObject" => request("DELETE", key("gone.jpg")),
        "DeleteObjects" => {
            let text = format!("<Delete><Object><Key>{place}gone.jpg</Key></Object></Delete>");
            body(query(request("POST", "/xrays"), "delete="), &text)
        }
        "GetObject" => request("GET", key("there.jpg")),
        "HeadObject" => request("HEAD", key("there.jpg")),
        "GetObjectTagging" => query(request("GET", key("there.jpg")), "tagging="),
        "GetObjectAttributes" => with(
            query(request("GET", key("there.jpg")), "attributes="),
            "x-amz-object-attributes",
            "ETag",
        ),
        "GetObjectAcl" => query(request("GET", key("there.jpg")), "acl="),
        "PutObjectAcl" => {
            with(query(request("PUT", key("there.jpg")), "acl="), "x-amz-acl", "private")
        }
        "GetBucketAcl" => query(request("GET", "/xrays"), "acl="),
        "GetBucketNotificationConfiguration" => query(request("GET", "/xrays"), "notification="),
        "CreateMultipartUpload" => query(request("POST", key("large.jpg")), "uploads="),
        "UploadPart" => query(put(&format!("{place}large.jpg")), part),
        "UploadPartCopy" => with(
            query(request("PUT", key("large.jpg")), part),
            "x-amz-copy-source",
            "xrays/incoming/north/there.jpg",
        ),
        "CompleteMultipartUpload" => body(
            query(request("POST", key("large.jpg")), "uploadId=none"),
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>a</ETag></Part></CompleteMultipartUpload>",
        ),
        "AbortMultipartUpload" => query(request("DELETE", key("large.jpg")), "uploadId=none"),
        "ListParts" => query(request("GET", key("large.jpg")), "uploadId=none"),
        "ListMultipartUploads" => {
            query(request("GET", "/xrays"), &format!("prefix={prefix}&uploads="))
        }
        "ListObjects" => query(request("GET", "/xrays"), &format!("prefix={prefix}")),
        "ListObjectsV2" => {
            query(request("GET", "/xrays"), &format!("list-type=2&prefix={prefix}"))
        }
        "ListObjectVersions" => {
            query(request("GET", "/xrays"), &format!("prefix={prefix}&versions="))
        }
        other => panic!("{other} has no request in this table: add it, and who may do it"),
    }
}

/// Who may do it at their own site; whether it is of a place at all.
fn allowed(operation: &str) -> (&'static [Role], bool) {
    use Role::{Clinician, Reader, Uploader};
    match operation {
        "HeadBucket" | "GetBucketLocation" => (&[Clinician, Reader, Uploader], false),
        "PutObject" | "PostObject" | "CreateMultipartUpload" | "UploadPart"
        | "CompleteMultipartUpload" | "AbortMultipartUpload" | "ListParts" => {
            (&[Clinician, Uploader], true)
        }
        "CopyObject" | "UploadPartCopy" => (&[Clinician], true),
        "GetObject" | "HeadObject" | "GetObjectTagging" | "GetObjectAttributes"
        | "GetObjectAcl" | "ListMultipartUploads" | "ListObjects" | "ListObjectsV2" => {
            (&[Clinician, Reader], true)
        }
        _ => (&[], true),
    }
}

fn is_denied(answer: &Answer, is_head: bool) -> bool {
    answer.status == 403 && (is_head || answer.body.contains("<Code>AccessDenied</Code>"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_is_allowed_to_the_roles_of_the_table_at_their_own_site_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = begin(folder.path()).await;
    let address = running.address;
    let mut machines = Vec::new();
    for role in Role::ALL {
        let (_, here) = machine(&running, &[&format!("{role}@north")], None).await;
        let (_, everywhere) = machine(&running, &[&format!("{role}@*")], None).await;
        machines.push((role, here, everywhere));
    }
    let mut asks = 0;
    for operation in lobar_endpoint::operations() {
        let (roles, of_a_place) = allowed(operation);
        for place in PLACES {
            let by = async |pair: &S3KeyPair| {
                let request = asked(operation, place, pair, address);
                let answer = match operation {
                    "PostObject" => plain(address, &request).await,
                    _ => send(address, pair, &request).await,
                };
                (is_denied(&answer, request.method == "HEAD"), answer)
            };
            let (denied, done) = by(&operator()).await;
            let understood = !matches!(done.status, 400 | 403 | 405 | 500..);
            assert!(!denied && understood, "{operation} at {place:?} by the operator: {done:?}");
            for (role, here, everywhere) in &machines {
                let is_own = place == OWN || !of_a_place;
                for (pair, reached) in [(here, is_own), (everywhere, true)] {
                    let may = roles.contains(role) && reached;
                    let (denied, answer) = by(pair).await;
                    let is_as_told = if may { answer.status < 300 || answer.status == done.status } else { denied };
                    let all = pair == everywhere;
                    assert!(is_as_told, "{operation} at {place:?} by {role}, all sites {all}: {answer:?}");
                    asks += 1;
                }
            }
        }
    }
    let operations = lobar_endpoint::operations().count();
    assert!(operations >= 30 && asks == operations * PLACES.len() * Role::ALL.len() * 2);
    running.stop().await;
}

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
    let rewrite = Request { headers: vec![("if-match", "*".to_owned())], ..put("incoming/north/there.jpg") };
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
        headers: [url.headers.clone(), vec![("origin", "https://elsewhere.example".to_owned())]].concat(),
        ..url.clone()
    };
    assert_eq!(plain(address, &page).await.status, 403);
    assert!(running.queues.revoke_token(token.id).await.expect("asked"));
    for answer in [plain(address, &url).await, send(address, &pair, &put("incoming/north/x")).await] {
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
    let other = keys().pair(KeyOwner::Machine(lobar_core::accounts::TokenId(uuid::Uuid::now_v7())));
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
async fn the_aws_cli_and_boto3_upload_for_their_site_and_read_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = begin(folder.path()).await;
    let (_, pair) = machine(&running, &["uploader@north"], None).await;
    let files = folder.path().join("files");
    std::fs::create_dir_all(files.join("deeper")).expect("a folder");
    std::fs::write(files.join("large.bin"), crate::fixture::noise(20 << 20, 1)).expect("a file");
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
