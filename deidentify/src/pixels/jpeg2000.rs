//! JPEG 2000 and HTJ2K codestreams (ISO 15444-1, A): comments (COM) are overwritten with zeros, and what comes behind the
//! end of the codestream is cut.

const SOT: u8 = 0x90;
const SOD: u8 = 0x93;
const SIZ: u8 = 0x51;
const COM: u8 = 0x64;
const DAMAGED: &str = "its JPEG 2000 codestream is damaged or has no end";

/// Cleans one codestream of samples of at most `stored` bits.
pub(super) fn clean(bytes: &mut Vec<u8>, stored: u32) -> Result<(), &'static str> {
    if bytes.get(..2) != Some(&[0xff, 0x4f]) {
        return Err("it is no JPEG 2000 codestream, as its transfer syntax says");
    }
    let mut part = header(bytes, 2, SOT, stored)?;
    while bytes.get(part..part + 2) != Some(&[0xff, 0xd9]) {
        // A tile-part: its header, and data up to the length that it names, or to the end.
        let length = bytes.get(part + 6..part + 10).ok_or(DAMAGED)?;
        let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
        if bytes.get(part..part + 2) != Some(&[0xff, SOT]) {
            return Err(DAMAGED);
        }
        let data = header(bytes, part + 12, SOD, stored)?;
        let next = match length {
            0 => data + end(bytes.get(data..).ok_or(DAMAGED)?).ok_or(DAMAGED)?,
            length => part.checked_add(length).ok_or(DAMAGED)?,
        };
        if next <= part {
            return Err(DAMAGED);
        }
        part = next;
    }
    bytes.truncate(part + 2);
    Ok(())
}

/// Where the marker `until` stands behind the segments that begin at `at`, whose comments are cleared.
fn header(bytes: &mut [u8], mut at: usize, until: u8, stored: u32) -> Result<usize, &'static str> {
    loop {
        let marker = bytes.get(at..at + 2).ok_or(DAMAGED)?;
        if marker[0] != 0xff {
            return Err(DAMAGED);
        }
        let marker = marker[1];
        if marker == until {
            return Ok(at);
        }
        let length = bytes.get(at + 2..at + 4).ok_or(DAMAGED)?;
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        let segment = bytes.get_mut(at + 4..at + 2 + length).ok_or(DAMAGED)?;
        if marker == SIZ {
            // Of each component the precision, less one, under a bit for the sign (A.5.1).
            let components = segment.get(36..).unwrap_or_default().chunks(3);
            if { components }.any(|component| u32::from(component[0] & 0x7f) + 1 > stored) {
                return Err(super::TOO_MANY_BITS);
            }
        }
        if marker == COM {
            segment.fill(0);
        }
        at += 2 + length;
    }
}

/// Where the end of the codestream stands: no two bytes of a packet are as large as it.
fn end(data: &[u8]) -> Option<usize> {
    data.windows(2).position(|pair| pair == [0xff, 0xd9])
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: &[u8] = b"\xff\x4f\xff\x51\x00\x04ab\xff\x64\x00\x0a\x00\x01Doe^Ja\xff\x90\x00\x0a\x00\x00\x00\x00\x00\x1e\x00\x01\
        \xff\x64\x00\x09\x00\x01Jane!\xff\x93datax\xff\xd9";

    #[test]
    fn comments_are_zeros_and_the_image_is_as_it_was() {
        let mut bytes = [IMAGE, b"Doe^Jane"].concat();
        clean(&mut bytes, 12).expect("clean");
        assert_eq!(bytes.len(), IMAGE.len());
        assert!(!bytes.windows(3).any(|three| three == b"Doe" || three == b"Jan"));
        assert_eq!(bytes[bytes.len() - 9..], IMAGE[IMAGE.len() - 9..]);
    }

    #[test]
    fn samples_of_more_bits_than_the_pixels_are_refused() {
        let mut size = [&[0xff, SIZ, 0, 41][..], &[0; 34], &[0, 1, 15, 1, 1]].concat();
        let bytes = [&IMAGE[..2], &size, &IMAGE[2..]].concat();
        assert_eq!(clean(&mut bytes.clone(), 12), Err(super::super::TOO_MANY_BITS));
        assert_eq!(clean(&mut bytes.clone(), 16), Ok(()));
        size[40] = 0x80 | 11;
        assert_eq!(clean(&mut [&IMAGE[..2], &size, &IMAGE[2..]].concat(), 12), Ok(()), "signed");
    }

    #[test]
    fn a_codestream_cut_short_anywhere_is_refused_and_never_panics() {
        for end in 0..IMAGE.len() {
            assert!(clean(&mut IMAGE[..end].to_vec(), 12).is_err(), "{end}");
        }
    }
}
