//! DICOM files, each made for what it shows (`docs/dicom.md`).
#![allow(clippy::unwrap_used, reason = "a test that cannot make its files has failed")]

mod attributes;
mod file;
#[path = "../fixture/mod.rs"]
mod fixture;
mod form;
mod full_depth;
mod kind;
mod pixels;
mod real;
mod same_film;
mod syntaxes;
mod uncompressed;
mod values;
mod window;
