//! PostgreSQL: one cluster a test process, one database a test.
