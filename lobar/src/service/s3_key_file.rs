//! The key pair of the embedded S3 endpoint: that of the settings, or one of the data folder's own, which is
//! made at random when the endpoint first runs there.
//!
//! The file has the form of an AWS credentials file, so that any S3 client can be pointed at it with
//! `AWS_SHARED_CREDENTIALS_FILE`; only its owner may read it.

use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use lobar_aws::Credentials;
use rand::Rng as _;

use super::roles;
use crate::failure::Failure;
use crate::settings::Settings;

/// Its name in the data folder.
const NAME: &str = "s3-credentials";
const PROFILE: &str = "default";
const ACCESS_KEY: &str = "aws_access_key_id";
const SECRET_KEY: &str = "aws_secret_access_key";
/// How many characters Amazon's have. 40 of 62 are 238 bits.
const LENGTHS: (usize, usize) = (20, 40);

/// Where it is, for people and for other programs: an absolute path.
pub fn path(settings: &Settings) -> PathBuf {
    let path = settings.data.join(NAME);
    std::path::absolute(&path).unwrap_or(path)
}

/// The key pair that the endpoint is to ask for; makes the file where it is needed and missing.
///
/// # Errors
/// When the file cannot be made, or what is there is none.
pub fn own(settings: &Settings) -> Result<Credentials, Failure> {
    if let Some(pair) = roles::credentials(settings) {
        return Ok(pair);
    }
    let path = path(settings);
    make_missing(settings).map_err(|error| Failure::failed(error.to_string()))?;
    let pair = read(&path)?;
    let open = path.metadata().is_ok_and(|it| it.permissions().mode() & 0o077 != 0);
    if open {
        tracing::warn!(
            path = %path.display(),
            "others on this machine may read the S3 credentials: `chmod 600` the file"
        );
    }
    Ok(pair)
}

/// Makes the file where it is needed and missing.
///
/// # Errors
/// When it cannot be written, by its name and of the same kind; nothing is left of it then.
pub fn make_missing(settings: &Settings) -> io::Result<()> {
    let path = path(settings);
    if roles::credentials(settings).is_some() || path.exists() {
        return Ok(());
    }
    make(&path).map_err(|error| {
        let text = format!("S3 credentials {}: it cannot be made: {error}", path.display());
        io::Error::new(error.kind(), text)
    })
}

/// The key pair that the endpoint of this data folder asks for, for those who ask it.
///
/// # Errors
/// When it never ran here, or the file cannot be read.
pub fn known(settings: &Settings) -> Result<Credentials, Failure> {
    roles::credentials(settings).map_or_else(|| read(&path(settings)), Ok)
}

/// Writes a new pair, whole and for its owner only, unless another process has just done so.
fn make(path: &Path) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let (access_key, secret_key) = (random(LENGTHS.0), random(LENGTHS.1));
    // A temporary file is its owner's alone from the first.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    write!(
        file,
        "# The embedded S3 endpoint of this folder asks for this key pair. Without this file the next start makes \
         another.\n\
         [{PROFILE}]\n\
         {ACCESS_KEY} = {access_key}\n\
         {SECRET_KEY} = {secret_key}\n"
    )?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => Err(error.error),
        _ => std::fs::File::open(folder)?.sync_all(),
    }
}

fn random(length: usize) -> String {
    let letters = rand::rng().sample_iter(rand::distr::Alphanumeric);
    letters.take(length).map(char::from).collect()
}

fn read(path: &Path) -> Result<Credentials, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => wrong(
            path,
            "it is missing, since the embedded S3 endpoint never ran on this data folder; start `lobar up`, or \
             name the S3 endpoint with LOBAR_S3_ENDPOINT",
        ),
        _ => wrong(path, &error.to_string()),
    })?;
    let value = |name| {
        value(&text, name).ok_or_else(|| {
            let why = format!(
                "{name} is not in its profile `{PROFILE}`; mend it, or remove it and start anew"
            );
            wrong(path, &why)
        })
    };
    Ok(Credentials::new(value(ACCESS_KEY)?, value(SECRET_KEY)?))
}

/// The value of `name` in the profile.
fn value<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            inside = section.trim() == PROFILE;
        } else if inside
            && let Some((key, value)) = line.split_once('=')
            && key.trim().eq_ignore_ascii_case(name)
        {
            return Some(value.trim()).filter(|value| !value.is_empty());
        }
    }
    None
}

fn wrong(path: &Path, why: &str) -> Failure {
    Failure::failed(format!("S3 credentials {}: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{LocalPath, PartialSettings};

    fn settings(data: &Path) -> Settings {
        let given =
            PartialSettings { data: Some(LocalPath::at(data)), ..PartialSettings::default() };
        Settings { s3_credentials: None, ..Settings::load(given, None).expect("valid") }
    }

    #[test]
    fn each_data_folder_has_a_key_pair_of_its_own_that_only_its_owner_reads_and_that_stays() {
        let (one, other) =
            (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let (one, other) = (settings(one.path()), settings(other.path()));
        let pair = own(&one).expect("made");
        assert_eq!((pair.access_key.len(), pair.secret_key.len()), LENGTHS);
        assert_ne!(own(&other).expect("made").secret_key, pair.secret_key);
        assert_eq!(own(&one).expect("there").secret_key, pair.secret_key);
        assert_eq!(known(&one).expect("there").access_key, pair.access_key);
        assert!(path(&one).is_absolute());
        let mode = path(&one).metadata().expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let text = std::fs::read_to_string(path(&one)).expect("readable");
        assert!(text.contains("\n[default]\naws_access_key_id = "), "{text}");
    }

    #[test]
    fn what_the_settings_say_holds_and_leaves_no_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut settings = settings(folder.path());
        let secret = folder.path().join("secret");
        std::fs::write(&secret, "hidden").expect("written");
        let file = folder.path().join("lobar.toml");
        let text = format!("[s3]\naccess_key = 'own'\nsecret_key_file = '{}'", secret.display());
        std::fs::write(&file, text).expect("written");
        let given = PartialSettings::default();
        settings.s3_credentials = Settings::load(given, Some(file)).expect("valid").s3_credentials;
        assert_eq!(own(&settings).expect("given").access_key, "own");
        assert_eq!(known(&settings).expect("given").secret_key, "hidden");
        assert!(!path(&settings).exists());
    }

    #[test]
    fn a_file_that_is_missing_or_none_is_refused_by_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = settings(folder.path());
        let refused = known(&settings).expect_err("refused").to_string();
        assert!(refused.contains(NAME) && refused.contains("lobar up"), "{refused}");
        for text in [
            "",
            "[other]\naws_access_key_id = a\naws_secret_access_key = b",
            "[default]\naws_access_key_id = a\naws_secret_access_key =",
        ] {
            std::fs::write(path(&settings), text).expect("written");
            let refused = own(&settings).expect_err("refused").to_string();
            assert!(refused.contains(NAME) && refused.contains(PROFILE), "{refused}");
        }
    }

    #[test]
    fn a_file_that_somebody_wrote_by_hand_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = settings(folder.path());
        let text = "; mine\n[work]\naws_access_key_id=w\n[ default ]\n AWS_Access_Key_Id=me \n\
                    aws_secret_access_key = a=b/c+d\nregion = us-east-1\n";
        std::fs::write(path(&settings), text).expect("written");
        let pair = known(&settings).expect("readable");
        assert_eq!((pair.access_key.as_str(), pair.secret_key.as_str()), ("me", "a=b/c+d"));
    }
}
