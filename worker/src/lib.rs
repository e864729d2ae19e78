//! Job to result.
