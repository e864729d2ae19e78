//! Always as many.

use super::{Seen, Sizing};

/// So many workers, from the beginning to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fixed(pub u32);

impl Sizing for Fixed {
    fn name(&self) -> String {
        format!("fixed, {}", self.0)
    }

    fn floor(&self) -> u32 {
        self.0
    }

    fn wanted(&mut self, _seen: &Seen) -> u32 {
        self.0
    }
}
