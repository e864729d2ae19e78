//! Bytes to checked pixels to the network's input; rendering for people.
//!
//! ```text
//! bytes ─▶ sniff ─▶ decode ─▶ Radiograph ─▶ gate ─▶ network_input ─▶ gate ─▶ Prepared
//!                                 └─▶ picture_png, draw_view (for people; no gate: a doctor sees what was refused)
//!                └▶ decode_full_depth ─▶ FullDepth ─▶ png (for a viewer that windows it itself)
//! ```
//!
//! [`prepare()`] is the whole way. Its steps are public so that each can be timed alone. All of it is
//! synchronous; a call keeps no state, and any number run side by side, within the memory that the process
//! gives to decoding ([`limit_decoding_memory`]).
//!
//! A refusal is a [`Rejection`]: one of the closed set of reasons and a sentence with the measured
//! figures. A file that is cut short, or of which bytes are missing at a marker in its middle, is refused, never
//! shown half; a panic inside a decoder is caught and is the reason `undecodable`.
//!
//! DICOM is decoded in processes of their own, where the program gives them ([`isolation`]).
//!
//! Memory while decoding, at most, for `p` pixels: PNG `2p` bytes (16-bit `3p`); DICOM `3p`, with JPEG lossless and
//! JPEG-LS `5p`, with JPEG 2000 `11p`; JPEG `3p` (`5p` in planes), progressive
//! `9p`, progressive CMYK `11p`, and the file once more: with 16 bytes for each restart marker of a JPEG (more where
//! coefficients are refined), and the first scan of a progressive one twice.

mod chroma;
mod decode;
mod depth;
mod dicom;
mod format;
mod full_depth;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod gate;
mod heatmap;
pub mod isolation;
mod jpeg;
mod limits;
mod memory;
mod network_input;
mod orientation;
mod original;
mod picture;
mod png_file;
mod polarity;
mod prepare;
mod radiograph;
mod rejection;
mod resize;
mod view;
mod voi;
mod warning;

pub use chroma::Chroma;
pub use decode::{decode, decode_full_depth};
pub use dicom::{
    Loss, Uncompressed, attributes, memory_to_open, memory_to_uncompress, transfer_syntaxes,
    uncompress,
};
pub use format::{Format, is_picture_ending, sniff};
pub use full_depth::{Curve, FullDepth, Origin, Plane, Samples, Scale, Spacing, Window};
pub use gate::{check_contrast, check_shape_and_colour};
pub use heatmap::heatmap_png;
pub use limits::Limits;
pub use memory::limit_decoding_memory;
pub use network_input::network_input;
pub use original::{Original, OriginalSamples, original};
pub use picture::{DrawError, RenderError, draw, draw_full_depth, picture_png};
pub use prepare::{Prepared, Read, prepare, read};
pub use radiograph::Radiograph;
pub use rejection::Rejection;
pub use resize::resize;
pub use view::{Encoding, Extent, View, Viewport, draw_view};
pub use voi::{Voi, VoiFunction};
pub use warning::Warning;
