//! Logs to standard error, and spans to an OpenTelemetry collector where the settings name one.
//! What they say and how to follow one image through them: docs/logging.md.

mod log_writer;
#[cfg(feature = "otlp")]
mod otlp;

use log_writer::LogWriter;
use tracing::Subscriber;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer};

use crate::failure::Failure;
use crate::settings::{LogFormat, Roles, Settings};

/// What holds whatever is asked for: RabbitMQ's client would print the bodies of messages that came back, and
/// those name object keys; PostgreSQL tells on each start that its tables are there.
const ALWAYS: [&str; 2] = ["lapin=error", "sqlx::postgres::notice=warn"];

/// What has to be ended before the process is.
pub struct Telemetry {
    log: LogWriter,
    #[cfg(feature = "otlp")]
    traces: Option<otlp::Traces>,
}

/// Starts logging, and tracing where the settings ask for it.
///
/// Where they do not, there is no layer for it: a span is then what log lines name, and costs no more.
pub fn start(settings: &Settings, roles: &Roles) -> Result<Telemetry, Failure> {
    let filter = filter(settings)?;
    let log = LogWriter::start(std::io::stderr()).map_err(Failure::failed)?;
    let Some(collector) = &settings.otlp else {
        let registry = tracing_subscriber::registry().with(filter);
        registry.with(lines(settings, log.clone())).try_init().map_err(Failure::failed)?;
        return Ok(Telemetry {
            log,
            #[cfg(feature = "otlp")]
            traces: None,
        });
    };
    #[cfg(feature = "otlp")]
    {
        let traces = otlp::Traces::start(collector, roles)?;
        let lines = lines(settings, log.clone()).with_filter(filter);
        let registry = tracing_subscriber::registry().with(traces.layer()).with(lines);
        registry.try_init().map_err(Failure::failed)?;
        Ok(Telemetry { log, traces: Some(traces) })
    }
    #[cfg(not(feature = "otlp"))]
    {
        let _ = (collector, roles);
        Err(Failure::usage(
            "otlp is set, but this lobar was built without the feature `otlp`; leave LOBAR_OTLP out, or \
             use a build that has it",
        ))
    }
}

impl Telemetry {
    /// Registers what it counts.
    pub fn register(&self, registry: &prometheus::Registry) -> Result<(), Failure> {
        #[cfg(feature = "otlp")]
        if let Some(traces) = &self.traces {
            traces.register(registry).map_err(Failure::failed)?;
        }
        self.log.register(registry).map_err(Failure::failed)
    }

    /// Sends and writes what is left, but does not wait for a collector that is away, nor for a log that
    /// nobody reads.
    pub async fn end(self) {
        #[cfg(feature = "otlp")]
        if let Some(traces) = self.traces {
            traces.end().await;
        }
        self.log.flush();
    }
}

fn filter(settings: &Settings) -> Result<EnvFilter, Failure> {
    ALWAYS.into_iter().try_fold(settings.log.filter(), |filter, directive| {
        Ok(filter.add_directive(directive.parse().map_err(Failure::failed)?))
    })
}

/// Log lines in the form that the settings ask for.
fn lines<S>(settings: &Settings, log: LogWriter) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(log).log_internal_errors(false);
    match settings.log_format {
        LogFormat::Text => {
            lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).boxed()
        }
        // All spans around a line are listed, the innermost last.
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).boxed(),
    }
}
