//! Takes a body from the network into a file: bounded, hashed on the way, never held in memory.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use s3s::dto::StreamingBlob;
use s3s::{S3ErrorCode, StdError};
use tokio::task::JoinHandle;

use super::bodies::{Bodies, Body, Draft};
use super::digest::{Algorithm, Digester, Sum};
use super::fault::EndpointFault;

/// How many bytes are gathered before they are written; one upload holds twice that in memory.
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
    fn write(mut self: Box<Self>, chunks: &[Bytes]) -> Result<Box<Self>, EndpointFault> {
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

/// The sink, and whether it is at work: while it writes a piece, the next one is gathered.
enum Writing {
    Idle(Box<Sink>),
    Busy(JoinHandle<Result<Box<Sink>, EndpointFault>>),
}

impl Writing {
    /// Waits until nothing is being written.
    async fn sink(self) -> Result<Box<Sink>, EndpointFault> {
        match self {
            Self::Idle(sink) => Ok(sink),
            Self::Busy(writing) => writing.await?,
        }
    }

    /// Writes a piece when the one before it is written.
    async fn write(self, chunks: Vec<Bytes>) -> Result<Self, EndpointFault> {
        let sink = self.sink().await?;
        Ok(Self::Busy(tokio::task::spawn_blocking(move || sink.write(&chunks))))
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
    let sink = Sink { bodies: bodies.clone(), draft: None, digester };
    let mut writing = Writing::Idle(Box::new(sink));
    if let Some(mut stream) = stream {
        let (mut total, mut ended) = (0, false);
        while !ended {
            let chunks;
            (chunks, ended) = match gather(&mut stream, limits, &mut total).await {
                Ok(piece) => piece,
                // The file is gone before the client is told.
                Err(fault) => {
                    drop(writing.sink().await);
                    return Err(fault);
                }
            };
            writing = writing.write(chunks).await?;
        }
    }
    let sink = writing.sink().await?;
    tokio::task::spawn_blocking(move || sink.seal()).await?
}

/// The next piece of a body, of which `total` bytes have come, and whether it is the last.
async fn gather(
    stream: &mut StreamingBlob,
    limits: Limits,
    total: &mut u64,
) -> Result<(Vec<Bytes>, bool), EndpointFault> {
    let (mut gathered, mut held) = (Vec::new(), 0);
    while held < GATHER {
        let next = tokio::time::timeout(limits.silence, stream.next()).await;
        let next = next.map_err(|_| EndpointFault::from(S3ErrorCode::RequestTimeout))?;
        let Some(chunk) = next else { return Ok((gathered, true)) };
        let chunk = chunk.map_err(|error| refusal(&error))?;
        *total += chunk.len() as u64;
        if *total > limits.size {
            return Err(S3ErrorCode::EntityTooLarge.into());
        }
        if !chunk.is_empty() {
            held += chunk.len();
            gathered.push(chunk);
        }
    }
    Ok((gathered, false))
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
