//! Where the frames of pixel data lie (PS3.5, 8.1.1, 8.2 and A.4).

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use dicom_core::value::{PixelFragmentSequence, Value};
use dicom_dictionary_std::{tags, uids};

use super::instance::{Read, is_native};

/// Fragments of pixel data at most.
const FRAGMENTS_MAX: usize = 1 << 16;

/// The pixel data of an instance, cut into frames.
pub(super) struct PixelData<'a>(Frames<'a>);

enum Frames<'a> {
    /// Not compressed, all of one size, which may end within a byte.
    Native { bytes: Cow<'a, [u8]>, frames: usize, bits: usize },
    /// Compressed: the fragments, and those of each frame.
    Encapsulated { fragments: &'a [Vec<u8>], of_frames: Vec<Range<usize>> },
}

impl<'a> PixelData<'a> {
    /// Finds the frames.
    ///
    /// # Errors
    /// In a sentence, why they cannot be told apart.
    pub(super) fn of(read: &'a Read) -> Result<Self, &'static str> {
        let number = |tag| read.object.get(tag).and_then(|element| element.to_int::<usize>().ok());
        let frames = number(tags::NUMBER_OF_FRAMES).unwrap_or(1).max(1);
        let pixels = read.object.get(tags::PIXEL_DATA).ok_or("It has no pixel data.")?;
        let native = is_native(&read.syntax);
        match pixels.value() {
            Value::Primitive(pixels) if native => {
                let bytes = pixels.to_bytes();
                let bits = bits_of_frame(read, bytes.len(), frames)?;
                Ok(Self(Frames::Native { bytes, frames, bits }))
            }
            Value::PixelSequence(pixels) if !native => {
                let of_frames = fragments_of_frames(read, pixels, frames)?;
                Ok(Self(Frames::Encapsulated { fragments: pixels.fragments(), of_frames }))
            }
            _ => Err("Its file says another transfer syntax than its pixels have."),
        }
    }

    /// How many frames there are, as far as the pixel data goes.
    pub(super) fn count(&self) -> usize {
        match &self.0 {
            Frames::Native { bytes, frames, bits } => {
                (bytes.len().saturating_mul(8) / bits).min(*frames)
            }
            Frames::Encapsulated { of_frames, .. } => of_frames.len(),
        }
    }

    /// A frame, from 0; one whose bits begin within a byte is moved to the beginning of one.
    pub(super) fn frame(&self, index: usize) -> Option<Bytes> {
        if index >= self.count() {
            return None;
        }
        match &self.0 {
            Frames::Native { bytes, bits, .. } => bits_at(bytes, index * bits, *bits),
            Frames::Encapsulated { fragments, of_frames } => {
                Some(fragments[of_frames[index].clone()].concat().into())
            }
        }
    }

    /// All of it as it lies there, where it is not compressed.
    pub(super) fn native(&self) -> Option<&[u8]> {
        match &self.0 {
            Frames::Native { bytes, .. } => Some(bytes),
            Frames::Encapsulated { .. } => None,
        }
    }
}

/// Bits of a frame that is not compressed, of pixel data of so many bytes.
fn bits_of_frame(read: &Read, length: usize, frames: usize) -> Result<usize, &'static str> {
    let number = |tag| read.object.get(tag).and_then(|element| element.to_int::<usize>().ok());
    let missing = "Its rows, columns or bits a sample are missing or cannot be.";
    let bits = number(tags::BITS_ALLOCATED).filter(|bits| *bits == 1 || bits % 8 == 0);
    let (rows, columns) = (number(tags::ROWS), number(tags::COLUMNS));
    let samples = number(tags::SAMPLES_PER_PIXEL).unwrap_or(1);
    let size = || rows?.checked_mul(columns?)?.checked_mul(bits?);
    let plane = size().filter(|bits| (1..=usize::MAX / 64).contains(bits)).ok_or(missing)?;
    let whole = plane.checked_mul(samples).filter(|bits| *bits > 0).ok_or(missing)?;
    let colours = read.object.get(tags::PHOTOMETRIC_INTERPRETATION);
    let colours = colours.and_then(|element| element.to_str().ok()).unwrap_or_default();
    let sampled = match colours.trim_end_matches([' ', '\0']) {
        // Two pixels have four samples (PS3.3, C.7.6.3.1.2).
        "YBR_FULL_422" | "YBR_PARTIAL_422" => plane * 2,
        // Four have six.
        "YBR_PARTIAL_420" => plane * 3 / 2,
        _ => return Ok(whole),
    };
    // Many files name the sampling that their pixels had before they were decompressed: the length tells.
    let fits = |bits: &usize| {
        let all = bits.checked_mul(frames).map(|bits| bits.div_ceil(8));
        all.is_some_and(|bytes| length == bytes || length == bytes + bytes % 2)
    };
    [sampled, whole].into_iter().find(fits).ok_or(
        "Its colours are sampled, and its pixel data has another length than those of its frames.",
    )
}

/// So many bits from a bit on, the lowest of each byte first (PS3.5, 8.1.1); what is left of the last byte is zero.
fn bits_at(bytes: &[u8], begin: usize, bits: usize) -> Option<Bytes> {
    let (first, end) = (begin / 8, begin.checked_add(bits)?.div_ceil(8));
    let shift = begin % 8;
    let bytes = bytes.get(first..end)?;
    if shift == 0 && bits.is_multiple_of(8) {
        return Some(Bytes::copy_from_slice(bytes));
    }
    let byte = |i: usize| u16::from(bytes.get(i).copied().unwrap_or(0));
    let mut moved: Vec<u8> =
        (0..bits.div_ceil(8)).map(|i| ((byte(i) | byte(i + 1) << 8) >> shift) as u8).collect();
    if let (Some(last), rest @ 1..) = (moved.last_mut(), bits % 8) {
        *last &= (1 << rest) - 1;
    }
    Some(moved.into())
}

/// Which fragments are of which frame.
fn fragments_of_frames(
    read: &Read,
    pixels: &PixelFragmentSequence<Vec<u8>>,
    frames: usize,
) -> Result<Vec<Range<usize>>, &'static str> {
    let fragments = pixels.fragments();
    let count = fragments.len();
    if fragments.iter().all(Vec::is_empty) {
        return Err("Its pixel data is empty.");
    }
    if count > FRAGMENTS_MAX {
        return Err("Its pixel data lies in more than 65,536 fragments.");
    }
    // Each frame has one at least.
    if frames > count {
        return Err("It has fewer fragments than frames.");
    }
    if frames == 1 {
        return Ok(std::iter::once(0..count).collect());
    }
    if frames == count {
        return Ok((0..count).map(|index| index..index + 1).collect());
    }
    let firsts = by_offsets(fragments, pixels.offset_table().iter().map(|at| u64::from(*at)))
        .or_else(|| by_offsets(fragments, extended_offsets(read).into_iter()))
        .or_else(|| by_markers(&read.syntax, fragments));
    let firsts = firsts.filter(|firsts| firsts.len() == frames && firsts.first() == Some(&0));
    let firsts = firsts.ok_or(
        "It has several fragments a frame, and neither an offset table nor a marker tells which are whose.",
    )?;
    let ends = firsts.iter().skip(1).copied().chain([count]);
    Ok(firsts.iter().zip(ends).map(|(first, end)| *first..end).collect())
}

