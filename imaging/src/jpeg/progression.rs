//! Whether the scans of a JPEG bring every coefficient of every component whole.
//!
//! A progressive file that was cut between two scans and closed again is a valid file of a coarser
//! picture; no encoder writes one on purpose.

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
    pub(crate) fn add(&mut self, scan: &Scan<'_>) {
        let [first, last, bits] = scan.spectral;
        for (component, _) in &scan.components {
            // A frame has at most four components.
            for missing in &mut self.missing[*component][first.into()..=last.into()] {
                *missing = Some(bits & 15);
            }
        }
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
