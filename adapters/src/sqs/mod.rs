//! Amazon SQS, or anything that speaks it: upload notifications, and jobs.
