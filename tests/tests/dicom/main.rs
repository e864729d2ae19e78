//! The DICOM role under peers that are not ours (DCMTK, pynetdicom), and under bytes that no peer should send. It runs in
//! this process, on a real bucket; the executable is tried where the process itself matters.

#![allow(unreachable_pub, clippy::disallowed_methods, clippy::print_stdout)] // a suite exports nothing, spawns and prints

mod again;
mod client;
mod commitment;
mod commitment_kills;
mod commitment_later;
mod conformance;
mod dcmtk;
mod dicomweb;
mod executable;
mod faults;
mod fixture;
mod hostile;
mod intake;
mod modality;
mod orthanc;
mod peers;
mod tls;
mod tls_reports;
