//! The embedded S3 endpoint, in this process on a free port, under foreign clients (AWS CLI, boto3),
//! our own adapter, a browser's preflight, and SIGKILL.

mod adapter;
mod clients;
mod crash;
mod events;
mod fixture;
mod pages;
mod speed;
