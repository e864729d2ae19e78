//! Every operation x role x site, through real signed requests.
//!
//! The rows are those of the endpoint's own table, [`lobar_endpoint::operations`]: one that has no request here fails.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use lobar_core::access::{Grant, Role};
use lobar_core::accounts::{
    Accounts as _, KeyOwner, NewToken, S3KeyPair, S3Keys, SecretHash, Token,
};
use lobar_core::time::Stamp;

use crate::fixture::{KEY_PAIR, Running, start_with};
use crate::signed::{Answer, Request, plain, scope, send, signature};

/// Where a key is: at the site of the key pair, at another one, at none.
pub(crate) const PLACES: [&str; 3] = ["incoming/north/", "incoming/south/", ""];
pub(crate) const OWN: &str = PLACES[0];

pub(crate) async fn begin(folder: &std::path::Path) -> Running {
    let running = start_with(folder, |options| options.forms = true).await;
    for place in PLACES {
        let key = format!("{place}there.jpg");
        assert_eq!(send(running.address, &operator(), &put(&key)).await.status, 200);
    }
    running
}

pub(crate) fn operator() -> S3KeyPair {
    S3KeyPair { access_key: KEY_PAIR.0.to_owned(), secret_key: KEY_PAIR.1.to_owned() }
}

pub(crate) fn keys() -> S3Keys {
    S3Keys::of_operator(KEY_PAIR.1).expect("long enough")
}

/// A machine's token, and its key pair.
pub(crate) async fn machine(
    running: &Running,
    grants: &[&str],
    until: Option<Stamp>,
) -> (Token, S3KeyPair) {
    let grants: Vec<Grant> = grants.iter().map(|text| text.parse().expect("a grant")).collect();
    let new = NewToken {
        name: uuid::Uuid::now_v7().to_string(),
        grants: grants.into_iter().collect(),
        secret: SecretHash(unique()),
        expires_at: until,
    };
    let token = running.queues.add_token(&new).await.expect("added");
    let pair = keys().pair(KeyOwner::Machine(token.id));
    (token, pair)
}

/// Nobody signs in with it.
fn unique() -> [u8; 32] {
    let (one, two) = (uuid::Uuid::now_v7(), uuid::Uuid::now_v7());
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(one.as_bytes());
    bytes[16..].copy_from_slice(two.as_bytes());
    bytes
}

pub(crate) fn request(method: &'static str, path: impl Into<String>) -> Request {
    Request { method, path: path.into(), ..Request::default() }
}

pub(crate) fn put(key: &str) -> Request {
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
        body +=
            &format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    }
    body += "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f.jpg\"\r\n\r\npicture\r\n--b--\r\n";
    let headers = vec![("content-type", "multipart/form-data; boundary=b".to_owned())];
    Request { headers, body: body.into_bytes(), ..request("POST", "/xrays") }
}

/// How an operation is asked for at a place, by whoever has this pair.
pub(crate) fn asked(
    operation: &str,
    place: &str,
    pair: &S3KeyPair,
    address: SocketAddr,
) -> Request {
    let key = |name: &str| format!("/xrays/{place}{name}");
    let query = |request: Request, query: &str| Request { query: query.to_owned(), ..request };
    let with = |request: Request, name, value: &str| {
        let headers = [request.headers, vec![(name, value.to_owned())]].concat();
        Request { headers, ..request }
    };
    let body = |request: Request, body: &str| Request { body: body.as_bytes().to_vec(), ..request };
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
        "CopyObject" => with(
            request("PUT", key("copy.jpg")),
            "x-amz-copy-source",
            "xrays/incoming/north/there.jpg",
        ),
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
        "ListObjectsV2" => query(request("GET", "/xrays"), &format!("list-type=2&prefix={prefix}")),
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
        "PutObject"
        | "PostObject"
        | "CreateMultipartUpload"
        | "UploadPart"
        | "CompleteMultipartUpload"
        | "AbortMultipartUpload"
        | "ListParts" => (&[Clinician, Uploader], true),
        "CopyObject" | "UploadPartCopy" => (&[Clinician], true),
        "GetObject"
        | "HeadObject"
        | "GetObjectTagging"
        | "GetObjectAttributes"
        | "GetObjectAcl"
        | "ListMultipartUploads"
        | "ListObjects"
        | "ListObjectsV2" => (&[Clinician, Reader], true),
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
                    let is_as_told = if may {
                        answer.status < 300 || answer.status == done.status
                    } else {
                        denied
                    };
                    let all = pair == everywhere;
                    assert!(
                        is_as_told,
                        "{operation} at {place:?} by {role}, all sites {all}: {answer:?}"
                    );
                    asks += 1;
                }
            }
        }
    }
    let operations = lobar_endpoint::operations().count();
    assert!(operations >= 30 && asks == operations * PLACES.len() * Role::ALL.len() * 2);
    running.stop().await;
}
