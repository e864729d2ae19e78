//! What the suites share: the executable as a process, pictures to upload, the API as a client.

mod client;
mod follower;
mod pictures;
mod process;
mod process_figures;
mod uploads;

pub use client::{Client, answer};
pub use follower::{Follower, Seen};
pub use lobar_testkit::workspace;
pub use pictures::{broken_files, labelled_pictures, originals, radiograph_jpeg, real_data};
pub use process::{Lobar, executable, node_executable};
pub use process_figures::ProcessFigures;
pub use uploads::{BulkUpload, Uploaded};
