//! Which fragments are of which frame (PS3.5, A.4).

use dicom_dictionary_std::tags;
use lobar_core::image::Reason;

use super::super::element::{self, PART_HEADER};
use super::super::tag::named;
use super::{Coded, bound_fragments, in_fragments};
use crate::Rejection;

/// The frames of encapsulated pixel data.
pub(in crate::dicom) struct Frames<'a>(Vec<&'a [u8]>);

impl<'a> Frames<'a> {
    /// Tells `count` frames apart: one is all of it; several have a fragment each, or begin where the offset table says.
    pub(in crate::dicom) fn of(items: &'a [u8], count: usize) -> Result<Self, Rejection> {
        let (table, fragments) = element::encapsulated(items);
        if count == 1 {
            return Ok(Self(vec![fragments]));
        }
        bound_fragments(fragments)?;
        let mut next = 0;
        let starts = element::parts(fragments).map(|part| {
            let start = next;
            next += PART_HEADER + part.len();
            start
        });
        let starts: Vec<usize> = starts.collect();
        let end = next;
        let begins =
            if starts.len() == count { Some(starts) } else { offsets(table, &starts, count) };
        let begins = begins.ok_or_else(|| {
            let detail = format!(
                "{} is {count}, and which fragments are of which frame is not told.",
                named(tags::NUMBER_OF_FRAMES)
            );
            Rejection::new(Reason::UnsupportedPixels, detail)
        })?;
        let ends = begins.iter().skip(1).copied().chain([end]);
        Ok(Self(begins.iter().zip(ends).map(|(begin, end)| &fragments[*begin..end]).collect()))
    }

    /// The compressed frame of a number, from 0, which is one of the frames.
    pub(in crate::dicom) fn get(
        &self,
        index: usize,
        uid: Option<&str>,
    ) -> Result<Coded<'a>, Rejection> {
        let frame = self.0.get(index).copied();
        in_fragments(frame.ok_or_else(|| Rejection::undecodable("It has no such frame."))?, uid)
    }
}

/// Where frames begin by the offset table: one offset a frame, each that of a fragment, and each behind the one before.
fn offsets(table: &[u8], starts: &[usize], count: usize) -> Option<Vec<usize>> {
    let (offsets, rest) = table.as_chunks::<4>();
    let offsets: Vec<usize> =
        offsets.iter().map(|offset| u32::from_le_bytes(*offset) as usize).collect();
    let is_whole = rest.is_empty() && offsets.len() == count && offsets.first() == Some(&0);
    let is_sound = offsets.is_sorted_by(|a, b| a < b)
        && offsets.iter().all(|offset| starts.binary_search(offset).is_ok());
    (is_whole && is_sound).then_some(offsets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(content: &[u8]) -> Vec<u8> {
        let length = (content.len() as u32).to_le_bytes();
        [&[0xfe, 0xff, 0, 0xe0], &length[..], content].concat()
    }

    fn frames(table: &[u32], count: usize) -> Option<Vec<Vec<u8>>> {
        let table: Vec<u8> = table.iter().flat_map(|offset| offset.to_le_bytes()).collect();
        let items = [item(&table), item(&[1; 4]), item(&[2; 2]), item(&[3; 6])].concat();
        let frames = Frames::of(&items, count).ok()?;
        let content = |frame: &&[u8]| element::parts(frame).flatten().copied().collect();
        Some(frames.0.iter().map(content).collect())
    }

    #[test]
    fn a_frame_is_one_fragment_or_those_up_to_the_next_offset() {
        let each = vec![vec![1; 4], vec![2; 2], vec![3; 6]];
        assert_eq!(frames(&[], 3), Some(each));
        let second = [vec![2; 2], vec![3; 6]].concat();
        assert_eq!(frames(&[0, 12], 2), Some(vec![vec![1; 4], second.clone()]));
        assert_eq!(frames(&[], 1), Some(vec![[vec![1; 4], second].concat()]));
    }

    #[test]
    fn offsets_that_cannot_be_are_not_believed() {
        for table in [&[][..], &[0], &[0, 13], &[12, 0], &[0, 0], &[4, 12], &[0, 12, 22]] {
            assert_eq!(frames(table, 2), None, "{table:?}");
        }
        assert_eq!(frames(&[], 4), None);
    }
}