/// The first fragment of each frame by an offset table, which counts from the first fragment's item (PS3.5, A.4).
fn by_offsets(fragments: &[Vec<u8>], offsets: impl Iterator<Item = u64>) -> Option<Vec<usize>> {
    let starts: Vec<u64> = fragments
        .iter()
        .scan(0, |at, fragment| {
            let start = *at;
            // The item's tag and length come before it, and it has an even length.
            *at += 8 + fragment.len().next_multiple_of(2) as u64;
            Some(start)
        })
        .collect();
    let firsts: Option<Vec<usize>> =
        offsets.take(FRAGMENTS_MAX).map(|offset| starts.binary_search(&offset).ok()).collect();
    firsts.filter(|firsts| !firsts.is_empty() && firsts.windows(2).all(|pair| pair[0] < pair[1]))
}

fn extended_offsets(read: &Read) -> Vec<u64> {
    let bytes =
        read.object.get(tags::EXTENDED_OFFSET_TABLE).and_then(|element| element.to_bytes().ok());
    let bytes = bytes.unwrap_or_default();
    bytes.chunks_exact(8).filter_map(|it| Some(u64::from_le_bytes(it.try_into().ok()?))).collect()
}

/// The fragments that begin with the first marker of a code stream.
fn by_markers(syntax: &str, fragments: &[Vec<u8>]) -> Option<Vec<usize>> {
    let marker: &[u8] = match syntax.strip_prefix("1.2.840.10008.1.2.4.")? {
        "50" | "51" | "57" | "70" | "80" | "81" => b"\xff\xd8\xff",
        "90" | "91" | "92" | "93" | "201" | "202" | "203" => b"\xff\x4f\xff\x51",
        _ => return None,
    };
    let begins = |index: &usize| fragments[*index].starts_with(marker);
    Some((0..fragments.len()).filter(begins).collect())
}

