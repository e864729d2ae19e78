//! Refuses combinations of settings and roles that cannot work, at start.

use crate::failure::Failure;
use crate::settings::{Role, Roles, Settings};
use lobar_opener::url::SignalUrl;

/// Refuses what could only fail later, or silently.
pub fn validate(settings: &Settings, roles: &Roles) -> Result<(), Failure> {
    if settings.signal == SignalUrl::Memory && !roles.is_whole() {
        return Err(Failure::usage(format!(
            "signal is memory:, which reaches only its own process, but this one runs {roles} \
             alone; set LOBAR_SIGNAL=redis://… or LOBAR_SIGNAL=poll: here and in the other processes"
        )));
    }
    let is_protected = settings.listen.ip().is_loopback()
        || settings.tls().is_some()
        || !settings.trusted_proxies.is_empty()
        || settings.insecure_http.is_on();
    if roles.has(Role::Api) && !is_protected {
        return Err(Failure::usage(format!(
            "listen is {}, which other machines can reach, and what they send would be readable on the way; set \
             LOBAR_TLS_CERT and LOBAR_TLS_KEY, or name the proxy in front that speaks TLS in LOBAR_TRUSTED_PROXIES, \
             or set LOBAR_INSECURE_HTTP=on in a closed network",
            settings.listen
        )));
    }
    let dicom = settings.dicom_listen.filter(|listen| !listen.ip().is_loopback());
    if let Some(listen) =
        dicom.filter(|_| roles.has(Role::Dicom) && settings.dicom_peers.is_empty())
    {
        return Err(Failure::usage(format!(
            "dicom_listen is {listen}, which other machines can reach, and nobody is named who may send; set \
             LOBAR_DICOM_PEERS, as in `CR1=10.0.0.5 site=north`"
        )));
    }
    let has_authority = settings.dicom_tls().is_some_and(|tls| tls.client_authorities.is_some());
    if roles.has(Role::Dicom) && settings.dicom_peers.name_certificates() && !has_authority {
        return Err(Failure::usage(
            "an entry of dicom_peers has cert=, but modalities are not asked for certificates; set LOBAR_DICOM_TLS_CLIENT_CA \
             (with LOBAR_DICOM_TLS_CERT and LOBAR_DICOM_TLS_KEY), or drop cert=",
        ));
    }
    if roles.has(Role::Dicom) && settings.dicom_peers.are_called_by_tls() && !has_authority {
        return Err(Failure::usage(
            "an entry of dicom_peers has tls=on, and nothing says whose certificates to trust; set LOBAR_DICOM_TLS_CLIENT_CA \
             (with LOBAR_DICOM_TLS_CERT and LOBAR_DICOM_TLS_KEY), or drop tls=on",
        ));
    }
    if settings.s3_endpoint.is_some() && roles.has(Role::S3) {
        return Err(Failure::usage(
            "s3_endpoint names an S3 endpoint elsewhere, but the role s3 runs one here; drop one",
        ));
    }
    if roles.has(Role::S3) && cfg!(not(feature = "endpoint")) {
        return Err(Failure::usage(
            "this build has no S3 server (feature `endpoint`), so it cannot run the role s3; name the \
             S3 endpoint elsewhere with LOBAR_S3_ENDPOINT, or build with --features endpoint",
        ));
    }
    if roles.has(Role::Worker) && cfg!(not(feature = "torch")) {
        return Err(Failure::usage(
            "this build has no network (feature `torch`), so it cannot run the role worker; \
             run it with --roles s3,ingest,dicom,api, or build with default features",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{LocalPath, PartialSettings, Switch};

    fn settings(given: PartialSettings) -> Settings {
        Settings::load(given, None).expect("valid")
    }

    #[test]
    fn a_signal_within_one_process_is_refused_for_split_roles() {
        let roles = "ingest,api".parse().expect("roles");
        let error = validate(&settings(PartialSettings::default()), &roles).expect_err("refused");
        assert!(error.to_string().contains("poll:"));
        let polled =
            PartialSettings { signal: Some(SignalUrl::Poll), ..PartialSettings::default() };
        assert!(validate(&settings(polled), &roles).is_ok());
    }

    #[test]
    fn an_address_that_others_reach_wants_tls_or_a_proxy_or_a_word_that_it_needs_neither() {
        let reached = |change: fn(&mut Settings)| {
            let mut settings = settings(PartialSettings::default());
            settings.listen = "0.0.0.0:8080".parse().expect("an address");
            change(&mut settings);
            validate(&settings, &Roles::all())
        };
        let error = reached(|_| {}).expect_err("refused").to_string();
        for way in ["LOBAR_TLS_CERT", "LOBAR_TRUSTED_PROXIES", "LOBAR_INSECURE_HTTP=on"] {
            assert!(error.contains(way), "{error}");
        }
        assert!(reached(|it| it.insecure_http = Switch::On).is_ok());
        assert!(reached(|it| it.trusted_proxies = vec!["10.0.0.1".parse().expect("one")]).is_ok());
        let tls = |it: &mut Settings| {
            it.tls_cert = Some(LocalPath::at("certificate.pem"));
            it.tls_key = Some(LocalPath::at("key.pem"));
        };
        assert!(reached(tls).is_ok());
        assert!(reached(|it| it.listen = "[::1]:8080".parse().expect("an address")).is_ok());
    }

    #[test]
    fn a_dicom_address_that_others_reach_wants_a_list_of_those_who_may_send() {
        let mut settings = settings(PartialSettings::default());
        settings.dicom_listen = "0.0.0.0:11112".parse().ok();
        let error = validate(&settings, &Roles::all()).expect_err("refused").to_string();
        assert!(error.contains("LOBAR_DICOM_PEERS"), "{error}");
        settings.dicom_peers = "CR1=10.0.0.5 site=north".parse().expect("a list");
        assert!(validate(&settings, &Roles::all()).is_ok());
        (settings.dicom_peers, settings.dicom_listen) = Default::default();
        assert!(validate(&settings, &Roles::all()).is_ok());
    }

    #[test]
    fn certificates_of_dicom_peers_want_an_authority() {
        let mut settings = settings(PartialSettings::default());
        let list = format!("CR1=10.0.0.5 site=north cert={}", "0a".repeat(32));
        settings.dicom_peers = list.parse().expect("a list");
        let at = |name| Some(LocalPath::at(name));
        (settings.dicom_tls_cert, settings.dicom_tls_key) = (at("chain.pem"), at("key.pem"));
        let error = validate(&settings, &Roles::all()).expect_err("refused").to_string();
        assert!(error.contains("LOBAR_DICOM_TLS_CLIENT_CA"), "{error}");
        settings.dicom_tls_client_ca = at("ca.pem");
        assert!(validate(&settings, &Roles::all()).is_ok());
    }

    #[test]
    fn dicom_peers_that_are_called_by_tls_want_an_authority() {
        let mut settings = settings(PartialSettings::default());
        let list = "CR1=10.0.0.5 site=north address=10.0.0.5:2762 tls=on";
        settings.dicom_peers = list.parse().expect("a list");
        let error = validate(&settings, &Roles::all()).expect_err("refused").to_string();
        assert!(error.contains("LOBAR_DICOM_TLS_CLIENT_CA"), "{error}");
        let at = |name| Some(LocalPath::at(name));
        (settings.dicom_tls_cert, settings.dicom_tls_key) = (at("chain.pem"), at("key.pem"));
        settings.dicom_tls_client_ca = at("ca.pem");
        assert!(validate(&settings, &Roles::all()).is_ok());
    }

    #[test]
    fn two_s3_endpoints_are_refused() {
        let given = PartialSettings {
            s3_endpoint: "http://127.0.0.1:1".parse().ok(),
            ..PartialSettings::default()
        };
        assert!(validate(&settings(given), &Roles::all()).is_err());
    }
}
