//! Network, engine, Grad-CAM, training, evaluation, export. The only crate that links libtorch.

pub mod allocator;
pub mod network;
pub mod preprocessing;
