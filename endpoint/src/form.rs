//! Form uploads of browsers, as far as `s3s` leaves them out: `${filename}` in a key, and the answer to what
//! a policy forbids. <https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html>

use std::time::Duration;

use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::{Request, StatusCode};
use s3s::{Body, HttpResponse, S3Error, S3ErrorCode};
use tokio::sync::{Semaphore, SemaphorePermit};

/// The most that a form's fields may hold beside its file, in bytes.
const FIELDS: usize = 1 << 20;
/// How long a form may take to arrive: it is held in memory meanwhile.
const PATIENCE: Duration = Duration::from_secs(600);
/// How many forms are read and stored at once, each of them as large as a film.
const AT_ONCE: usize = 3;
/// How long a form waits for its turn.
const TURN: Duration = Duration::from_secs(30);
/// What stands for the name of the file.
const VARIABLE: &str = "${filename}";

/// The name that a browser gives the file of a form, without its folders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileName(String);

impl FileName {
    /// The key that a form's key means.
    pub(super) fn substitute(name: Option<&Self>, key: &str) -> String {
        key.replace(VARIABLE, name.map_or("", |name| &name.0))
    }

    /// Looks no further than the header of the file, which S3 wants to be the last field.
    fn find(form: &[u8]) -> Option<Self> {
        let fields = &form[..form.len().min(FIELDS)];
        let file = fields.split(|&byte| byte == b'\n').find(|line| is_file(line))?;
        let file = String::from_utf8_lossy(file);
        let (_, name) = file.split_once("filename=\"")?;
        let (name, _) = name.rsplit_once('"')?;
        let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
        Some(Self(name.to_owned()))
    }
}

/// Whether this line is the header of a form's file.
fn is_file(line: &[u8]) -> bool {
    const HEADER: &[u8] = b"content-disposition:";
    const NAME: &[u8] = b"name=\"file\"";
    let header = line.get(..HEADER.len());
    header.is_some_and(|header| header.eq_ignore_ascii_case(HEADER))
        // A field of another name may have a file of this one.
        && line.windows(NAME.len() + 1).any(|w| &w[1..] == NAME && matches!(w[0], b' ' | b';'))
}

/// How many forms are held in memory at once: they are read before it is known who sent them.
#[derive(Debug)]
pub(super) struct Forms {
    free: Semaphore,
    /// The most bytes of a form's file.
    largest: usize,
}

impl Forms {
    pub(super) fn new(largest: u64) -> Self {
        let largest = usize::try_from(largest).unwrap_or(usize::MAX);
        Self { free: Semaphore::new(AT_ONCE), largest }
    }

    /// Waits until a form may be read. It counts until what is returned is dropped.
    pub(super) async fn admit(&self) -> Result<SemaphorePermit<'_>, S3Error> {
        match tokio::time::timeout(TURN, self.free.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(S3Error::new(S3ErrorCode::SlowDown)),
        }
    }

    /// Reads a form that was admitted, and notes the name of its file.
    pub(super) async fn read(&self, request: Request<Body>) -> Result<Request<Body>, S3Error> {
        let (parts, body) = request.into_parts();
        let form = Limited::new(body, self.largest.saturating_add(FIELDS)).collect();
        let form = tokio::time::timeout(PATIENCE, form).await;
        let form = form.map_err(|_| S3Error::new(S3ErrorCode::RequestTimeout))?;
        let form = form.map_err(|error| match error.is::<LengthLimitError>() {
            true => S3Error::new(S3ErrorCode::EntityTooLarge),
            false => S3Error::new(S3ErrorCode::IncompleteBody),
        })?;
        let form = form.to_bytes();
        let name = FileName::find(&form);
        let mut request = Request::from_parts(parts, Body::from(form));
        if let Some(name) = name {
            request.extensions_mut().insert(name);
        }
        Ok(request)
    }
}

/// S3 forbids what a policy does not allow; `s3s` finds fault with the policy itself. What it says repeats the
/// fields, keys among them, and goes with it.
pub(super) fn forbid(response: HttpResponse) -> HttpResponse {
    let said = response.body().bytes().unwrap_or_default();
    let breach = response.status() == StatusCode::BAD_REQUEST
        && String::from_utf8_lossy(&said).contains("<Message>Policy condition ");
    if !breach {
        return response;
    }
    let why = "Invalid according to Policy: Policy Condition failed";
    let answer = S3Error::with_message(S3ErrorCode::AccessDenied, why).to_http_response();
    answer.unwrap_or(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str) -> Option<String> {
        let form = format!(
            "--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nin/${{filename}}\r\n\
             --b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n\0\u{fffd}"
        );
        FileName::find(form.as_bytes()).map(|name| name.0)
    }

    #[test]
    fn the_file_is_named_without_its_folders() {
        assert_eq!(found("a b.jpg").as_deref(), Some("a b.jpg"));
        assert_eq!(found("C:\\films\\a.jpg").as_deref(), Some("a.jpg"));
        assert_eq!(found("../../etc/passwd").as_deref(), Some("passwd"));
        assert_eq!(FileName::find(b"no form"), None);
    }

    #[test]
    fn the_name_is_looked_for_up_to_the_file_and_in_no_other_field() {
        let field = |name: &str, file: &str| {
            format!(
                "--b\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{file}\"\r\n\r\nx\r\n"
            )
        };
        let find = |form: String| FileName::find(form.as_bytes()).map(|name| name.0);
        assert_eq!(find(field("note", "file") + &field("file", "a.jpg")).as_deref(), Some("a.jpg"));
        assert_eq!(
            find(field("file", "a.jpg") + &field("file", "b.jpg")).as_deref(),
            Some("a.jpg")
        );
        assert_eq!(find("x".repeat(FIELDS) + "\r\n" + &field("file", "a.jpg")), None);
    }

    #[test]
    fn the_variable_stands_for_the_name_wherever_it_is() {
        let name = FileName("a.jpg".to_owned());
        assert_eq!(FileName::substitute(Some(&name), "in/${filename}"), "in/a.jpg");
        assert_eq!(FileName::substitute(None, "in/${filename}"), "in/");
        assert_eq!(FileName::substitute(Some(&name), "in/b.jpg"), "in/b.jpg");
    }
}