/// The transfer syntax in which pixel data is given: not compressed it is little endian, however it was stored.
pub(super) fn given_syntax(read: &Read) -> &str {
    if is_native(&read.syntax) { uids::EXPLICIT_VR_LITTLE_ENDIAN } else { &read.syntax }
}

#[cfg(test)]
mod tests {
    use dicom_core::{DataElement, PrimitiveValue, VR};
    use dicom_object::InMemDicomObject;

    use super::*;

    fn image(
        syntax: &str,
        [rows, columns, samples, bits]: [u16; 4],
        colours: &str,
        frames: usize,
        pixels: impl Into<dicom_object::mem::InMemElement>,
    ) -> Read {
        let mut object = InMemDicomObject::new_empty();
        for (tag, value) in [
            (tags::ROWS, rows),
            (tags::COLUMNS, columns),
            (tags::SAMPLES_PER_PIXEL, samples),
            (tags::BITS_ALLOCATED, bits),
        ] {
            object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
        }
        let frames = PrimitiveValue::from(frames.to_string());
        object.put(DataElement::new(tags::NUMBER_OF_FRAMES, VR::IS, frames));
        let colours = PrimitiveValue::from(colours);
        object.put(DataElement::new(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, colours));
        object.put(pixels.into());
        Read { object, syntax: syntax.into() }
    }

    fn native(bytes: &[u8]) -> dicom_object::mem::InMemElement {
        DataElement::new(tags::PIXEL_DATA, VR::OB, PrimitiveValue::from(bytes))
    }

    fn encapsulated(offsets: &[u32], fragments: &[&[u8]]) -> dicom_object::mem::InMemElement {
        let fragments: Vec<Vec<u8>> = fragments.iter().map(|bytes| bytes.to_vec()).collect();
        let value = PixelFragmentSequence::new(offsets.to_vec(), fragments);
        DataElement::new(tags::PIXEL_DATA, VR::OB, Value::from(value))
    }

