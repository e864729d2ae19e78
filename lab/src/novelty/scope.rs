//! Copies of films that still are what a model is for, and what else a model is shown that it is not for.

use rand::Rng;
use rand::rngs::StdRng;

use super::placement::Placement;

/// Widest border, of the film's width and height on either side.
const BORDER: f32 = 0.25;
/// Originals of the widest aspect, and, upright, of the highest one; of this data nine in ten lie between.
const ASPECT: (f32, f32) = (1.9, 1.5);
/// Largest turn to either side, degrees.
const TURN: f32 = 12.0;
/// Largest logarithm of gamma and of contrast.
const TONE: f32 = 0.3;
/// Largest brightness offset, grey levels.
const BRIGHTNESS: f32 = 20.0;
/// Most that is cut off, or comes in, at the edges: of the side, in all.
const CROP: f32 = 0.12;

/// A copy of `film`, 224 × 224 grey levels, as another programme or another hand might have made it: with a
/// border or bars in some grey, turned a little, cropped, mirrored, of another aspect, brighter or darker.
/// Half of them are placed in one way only.
pub(super) fn in_scope(film: &[u8], random: &mut StdRng) -> Vec<u8> {
    let ground = ground(random);
    let mut placed = match random.random_range(0..3) {
        0 => Placement::padded(random.random_range(0.02..BORDER), ground),
        1 => {
            let aspect = if random.random_bool(0.5) {
                random.random_range(1.05..ASPECT.0)
            } else {
                random.random_range(1.05..ASPECT.1).recip()
            };
            Placement::letterboxed(aspect, ground)
        }
        _ => Placement { ground, ..Placement::WHOLE },
    };
    let untouched = placed == Placement { ground, ..Placement::WHOLE };
    if untouched || random.random_bool(0.25) {
        placed.turn = random.random_range(-TURN..TURN);
    }
    if random.random_bool(0.5) {
        placed.width *= 1.0 + random.random_range(-CROP / 2.0..CROP);
        placed.height *= 1.0 + random.random_range(-CROP / 2.0..CROP);
        let mut off = || random.random_range(-CROP / 2.0..CROP / 2.0);
        placed.shift = (off(), off());
    }
    let mut copy = placed.apply(film);
    if random.random_bool(0.5) {
        relight(&mut copy, random);
    }
    copy
}

/// Black, white or some grey.
fn ground(random: &mut StdRng) -> u8 {
    match random.random_range(0..4) {
        0 | 1 => 0,
        2 => 255,
        _ => random.random(),
    }
}

/// Another gamma, contrast and brightness.
fn relight(film: &mut [u8], random: &mut StdRng) {
    let gamma = random.random_range(-TONE..TONE).exp();
    let contrast = random.random_range(-TONE..TONE).exp();
    let brightness = random.random_range(-BRIGHTNESS..BRIGHTNESS);
    for grey in film {
        let level = 255.0 * (f32::from(*grey) / 255.0).powf(gamma);
        *grey = ((level - 128.0) * contrast + 128.0 + brightness).clamp(0.0, 255.0) as u8;
    }
}
