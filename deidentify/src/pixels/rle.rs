//! RLE Lossless (PS3.5, G): bytes that belong to no segment and bits that are no pixel's are cleared, and what comes
//! behind the last segment is cut.

use super::Image;

const HEADER: usize = 64;
const SEGMENTS_MAX: usize = 15;
const DAMAGED: &str = "its RLE segments are damaged";

/// Cleans one frame. Says whether there were bits that are no pixel's.
pub(super) fn clean(bytes: &mut Vec<u8>, image: &Image) -> Result<bool, &'static str> {
    if image.signed && image.allocated == 16 && image.high < 8 {
        // The sign stands in another segment than the bits above it.
        return Err("its signed pixels have a byte in words of two");
    }
    let mut are_cleared = false;
    let expected = image.bytes() / (image.rows * image.columns);
    let word = |at: usize| -> Option<usize> {
        let word = bytes.get(at..at + 4)?;
        Some(u32::from_le_bytes([word[0], word[1], word[2], word[3]]) as usize)
    };
    let count = word(0).ok_or(DAMAGED)?;
    if count == 0 || count > SEGMENTS_MAX || count != expected {
        return Err(DAMAGED);
    }
    let mut clean = bytes.get(..4).ok_or(DAMAGED)?.to_vec();
    clean.resize(HEADER, 0);
    for segment in 0..count {
        let start = word(4 + 4 * segment).ok_or(DAMAGED)?;
        let data = bytes.get(start.max(HEADER)..).filter(|_| start >= HEADER).ok_or(DAMAGED)?;
        let length = length_of(data, image.rows * image.columns).ok_or(DAMAGED)?;
        let place = u32::try_from(clean.len()).map_err(|_| DAMAGED)?;
        clean[4 + 4 * segment..8 + 4 * segment].copy_from_slice(&place.to_le_bytes());
        clean.extend_from_slice(&data[..length]);
        if image.stored != image.allocated {
            // The most significant byte of a sample comes first (G.2).
            let shift = if image.allocated == 16 && segment % 2 == 0 { 8 } else { 0 };
            let cleared =
                |byte: u8| (image.cleared(u32::from(byte) << shift) >> shift).to_le_bytes()[0];
            are_cleared |= clear(&mut clean[place as usize..], cleared);
        }
        if clean.len() % 2 == 1 {
            clean.push(0);
        }
    }
    *bytes = clean;
    Ok(are_cleared)
}

/// Applies `cleared` to each byte of a coded segment; each stands for one, or for a run of the same. Says whether any
/// became another.
fn clear(mut coded: &mut [u8], cleared: impl Fn(u8) -> u8) -> bool {
    let mut are_cleared = false;
    while let Some((head, rest)) = coded.split_first_mut() {
        let values = match *head {
            128 => 0,
            129.. => 1,
            literal => 1 + usize::from(literal),
        };
        let Some((values, rest)) = rest.split_at_mut_checked(values) else { break };
        for value in values {
            are_cleared |= cleared(*value) != *value;
            *value = cleared(*value);
        }
        coded = rest;
    }
    are_cleared
}

/// How many coded bytes make so many pixels (PackBits).
fn length_of(data: &[u8], pixels: usize) -> Option<usize> {
    let (mut at, mut made) = (0, 0);
    while made < pixels {
        let (taken, makes) = match *data.get(at)? {
            128 => (1, 0),
            run @ 129.. => (2, 257 - usize::from(run)),
            literal => (2 + usize::from(literal), 1 + usize::from(literal)),
        };
        (at, made) = (at + taken, made + makes);
    }
    (made == pixels && at <= data.len()).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Image {
        let photometric = "MONOCHROME2".into();
        let (rows, columns, samples, allocated, stored, high) = (2, 3, 1, 16, 12, 11);
        let (signed, planar) = (false, false);
        Image { rows, columns, samples, allocated, stored, high, signed, planar, photometric }
    }

    fn frame() -> Vec<u8> {
        let mut frame = vec![0; HEADER];
        frame[0] = 2;
        frame[4] = 64;
        frame[8] = 74;
        // Five times 7 and a 1, then a name; six literal bytes, then a name.
        frame.extend([252, 7, 0, 1]);
        frame.extend(b"Doe^Ja");
        frame.extend([5, 1, 2, 3, 4, 5, 6]);
        frame.extend(b"Jane");
        frame
    }

    #[test]
    fn only_segments_stay() {
        let mut bytes = frame();
        bytes[20..23].copy_from_slice(b"Doe");
        clean(&mut bytes, &image()).expect("clean");
        assert_eq!(bytes[HEADER..], [252, 7, 0, 1, 5, 1, 2, 3, 4, 5, 6, 0]);
        assert_eq!((bytes[4], bytes[8]), (64, 68));
        assert!(bytes[12..HEADER].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn bits_above_the_pixel_are_cleared_in_runs_and_literals() {
        let mut bytes = frame();
        bytes[HEADER + 1] = 0xf7;
        assert_eq!(clean(&mut bytes, &image()), Ok(true));
        assert_eq!(bytes[HEADER..], [252, 7, 0, 1, 5, 1, 2, 3, 4, 5, 6, 0]);
        let mut bytes = frame();
        assert_eq!(clean(&mut bytes, &image()), Ok(false));
        let mut bytes = frame();
        bytes[HEADER + 1] = 0xff;
        assert_eq!(clean(&mut bytes, &Image { signed: true, ..image() }), Ok(false), "a sign");
    }

    #[test]
    fn a_frame_cut_short_is_refused_and_never_panics() {
        let whole = frame();
        for end in 0..whole.len() - 4 {
            assert!(clean(&mut whole[..end].to_vec(), &image()).is_err(), "{end}");
        }
        let mut huge = whole;
        huge[0..4].fill(0xff);
        assert!(clean(&mut huge, &image()).is_err());
    }
}
