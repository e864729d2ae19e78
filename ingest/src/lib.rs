//! Notification to durable job.
