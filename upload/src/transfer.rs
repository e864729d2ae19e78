//! One file's way into the bucket.

use std::time::Duration;

use lobar_core::object::ImageId;
use lobar_core::retry::Backoff;

use super::client::{Client, RequestError};
use super::files::File;
use super::journal::Journal;

const TRIES: u32 = 6;
const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(300), max: Duration::from_secs(10) };

/// A file that is in the bucket.
pub(crate) struct Done {
    /// The image it became.
    pub(crate) id: ImageId,
    /// Whether this run uploaded it.
    pub(crate) fresh: bool,
}

/// Uploads `file`, unless the journal and the server agree that it is there. Tries again while the
/// server is away or busy.
pub(crate) async fn one(
    client: &Client,
    journal: &Journal,
    file: &File,
    again: bool,
) -> Result<Done, String> {
    let mut attempt = 0;
    loop {
        match once(client, journal, file, again).await {
            Err(RequestError::Transient(_)) if attempt + 1 < TRIES => {
                tokio::time::sleep(BACKOFF.delay(attempt, rand::random())).await;
                attempt += 1;
            }
            Err(e) => return Err(e.to_string()),
            Ok(done) => return Ok(done),
        }
    }
}

async fn once(
    client: &Client,
    journal: &Journal,
    file: &File,
    again: bool,
) -> Result<Done, RequestError> {
    if let Some(id) = journal.find(file).filter(|_| !again)
        && client.knows(id).await?
    {
        return Ok(Done { id, fresh: false });
    }
    let body = tokio::fs::read(&file.path).await.map_err(RequestError::permanent)?;
    let id = client.put(&file.name, file.dicom, body).await?;
    journal.keep(file, id).map_err(RequestError::permanent)?;
    Ok(Done { id, fresh: true })
}
