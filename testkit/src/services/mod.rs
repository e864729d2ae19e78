//! Real servers for the tests, private to one test process: on free ports of the loopback address, in
//! temporary folders, as root or not. What the distribution starts by itself on the standard ports is
//! never used.
//!
//! A server is started once a test process and shared by its tests, each of which makes a database, a
//! queue or a bucket of its own in it. A [`guard`] outside the process ends the server and removes its
//! folder when the process ends, however it ends.

mod guard;
pub mod http_proxy;
#[cfg(feature = "ministack")]
pub mod ministack;
#[cfg(feature = "mlflow")]
pub mod mlflow;
pub mod openid;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "prometheus")]
pub mod prometheus;
pub mod proxy;
#[cfg(feature = "rabbitmq")]
pub mod rabbitmq;
pub mod redis;

pub use guard::{Server, free_port, free_ports, root};
