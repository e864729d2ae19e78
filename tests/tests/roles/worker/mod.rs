//! The worker, against a real store, real queues and a real bucket, with an engine that does as told.

mod engine;
mod identity;
mod journey;
mod models;
mod outages;
mod recorded;
mod replicas;
mod shadow;
mod stopping;
mod suspects;

use lobar_core::engine::NetworkInput;
use lobar_core::image::Lane;
use lobar_core::object::ImageId;
use lobar_tests::kit;
use lobar_tests::rig::Rig;

fn picture(seed: u32) -> Vec<u8> {
    kit::radiograph_jpeg(320, 300, seed)
}

/// What the network sees of a picture.
fn input(bytes: &[u8]) -> NetworkInput {
    lobar_imaging::prepare(bytes, &lobar_imaging::Limits::default()).expect("a radiograph").input
}

/// Equal but for the last digit that storage as text may cost. Two pictures differ by far more.
fn assert_is(probability: f64, expected: f64) {
    assert!((probability - expected).abs() < 1e-12, "{probability}, not {expected}");
}

async fn admit(rig: &Rig, lane: Lane, seeds: std::ops::Range<u32>) -> Vec<ImageId> {
    let mut images = Vec::new();
    for seed in seeds {
        images.push(rig.admit(&format!("incoming/north/{seed}.jpg"), lane, picture(seed)).await);
    }
    images
}

async fn attempts(rig: &Rig, images: &[ImageId]) -> Vec<u32> {
    let mut attempts = Vec::new();
    for image in images {
        attempts.push(rig.image(*image).await.attempts);
    }
    attempts
}
