//! Whether DICOM peers that have an address are there.

use std::time::Duration;

use futures::future::join_all;
use lobar_core::diagnostic::Diagnostic;
use lobar_dicom::{Limits, Peer, echo};

use crate::settings::Settings;

/// How long a peer may take for each step.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks each by C-ECHO.
pub async fn peers(settings: &Settings) -> Vec<Diagnostic> {
    let asked = settings.dicom_peers.iter().filter(|peer| peer.address.is_some());
    join_all(asked.map(|peer| ask(settings, peer))).await
}

async fn ask(settings: &Settings, peer: &Peer) -> Diagnostic {
    let limits = Limits { calling: PATIENCE, write: PATIENCE, idle: PATIENCE, ..Limits::default() };
    let address = peer.address.as_ref().map(lobar_dicom::HostPort::as_str).unwrap_or_default();
    let who = format!("{} at {address}", peer.title);
    let tls = settings.dicom_tls();
    match echo(peer, &settings.dicom_ae_title, tls.as_ref(), &limits).await {
        Ok(()) => Diagnostic::good("DICOM peer", format!("{who} answers")),
        // A modality is switched off at night: images come from it all the same when it is on.
        Err(error) => Diagnostic::advice(
            "DICOM peer",
            format!("{who}: {error}"),
            "Until it answers, it gets no reports on storage commitment: see whether it is on, knows Lobar's AE title, has \
             this address, and speaks TLS where its entry has tls=on.",
        ),
    }
}
