//! The DICOM role: images come in from modalities and PACS (PS3.4, Storage Service Class), and whoever sent them is told
//! what is kept (Storage Commitment, push model).
//!
//! The upper layer (PS3.8) is our own, on the PDU types, reader and writer of `dicom-ul`: nothing is read before its length
//! is known to be within bounds, every wait has an end, and there is a bound on connections, associations, reports and memory.
//! One task serves one association, one operation at a time.
//!
//! - [`AeTitle`], [`Peer`], [`Peers`], [`Fingerprint`]: who may come, and to which site what they send belongs.
//! - [`tables`]: SOP classes, transfer syntaxes and statuses, as the conformance statement has them.
//! - `pdu`: PDUs on a connection. `command`, `data_set`, `part10`: what they carry.
//! - `negotiation`: which associations and presentation contexts are accepted.
//! - `association`: one association, from its request to its end. `storing`: C-STORE. `commitment`: N-ACTION.
//! - [`echo`]: asks another application entity whether it is there.
//! - [`Dicom`]: the server.

mod ae_title;
mod association;
mod command;
mod commitment;
mod data_set;
mod fingerprint;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod limits;
mod message;
mod metrics;
mod negotiation;
mod part10;
mod pdu;
mod peers;
mod recording;
mod reports;
mod room;
mod scu;
mod server;
mod storing;
pub mod tables;
mod tls;

pub use ae_title::AeTitle;
pub use fingerprint::Fingerprint;
pub use limits::Limits;
pub use metrics::DicomMetrics;
pub use peers::{HostPort, Origin, Peer, Peers};
pub use scu::{CallError, echo};
pub use server::{BuildError, Dicom, DicomPorts, DicomSettings, Stop, Unreadable};
pub use tls::{DicomTls, TlsError};
