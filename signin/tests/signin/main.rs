//! Signing in, on accounts in SQLite.

mod external;
mod fixture;
mod links;
mod passwords;
mod pauses;
mod sessions;
mod tokens;
