//! Resampling of a square picture.

use lobar_core::engine::NetworkInput;

const SIDE: usize = NetworkInput::SIDE;

/// Where a pixel of the changed picture comes from, both about the centre, in pixels: `(x, y)` to `(x, y)`.
pub(super) type From = dyn Fn(f32, f32) -> (f32, f32);

/// The picture resampled bilinearly; what lies outside of it is `outside`.
pub(super) fn warp(pixels: &[u8], outside: u8, from: &From) -> Vec<u8> {
    let centre = (SIDE as f32 - 1.0) / 2.0;
    let level = |x: i64, y: i64| {
        let inside = (0..SIDE as i64).contains(&x) && (0..SIDE as i64).contains(&y);
        let place = if inside { pixels.get(y as usize * SIDE + x as usize) } else { None };
        f32::from(place.copied().unwrap_or(outside))
    };
    let mut changed = Vec::with_capacity(SIDE * SIDE);
    for row in 0..SIDE {
        for column in 0..SIDE {
            let (x, y) = from(column as f32 - centre, row as f32 - centre);
            let (x, y) = (x + centre, y + centre);
            let (left, top) = (x.floor(), y.floor());
            let (right_share, low_share) = (x - left, y - top);
            let (left, top) = (left as i64, top as i64);
            let upper = level(left, top) * (1.0 - right_share) + level(left + 1, top) * right_share;
            let lower =
                level(left, top + 1) * (1.0 - right_share) + level(left + 1, top + 1) * right_share;
            changed.push((upper * (1.0 - low_share) + lower * low_share).round() as u8);
        }
    }
    changed
}

/// Turned about its centre by so many degrees, clockwise if above 0; black comes in from outside.
pub(super) fn turned(pixels: &[u8], degrees: f32) -> Vec<u8> {
    let (sin, cos) = degrees.to_radians().sin_cos();
    warp(pixels, 0, &move |x, y| (cos * x + sin * y, cos * y - sin * x))
}

/// Each axis as so large a share of the picture as before, between bars of one grey; above 1 it is cropped.
pub(super) fn scaled(pixels: &[u8], width: f32, height: f32, outside: u8) -> Vec<u8> {
    warp(pixels, outside, &move |x, y| (x / width, y / height))
}
