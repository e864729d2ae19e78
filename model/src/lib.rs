//! Network, engine, Grad-CAM, training, evaluation, export. The only crate that links libtorch.

pub mod allocator;
pub mod augmentation;
pub mod bench;
pub mod card;
pub mod dataset;
pub mod engine;
pub mod evaluation;
pub mod exploration;
pub mod export;
pub mod golden;
pub mod gradcam;
pub mod importance;
pub mod network;
pub mod novelty;
pub mod precision;
pub mod preprocessing;
pub mod quantization;
pub mod report;
pub mod revision;
mod script;
pub mod training;
pub mod weights;
