//! Lobar's own policy: the function itself, asked as `lobar autoscale` asks it.

use lobar_core::scaling::{Decision, Policy, decide};

use super::{Seen, Sizing};

/// [`decide`], with what it answered last.
#[derive(Clone, Debug)]
pub struct Lobar {
    policy: Policy,
    last: Option<Decision>,
}

impl Lobar {
    /// Nothing is decided yet.
    pub fn new(policy: Policy) -> Self {
        Self { policy, last: None }
    }
}

impl Sizing for Lobar {
    fn name(&self) -> String {
        "lobar".into()
    }

    fn floor(&self) -> u32 {
        self.policy.floor
    }

    fn wanted(&mut self, seen: &Seen) -> u32 {
        let decision = decide(&self.policy, self.last.as_ref(), &seen.load, seen.now);
        self.last.insert(decision).wanted
    }
}
