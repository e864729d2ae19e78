//! The golden pictures: fixed, computed, nobody's X-ray. Two of noise and four that look a little
//! like lungs. On them the engine proves itself equal to the plain network whenever it loads.

use lobar_core::engine::NetworkInput;
use tch::{TchError, Tensor};

use crate::preprocessing::normalise;

/// How many golden pictures there are.
pub const COUNT: usize = 6;

const SIDE: usize = NetworkInput::SIDE;

/// The golden pictures.
#[must_use]
pub fn pictures() -> Vec<NetworkInput> {
    (0..COUNT)
        .map(|index| {
            let pixels: Vec<u8> = (0..SIDE * SIDE)
                .map(|at| {
                    let (x, y) = (at % SIDE, at / SIDE);
                    match index {
                        0 => noise(x, y, 7),
                        1 => noise(x / 16, y / 16, 11),
                        lungs => lung_like(x, y, lungs),
                    }
                })
                .collect();
            // Cannot fail: `SIDE × SIDE` pixels were made.
            NetworkInput::new(pixels).unwrap_or_else(|| unreachable!())
        })
        .collect()
}

/// The golden pictures as the plain network takes them: fp32 `[COUNT, 3, 224, 224]`, normalised,
/// three equal channels.
///
/// # Errors
/// libtorch's, when memory runs out.
pub fn plain_input() -> Result<Tensor, TchError> {
    let values: Vec<f32> =
        pictures().iter().flat_map(|p| p.pixels().iter().map(|&grey| normalise(grey))).collect();
    let side = SIDE as i64;
    Tensor::f_from_slice(&values)?
        .f_reshape([COUNT as i64, 1, side, side])?
        .f_expand([COUNT as i64, 3, side, side], false)?
        .f_contiguous()
}

/// An integer hash as a grey level.
fn noise(x: usize, y: usize, salt: u32) -> u8 {
    let mut h = (x as u32).wrapping_mul(0x9E37_79B1) ^ (y as u32).wrapping_mul(0x85EB_CA77) ^ salt;
    h = (h ^ (h >> 15)).wrapping_mul(0x2C1B_3C6D);
    h = (h ^ (h >> 12)).wrapping_mul(0x297A_2D39);
    (h >> 24) as u8
}

/// Two dark ellipses with ribs in a bright body on a black ground, with an opacity whose place and
/// strength depend on `index`.
fn lung_like(x: usize, y: usize, index: usize) -> u8 {
    let (u, v) = (x as f32 / SIDE as f32 - 0.5, y as f32 / SIDE as f32 - 0.5);
    let inside = |cx: f32, cy: f32, rx: f32, ry: f32| {
        1.0 - ((u - cx) / rx).powi(2) - ((v - cy) / ry).powi(2)
    };
    let mut level = 20.0 + 12.0 * index as f32 * (0.5 - v);
    if inside(0.0, 0.05, 0.47, 0.6) > 0.0 {
        level = 165.0;
    }
    let lungs = inside(-0.2, 0.0, 0.15, 0.33).max(inside(0.2, 0.0, 0.14, 0.31));
    if lungs > 0.0 {
        let ribs = 14.0 * ((v + 0.3 * u.abs()) * (40.0 + index as f32)).sin();
        level -= 105.0 * lungs.sqrt() + ribs;
    }
    let side = if index.is_multiple_of(2) { -0.2 } else { 0.2 };
    let opacity = inside(side, 0.1 * (index as f32 - 3.0), 0.12, 0.1).max(0.0);
    level += opacity * 22.0 * (index as f32 - 2.0);
    (level + f32::from(noise(x, y, index as u32)) / 16.0).clamp(0.0, 255.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_pictures_differ_and_use_the_range_of_grey() {
        let pictures = pictures();
        for (index, picture) in pictures.iter().enumerate() {
            let darkest = picture.pixels().iter().min().unwrap();
            let brightest = picture.pixels().iter().max().unwrap();
            assert!(brightest - darkest > 100, "picture {index} is flat");
            assert!(pictures[..index].iter().all(|other| other != picture));
        }
    }
}
