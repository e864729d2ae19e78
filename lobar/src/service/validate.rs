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
             run it with --roles s3,ingest,api, or build with default features",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::PartialSettings;

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
    fn two_s3_endpoints_are_refused() {
        let given = PartialSettings {
            s3_endpoint: "http://127.0.0.1:1".parse().ok(),
            ..PartialSettings::default()
        };
        assert!(validate(&settings(given), &Roles::all()).is_err());
    }
}
