//! `lobar deidentify`: DICOM files without persons, one after the other, on this machine alone.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use lobar_console::{noteln, outln};
use lobar_deidentify::{Dates, Key, Options, Refusal, deidentify};
use serde_json::json;
use walkdir::WalkDir;

use crate::cli::{DatesWanted, Deidentify};
use crate::failure::Failure;

/// The largest file that is read, in bytes.
const FILE_MAX: u64 = 1 << 30;
/// Bytes of a secret that is made here.
const SECRET: usize = 32;

/// De-identifies what the arguments name. Fails when a file was refused; the others are written all the same.
pub fn run(args: &Deidentify) -> Result<(), Failure> {
    if let Some(file) = &args.key_file {
        refuse_within(file, &args.out)?;
    }
    let key = key(args.key_file.as_deref())?;
    fs::create_dir_all(&args.out).map_err(|error| {
        Failure::usage(format!("--out {}: {error}; name a folder", args.out.display()))
    })?;
    let dates = match args.dates {
        DatesWanted::Remove => Dates::Removed,
        DatesWanted::Shift => Dates::Shifted,
    };
    let options = Options { dates, masks: args.mask.clone() };
    let out = fs::canonicalize(&args.out).map_err(Failure::failed)?;
    let files = files(&args.inputs, &out);
    let mut refused = 0;
    for (number, file) in files.iter().enumerate() {
        let done = match file {
            Ok(file) => one(file, &out, &key, &options),
            Err((_, why)) => Err(why.clone()),
        };
        refused += usize::from(done.is_err());
        let (Ok(file) | Err((file, _))) = file;
        tell(number + 1, file, &done, args.json);
    }
    let count = files.len();
    if !args.json {
        outln!("{} of {count} files de-identified, in {}", count - refused, args.out.display());
    }
    match (count, refused) {
        (0, _) => Err(Failure::failed("there is no file")),
        (_, 0) => Ok(()),
        (_, refused) => Err(Failure::failed(format!("{refused} of {count} files were refused"))),
    }
}

/// Refuses a secret in the folder that is given away.
fn refuse_within(file: &Path, out: &Path) -> Result<(), Failure> {
    let (Some(file), Some(out)) = (real(file), real(out)) else { return Ok(()) };
    if file.starts_with(out) {
        return Err(Failure::usage(format!(
            "--key-file {}: it is within --out; keep the secret apart from what is given away",
            file.display()
        )));
    }
    Ok(())
}

/// A path without links and `..`, also where its last parts are not there yet.
fn real(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let known = path.ancestors().find_map(|known| Some((known, fs::canonicalize(known).ok()?)))?;
    Some(known.1.join(path.strip_prefix(known.0).ok()?))
}

/// A file, or a place that could not be looked into and why.
type Place = Result<PathBuf, (PathBuf, String)>;

/// The files that were named and those below named folders, in the order of their names; hidden ones below folders and
/// what was written before are left out. Links below folders are not followed, and named.
fn files(inputs: &[PathBuf], out: &Path) -> Vec<Place> {
    let mut files = Vec::new();
    for input in inputs {
        let walk = WalkDir::new(input).sort_by_file_name().into_iter();
        let wanted = walk.filter_entry(|entry| {
            let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            let is_out = || {
                entry.file_type().is_dir()
                    && fs::canonicalize(entry.path()).is_ok_and(|path| path == out)
            };
            entry.depth() == 0 || !(hidden || is_out())
        });
        for entry in wanted {
            match entry {
                Ok(entry) if entry.depth() == 0 && entry.path().is_file() => {
                    files.push(Ok(entry.into_path()));
                }
                Ok(entry) if entry.file_type().is_file() => files.push(Ok(entry.into_path())),
                Ok(entry)
                    if entry.path().is_dir() && !(entry.depth() > 0 && entry.path_is_symlink()) => {
                }
                Ok(entry) => {
                    let is_link = entry.depth() > 0 && entry.path_is_symlink();
                    let why = if is_link { "it is a link" } else { "it is not a regular file" };
                    files.push(Err((entry.into_path(), why.into())));
                }
                Err(error) => {
                    let path = error.path().unwrap_or(input).to_owned();
                    files.push(Err((path, "it cannot be read".into())));
                }
            }
        }
    }
    files
}

fn tell(number: usize, file: &Path, done: &Result<String, String>, as_json: bool) {
    if as_json {
        let status = if done.is_ok() { "done" } else { "refused" };
        let (written, reason) = (done.as_ref().ok(), done.as_ref().err());
        let file = file.to_string_lossy();
        outln!(
            "{}",
            json!({ "number": number, "file": file, "status": status, "written": written, "reason": reason })
        );
    }
    if let Err(why) = done {
        noteln!("refused, file {number}, {}: {why}", file.display());
    }
}

/// De-identifies one file; the name of what was written, or why nothing was.
fn one(file: &Path, out: &Path, key: &Key, options: &Options) -> Result<String, String> {
    let size = fs::metadata(file).map_err(|error| error.to_string())?;
    if !size.is_file() {
        return Err("it is not a regular file".into());
    }
    if size.len() > FILE_MAX {
        return Err(format!("it has more than {FILE_MAX} bytes"));
    }
    let bytes = fs::read(file).map_err(|error| error.to_string())?;
    // A fault in the reading of somebody's file costs that file.
    let done = catch_unwind(AssertUnwindSafe(|| deidentify(&bytes, key, options)));
    let done = done.unwrap_or(Err(Refusal::Unreadable)).map_err(|refusal| refusal.to_string())?;
    let name = format!("{}.dcm", done.uid.as_str());
    write(&out.join(&name), &done.bytes)?;
    Ok(name)
}

/// Writes a file whole or not at all. One of the same name has to be the same.
fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    match fs::read(path) {
        Ok(known) if known == bytes => return Ok(()),
        Ok(_) => {
            return Err("another file with the same SOP Instance UID was written before".into());
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error.to_string()),
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    let written = tempfile::NamedTempFile::new_in(folder).and_then(|mut file| {
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist_noclobber(path).map_err(|error| error.error)
    });
    written.map(|_| ()).map_err(|error| format!("it could not be written: {error}"))
}

/// The key of the file, which is made where it is missing; without one a key that nobody knows.
fn key(file: Option<&Path>) -> Result<Key, Failure> {
    let Some(file) = file else { return made(&rand::random::<[u8; SECRET]>()) };
    let failed =
        |error: std::io::Error| Failure::usage(format!("--key-file {}: {error}", file.display()));
    match fs::read(file) {
        Ok(secret) => {
            let path = file.display();
            if file.metadata().is_ok_and(|it| it.permissions().mode() & 0o077 != 0) {
                noteln!("--key-file {path}: others may read it; chmod 600 is better");
            }
            Key::of(secret.trim_ascii()).ok_or_else(|| {
                Failure::usage(format!("--key-file {path}: a secret has {SECRET} bytes or more"))
            })
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let secret = hex::encode(rand::random::<[u8; SECRET]>());
            let mut made_file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(file)
                .map_err(failed)?;
            made_file.write_all(format!("{secret}\n").as_bytes()).map_err(failed)?;
            made_file.sync_all().map_err(failed)?;
            made(secret.as_bytes())
        }
        Err(error) => Err(failed(error)),
    }
}

fn made(secret: &[u8]) -> Result<Key, Failure> {
    Key::of(secret).ok_or_else(|| Failure::failed("the secret is too short"))
}
