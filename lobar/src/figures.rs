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

/// `lobar_model_info`: which weights this process runs.
#[cfg(feature = "torch")]
pub fn register_model(
    registry: &Registry,
    info: &lobar_core::engine::EngineInfo,
) -> Result<(), Failure> {
    let help = "Always 1; the labels say which weights run, and where.";
    let labels = ["version", "sha256", "preprocessing", "device"];
    let gauge =
        IntGaugeVec::new(Opts::new("lobar_model_info", help), &labels).map_err(Failure::failed)?;
    let model = &info.model;
    gauge
        .with_label_values(&[&model.version, &model.sha256, &model.preprocessing, &info.device])
        .set(1);
    registry.register(Box::new(gauge)).map_err(Failure::failed)
}
