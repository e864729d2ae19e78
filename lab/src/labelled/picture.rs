//! One object as the network gets it.

use lobar_core::engine::NetworkInput;
use lobar_core::failure::chain;
use lobar_core::object::ObjectVersion;
use lobar_core::object_store::{FetchError, ObjectStore};
use lobar_imaging::{Limits, Rejection};
use sha2::{Digest, Sha256};

/// Hexadecimal digits of a digest that stand for a file's bytes: enough that no two files share them.
const DIGITS: usize = 32;

/// A decoded object.
pub(crate) struct Decoded {
    /// A PNG of 224 × 224 grey levels, without anything else.
    pub(crate) png: Vec<u8>,
    /// Stands for the object's bytes.
    pub(crate) content: String,
    /// Width and height of the upright original in pixels.
    pub(crate) size: (u32, u32),
}

/// Why there is no picture of an object.
pub(crate) enum NoPicture {
    /// The object store could not be asked; it may answer another time.
    Away(String),
    /// It is gone, or no picture.
    Unreadable(String),
}

/// An object as the network gets it.
pub(crate) struct Fetched {
    /// 224 × 224 grey levels.
    pub(crate) input: NetworkInput,
    /// SHA-256 of the object's bytes, lower-case hexadecimal.
    pub(crate) sha256: String,
    /// Width and height of the upright original in pixels.
    pub(crate) size: (u32, u32),
}

/// The same as a picture to keep.
pub(crate) async fn decoded(
    objects: &dyn ObjectStore,
    object: &ObjectVersion,
) -> Result<Decoded, NoPicture> {
    let Fetched { input, sha256, size } = fetched(objects, object).await?;
    let png = encode(&input).map_err(|error| NoPicture::Unreadable(error.to_string()))?;
    Ok(Decoded { png, content: sha256[..DIGITS].to_owned(), size })
}

/// Fetches an object and decodes it by the steps of serving but for the gate: a doctor took it for a chest
/// X-ray.
pub(crate) async fn fetched(
    objects: &dyn ObjectStore,
    object: &ObjectVersion,
) -> Result<Fetched, NoPicture> {
    let limits = Limits::default();
    let fetched = objects.fetch(object, limits.max_bytes as u64).await;
    let fetched = fetched.map_err(|error| match error {
        FetchError::Port(error) => NoPicture::Away(chain(&error)),
        error => NoPicture::Unreadable(chain(&error)),
    })?;
    let bytes = fetched.bytes;
    let decode = move || {
        let radiograph = lobar_imaging::decode(&bytes, &limits)?;
        let input = lobar_imaging::network_input(&radiograph)?;
        let sha256 = hex::encode(Sha256::digest(&bytes));
        Ok::<_, Rejection>((input, sha256, (radiograph.width, radiograph.height)))
    };
    let done = tokio::task::spawn_blocking(decode).await;
    let unreadable = |why: String| NoPicture::Unreadable(why);
    let refused = |rejection: Rejection| unreadable(rejection.to_string());
    let (input, sha256, size) =
        done.map_err(|error| unreadable(error.to_string()))?.map_err(refused)?;
    Ok(Fetched { input, sha256, size })
}

fn encode(input: &NetworkInput) -> Result<Vec<u8>, png::EncodingError> {
    let (mut bytes, side) = (Vec::new(), NetworkInput::SIDE as u32);
    let mut encoder = png::Encoder::new(&mut bytes, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(input.pixels())?;
    writer.finish()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_picture_is_read_as_the_very_levels_that_the_network_got() {
        let side = NetworkInput::SIDE;
        let pixels: Vec<u8> = (0..side * side).map(|n| (n * 7 % 251) as u8).collect();
        let input = NetworkInput::new(pixels).expect("the right size");
        let bytes = encode(&input).expect("encodes");
        let read = lobar_imaging::decode(&bytes, &Limits::default()).expect("a picture");
        assert_eq!(lobar_imaging::network_input(&read).expect("resized"), input);
        // Header, data, end: no text, no time, no profile.
        let mut kinds = Vec::new();
        let mut at = 8;
        while at < bytes.len() {
            let length = u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
            kinds.push(String::from_utf8_lossy(&bytes[at + 4..at + 8]).into_owned());
            at += 12 + length as usize;
        }
        kinds.dedup();
        assert_eq!(kinds, ["IHDR", "IDAT", "IEND"]);
    }
}
