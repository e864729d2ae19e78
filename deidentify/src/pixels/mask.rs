//! Rectangles that are blackened.

use std::str::FromStr;

use super::Image;
use crate::refusal::Refusal;

/// A part of an image, in pixels from its upper left corner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rectangle {
    /// From the left.
    pub x: usize,
    /// From the top.
    pub y: usize,
    /// How wide.
    pub width: usize,
    /// How high.
    pub height: usize,
}

impl FromStr for Rectangle {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers: Result<Vec<usize>, _> = text.split(',').map(str::parse).collect();
        match numbers.as_deref() {
            Ok([x, y, width, height]) if *width > 0 && *height > 0 => {
                Ok(Self { x: *x, y: *y, width: *width, height: *height })
            }
            _ => Err("a mask is x,y,width,height in pixels from the upper left corner: 0,0,400,60"),
        }
    }
}

/// Blackens the rectangles; what of them lies outside the image is left out.
pub(super) fn apply(bytes: &mut [u8], image: &Image, masks: &[Rectangle]) -> Result<(), Refusal> {
    if masks.is_empty() {
        return Ok(());
    }
    let black = black(image)?;
    for mask in masks {
        if mask.x >= image.columns || mask.y >= image.rows {
            return Err(Refusal::Mask("it lies outside the image"));
        }
        let bottom = mask.y.saturating_add(mask.height).min(image.rows);
        let right = mask.x.saturating_add(mask.width).min(image.columns);
        for (y, x) in (mask.y..bottom).flat_map(|y| (mask.x..right).map(move |x| (y, x))) {
            for (sample, value) in black.iter().enumerate().take(image.samples) {
                let pixel = y * image.columns + x;
                let place = match image.planar {
                    true => sample * image.rows * image.columns + pixel,
                    false => pixel * image.samples + sample,
                };
                match image.allocated {
                    8 => bytes[place] = value.to_le_bytes()[0],
                    _ => bytes[place * 2..place * 2 + 2].copy_from_slice(&value.to_ne_bytes()),
                }
            }
        }
    }
    Ok(())
}

/// The samples of a black pixel.
fn black(image: &Image) -> Result<[u16; 3], Refusal> {
    let (most, shift) = ((1_u32 << image.stored) - 1, image.high + 1 - image.stored);
    let sample = match (image.photometric.as_str(), image.signed) {
        ("MONOCHROME2", false) => 0,
        ("MONOCHROME1", false) => most,
        ("MONOCHROME1", true) => most >> 1,
        // The least that a signed number of so many bits can be, its sign in the bits above too.
        ("MONOCHROME2", true) => !(most >> 1),
        ("RGB", _) => return Ok([0; 3]),
        ("YBR_FULL", _) if image.allocated == 8 && image.stored == 8 => return Ok([0, 128, 128]),
        _ => {
            return Err(Refusal::Mask(
                "what is black is not known for its photometric interpretation",
            ));
        }
    };
    Ok([(sample << shift) as u16, 0, 0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(photometric: &str, samples: usize, signed: bool, planar: bool) -> Image {
        let photometric = photometric.to_owned();
        let (rows, columns, allocated, stored, high) = (2, 3, 8, 8, 7);
        Image { rows, columns, samples, allocated, stored, high, signed, planar, photometric }
    }

    fn rectangle(text: &str) -> Rectangle {
        text.parse().expect("a rectangle")
    }

    #[test]
    fn a_rectangle_is_four_numbers() {
        assert_eq!(rectangle("1,2,3,4"), Rectangle { x: 1, y: 2, width: 3, height: 4 });
        for text in ["", "1,2,3", "1,2,3,0", "-1,0,1,1", "1,2,3,4,5", "a,b,c,d"] {
            assert!(text.parse::<Rectangle>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_the_rectangle_is_black_and_black_is_what_the_image_shows_as_black() {
        let mut bytes = [9; 6];
        apply(&mut bytes, &image("MONOCHROME2", 1, false, false), &[rectangle("1,1,9,9")])
            .expect("masked");
        assert_eq!(bytes, [9, 9, 9, 9, 0, 0]);
        let mut bytes = [9; 6];
        apply(&mut bytes, &image("MONOCHROME1", 1, false, false), &[rectangle("0,0,1,1")])
            .expect("masked");
        assert_eq!(bytes, [255, 9, 9, 9, 9, 9]);
        let mut bytes = [9; 6];
        apply(&mut bytes, &image("MONOCHROME2", 1, true, false), &[rectangle("0,0,1,1")])
            .expect("masked");
        assert_eq!(bytes[0], 0x80, "-128");
    }

    #[test]
    fn colours_lie_pixel_by_pixel_or_plane_by_plane() {
        let mut bytes = [9; 18];
        apply(&mut bytes, &image("RGB", 3, false, false), &[rectangle("1,0,1,1")]).expect("masked");
        assert_eq!(bytes[3..6], [0; 3]);
        let mut bytes = [9; 18];
        apply(&mut bytes, &image("YBR_FULL", 3, false, true), &[rectangle("1,0,1,1")])
            .expect("masked");
        assert_eq!((bytes[1], bytes[7], bytes[13]), (0, 128, 128));
        assert_eq!(bytes.iter().filter(|byte| **byte == 9).count(), 15);
    }

    #[test]
    fn a_mask_outside_the_image_is_refused() {
        let refused =
            apply(&mut [9; 6], &image("MONOCHROME2", 1, false, false), &[rectangle("3,0,1,1")]);
        assert!(matches!(refused, Err(Refusal::Mask(_))));
    }
}
