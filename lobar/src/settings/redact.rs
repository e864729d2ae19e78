//! Settings as they are shown to people.

use std::fmt::{Display, Write as _};

use toml::Value;

use super::Settings;
use super::bounded::Bounded;

/// In the form of `lobar.toml`; no secrets.
pub fn toml(settings: &Settings) -> String {
    let mut lines = Lines(String::new());
    lines.text("data", &settings.data);
    lines.text("listen", settings.listen);
    lines.maybe("tls_cert", settings.tls_cert.as_ref());
    lines.maybe("tls_key", settings.tls_key.as_ref());
    lines.list("trusted_proxies", settings.trusted_proxies.iter().map(ToString::to_string));
    lines.text("insecure_http", settings.insecure_http);
    lines.list("hosts", settings.hosts.iter().map(ToString::to_string));
    lines.list("dicomweb_origins", settings.dicomweb_origins.iter().map(ToString::to_string));
    lines.text("local_user", settings.local_user);
    lines.maybe("metrics_listen", settings.metrics_listen);
    lines.text("s3_listen", settings.s3_listen);
    lines.text("s3_forms", settings.s3_forms);
    lines.maybe("dicom_listen", settings.dicom_listen);
    lines.text("dicom_ae_title", &settings.dicom_ae_title);
    lines.text("dicom_check_called", settings.dicom_check_called);
    if !settings.dicom_peers.is_empty() {
        lines.text("dicom_peers", &settings.dicom_peers);
    }
    lines.list("dicom_classes", settings.dicom_classes.iter().map(ToString::to_string));
    lines.text("junk_names", &settings.junk_names);
    lines.text("dicom_unreadable", settings.dicom_unreadable);
    lines.maybe("dicom_tls_cert", settings.dicom_tls_cert.as_ref());
    lines.maybe("dicom_tls_key", settings.dicom_tls_key.as_ref());
    lines.maybe("dicom_tls_client_ca", settings.dicom_tls_client_ca.as_ref());
    lines.maybe("s3_endpoint", settings.s3_endpoint.as_ref());
    lines.text("bucket", &settings.bucket);
    lines.text("store", &settings.store);
    lines.text("uploads", &settings.uploads);
    lines.text("jobs", &settings.jobs);
    lines.text("signal", &settings.signal);
    lines.maybe("model", settings.model.as_ref());
    lines.text("models", &settings.models);
    lines.text("device", settings.device);
    lines.text("precision", settings.precision);
    lines.text("unlike", settings.unlike);
    if let Some(threads) = settings.threads {
        lines.number("threads", threads);
    }
    if let Some(replicas) = settings.replicas {
        lines.number("replicas", replicas);
    }
    lines.number("batch", settings.batch);
    lines.number("drain", settings.drain);
    lines.number("scale_target", settings.scale_target);
    lines.number("scale_floor", settings.scale_floor);
    lines.number("scale_ceiling", settings.scale_ceiling);
    lines.number("scale_calm", settings.scale_calm);
    if let Some(processes) = settings.scale_processes {
        lines.number("scale_processes", processes);
    }
    lines.text("events_retention", settings.events_retention);
    lines.text("quarantine_retention", settings.quarantine_retention);
    lines.text("results_retention", settings.results_retention);
    lines.text("images_retention", settings.images_retention);
    lines.text("versions_retention", settings.versions_retention);
    lines.text("session_idle", settings.session_idle);
    lines.text("session_max", settings.session_max);
    lines.oidc(settings);
    lines.text("audit_retention", settings.audit_retention);
    lines.text("opinion_first", settings.opinion_first);
    let own = Some(&settings.opinion_first_sites).filter(|own| !own.by_site().is_empty());
    lines.maybe("opinion_first_sites", own);
    lines.text("exposure_retention", settings.exposure_retention);
    let double = Some(&settings.double_reading_sites).filter(|double| !double.sites().is_empty());
    lines.maybe("double_reading_sites", double);
    lines.text("reading_cap", settings.reading_cap);
    lines.text("reading_lease", settings.reading_lease);
    lines.text("log", &settings.log);
    lines.text("log_format", settings.log_format);
    lines.maybe("otlp", settings.otlp.as_ref());
    lines.s3(settings);
    lines.0
}

struct Lines(String);

impl Lines {
    fn line(&mut self, key: &str, value: &Value) {
        let _ = writeln!(self.0, "{key} = {value}"); // writing to a text cannot fail
    }

    fn text(&mut self, key: &str, value: impl Display) {
        self.line(key, &Value::from(value.to_string()));
    }

    fn list(&mut self, key: &str, values: impl Iterator<Item = String>) {
        self.line(key, &Value::Array(values.map(Value::from).collect()));
    }

    fn maybe(&mut self, key: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }

    fn number<const MIN: u32, const MAX: u32>(&mut self, key: &str, number: Bounded<MIN, MAX>) {
        self.line(key, &Value::from(number.get()));
    }

    fn oidc(&mut self, settings: &Settings) {
        let Some(oidc) = &settings.oidc else { return };
        self.text("oidc_issuer", &oidc.issuer);
        self.text("oidc_client_id", &oidc.client_id);
        self.maybe("oidc_client_secret_file", oidc.secret_file.as_ref());
        if oidc.secret.is_some() {
            self.0.push_str("# the client's secret is in LOBAR_OIDC_CLIENT_SECRET\n");
        }
        self.list("oidc_scopes", oidc.scopes.iter().map(ToString::to_string));
        self.text("oidc_groups_claim", &oidc.groups_claim);
        self.text("oidc_name_claim", &oidc.name_claim);
        self.text("oidc_roles", &oidc.roles);
        self.text("oidc_label", &oidc.label);
        self.maybe("oidc_session_max", oidc.session_max);
    }

    fn s3(&mut self, settings: &Settings) {
        self.0.push_str("\n[s3]\n");
        self.text("region", &settings.s3_region);
        let Some(pair) = &settings.s3_credentials else { return };
        match &pair.secret_key_file {
            Some(file) => {
                self.text("access_key", &pair.access_key);
                self.text("secret_key_file", file.display());
            }
            // Half a pair would not read again.
            None => {
                let _ = writeln!(
                    self.0,
                    "# access key {}; the secret is in AWS_SECRET_ACCESS_KEY",
                    Value::from(pair.access_key.as_str())
                );
            }
        }
    }
}
