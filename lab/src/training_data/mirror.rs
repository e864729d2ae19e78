//! The copy of a bucket: `HOME/images` with the files, `HOME/index.jsonl` with what they are, and
//! `HOME/lock`, which one command at a time holds while it looks and fetches. The images have a folder of
//! their own so that nothing beside them can be taken for their manifest.

use std::collections::HashSet;
use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use futures::StreamExt as _;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use lobar_console::noteln;
use lobar_core::failure::PortError;
use lobar_core::failure::chain;
use lobar_core::object_store::FetchError;

use super::index::Index;
use super::layout;
use super::location::Bucket;
use super::{ImageSource, Listed};
use crate::error::LabError;

/// Files on their way at once.
const AT_ONCE: usize = 32;

/// Makes the copy in `home` what lies in the bucket, and answers its folder.
pub(crate) async fn mirror(
    source: &dyn ImageSource,
    home: &Path,
    place: &Bucket,
) -> Result<PathBuf, LabError> {
    let unusable = |error: io::Error| {
        let home = home.display();
        LabError::failed(format!(
            "the copy of {place} in {home}: {error}; name another folder with --data-cache"
        ))
    };
    let images = home.join("images");
    // The images are patients': for this user alone.
    DirBuilder::new().recursive(true).mode(0o700).create(&images).map_err(unusable)?;
    let _turn = take_turn(&home.join("lock"), place).map_err(unusable)?;

    let listed = source.list().await.map_err(|error| unlisted(place, &error))?;
    let (wanted, others): (Vec<Listed>, Vec<Listed>) =
        listed.into_iter().partition(|object| layout::belongs(&object.name));
    if !wanted.iter().any(|object| layout::is_picture(&object.name)) {
        return Err(LabError::failed(format!(
            "--data is {place}, which holds no pictures: expected \
             {place}/{{train,val,test}}/{{NORMAL,PNEUMONIA}}/*.jpeg ({} objects of other names are \
             there)",
            others.len()
        )));
    }
    let mut index = Index::open(&home.join("index.jsonl")).map_err(unusable)?;
    let removed = remove_others(&images, &wanted).map_err(unusable)?;
    if removed > 0 {
        noteln!("{place}: {removed} no longer there, removed from the copy");
    }
    let here = |object: &&Listed| {
        let size = std::fs::metadata(images.join(&object.name)).map(|found| found.len());
        index.has(object) && size.is_ok_and(|size| size == object.bytes)
    };
    let missing: Vec<&Listed> = wanted.iter().filter(|object| !here(object)).collect();
    if missing.is_empty() {
        noteln!("{place}: {} files, all here already", wanted.len());
    } else {
        let bytes = HumanBytes(missing.iter().map(|object| object.bytes).sum());
        let (some, all) = (missing.len(), wanted.len());
        noteln!("{place}: fetching {some} of {all} files ({bytes})");
        fetch(source, &images, missing, |object| index.keep(object).map_err(unusable))
            .await
            .map_err(|stopped| stopped.failure(place))?;
    }
    index.settle(&wanted).map_err(unusable)?;
    Ok(images)
}

/// Waits until no other command looks at the copy; it is this one's while the file is open.
fn take_turn(lock: &Path, place: &Bucket) -> io::Result<File> {
    let lock = File::create(lock)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            noteln!("{place}: another command fetches it; waiting");
            lock.lock()?;
            Ok(lock)
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Removes every file that is not wanted, what interrupted fetches left included; says how many.
fn remove_others(images: &Path, wanted: &[Listed]) -> io::Result<usize> {
    let wanted: HashSet<PathBuf> = wanted.iter().map(|object| images.join(&object.name)).collect();
    let mut removed = 0;
    for entry in walkdir::WalkDir::new(images).min_depth(1) {
        let entry = entry?;
        if !entry.file_type().is_dir() && !wanted.contains(entry.path()) {
            std::fs::remove_file(entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Why fetching stopped.
enum Stopped {
    /// An object could not be had.
    Fetch(FetchError),
    /// Something on this machine.
    Here(LabError),
}

/// Brings the objects, a bounded number at once; `keep` is told of each that is there.
async fn fetch(
    source: &dyn ImageSource,
    images: &Path,
    missing: Vec<&Listed>,
    mut keep: impl FnMut(&Listed) -> Result<(), LabError>,
) -> Result<(), Stopped> {
    let bar = bar(missing.len());
    let work = missing.into_iter().map(|object| {
        let path = images.join(&object.name);
        async move { source.fetch(object, &path).await.map(|()| object) }
    });
    let mut work = std::pin::pin!(futures::stream::iter(work).buffer_unordered(AT_ONCE));
    while let Some(fetched) = work.next().await {
        let object = fetched.map_err(|error| {
            bar.finish_and_clear();
            Stopped::Fetch(error)
        })?;
        keep(object).map_err(Stopped::Here)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

/// Draws on a terminal, and nowhere else.
fn bar(files: usize) -> ProgressBar {
    let style = "{bar:40} {pos}/{len} files  {per_sec}  {eta} left";
    let style = ProgressStyle::with_template(style).unwrap_or(ProgressStyle::default_bar());
    ProgressBar::new(files as u64).with_style(style)
}

impl Stopped {
    /// In words, without a key.
    fn failure(self, place: &Bucket) -> LabError {
        let why = match self {
            Self::Here(failure) => return failure,
            Self::Fetch(FetchError::Gone | FetchError::Missing | FetchError::TooLarge { .. }) => {
                "something in it changed meanwhile".to_owned()
            }
            Self::Fetch(FetchError::Denied) => {
                "access to an object is denied: these credentials need s3:GetObject on it"
                    .to_owned()
            }
            Self::Fetch(FetchError::Port(error)) => chain(&error),
        };
        LabError::failed(format!(
            "{place} could not be fetched: {why}. What was fetched is kept: give the same command again"
        ))
    }
}

/// In words, with what to look at.
fn unlisted(place: &Bucket, error: &PortError) -> LabError {
    LabError::failed(format!(
        "{place} cannot be listed: {}; see that --data names bucket and prefix, LOBAR_S3_ENDPOINT the \
         endpoint (none for Amazon's own, http://127.0.0.1:9000 for that of `lobar up`), AWS_REGION the \
         region, and that the AWS_* credentials may s3:ListBucket and s3:GetObject",
        chain(error)
    ))
}
