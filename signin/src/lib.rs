//! Who somebody is. The HTTP API and the commands share it; it speaks neither HTTP nor SQL.
//!
//! - [`Secret`]: what a browser, a link or a machine holds. The store keeps its hash alone.
//! - [`password`]: argon2id, a bound on how many are computed at once, and which passwords are taken.
//! - [`lockout`]: growing pauses after failures.
//! - [`totp`]: one-time codes (RFC 6238).
//! - [`SignIn`]: all of it over the port of accounts.
//!
//! A refusal tells nothing of why: an unknown name, a wrong password and a disabled account get the same answer, after
//! the same time, and are paused alike.

pub mod lockout;
pub mod password;
mod secret;
mod service;
pub mod totp;

pub use secret::{Kind, Secret};
pub use service::{
    AddError, Became, ChangeError, ExternalError, GrantError, Guest, Opened, RedeemError, SignIn,
    SignInError, SignInSettings,
};
