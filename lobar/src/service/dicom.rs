//! The role `dicom`.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use lobar_dicom::{BuildError, Dicom, DicomMetrics, DicomPorts, DicomSettings, Limits, Stop};
use lobar_s3::S3ObjectStore;

use super::ports::Ports;
use super::running::Running;
use crate::failure::{Failure, chain};
use crate::settings::{Roles, Settings};

/// Where it listens unless another address is set: the port that is registered for DICOM beside 104.
const USUAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 11_112);

/// Starts the role. `None` where another program has the usual address and nobody asked for it: only a process of all roles
/// does without, since it is not there for DICOM alone.
pub async fn start(
    settings: &Settings,
    roles: &Roles,
    parts: &Ports,
    objects: Arc<S3ObjectStore>,
    running: &mut Running,
) -> Result<Option<SocketAddr>, Failure> {
    let metrics = DicomMetrics::register(&parts.registry).map_err(Failure::failed)?;
    let listing = objects.clone();
    let ports = DicomPorts {
        objects,
        listing,
        store: parts.store.clone(),
        erasures: parts.erasures.clone(),
        audit: parts.audit.clone(),
        commitments: parts.commitments.clone(),
        metrics,
    };
    let dicom = match Dicom::build(ports, role_settings(settings)).await {
        Ok(dicom) => dicom,
        Err(BuildError::Listen { address, source })
            if does_without(settings, roles) && source.kind() == io::ErrorKind::AddrInUse =>
        {
            tracing::warn!(address = %address, "nothing is received by DICOM: another program has its usual address; set LOBAR_DICOM_LISTEN to another one");
            return Ok(None);
        }
        Err(error) => return Err(Failure::failed(chain(&error))),
    };
    let address = dicom.local_addr();
    let stop = Stop { receiving: running.receiving.clone(), abort: running.abort.clone() };
    running.start("dicom", async move {
        dicom.run(stop).await;
        Ok(())
    });
    Ok(Some(address))
}

/// Whether an address that is taken is no error.
fn does_without(settings: &Settings, roles: &Roles) -> bool {
    settings.dicom_listen.is_none() && roles.is_all()
}

fn role_settings(settings: &Settings) -> DicomSettings {
    DicomSettings {
        listen: settings.dicom_listen.unwrap_or(USUAL),
        title: settings.dicom_ae_title.clone(),
        check_called: settings.dicom_check_called.is_on(),
        peers: settings.dicom_peers.clone(),
        more_classes: settings.dicom_classes.iter().map(ToString::to_string).collect(),
        unreadable: settings.dicom_unreadable,
        tls: settings.dicom_tls(),
        limits: Limits::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::PartialSettings;

    #[test]
    fn only_a_process_of_all_roles_does_without_dicom_where_its_usual_address_is_taken() {
        let some: Roles = "s3,dicom".parse().expect("roles");
        let mut settings = Settings::load(PartialSettings::default(), None).expect("valid");
        assert!(does_without(&settings, &Roles::all()));
        assert!(!does_without(&settings, &some));
        settings.dicom_listen = Some(USUAL);
        assert!(!does_without(&settings, &Roles::all()));
    }
}
