//! JPEG and JPEG-LS (ISO 10918-1, B.1; ISO 14495-1): comments and application segments are overwritten with zeros, and what
//! comes behind the end of the image is cut. Lengths do not change, so the coded image is not touched.

/// Application segments that say how colours are coded stay as far as they say that.
const KEPT: [(u8, &[u8], usize); 3] =
    [(0xe0, b"JFIF\0", 14), (0xee, b"Adobe", 12), (0xe8, b"mrfx", 5)];

/// Cleans one coded image of samples of at most `stored` bits.
pub(super) fn clean(bytes: &mut Vec<u8>, stored: u32) -> Result<(), &'static str> {
    const DAMAGED: &str = "its JPEG is damaged or has no end";
    if bytes.get(..2) != Some(&[0xff, 0xd8]) {
        return Err("it is no JPEG, as its transfer syntax says");
    }
    let mut at = 2;
    loop {
        if bytes.get(at) != Some(&0xff) {
            return Err(DAMAGED);
        }
        // Any number of fill bytes.
        while bytes.get(at + 1) == Some(&0xff) {
            at += 1;
        }
        let marker = *bytes.get(at + 1).ok_or(DAMAGED)?;
        at += 2;
        match marker {
            0xd9 => {
                bytes.truncate(at);
                return Ok(());
            }
            0x01 | 0xd0..=0xd7 => continue,
            0x00 | 0x02..=0xbf | 0xd8 => return Err(DAMAGED),
            _ => {}
        }
        let length = bytes.get(at..at + 2).ok_or(DAMAGED)?;
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        let segment = bytes.get_mut(at + 2..at + length).ok_or(DAMAGED)?;
        // The head of a frame begins with the precision (B.2.2).
        let is_frame =
            matches!(marker, 0xc0..=0xcf | 0xde | 0xf7) && !matches!(marker, 0xc4 | 0xc8 | 0xcc);
        if is_frame && segment.first().is_none_or(|bits| u32::from(*bits) > stored) {
            return Err(super::TOO_MANY_BITS);
        }
        if matches!(marker, 0xfe | 0xe0..=0xef) {
            let kept = KEPT.iter().find(|kept| kept.0 == marker && segment.starts_with(kept.1));
            let kept = kept.map_or(0, |kept| kept.2.min(segment.len()));
            segment[kept..].fill(0);
            if marker == 0xe0 && kept == 14 {
                // The size of a thumbnail that is no more.
                segment[12..14].fill(0);
            }
        }
        at += length;
        if marker == 0xda {
            at = end_of_scan(bytes, at).ok_or(DAMAGED)?;
        }
    }
}

/// Where the marker behind a scan begins. Within one, 0xff is followed by less than 0x80 or by a restart marker.
fn end_of_scan(bytes: &[u8], from: usize) -> Option<usize> {
    let is_end =
        |pair: &[u8]| pair[0] == 0xff && pair[1] >= 0x80 && !matches!(pair[1], 0xd0..=0xd7);
    Some(from + bytes.get(from..)?.windows(2).position(is_end)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: &[u8] = b"\xff\xd8\xff\xe0\x00\x10JFIF\0\x01\x02\x00\x00\x01\x00\x01\x00\x00\
        \xff\xfe\x00\x09Doe^Jan\xff\xe1\x00\x0bExif\0\0Doe\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x01\
        \xff\xda\x00\x04\x01\x02abc\xff\x00def\xff\xd0gh\xff\xd9";

    #[test]
    fn comments_and_metadata_are_zeros_and_the_image_is_as_it_was() {
        let mut bytes = [IMAGE, b"Doe^Jane"].concat();
        clean(&mut bytes, 8).expect("clean");
        assert_eq!(bytes.len(), IMAGE.len());
        assert!(!bytes.windows(3).any(|three| three == b"Doe"));
        assert!(bytes.windows(5).any(|five| five == b"Adobe"));
        let scan = bytes.len() - 19;
        assert_eq!(bytes[scan..], IMAGE[scan..]);
    }

    #[test]
    fn samples_of_more_bits_than_the_pixels_are_refused() {
        for marker in [0xc0, 0xc3, 0xf7] {
            let frame = [0xff, marker, 0, 11, 16, 0, 2, 0, 2, 1, 1, 0x11, 0];
            let bytes = [&IMAGE[..2], &frame, &IMAGE[2..]].concat();
            assert_eq!(clean(&mut bytes.clone(), 12), Err(super::super::TOO_MANY_BITS));
            assert_eq!(clean(&mut bytes.clone(), 16), Ok(()));
        }
    }

    #[test]
    fn a_jpeg_cut_short_anywhere_is_refused_and_never_panics() {
        for end in 0..IMAGE.len() {
            assert!(clean(&mut IMAGE[..end].to_vec(), 8).is_err(), "{end}");
        }
    }
}
