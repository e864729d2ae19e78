//! 16-bit samples to 8 bits, by the depth of the detector.
//!
//! By a shift, never by the image's own minimum and maximum: equal tissue must give equal grey in two
//! images of one detector. Exports of 10-, 12- and 14-bit detectors keep their numbers in a 16-bit file,
//! and what marks the film (a letter, a corner, one bad pixel) is often written as the largest number that
//! the file holds. So marks do not count for the depth; they are white.

/// Marks are flat: so many values above a depth at most, over such a share of the pixels, one in so many.
const MARK_VALUES: usize = 4;
const MARK_SHARE: u64 = 10;
/// Where the file says its depth, this share of the pixels may lie above it whatever their values, one in
/// so many: the edge of a letter is not flat when the film was resized.
const STRAY_SHARE: u64 = 100;

/// How many of the low bits of `samples` hold the picture, 8..=16. `declared` is what the file says of
/// itself (PNG's `sBIT`).
///
/// A file that says 12 bits has its samples either as they came, so that 12 low bits are used, or spread
/// over all 16 as the standard asks (ISO 15948, 12.4); the samples tell which.
pub(crate) fn of(samples: &[u16], declared: Option<u8>) -> u8 {
    let counts = counts(samples);
    let total = samples.len() as u64;
    let above = |depth: u8| counts[1 << depth..].iter().copied().filter(|&count| count > 0);
    let pixels = |depth: u8| above(depth).map(u64::from).sum::<u64>();
    match declared.map(|bits| bits.max(8)).filter(|&bits| bits < 16) {
        Some(bits) if pixels(bits) * STRAY_SHARE <= total => bits,
        Some(_) => 16,
        None => [8, 10, 12, 14]
            .into_iter()
            .find(|&depth| {
                above(depth).count() <= MARK_VALUES && pixels(depth) * MARK_SHARE <= total
            })
            .unwrap_or(16),
    }
}

fn counts(samples: &[u16]) -> Vec<u32> {
    let mut counts = vec![0; 1 << 16];
    for &sample in samples {
        counts[usize::from(sample)] += 1;
    }
    counts
}

/// The 8 high bits of `depth`; what lies above it is white. Full 16 bits are divided by 256, as Pillow
/// does.
pub(crate) fn reduce(samples: &[u16], depth: u8) -> Vec<u8> {
    let shift = depth.clamp(8, 16) - 8;
    samples.iter().map(|&sample| (sample >> shift).min(255) as u8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reduced(samples: &[u16]) -> Vec<u8> {
        reduce(samples, of(samples, None))
    }

    #[test]
    fn sixteen_bits_are_reduced_by_the_depth_in_use() {
        assert_eq!(reduced(&[0, 7, 255]), [0, 7, 255]);
        assert_eq!(reduced(&[0, 512, 1023]), [0, 128, 255]);
        assert_eq!(reduced(&[16, 2048, 4095]), [1, 128, 255]);
        assert_eq!(reduced(&[64, 16383]), [1, 255]);
        assert_eq!(reduced(&[0x1234, 0xffff]), [0x12, 0xff]);
        assert_eq!(reduced(&[]), [0u8; 0]);
    }

    #[test]
    fn the_same_sample_gives_the_same_grey_whatever_the_image_holds_besides() {
        assert_eq!(reduced(&[2000, 3000])[0], reduced(&[2000, 4095, 0])[0]);
    }

    /// A film of 12 bits, 1,000 pixels.
    fn film() -> Vec<u16> {
        (0..1000).map(|i| i * 4 + 80).collect()
    }

    #[test]
    fn marks_are_white_and_do_not_count_for_the_depth() {
        for (marked, declared) in [(1, None), (99, None), (1, Some(12)), (9, Some(12))] {
            let mut marks = film();
            marks[..marked].fill(u16::MAX);
            let depth = of(&marks, declared);
            assert_eq!(depth, 12, "{marked} {declared:?}");
            let grey = reduce(&marks, depth);
            assert!(grey[..marked].iter().all(|&pixel| pixel == 255));
            assert_eq!(grey[marked..], reduced(&film())[marked..]);
        }
        // Resized with the film, a mark has an edge of many values.
        let mut edge = film();
        (0..10).for_each(|i| edge[i] = 6_000 * (i as u16 + 1));
        assert_eq!(of(&edge, Some(12)), 12);
    }

    #[test]
    fn what_fills_sixteen_bits_is_not_taken_for_marks() {
        let spread: Vec<u16> = film().iter().map(|sample| sample << 4 | sample >> 8).collect();
        assert_eq!(of(&spread, Some(12)), 16, "spread as the standard asks");
        assert_eq!(of(&spread, None), 16);
        let mut bright = film();
        (0..200).for_each(|i| bright[i] = 20_000 + i as u16);
        assert_eq!(of(&bright, None), 16);
        assert_eq!(of(&bright, Some(12)), 16);
        // Two levels only.
        assert_eq!(reduced(&[0, u16::MAX, 0, u16::MAX]), [0, 255, 0, 255]);
    }

    #[test]
    fn a_declared_depth_holds_for_a_dark_film_too() {
        assert_eq!(of(&[3, 900], Some(12)), 12);
        assert_eq!(of(&[3, 900], Some(13)), 13);
        assert_eq!(of(&[3, 200], Some(4)), 8);
        assert_eq!(of(&[3, 900], Some(16)), 10);
    }
}
