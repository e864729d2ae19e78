//! The API as its clients see it: a real server on a free port, on the embedded store, queues, signal
//! and S3 endpoint, with ingest running. The worker's part is played by hand, so that a test decides
//! what becomes of an image and when.

#![allow(unreachable_pub)] // a test exports nothing
#![allow(clippy::disallowed_methods, reason = "a test's runtime ends with it, and its tasks too")]

mod accessible;
mod answers;
mod arrays;
mod attacker;
mod batches;
mod bodies;
mod browser;
mod certificates;
mod clicks;
mod clients;
mod dicom_bulk_data;
mod dicom_pictures;
mod dicom_recorded;
mod dicom_retrieve;
mod dicom_search;
mod dicom_transcode;
mod erasing;
mod events;
mod exposure;
mod fairness;
mod figures;
mod fixture;
mod flood;
mod images;
mod list;
mod list_bench;
mod models;
mod names;
mod network;
mod ohif;
mod oidc;
mod operations;
mod page;
mod page_people;
mod painted;
mod patients;
mod people;
mod predict;
mod problems;
mod quarantine;
mod recorded;
mod restored;
mod rights;
mod shown;
mod side_by_side;
mod signing_in;
mod sse;
mod stow;
mod tls;
mod unreadable;
mod verdict_page;
mod verdict_terms;
mod verdicts;
mod viewer;
mod wado;
mod worklist;
