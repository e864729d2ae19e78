//! What the picture of an image that a person saw is called.

use lobar_core::object::ImageId;

/// How pictures are drawn. Another number where the same bytes come to other pixels: verdicts keep it.
const DRAWING: &str = "drawing1";
/// Longest name, in bytes.
const NAME_MAX: usize = 80;

/// The name of the picture of an image whose longest side is at most `side` pixels. An image is one version of one
/// object, so its bytes are named by its id. The picture's `ETag`.
pub(crate) fn rendering(image: ImageId, side: u32) -> String {
    format!("{DRAWING}-{side}-{}", image.0.simple())
}

/// How pixels at full depth are given. Another number where the same bytes come to other samples.
const FULL_DEPTH: &str = "pixels1";

/// The name of an image at its full resolution and depth: the `ETag` of its pixels.
pub(crate) fn full_depth_rendering(image: ImageId) -> String {
    format!("{FULL_DEPTH}-{}", image.0.simple())
}

/// Whether `name` can be that of a picture of `image`, drawn by this release or another one.
pub(crate) fn is_rendering_of(name: &str, image: ImageId) -> bool {
    let drawing = name.strip_suffix(&image.0.simple().to_string());
    name.len() <= NAME_MAX
        && drawing.and_then(|drawing| drawing.strip_suffix('-')).is_some_and(|drawing| {
            let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
            !drawing.is_empty() && drawing.bytes().all(is_plain)
        })
}
