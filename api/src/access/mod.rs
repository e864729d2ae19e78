//! Who asks, and whether they may: every route names its right, and none can be added without one.
//!
//! ```text
//! request ─▶ guard (Host, Origin) ─▶ route's right ─▶ Identity::of: token, session, or local user ─▶ Grants::reach ─▶ handler
//! ```
//!
//! A handler's first argument is [`Allowed`] with the marker of a right, or [`Open`]; a [`Route`](route::Address) takes no
//! other handlers. The check runs before anything of the request's body is read.

mod allowed;
pub(crate) mod cookie;
pub(crate) mod csrf;
pub(crate) mod identity;
pub(crate) mod oidc_cookie;
mod recent;
pub(crate) mod route;

pub(crate) use allowed::{Allowed, Granted, Need, Open, need};
