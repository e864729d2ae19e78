//! A scan's entropy-coded bytes and the restart markers among them (ITU-T T.81, B.2.1 and F.1.1.5).
//!
//! A decoder that runs out of bytes reads zeros up to the next restart marker, without an error. What can be
//! told without decoding is told here: that no interval is missing or out of its turn, and that bits that have
//! no code are all there. The rest, [`super::stream`] makes the decoder tell.

use super::frame::Frame;
use super::structure::Scan;
use crate::Rejection;

/// The first of the eight restart markers, which are used in turn.
const RESTART: u8 = 0xd0;

/// Entropy-coded bytes, as they are found in a file.
#[derive(Debug)]
pub(super) struct Coded<'a> {
    /// With the restart markers between two intervals; one behind the last interval, as some encoders write
    /// it, is left out.
    pub(super) data: &'a [u8],
    pub(super) restarts: usize,
    /// Whether the restart markers take turns as they must.
    pub(super) in_turn: bool,
}

impl<'a> Coded<'a> {
    /// Reads from `from` to the next marker that is no restart, and tells its offset; `None` where the file
    /// ends before one.
    pub(super) fn read(bytes: &'a [u8], from: usize) -> Option<(Self, usize)> {
        let (mut at, mut restarts, mut in_turn) = (from, 0, true);
        // The end of the last interval that is not empty: each holds a bit at least.
        let (mut whole, mut whole_restarts) = (from, 0);
        loop {
            let (marker, after) = next_marker(bytes, at)?;
            let end = after - 2;
            if bytes[at..end].iter().any(|&byte| byte != 0xff) {
                (whole, whole_restarts) = (end, restarts);
            }
            if !(RESTART..RESTART + 8).contains(&marker) {
                let data = &bytes[from..whole];
                return Some((Self { data, restarts: whole_restarts, in_turn }, end));
            }
            in_turn &= usize::from(marker - RESTART) == restarts % 8;
            restarts += 1;
            at = after;
        }
    }
}

/// The next marker at or after `from` and the offset behind it. Bytes that are not a marker are passed
/// over; `FF 00` is an escaped `FF`.
pub(super) fn next_marker(bytes: &[u8], from: usize) -> Option<(u8, usize)> {
    let mut at = from;
    loop {
        at += bytes.get(at..)?.iter().position(|&b| b == 0xff)?;
        match *bytes.get(at + 1)? {
            0x00 => at += 2,
            // A fill byte: the marker may start at the next one.
            0xff => at += 1,
            marker => return Some((marker, at + 2)),
        }
    }
}

impl<'a> Scan<'a> {
    /// The bytes of each restart interval, and the marker behind it: none behind the last one.
    pub(super) fn intervals(&self) -> impl Iterator<Item = (&'a [u8], Option<u8>)> {
        let (data, mut left, mut at) = (self.data, self.restarts, 0);
        let mut ended = false;
        std::iter::from_fn(move || {
            if ended {
                return None;
            }
            let from = at;
            if left > 0
                && let Some((marker, after)) = next_marker(data, from)
            {
                (left, at) = (left - 1, after);
                return Some((&data[from..after - 2], Some(marker)));
            }
            ended = true;
            Some((&data[from..], None))
        })
    }

    /// Refuses a scan of which something is missing, as far as that is told without decoding. `in_turn` tells
    /// whether its restart markers take turns.
    pub(super) fn check(&self, frame: &Frame, in_turn: bool) -> Result<(), Rejection> {
        let (mut units, blocks) = frame.units(&self.components);
        let interval = match self.interval {
            0 => units,
            interval => units.min(interval.into()),
        };
        // A picture without pixels is refused by its size.
        let expected = units.checked_div(interval).map_or(1, |_| units.div_ceil(interval));
        if !in_turn || self.restarts as u64 + 1 != expected {
            return Err(Rejection::undecodable(format!(
                "The JPEG file is incomplete: a scan of {expected} restart intervals has other ones.",
            )));
        }
        if frame.process != 0xc2 || !self.refines() || self.spectral[0] != 0 {
            return Ok(());
        }
        // One bit for each block, without a code: a decoder would take any bits.
        for (bytes, _) in self.intervals() {
            let here = units.min(interval);
            units -= here;
            let escapes = bytes.windows(2).filter(|pair| *pair == [0xff, 0]).count();
            if ((bytes.len() - escapes) as u64) * 8 < here * blocks {
                return Err(Rejection::undecodable(
                    "The JPEG file is incomplete: a scan is cut short.",
                ));
            }
        }
        Ok(())
    }

    /// Whether a progressive scan brings further bits of coefficients that an earlier one began.
    pub(super) fn refines(&self) -> bool {
        self.spectral[2] >> 4 != 0
    }
}
