//! Whether the endpoint can do its work, for readiness.

use std::sync::Arc;

use lobar_core::failure::PortError;

use crate::bodies::Bodies;
use crate::catalog::Catalog;

const WHAT: &str = "embedded S3: check";

/// Asks an endpoint, while it runs, whether it can store and deliver. Clones ask the same one.
#[derive(Clone)]
pub struct EndpointHealth {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) bodies: Arc<Bodies>,
}

impl EndpointHealth {
    /// Reads and writes the database, and writes a file beside the bodies.
    ///
    /// # Errors
    /// When one of them fails: a full disk, a damaged database, a folder that is gone.
    pub async fn check(&self) -> Result<(), PortError> {
        let failed = |error| PortError::transient(WHAT, error);
        self.catalog.check().await.map_err(|fault| PortError::transient(WHAT, fault))?;
        let bodies = Arc::clone(&self.bodies);
        let written = tokio::task::spawn_blocking(move || bodies.check()).await;
        written.map_err(|error| PortError::permanent(WHAT, error))?.map_err(failed)
    }
}
