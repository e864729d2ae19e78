//! Prints the API document, for linters and generators that run without a server.

use std::io::Write as _;

fn main() -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{:#}", lobar_api::openapi_document())
}
