//! Decoding, resizing, and the whole way to the network's input, on one core.

use std::path::PathBuf;
use std::time::Instant;

use lobar_imaging::{Limits, decode, network_input, prepare};
use serde_json::{Value, json};

use super::{median, print, sample};
use crate::failure::Failure;

/// Prints [`figures`] of the files.
pub fn run(files: &[PathBuf], rounds: usize, as_json: bool) -> Result<(), Failure> {
    print(&figures(&sample::pictures(files)?, rounds)?, as_json);
    Ok(())
}

/// Milliseconds an image, the median over `rounds` of the mean over the files.
pub fn figures(pictures: &[Vec<u8>], rounds: usize) -> Result<Value, Failure> {
    let limits = Limits::default();
    let refused = |r: lobar_imaging::Rejection| Failure::failed(r.to_string());
    let mut pixels = 0.0;
    for picture in pictures {
        let prepared = prepare(picture, &limits).map_err(refused)?;
        pixels += f64::from(prepared.width) * f64::from(prepared.height);
    }
    let (mut decodes, mut resizes, mut wholes) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds.max(1) {
        let [mut decoding, mut resizing, mut whole] = [0.0; 3];
        for picture in pictures {
            let began = Instant::now();
            let radiograph = decode(picture, &limits).map_err(refused)?;
            decoding += began.elapsed().as_secs_f64();
            let began = Instant::now();
            std::hint::black_box(network_input(&radiograph).map_err(refused)?);
            resizing += began.elapsed().as_secs_f64();
            drop(radiograph);
            let began = Instant::now();
            std::hint::black_box(prepare(picture, &limits).map_err(refused)?);
            whole += began.elapsed().as_secs_f64();
        }
        let ms = 1e3 / pictures.len() as f64;
        decodes.push(decoding * ms);
        resizes.push(resizing * ms);
        wholes.push(whole * ms);
    }
    let whole = median(&mut wholes);
    Ok(json!({
        "pictures": pictures.len(),
        "mean_megapixels": pixels / 1e6 / pictures.len() as f64,
        "decode_ms": median(&mut decodes),
        "resize_ms": median(&mut resizes),
        "whole_ms": whole,
        "images_per_second_and_core": 1e3 / whole,
    }))
}
