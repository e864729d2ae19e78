//! EXIF orientation: how a stored picture must be turned to stand upright.

/// Reads the orientation tag from EXIF data that starts at its TIFF header: 1 (upright) to 8. Whatever
/// is missing or malformed is upright, as in every viewer.
pub(crate) fn from_exif(tiff: &[u8]) -> u8 {
    // Some writers keep the APP1 signature in front.
    let tiff = tiff.strip_prefix(b"Exif\0\0").unwrap_or(tiff);
    orientation_tag(tiff).filter(|value| (1..=8).contains(value)).unwrap_or(1)
}

/// TIFF 6.0: byte order, 42, offset of the first directory; entries of 12 bytes; tag 0x0112. The standard
/// says SHORT; writers of BYTE and LONG exist, and viewers follow them.
fn orientation_tag(tiff: &[u8]) -> Option<u8> {
    let little = match tiff.get(..2)? {
        b"II" => true,
        b"MM" => false,
        _ => return None,
    };
    let short = |at: usize| -> Option<u16> {
        let bytes = [*tiff.get(at)?, *tiff.get(at.checked_add(1)?)?];
        Some(if little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    };
    let long = |at: usize| -> Option<u32> {
        let (first, second) = (u32::from(short(at)?), u32::from(short(at.checked_add(2)?)?));
        Some(if little { second << 16 | first } else { first << 16 | second })
    };
    let directory = usize::try_from(long(4)?).ok()?;
    let entries = usize::from(short(directory)?);
    (0..entries)
        .map(|i| directory + 2 + i * 12)
        .find(|&entry| short(entry) == Some(0x0112))
        .and_then(|entry| match short(entry + 2)? {
            1 => tiff.get(entry + 8).copied().map(u32::from),
            3 => short(entry + 8).map(u32::from),
            4 => long(entry + 8),
            _ => None,
        })
        .and_then(|value| u8::try_from(value).ok())
}

/// Turns `pixels` of `width × height` upright. Gives the new width, height and pixels.
pub(crate) fn apply<T: Copy>(
    orientation: u8,
    width: u32,
    height: u32,
    pixels: Vec<T>,
) -> (u32, u32, Vec<T>) {
    let (w, h) = (width as usize, height as usize);
    if !(2..=8).contains(&orientation) {
        return (width, height, pixels);
    }
    let swapped = orientation >= 5;
    let (out_w, out_h) = if swapped { (h, w) } else { (w, h) };
    let mut out = Vec::with_capacity(pixels.len());
    for y in 0..out_h {
        for x in 0..out_w {
            let (sx, sy) = match orientation {
                2 => (w - 1 - x, y),
                3 => (w - 1 - x, h - 1 - y),
                4 => (x, h - 1 - y),
                5 => (y, x),
                6 => (y, h - 1 - x),
                7 => (w - 1 - y, h - 1 - x),
                _ => (w - 1 - y, x),
            };
            out.push(pixels[sy * w + sx]);
        }
    }
    if swapped { (height, width, out) } else { (width, height, out) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exif(little: bool, orientation: u16) -> Vec<u8> {
        typed(little, 3, orientation)
    }

    /// SHORT is type 3, LONG is type 4.
    fn typed(little: bool, kind: u16, orientation: u16) -> Vec<u8> {
        let short = |v: u16| if little { v.to_le_bytes() } else { v.to_be_bytes() };
        let long = |v: u32| if little { v.to_le_bytes() } else { v.to_be_bytes() };
        let mut tiff = if little { b"II".to_vec() } else { b"MM".to_vec() };
        tiff.extend(short(42));
        tiff.extend(long(8));
        tiff.extend(short(2));
        for (tag, value) in [(0x0100, 7), (0x0112, orientation)] {
            tiff.extend(short(tag));
            tiff.extend(short(kind));
            tiff.extend(long(1));
            if kind == 4 {
                tiff.extend(long(value.into()));
            } else {
                tiff.extend(short(value));
                tiff.extend(short(0));
            }
        }
        tiff
    }

    #[test]
    fn the_tag_is_read_in_both_byte_orders() {
        for orientation in 1..=8 {
            assert_eq!(from_exif(&exif(true, orientation)), orientation as u8);
            assert_eq!(from_exif(&exif(false, orientation)), orientation as u8);
        }
    }

    #[test]
    fn a_tag_of_another_type_is_read_too() {
        for little in [true, false] {
            assert_eq!(from_exif(&typed(little, 4, 6)), 6);
            assert_eq!(from_exif(&typed(little, 4, 9)), 1);
            assert_eq!(from_exif(&typed(little, 2, 6)), 1);
        }
        assert_eq!(from_exif(&typed(true, 1, 6)), 6);
    }

    #[test]
    fn a_malformed_tag_means_upright() {
        assert_eq!(from_exif(&exif(true, 0)), 1);
        assert_eq!(from_exif(&exif(true, 9)), 1);
        assert_eq!(from_exif(&exif(true, 0x0106)), 1);
        let whole = exif(true, 6);
        for len in 0..whole.len() - 4 {
            assert_eq!(from_exif(&whole[..len]), 1);
        }
        assert_eq!(from_exif(b"II*\0\xff\xff\xff\xff"), 1);
    }

    #[test]
    fn every_orientation_turns_the_picture_upright() {
        // The stored picture is 3 × 2: "abc" over "def". Where its row 0 and column 0 belong is the
        // definition of the tag (CIPA DC-008, 4.6.4): 6, for instance, is right side and top.
        let cases: [(u8, u32, u32, &str); 8] = [
            (1, 3, 2, "abcdef"),
            (2, 3, 2, "cbafed"),
            (3, 3, 2, "fedcba"),
            (4, 3, 2, "defabc"),
            (5, 2, 3, "adbecf"),
            (6, 2, 3, "daebfc"),
            (7, 2, 3, "fcebda"),
            (8, 2, 3, "cfbead"),
        ];
        for (orientation, w, h, expected) in cases {
            let turned = apply(orientation, 3, 2, b"abcdef".to_vec());
            assert_eq!(turned, (w, h, expected.as_bytes().to_vec()), "orientation {orientation}");
        }
    }
}
