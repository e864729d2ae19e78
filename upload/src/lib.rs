//! The bulk upload: files and folders into the bucket, in parallel, resumable. A client of the HTTP API.
//!
//! Each file is PUT to a presigned URL that the API gives. What is done is kept in a [`journal`], so
//! that the same command, run again after an interruption, goes on where it was. Nothing is skipped
//! on the journal's word alone: the server is asked whether it still knows the image.
//!
//! DICOM files are told by their first bytes, so that folders of nameless files, as a PACS exports them, are taken as they
//! are. A DICOMDIR stands for the files that it names.

mod client;
mod dicom;
mod dicomdir;
mod error;
mod files;
mod identity;
mod journal;
mod summary;
mod transfer;
mod watch;

pub use error::UploadError;
pub use identity::Identity;
pub use watch::verdict;

use lobar_console::noteln;
use std::path::PathBuf;
use std::sync::Arc;

use futures::StreamExt;

use client::Client;
use journal::Journal;
use summary::Summary;

/// What to upload, where to, and how.
#[derive(Clone)]
pub struct UploadOptions {
    /// Files and folders; folders are walked.
    pub paths: Vec<PathBuf>,
    /// Lobar's address, an http or https URL.
    pub to: String,
    /// The uploading site.
    pub site: String,
    /// Ask for the fast lane.
    pub stat: bool,
    /// Print results as they arrive, and return when all are there.
    pub watch: bool,
    /// Upload anew what was uploaded before.
    pub again: bool,
    /// How many files at once; at least 1.
    pub parallel: usize,
    /// Whom all of the files show, for those that do not say it themselves.
    pub identity: Identity,
    /// A machine's token, where people have to sign in: `uploader` at the site, and `reader` to watch.
    pub token: Option<String>,
}

/// Uploads what the options name. Progress and problems go to standard error, results to standard output.
///
/// # Errors
/// When nothing answers at the address, and when any file could not be uploaded.
pub async fn run(options: UploadOptions) -> Result<(), UploadError> {
    let found = files::find(&options.paths);
    for problem in &found.problems {
        noteln!("{problem}");
    }
    if found.junk > 0 {
        let files = if found.junk == 1 { "file is no image" } else { "files are no images" };
        noteln!("{} {files} by name and content, and left out", found.junk);
    }
    if found.files.is_empty() {
        return Err(UploadError::failed("there is nothing to upload"));
    }
    let UploadOptions { to, site, stat, identity, token, .. } = options;
    let said = identity.text();
    let client = Arc::new(Client::new(&to, &site, stat, identity, token)?);
    client.check().await?;
    let watcher = match options.watch {
        // Before the first upload, so that no result can pass unseen.
        true => Some(watch::Watcher::connect(client.clone()).await?),
        false => None,
    };
    let journal = Journal::open(&client.target(), said)?;
    let mut summary = Summary { failed: found.problems.len(), ..Summary::default() };
    let bar = summary::bar(found.files.len());

    let work = found.files.into_iter().map(|file| {
        let (client, journal) = (client.clone(), &journal);
        async move {
            let done = transfer::one(&client, journal, &file, options.again).await;
            (file, done)
        }
    });
    let mut work =
        std::pin::pin!(futures::stream::iter(work).buffer_unordered(options.parallel.max(1)));
    let mut images = Vec::new();
    while let Some((file, done)) = work.next().await {
        match done {
            Ok(transfer::Done { id, fresh }) => {
                summary.count(fresh, &file);
                images.push((id, file.path));
            }
            Err(e) => {
                summary.failed += 1;
                bar.suspend(|| noteln!("{}: {e}", file.path.display()));
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    noteln!("{summary}");
    if summary.uploaded + summary.skipped > 0 {
        noteln!("what becomes of them: {}", client.batch_address());
    }

    if let Some(watcher) = watcher {
        watcher.follow(images).await?;
    }
    match summary.failed {
        0 => Ok(()),
        n => Err(UploadError::failed(format!(
            "{n} of {} could not be uploaded; run the same command again to try only those",
            summary.total()
        ))),
    }
}
