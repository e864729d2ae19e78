//! What `ops/` and `grafana/` promise, against the real thing: a Prometheus that scrapes the running
//! system, Terraform and the compose file's set-up against an emulated AWS, a proxy in front of the api,
//! and the schemas of compose and Kubernetes. What needs Docker or a cluster is not run; ops/README.md
//! says so.

#![allow(clippy::disallowed_methods, reason = "a test owns its process: it reads the environment")]

mod alerts;
mod compose;
mod dashboard;
mod emulator;
mod github;
mod gpu_day;
mod growth;
mod images;
mod kubernetes;
mod overlays;
mod peers;
mod platform;
mod proxy;
mod real_services;
mod systemd;
mod terraform;
mod tools;
mod traffic;
