//! Roles on embedded parts: each as it should work, and what must hold once it is quiet after any process
//! was killed at any call.

mod crashes;
mod erasing;
mod errors;
mod ingest;
mod junk;
mod reconcile;
mod rejections;
mod restored;
mod retention;
mod worker;
