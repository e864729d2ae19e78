//! What of a file is its data set (PS3.10, 7.1).

/// The data set of a file: what comes behind preamble and file meta information. All of it where there is neither.
pub(crate) fn data_set(file: &[u8]) -> &[u8] {
    let meta = match (file.get(128..132), file.get(..4)) {
        (Some(b"DICM"), _) => &file[132..],
        (_, Some(b"DICM")) => &file[4..],
        _ => file,
    };
    let mut rest = meta;
    // The group ends with its last element; what it says of its length is wrong in too many files.
    while let Some(behind) = behind_meta_element(rest) {
        rest = behind;
    }
    rest
}

/// What comes behind an element of group 0002, which is explicit little endian always.
fn behind_meta_element(bytes: &[u8]) -> Option<&[u8]> {
    let head = bytes.first_chunk::<8>()?;
    if head[..2] != [2, 0] || !head[4..6].iter().all(u8::is_ascii_uppercase) {
        return None;
    }
    let (length, value) = match &head[4..6] {
        b"OB" | b"OW" | b"UN" | b"UT" | b"SQ" => {
            (u32::from_le_bytes(*bytes.get(8..)?.first_chunk()?) as usize, 12)
        }
        _ => (usize::from(u16::from_le_bytes([head[6], head[7]])), 8),
    };
    bytes.get(value..)?.get(length..)
}

#[cfg(test)]
mod tests {
    use super::*;

    const META: &[u8] = b"\x02\0\0\0UL\x04\0\xff\0\0\0\x02\0\x01\0OB\0\0\x02\0\0\0\0\x01\x02\0\x10\0UI\x04\x001.2\0";
    const DATA_SET: &[u8] = b"\x08\0\x16\0UI\x04\x001.2\0";

    #[test]
    fn the_data_set_begins_behind_the_meta_group_whatever_the_group_says_of_its_length() {
        let whole = [&[0; 128], b"DICM".as_slice(), META, DATA_SET].concat();
        assert_eq!(data_set(&whole), DATA_SET);
        assert_eq!(data_set(&whole[128..]), DATA_SET);
        assert_eq!(data_set(&whole[132..]), DATA_SET);
        assert_eq!(data_set(DATA_SET), DATA_SET);
    }

    #[test]
    fn a_file_cut_short_anywhere_has_some_data_set() {
        let whole = [&[0; 128], b"DICM".as_slice(), META, DATA_SET].concat();
        for end in 0..whole.len() {
            assert!(data_set(&whole[..end]).len() <= end);
        }
    }
}
