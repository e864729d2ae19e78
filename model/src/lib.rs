//! The model as it serves patients: network, weights and their card, preprocessing, the engine on libtorch,
//! Grad-CAM, and the novelty check as it runs.
//!
//! Whatever trains, measures, reports on or exports a model is `lobar-lab`, which depends on this crate. This
//! crate never depends on it, so that it can be verified on its own.

pub mod allocator;
pub mod card;
pub mod engine;
pub mod golden;
pub mod gradcam;
pub mod importance;
pub mod network;
pub mod novelty;
pub mod precision;
pub mod preprocessing;
pub mod script;
pub mod weights;
