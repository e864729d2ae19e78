//! `lobar upload`: files and folders into the bucket, in parallel, resumable.
//!
//! Each file is PUT to a presigned URL that the API gives. What is done is kept in a [`journal`], so
//! that the same command, run again after an interruption, goes on where it was. Nothing is skipped
//! on the journal's word alone: the server is asked whether it still knows the image.

mod client;
mod files;
mod journal;
mod summary;
mod transfer;
mod watch;

#[cfg(feature = "torch")]
pub use summary::bar;
#[cfg(feature = "torch")]
pub use watch::verdict;

use std::sync::Arc;

use futures::StreamExt;

use crate::cli;
use crate::failure::Failure;
use client::Client;
use journal::Journal;
use summary::Summary;

/// Uploads what the arguments name; fails when any file could not be uploaded.
pub async fn run(args: cli::Upload) -> Result<(), Failure> {
    let found = files::find(&args.paths);
    for problem in &found.problems {
        eprintln!("{problem}");
    }
    if found.files.is_empty() {
        return Err(Failure::failed("there is nothing to upload"));
    }
    let client = Arc::new(Client::new(&args.to, &args.site, args.stat)?);
    client.check().await?;
    let watcher = match args.watch {
        // Before the first upload, so that no result can pass unseen.
        true => Some(watch::Watcher::connect(client.clone()).await?),
        false => None,
    };
    let journal = Journal::open(&client.target())?;
    let mut summary = Summary { failed: found.problems.len(), ..Summary::default() };
    let bar = summary::bar(found.files.len());

    let work = found.files.into_iter().map(|file| {
        let (client, journal) = (client.clone(), &journal);
        async move {
            let done = transfer::one(&client, journal, &file, args.again).await;
            (file, done)
        }
    });
    let mut work =
        std::pin::pin!(futures::stream::iter(work).buffer_unordered(args.parallel.max(1)));
    let mut images = Vec::new();
    while let Some((file, done)) = work.next().await {
        match done {
            Ok(transfer::Done { id, fresh }) => {
                summary.count(fresh, file.size);
                images.push((id, file.path));
            }
            Err(e) => {
                summary.failed += 1;
                bar.suspend(|| eprintln!("{}: {e}", file.path.display()));
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    eprintln!("{summary}");

    if let Some(watcher) = watcher {
        watcher.follow(images).await?;
    }
    match summary.failed {
        0 => Ok(()),
        n => Err(Failure::failed(format!(
            "{n} of {} could not be uploaded; run the same command again to try only those",
            summary.total()
        ))),
    }
}
