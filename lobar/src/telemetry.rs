//! Logs.

use crate::failure::Failure;
use crate::settings::{LogFormat, Settings};

/// What holds whatever is asked for: RabbitMQ's client would print the bodies of messages that came back, and
/// those name object keys; PostgreSQL tells on each start that its tables are there.
const ALWAYS: [&str; 2] = ["lapin=error", "sqlx::postgres::notice=warn"];

/// Starts logging to standard error, as the settings ask.
pub fn start(settings: &Settings) -> Result<(), Failure> {
    let mut filter = settings.log.filter();
    for directive in ALWAYS {
        filter = filter.add_directive(directive.parse().map_err(Failure::failed)?);
    }
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match settings.log_format {
        LogFormat::Text => {
            lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init()
        }
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(Failure::failed)
}
