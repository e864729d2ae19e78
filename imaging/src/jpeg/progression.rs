//! Whether the scans of a JPEG bring every coefficient of every component whole.
//!
//! A progressive file that was cut between two scans and closed again is a valid file of a coarser
//! picture, and one of whose scans another is gone is almost one; no encoder writes either on purpose.

use super::frame::Frame;
use super::structure::Scan;
use crate::Rejection;

/// For each component, the bits of each coefficient that are still to come; `None` before its first scan.
#[derive(Debug)]
pub(crate) struct Progression {
    missing: [[Option<u8>; 64]; 4],
}

impl Default for Progression {
    fn default() -> Self {
        Self { missing: [[None; 64]; 4] }
    }
}

impl Progression {
    /// Takes the next scan. Refuses one of a progressive file that goes on where no earlier one ended
    /// (ITU-T T.81, G.1.1.1): what lies between is missing.
    pub(crate) fn add(&mut self, frame: &Frame, scan: &Scan<'_>) -> Result<(), Rejection> {
        let [first, last, bits] = scan.spectral;
        let (before, after) = (bits >> 4, bits & 15);
        for (component, _) in &scan.components {
            // A frame has at most four components.
            let missing = &mut self.missing[*component];
            let goes_on = |begun: &Option<u8>| begun.unwrap_or(0) == before;
            let mut these = missing[first.into()..=last.into()].iter();
            let succeeds = these.all(goes_on) && (before == 0 || after + 1 == before);
            let begun = first == 0 || missing[0].is_some();
            if frame.process == 0xc2 && !(succeeds && begun) {
                return Err(Rejection::undecodable(
                    "The JPEG file is incomplete: a scan between two others is missing.",
                ));
            }
            missing[first.into()..=last.into()].fill(Some(after));
        }
        Ok(())
    }

    /// Refuses a file in which something of a component is missing.
    pub(crate) fn check(&self, frame: &Frame) -> Result<(), Rejection> {
        // A baseline scan always brings all coefficients, whatever its parameters say.
        let progressive = frame.process == 0xc2;
        for missing in &self.missing[..frame.components.len()] {
            if missing.iter().all(Option::is_none) {
                return Err(Rejection::undecodable(
                    "The JPEG file is incomplete: a component has no scan.",
                ));
            }
            if progressive && missing.iter().any(|bits| *bits != Some(0)) {
                return Err(Rejection::undecodable(
                    "The JPEG file is incomplete: its last scans are missing.",
                ));
            }
        }
        Ok(())
    }
}
