//! A client that sends exactly the path that it is told: others normalise `..` away. It signs with AWS Signature Version 4.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>

use std::net::SocketAddr;

use hmac::{Hmac, Mac as _};
use lobar_core::accounts::S3KeyPair;
use lobar_core::time::{Clock as _, SystemClock};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// A request, before it is signed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    /// As it is sent: percent-encoded.
    pub(crate) path: String,
    /// In the order of its names, each with a value, encoded: `a=1&b=`.
    pub(crate) query: String,
    /// Beside those of the signature, by names in small letters.
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// By names in small letters, sorted.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(one, _)| one == name).map(|(_, value)| value.as_str())
    }

    /// All of it that may not differ between two answers which shall tell no difference.
    pub(crate) fn telling(&self) -> (u16, Vec<(String, String)>, String) {
        let own = ["date", "x-amz-request-id", "x-amz-id-2"];
        let told = self.headers.iter().filter(|(name, _)| !own.contains(&name.as_str()));
        (self.status, told.cloned().collect(), self.body.clone())
    }
}

fn hmac(key: &[u8], data: &str) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    mac.chain_update(data).finalize().into_bytes().to_vec()
}

/// `20260301T090500Z`, now. <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>
pub(crate) fn now() -> String {
    let seconds = SystemClock.now().0 / 1_000_000;
    let (days, rest) = (seconds.div_euclid(86_400) + 719_468, seconds.rem_euclid(86_400));
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    // Years begin in March here.
    let from_march = (5 * of_year + 2) / 153;
    let date = of_year - (153 * from_march + 2) / 5 + 1;
    let month = (from_march + 2) % 12 + 1;
    let year = year + era * 400 + i64::from(month < 3);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}{month:02}{date:02}T{hour:02}{minute:02}{second:02}Z")
}

/// The scope of a credential: day, region, service.
pub(crate) fn scope(at: &str) -> String {
    format!("{}/us-east-1/s3/aws4_request", &at[..8])
}

/// A signature of `text` at a time.
pub(crate) fn signature(pair: &S3KeyPair, at: &str, text: &str) -> String {
    let key = hmac(format!("AWS4{}", pair.secret_key).as_bytes(), &at[..8]);
    let key = ["us-east-1", "s3", "aws4_request"].iter().fold(key, |key, part| hmac(&key, part));
    hex::encode(hmac(&key, text))
}

fn to_sign(at: &str, canonical: &str) -> String {
    let hash = hex::encode(Sha256::digest(canonical));
    format!("AWS4-HMAC-SHA256\n{at}\n{}\n{hash}", scope(at))
}

/// Signs a request in its headers, sends it, and reads the answer to its end.
pub(crate) async fn send(address: SocketAddr, pair: &S3KeyPair, request: &Request) -> Answer {
    let at = now();
    let mut headers = request.headers.clone();
    headers.push(("host", address.to_string()));
    headers.push(("x-amz-content-sha256", UNSIGNED.to_owned()));
    headers.push(("x-amz-date", at.clone()));
    headers.sort_unstable();
    let names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let Request { method, path, query, .. } = request;
    let canonical = format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{UNSIGNED}");
    let signature = signature(pair, &at, &to_sign(&at, &canonical));
    let credential = format!("{}/{}", pair.access_key, scope(&at));
    headers.push((
        "authorization",
        format!(
            "AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"
        ),
    ));
    plain(address, &Request { headers, ..request.clone() }).await
}

/// A request that is signed in its URL, good for an hour.
pub(crate) fn presigned(address: SocketAddr, pair: &S3KeyPair, request: &Request) -> Request {
    let at = now();
    let credential = format!("{}/{}", pair.access_key, scope(&at)).replace('/', "%2F");
    let mut query = format!(
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Date={at}&X-Amz-Expires=3600&\
         X-Amz-SignedHeaders=host"
    );
    let Request { method, path, .. } = request;
    let canonical = format!("{method}\n{path}\n{query}\nhost:{address}\n\nhost\n{UNSIGNED}");
    let signature = signature(pair, &at, &to_sign(&at, &canonical));
    query += &format!("&X-Amz-Signature={signature}");
    let headers = vec![("host", address.to_string())];
    Request { query, headers, ..request.clone() }
}

/// Sends a request as it is.
pub(crate) async fn plain(address: SocketAddr, request: &Request) -> Answer {
    let Request { method, path, query, headers, body } = request;
    let query = if query.is_empty() { String::new() } else { format!("?{query}") };
    let mut text = format!("{method} {path}{query} HTTP/1.1\r\nconnection: close\r\n");
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    text += &format!("content-length: {}\r\n\r\n", body.len());
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream.write_all(&[text.as_bytes(), body].concat()).await.expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    read(&String::from_utf8_lossy(&answer))
}

fn read(answer: &str) -> Answer {
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status");
    let mut headers: Vec<_> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    headers.sort_unstable();
    Answer { status: status.parse().expect("a number"), headers, body: body.to_owned() }
}
