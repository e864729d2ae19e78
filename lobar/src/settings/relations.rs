//! What each setting alone cannot tell.

use super::Settings;
use crate::failure::Failure;
use lobar_opener::url::QueueUrl;

/// Refuses settings that do not fit together, by name.
pub fn check(settings: &Settings) -> Result<(), Failure> {
    if settings.scale_floor > settings.scale_ceiling || settings.scale_ceiling.get() == 0 {
        return Err(Failure::usage(format!(
            "scale_floor is {} and scale_ceiling is {}; the ceiling must be at least 1 and not below the floor",
            settings.scale_floor, settings.scale_ceiling
        )));
    }
    if settings.models.bucket == settings.bucket {
        return Err(Failure::usage(format!(
            "models is {}, in the bucket of uploads, where every model would be taken for an image; name \
             another bucket",
            settings.models
        )));
    }
    if matches!(&settings.jobs, QueueUrl::Sqs(queue) if !queue.has_room_for_lanes()) {
        return Err(Failure::usage(format!(
            "jobs is {}: with -routine after it the queue's name is longer than 80 characters",
            settings.jobs
        )));
    }
    if settings.tls_cert.is_some() != settings.tls_key.is_some() {
        return Err(Failure::usage(
            "tls_cert and tls_key belong together: set LOBAR_TLS_CERT and LOBAR_TLS_KEY, or neither",
        ));
    }
    if settings.dicom_tls_cert.is_some() != settings.dicom_tls_key.is_some() {
        return Err(Failure::usage(
            "dicom_tls_cert and dicom_tls_key belong together: set LOBAR_DICOM_TLS_CERT and LOBAR_DICOM_TLS_KEY, or neither",
        ));
    }
    if settings.dicom_tls_client_ca.is_some() && settings.dicom_tls_cert.is_none() {
        return Err(Failure::usage(
            "dicom_tls_client_ca asks for certificates of those who send, which only TLS has: set LOBAR_DICOM_TLS_CERT \
             and LOBAR_DICOM_TLS_KEY too",
        ));
    }
    if settings.session_idle > settings.session_max {
        return Err(Failure::usage(format!(
            "session_idle is {} and session_max is {}; a session cannot go unused for longer than it lasts",
            settings.session_idle, settings.session_max
        )));
    }
    Ok(())
}

/// Refuses names of files and folders of this machine that cannot be what they are to be.
pub fn check_places(settings: &Settings) -> Result<(), Failure> {
    if settings.data.exists() && !settings.data.is_dir() {
        return Err(Failure::usage(format!("data is {}, which is no folder", settings.data)));
    }
    for (name, file) in [
        ("tls_cert", &settings.tls_cert),
        ("tls_key", &settings.tls_key),
        ("dicom_tls_cert", &settings.dicom_tls_cert),
        ("dicom_tls_key", &settings.dicom_tls_key),
        ("dicom_tls_client_ca", &settings.dicom_tls_client_ca),
    ] {
        file.as_ref().map_or(Ok(()), |file| file.require_file(name))?;
    }
    if let Some(file) = settings.oidc.as_ref().and_then(|oidc| oidc.secret_file.as_ref()) {
        file.require_file("oidc_client_secret_file")?;
    }
    // A node without the network may share its settings with those that have it.
    match &settings.model {
        Some(model) if cfg!(feature = "torch") => model.require_file("model"),
        _ => Ok(()),
    }
}
