//! Redis away, restarted, silent and slow: nothing depends on it but how soon something is seen.

#![allow(unreachable_pub)] // a test exports nothing
#![allow(clippy::disallowed_methods, reason = "a test's runtime ends with it, and its tasks too")]

mod faults;
mod figures;
mod fixture;
mod outages;
mod presence;
