//! Lobar's HTTP interface, as an uploader uses it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use lobar_core::failure::chain;
use lobar_core::object::ImageId;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::error::UploadError;
use crate::identity::Identity;

/// One server, one site, one lane.
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    site: String,
    priority: &'static str,
    /// Whom the files are said to show.
    identity: Identity,
    /// What the files of this run are together: what the server calls a batch.
    batch: Uuid,
    /// What signs in; `None` where nobody has to.
    token: Option<String>,
}

/// Why a request did not succeed.
#[derive(Debug)]
pub(crate) enum RequestError {
    /// The server is away or busy.
    Transient(String),
    /// It would be refused again.
    Permanent(String),
}

impl RequestError {
    /// An error that another try would not heal.
    pub(crate) fn permanent(error: impl fmt::Display) -> Self {
        Self::Permanent(error.to_string())
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transient(text) | Self::Permanent(text) => f.write_str(text),
        }
    }
}

impl From<reqwest::Error> for RequestError {
    fn from(error: reqwest::Error) -> Self {
        // Without the URL: a presigned one is a credential.
        Self::Transient(chain(&error.without_url()))
    }
}

#[derive(Deserialize)]
struct Slots {
    uploads: Vec<Slot>,
}

/// Where to PUT one file.
#[derive(Deserialize)]
struct Slot {
    url: String,
    key: String,
    headers: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Identified {
    ids: Vec<ImageId>,
}

#[derive(Deserialize)]
struct Known {
    known: Vec<bool>,
}

impl Client {
    /// A client of the Lobar at `to`.
    pub(crate) fn new(
        to: &str,
        site: &str,
        stat: bool,
        identity: Identity,
        token: Option<String>,
    ) -> Result<Self, UploadError> {
        if !to.starts_with("http://") && !to.starts_with("https://") {
            return Err(UploadError::usage(format!(
                "--to is {to:?}; it must be an http or https URL"
            )));
        }
        // Chosen here, once: reqwest is built without a provider of its own.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(Duration::from_secs(60))
            .build()
            .map_err(|e| UploadError::failed(chain(&e)))?;
        Ok(Self {
            http,
            base: to.trim_end_matches('/').to_owned(),
            site: site.to_owned(),
            priority: if stat { "stat" } else { "routine" },
            identity,
            batch: Uuid::new_v4(),
            token,
        })
    }

    /// A request to Lobar itself. The bucket never sees the token.
    fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Where a person sees what becomes of the files of this run.
    pub(crate) fn batch_address(&self) -> String {
        format!("{}/#/batches/{}", self.base, self.batch)
    }

    /// What a journal is kept for: one server, one site, one lane.
    pub(crate) fn target(&self) -> String {
        format!("{}\0{}\0{}", self.base, self.site, self.priority)
    }

    /// Says at once, and once, when nothing answers there.
    pub(crate) async fn check(&self) -> Result<(), UploadError> {
        let answer = self.http.get(format!("{}/livez", self.base)).send().await;
        answer.and_then(Response::error_for_status).map(|_| ()).map_err(|e| {
            UploadError::failed(format!(
                "no Lobar answers at {}: {}; start it with `make run`, or name another with --to",
                self.base,
                chain(&e.without_url())
            ))
        })
    }

    /// Puts one file, and says which image it became. The content and whom it is said to show name the folder: the same file
    /// put twice lands on the same key, and another file of the same name, or the same of another patient, never does.
    pub(crate) async fn put(
        &self,
        name: &str,
        dicom: bool,
        body: Vec<u8>,
    ) -> Result<ImageId, RequestError> {
        let content = Sha256::new().chain_update(&body);
        let content = content.chain_update(self.identity.text().unwrap_or_default());
        let folder = &hex::encode(content.finalize())[..32];
        let mut request = json!({
            "site": self.site, "priority": self.priority, "folder": folder, "names": [name],
            "batch": self.batch,
        });
        if self.identity.text().is_some() {
            request["identity"] = json!(self.identity);
        }
        let slots: Slots = self.post("/v1/uploads", &request).await?;
        let slot = slots.uploads.into_iter().next();
        let slot = slot.ok_or_else(|| RequestError::permanent("the server gave no upload URL"))?;

        let mut put = self.http.put(&slot.url).body(body);
        if dicom {
            put = put.header(CONTENT_TYPE, "application/dicom");
        }
        for (header, value) in &slot.headers {
            put = put.header(header, value);
        }
        let answer = accepted(put.send().await?).await?;
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
        let object = json!({
            "key": slot.key, "version_id": header("x-amz-version-id"), "etag": header("etag"),
        });
        let request = json!({ "uploads": [object], "batch": self.batch });
        let identified: Identified = self.post("/v1/uploads/identify", &request).await?;
        let id = identified.ids.into_iter().next();
        id.ok_or_else(|| RequestError::permanent("the server gave no id"))
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, RequestError> {
        let answer = self.ask(Method::POST, path).json(body).send().await?;
        Ok(accepted(answer).await?.json().await?)
    }

    /// Whether the server still knows this image, which was uploaded before: then it is one of this run's files, too.
    pub(crate) async fn knows(&self, id: ImageId) -> Result<bool, RequestError> {
        let request = json!({ "ids": [id.to_string()], "batch": self.batch });
        let Known { known } = self.post("/v1/uploads/known", &request).await?;
        Ok(known.first() == Some(&true))
    }

    /// An image as the API shows it; `None` when it is not known (yet).
    pub(crate) async fn image(&self, id: ImageId) -> Result<Option<Value>, RequestError> {
        let answer = self.ask(Method::GET, &format!("/v1/images/{id}")).send().await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        Ok(Some(accepted(answer).await?.json().await?))
    }

    /// The event stream, from now on.
    pub(crate) async fn events(&self) -> Result<Response, RequestError> {
        accepted(self.ask(Method::GET, "/v1/events").send().await?).await
    }
}

/// The answer, unless it is an error; then in the server's own words.
async fn accepted(answer: Response) -> Result<Response, RequestError> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let body = answer.bytes().await.unwrap_or_default();
    let problem: Option<Value> = serde_json::from_slice(&body).ok();
    let words = problem.as_ref().and_then(|p| p["detail"].as_str().or(p["title"].as_str()));
    let text = format!("the server answered {status}: {}", words.unwrap_or("no explanation"));
    let busy = status.is_server_error()
        || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
    Err(if busy { RequestError::Transient(text) } else { RequestError::Permanent(text) })
}
