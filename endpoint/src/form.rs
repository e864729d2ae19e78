//! Form uploads of browsers, as far as `s3s` leaves them out: `${filename}` in a key, and the answer to what
//! a policy forbids. <https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html>

use std::time::Duration;

use hyper::{Request, StatusCode};
use s3s::{Body, HttpResponse, S3Error, S3ErrorCode};

/// The most that a form's fields may hold beside its file, in bytes.
const FIELDS: usize = 1 << 20;
/// How long a form may take to arrive: it is held in memory meanwhile.
const PATIENCE: Duration = Duration::from_secs(600);
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

    fn find(form: &[u8]) -> Option<Self> {
        let form = String::from_utf8_lossy(form);
        let mut headers = form.split("\r\n").filter(|line| {
            let name = line.get(.."content-disposition:".len());
            name.is_some_and(|name| name.eq_ignore_ascii_case("content-disposition:"))
        });
        let file = headers.find(|line| line.contains("name=\"file\""))?;
        let (_, name) = file.split_once("filename=\"")?;
        let (name, _) = name.rsplit_once('"')?;
        let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
        Some(Self(name.to_owned()))
    }
}

/// Reads a form, at most `limit` bytes of a file, and notes the name of its file.
pub(super) async fn read(mut request: Request<Body>, limit: u64) -> Result<Request<Body>, S3Error> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(FIELDS);
    let form = request.body_mut().store_all_limited(limit);
    let form = tokio::time::timeout(PATIENCE, form).await;
    let form = form.map_err(|_| S3Error::new(S3ErrorCode::RequestTimeout))?;
    let form = form.map_err(|error| match error.to_string().contains("limit") {
        true => S3Error::new(S3ErrorCode::EntityTooLarge),
        false => S3Error::new(S3ErrorCode::IncompleteBody),
    })?;
    if let Some(name) = FileName::find(&form) {
        request.extensions_mut().insert(name);
    }
    *request.body_mut() = Body::from(form);
    Ok(request)
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
    fn the_variable_stands_for_the_name_wherever_it_is() {
        let name = FileName("a.jpg".to_owned());
        assert_eq!(FileName::substitute(Some(&name), "in/${filename}"), "in/a.jpg");
        assert_eq!(FileName::substitute(None, "in/${filename}"), "in/");
        assert_eq!(FileName::substitute(Some(&name), "in/b.jpg"), "in/b.jpg");
    }
}
