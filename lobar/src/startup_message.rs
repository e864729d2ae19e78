//! The start-up message on standard output: addresses and credentials file.

use lobar_console::outln;
use lobar_dicom::AeTitle;
use serde_json::{Map, Value};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::log_line;
use crate::service::s3_key_file;
use crate::settings::{LogFormat, Roles, Settings};

/// What whoever starts it is told, whatever else.
const NOTICE: &str = "Decision support for research. A clinician must view every image.";

/// The addresses, as they became known.
pub struct StartupMessage {
    pub page: Option<SocketAddr>,
    pub s3: Option<SocketAddr>,
    /// The AE title and the address of the DICOM role.
    pub dicom: Option<(AeTitle, SocketAddr)>,
    /// How somebody gets in, where that is not by signing in.
    pub way_in: Option<WayIn>,
    /// The name under which the page is reached, if one is set.
    host: Option<String>,
    scheme: &'static str,
    bucket: String,
    keys: Keys,
    data: PathBuf,
    format: LogFormat,
}

/// How somebody gets in while nobody can sign in.
pub enum WayIn {
    /// By the first admin's link, which has this secret.
    FirstAdmin(String),
    /// Without signing in, on this machine.
    LocalUser,
}

/// What clients of the embedded S3 endpoint sign with.
enum Keys {
    /// The settings' own pair, by its access key.
    Given(String),
    /// The one in this file.
    File(PathBuf),
}

impl StartupMessage {
    /// Nothing runs yet.
    pub fn new(settings: &Settings) -> Self {
        let given = settings.s3_credentials.as_ref().map(|pair| pair.access_key.clone());
        Self {
            page: None,
            s3: None,
            dicom: None,
            way_in: None,
            host: settings.hosts.first().map(ToString::to_string),
            scheme: if settings.tls().is_some() { "https" } else { "http" },
            bucket: settings.bucket.to_string(),
            keys: given.map_or_else(|| Keys::File(s3_key_file::path(settings)), Keys::Given),
            data: settings.data.to_path_buf(),
            format: settings.log_format,
        }
    }

    /// Says where everything is, on standard output, as the log is written.
    pub fn announce(&self, roles: &Roles) {
        match self.format {
            LogFormat::Text => self.as_text(roles),
            LogFormat::Json => outln!("{}", Value::Object(self.as_json(roles))),
        }
    }

    fn as_json(&self, roles: &Roles) -> Map<String, Value> {
        let mut line = log_line::of("INFO", "started");
        let mut add = |name: &str, value: String| {
            line.insert(name.to_owned(), Value::String(value));
        };
        add("version", env!("CARGO_PKG_VERSION").to_owned());
        add("roles", roles.to_string());
        add("data", self.data.display().to_string());
        if let Some(s3) = self.s3 {
            add("s3", format!("http://{s3}"));
            add("bucket", self.bucket.clone());
            match &self.keys {
                Keys::Given(access_key) => add("access_key", access_key.clone()),
                Keys::File(path) => add("credentials_file", path.display().to_string()),
            }
        }
        if let Some((title, address)) = &self.dicom {
            add("dicom", format!("{title}@{address}"));
        }
        if let Some(page) = self.page_url() {
            match &self.way_in {
                Some(WayIn::FirstAdmin(secret)) => {
                    add("first_admin", format!("{page}/#/link/{secret}"));
                }
                Some(WayIn::LocalUser) => {
                    add("signing_in", "not needed on this machine".to_owned())
                }
                None => {}
            }
            add("page", page);
        }
        add("notice", NOTICE.to_owned());
        line
    }

    fn page_url(&self) -> Option<String> {
        let page = self.page?;
        let host = self.host.as_ref().map(|host| format!("{host}:{}", page.port()));
        Some(format!("{}://{}", self.scheme, host.unwrap_or_else(|| page.to_string())))
    }

    fn as_text(&self, roles: &Roles) {
        outln!("Lobar {} runs: {roles}.", env!("CARGO_PKG_VERSION"));
        outln!("  data  {}", self.data.display());
        match (self.s3, &self.keys) {
            (Some(s3), Keys::Given(access_key)) => {
                outln!("  S3    http://{s3}  (bucket {}, access key {access_key})", self.bucket);
            }
            (Some(s3), Keys::File(path)) => {
                outln!("  S3    http://{s3}  (bucket {})", self.bucket);
                outln!("        export AWS_SHARED_CREDENTIALS_FILE={}", for_a_shell(path));
            }
            (None, _) => {}
        }
        if let Some((title, address)) = &self.dicom {
            outln!("  DICOM {title}@{address}");
        }
        if let Some(page) = self.page_url() {
            outln!("  page  {page}");
            match &self.way_in {
                Some(WayIn::FirstAdmin(secret)) => {
                    outln!(
                        "  Nobody can sign in yet. Within a day, set the password of `admin` here, once:"
                    );
                    outln!("        {page}/#/link/{secret}");
                }
                Some(WayIn::LocalUser) => outln!(
                    "        Whoever uses this machine is let in without a password until the first account is added."
                ),
                None => {}
            }
        }
        outln!("{NOTICE}");
    }
}

/// A path as a shell reads it back.
fn for_a_shell(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,".contains(c);
    if path.chars().all(plain) { path } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written_so_that_a_shell_reads_it_back() {
        assert_eq!(for_a_shell(Path::new("/var/lib/lobar/s3")), "/var/lib/lobar/s3");
        assert_eq!(for_a_shell(Path::new("/my data/it's")), r"'/my data/it'\''s'");
    }
}
