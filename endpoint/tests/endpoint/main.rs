//! The embedded S3 endpoint, in this process on a free port, under foreign clients (AWS CLI, boto3),
//! our own adapter, browsers, a clock that is set back, and SIGKILL.

mod adapter;
mod browsers;
mod clients;
mod clock;
#[allow(clippy::print_stdout, reason = "how a process that is to die tells what it did")]
mod crash;
mod events;
mod fixture;
mod folder;
mod key_pairs;
mod lifecycle;
mod pages;
mod policies;
mod signed;
#[allow(clippy::print_stdout, reason = "a measurement is read by people")]
mod speed;
mod weights;
