//! Who may do what: roles, rights, sites, and the one table that joins them.
//!
//! A [`Caller`] is a person, a machine or the local user of a machine's own loopback. It holds [`Grants`]: roles, each
//! at some [`Sites`]. A [`Right`] is what one route or one command asks for. [`Role::allows`] is the whole table;
//! nothing else decides, and what the table does not allow is refused.

mod caller;
mod grant;
mod right;
mod role;
mod site;

pub use caller::{Caller, Who};
pub use grant::{Grant, Grants};
pub use right::Right;
pub use role::Role;
pub use site::{SiteName, Sites};
