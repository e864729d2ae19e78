//! Metrics of the process itself.

use prometheus::{IntGaugeVec, Opts, Registry};

use crate::failure::Failure;

/// `lobar_build_info`: which build this is.
pub fn register_build(registry: &Registry) -> Result<(), Failure> {
    let help = "Always 1; the labels say which build this is.";
    let info = IntGaugeVec::new(Opts::new("lobar_build_info", help), &["version", "torch"])
        .map_err(Failure::failed)?;
    let torch = if cfg!(feature = "torch") { "yes" } else { "no" };
    info.with_label_values(&[env!("CARGO_PKG_VERSION"), torch]).set(1);
    registry.register(Box::new(info)).map_err(Failure::failed)
}
