//! Components that were decoded one by one, put together.

use super::structure::{Colour, Structure};
use crate::Chroma;
use crate::chroma::ChromaSum;

/// Width and height of a component's own picture (ITU-T T.81, A.1.1).
pub(super) fn size(structure: &Structure, component: usize) -> (u32, u32) {
    let (h, v) = structure.sampling();
    let own = structure.components[component];
    (
        (structure.width * u32::from(own.h)).div_ceil(h),
        (structure.height * u32::from(own.v)).div_ceil(v),
    )
}

/// Grey and colour of the planes, one for each component and each of its [`size`].
pub(super) fn join(structure: &Structure, planes: &[Vec<u8>]) -> (Vec<u8>, Chroma) {
    let mut grey = vec![0; structure.width as usize * structure.height as usize];
    let mut sum = ChromaSum::default();
    let mut out = grey.chunks_exact_mut(structure.width as usize);
    rows(structure, planes, |rgb| {
        if let Some(out) = out.next() {
            sum.convert_rgb(rgb, out);
        }
    });
    (grey, sum.finish())
}

/// Packed RGB of the planes.
pub(super) fn rgb(structure: &Structure, planes: &[Vec<u8>]) -> Vec<u8> {
    let mut all = Vec::with_capacity(structure.width as usize * structure.height as usize * 3);
    rows(structure, planes, |rgb| all.extend_from_slice(rgb));
    all
}

/// Gives row after row in packed RGB.
fn rows(structure: &Structure, planes: &[Vec<u8>], mut give: impl FnMut(&[u8])) {
    let width = structure.width as usize;
    let (h, v) = structure.sampling();
    let mut rows = vec![vec![0; width]; planes.len()];
    let mut rgb = vec![0; width * 3];
    for y in 0..structure.height as usize {
        for (index, row) in rows.iter_mut().enumerate() {
            let own = structure.components[index];
            // Whole numbers: other ratios were refused.
            let (dx, dy) = ((h / u32::from(own.h)) as usize, (v / u32::from(own.v)) as usize);
            let stride = size(structure, index).0 as usize;
            let from = &planes[index][y / dy * stride..][..stride];
            for (target, repeated) in row.chunks_mut(dx).zip(from) {
                target.fill(*repeated);
            }
        }
        for (x, pixel) in rgb.chunks_exact_mut(3).enumerate() {
            let key = rows.get(3).map_or(255, |row| row[x]);
            let colour = [rows[0][x], rows[1][x], rows[2][x]];
            pixel.copy_from_slice(&to_rgb(structure.colour, colour, key));
        }
        give(&rgb);
    }
}

/// Inks are stored inverted, as Adobe does and every viewer expects.
fn to_rgb(colour: Colour, [a, b, c]: [u8; 3], key: u8) -> [u8; 3] {
    let inked = |value: u8| ((u32::from(value) * u32::from(key) + 127) / 255) as u8;
    match colour {
        Colour::Grey | Colour::Rgb => [a, b, c],
        Colour::YCbCr => from_ycbcr(a, b, c),
        Colour::Cmyk => [a, b, c].map(inked),
        Colour::Ycck => from_ycbcr(a, b, c).map(|value| inked(255 - value)),
    }
}

/// JFIF's equations (ITU-R 601, full range), in 16-bit fixed point.
fn from_ycbcr(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    let (cb, cr) = (i32::from(cb) - 128, i32::from(cr) - 128);
    let add = |offset: i32| (i32::from(y) + ((offset + 0x8000) >> 16)).clamp(0, 255) as u8;
    [add(91_881 * cr), add(-22_554 * cb - 46_802 * cr), add(116_130 * cb)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_those_of_the_equations() {
        assert_eq!(from_ycbcr(100, 128, 128), [100, 100, 100]);
        assert_eq!(from_ycbcr(76, 85, 255), [254, 0, 0]);
        assert_eq!(from_ycbcr(255, 128, 255), [255, 164, 255]);
        assert_eq!(to_rgb(Colour::Cmyk, [255, 128, 0], 255), [255, 128, 0]);
        assert_eq!(to_rgb(Colour::Cmyk, [255, 128, 0], 0), [0, 0, 0]);
        assert_eq!(to_rgb(Colour::Ycck, [0, 128, 128], 255), [255, 255, 255]);
    }
}
