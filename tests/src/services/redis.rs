//! Redis: one server a test process.