    fn all(read: &Read) -> Result<Vec<Vec<u8>>, &'static str> {
        let data = PixelData::of(read)?;
        Ok((0..data.count()).map(|i| data.frame(i).expect("a frame").to_vec()).collect())
    }

    const EXPLICIT: &str = uids::EXPLICIT_VR_LITTLE_ENDIAN;
    const BASELINE: &str = "1.2.840.10008.1.2.4.50";
    const RLE: &str = "1.2.840.10008.1.2.5";

    #[test]
    fn frames_of_single_bits_begin_with_a_byte_each() {
        // Three frames of 3 × 3 bits, one after another: all, none, and the first and last.
        let bits = [0b1111_1111, 0b0000_0001, 0b0000_0100, 0b0000_0100];
        let read = image(EXPLICIT, [3, 3, 1, 1], "MONOCHROME2", 3, native(&bits));
        let frames: Vec<Vec<u8>> = vec![vec![0xff, 1], vec![0, 0], vec![1, 1]];
        assert_eq!(all(&read), Ok(frames));
    }

    #[test]
    fn sampled_colours_are_as_long_as_they_are_or_as_they_say() {
        let size = [2, 4, 3, 8];
        for (colours, length) in [
            ("YBR_FULL_422", 16),
            ("YBR_PARTIAL_422", 16),
            ("YBR_PARTIAL_420", 12),
            ("YBR_FULL_422", 24),
            ("RGB", 24),
        ] {
            let pixels: Vec<u8> = (0..2 * length).collect();
            let read = image(EXPLICIT, size, colours, 2, native(&pixels));
            let halves = pixels.chunks(length.into()).map(<[u8]>::to_vec).collect();
            assert_eq!(all(&read), Ok(halves), "{colours} {length}");
        }
        let read = image(EXPLICIT, size, "YBR_FULL_422", 2, native(&[0; 33]));
        assert!(all(&read).is_err_and(|why| why.contains("sampled")));
    }

    #[test]
    fn offset_tables_and_markers_tell_which_fragments_are_whose() {
        let parts: [&[u8]; 4] = [b"\xff\xd8\xff\xe0", b"12", b"\xff\xd8\xff\xdb", b"34"];
        let frames: Vec<Vec<u8>> = vec![parts[..2].concat(), parts[2..].concat()];
        let size = [2, 2, 1, 8];
        // By the basic offset table, whatever the codec; it counts the items' heads.
        let read = image(RLE, size, "MONOCHROME2", 2, encapsulated(&[0, 22], &parts));
        assert_eq!(all(&read), Ok(frames.clone()));
        // By the extended one.
        let mut read = image(RLE, size, "MONOCHROME2", 2, encapsulated(&[], &parts));
        let offsets: Vec<u8> = [0u64, 22].into_iter().flat_map(u64::to_le_bytes).collect();
        read.object.put(DataElement::new(
            tags::EXTENDED_OFFSET_TABLE,
            VR::OV,
            PrimitiveValue::from(offsets),
        ));
        assert_eq!(all(&read), Ok(frames.clone()));
        // By the markers of a JPEG.
        let read = image(BASELINE, size, "MONOCHROME2", 2, encapsulated(&[], &parts));
        assert_eq!(all(&read), Ok(frames));
        // By nothing.
        for offsets in [&[][..], &[0, 21], &[22, 0], &[0], &[0, u32::MAX]] {
            let read = image(RLE, size, "MONOCHROME2", 2, encapsulated(offsets, &parts));
            assert!(all(&read).is_err_and(|why| why.contains("offset table")), "{offsets:?}");
        }
    }

    #[test]
    fn frames_that_are_not_there_are_none() {
        let size = [2, 2, 1, 8];
        let read = image(EXPLICIT, size, "MONOCHROME2", 2_000_000_000, native(&[7; 9]));
        assert_eq!(all(&read).map(|frames| frames.len()), Ok(2), "as far as the bytes go");
        assert!(PixelData::of(&read).expect("frames").frame(2).is_none());
        let huge = [u16::MAX, u16::MAX, u16::MAX, u16::MAX];
        for (syntax, size, frames, pixels) in [
            (EXPLICIT, [0, 2, 1, 8], 1, native(&[7; 4])),
            (EXPLICIT, [2, 2, 1, 12], 1, native(&[7; 4])),
            (EXPLICIT, size, 1, encapsulated(&[], &[b"1234"])),
            (RLE, size, 1, native(&[7; 4])),
            (RLE, size, 1, encapsulated(&[], &[b""])),
            (RLE, size, 3, encapsulated(&[], &[b"12", b"34"])),
        ] {
            let read = image(syntax, size, "MONOCHROME2", frames, pixels);
            assert!(all(&read).is_err(), "{syntax} {size:?} {frames}");
        }
        let read = image(EXPLICIT, huge, "YBR_FULL_422", usize::MAX, native(&[7; 4]));
        assert!(all(&read).map_or(true, |frames| frames.is_empty()));
    }
}
