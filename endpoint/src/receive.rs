//! Takes a body from the network into a file: bounded, hashed on the way, never held in memory.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use s3s::dto::StreamingBlob;
use s3s::{S3ErrorCode, StdError};

use super::bodies::{Bodies, Body, Draft};
use super::digest::{Algorithm, Digester, Sum};
use super::fault::EndpointFault;

/// How many bytes are gathered before they are written: what one upload holds in memory.
const GATHER: usize = 1 << 20;

/// What is accepted of one body.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// The most bytes.
    pub(super) size: u64,
    /// The longest silence of the client.
    pub(super) silence: Duration,
}

/// A body that has arrived whole and is durable, but not yet visible.
pub(super) struct Received {
    /// `None` for zero bytes.
    pub(super) body: Option<Body>,
    pub(super) size: u64,
    pub(super) md5: [u8; 16],
    pub(super) sum: Option<Sum>,
}

struct Sink {
    bodies: Arc<Bodies>,
    draft: Option<Draft>,
    digester: Digester,
}

impl Sink {
    fn write(mut self, chunks: &[Bytes]) -> Result<Self, EndpointFault> {
        if self.draft.is_none() && !chunks.is_empty() {
            self.draft = Some(self.bodies.create()?);
        }
        if let Some(draft) = &mut self.draft {
            for chunk in chunks {
                draft.write(chunk)?;
                self.digester.update(chunk);
            }
        }
        Ok(self)
    }

    fn seal(self) -> Result<Received, EndpointFault> {
        let (body, size) = self.draft.map(Draft::seal).transpose()?.unzip();
        let (md5, sum) = self.digester.finish();
        Ok(Received { body, size: size.unwrap_or(0), md5, sum })
    }
}

/// Reads `stream` to its end. When the caller goes away, or anything fails, no file stays.
pub(super) async fn receive(
    bodies: &Arc<Bodies>,
    stream: Option<StreamingBlob>,
    limits: Limits,
    algorithm: Option<Algorithm>,
) -> Result<Received, EndpointFault> {
    let digester = Digester::new(algorithm);
    let mut sink = Sink { bodies: bodies.clone(), draft: None, digester };
    let mut gathered: Vec<Bytes> = Vec::new();
    let (mut held, mut total) = (0_usize, 0_u64);
    if let Some(mut stream) = stream {
        while let Some(chunk) = tokio::time::timeout(limits.silence, stream.next())
            .await
            .map_err(|_| EndpointFault::from(S3ErrorCode::RequestTimeout))?
        {
            let chunk = chunk.map_err(|error| refusal(&error))?;
            total += chunk.len() as u64;
            if total > limits.size {
                return Err(S3ErrorCode::EntityTooLarge.into());
            }
            if chunk.is_empty() {
                continue;
            }
            held += chunk.len();
            gathered.push(chunk);
            if held >= GATHER {
                let chunks = std::mem::take(&mut gathered);
                held = 0;
                sink = tokio::task::spawn_blocking(move || sink.write(&chunks)).await??;
            }
        }
    }
    tokio::task::spawn_blocking(move || sink.write(&gathered)?.seal()).await?
}

/// The stream's own error types are private to `s3s`; their names in text are what there is.
fn refusal(error: &StdError) -> EndpointFault {
    let text = error.to_string();
    let (code, message) = if text.contains("Sha256Mismatch") {
        let code = S3ErrorCode::Custom("XAmzContentSHA256Mismatch".into());
        let mut error = s3s::S3Error::with_message(
            code,
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        );
        error.set_status_code(hyper::StatusCode::BAD_REQUEST);
        return error.into();
    } else if text.contains("SignatureMismatch") {
        (S3ErrorCode::SignatureDoesNotMatch, "A chunk's signature does not match.")
    } else {
        (S3ErrorCode::IncompleteBody, "The body ended before the announced length.")
    };
    EndpointFault::refused(code, message)
}
