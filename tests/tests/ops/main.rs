//! What `ops/` and `grafana/` promise, against the real thing: a Prometheus that scrapes the running
//! system, Terraform against an emulated AWS, the schemas of compose and Kubernetes, a proxy in front.

mod chart;
mod compose;
mod dashboard;
mod images;
mod kubernetes;
mod proxy;
mod terraform;
mod tools;
