//! Resizing grey levels: bilinear with antialiasing, a triangle as wide as the scale, normalised, rounded
//! to 8 bits after the horizontal pass and after the vertical one. That is Pillow's
//! `Image.resize(…, BILINEAR)`.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

/// The picture of `from` (width and height), row by row, at the size `to`. `None` when a size is zero, or
/// `from` does not fit the pixels.
#[must_use]
pub fn resize(pixels: &[u8], from: (u32, u32), to: (u32, u32)) -> Option<Vec<u8>> {
    if [from.0, from.1, to.0, to.1].contains(&0) {
        return None;
    }
    // Of one kind of pixel, said here: the untyped call would compile the kernels of all kinds, which
    // takes minutes.
    let source = TypedImageRef::<U8>::from_buffer(from.0, from.1, pixels).ok()?;
    if source.pixels().len() != from.0 as usize * from.1 as usize {
        return None;
    }
    let mut target = TypedImage::<U8>::new(to.0, to.1);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    Resizer::new().resize_typed(&source, &mut target, &options).ok()?;
    Some(target.pixels().iter().map(|pixel| pixel.0).collect())
}
