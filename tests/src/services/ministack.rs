//! MiniStack: S3 and SQS of Amazon, emulated, with notifications between them.
