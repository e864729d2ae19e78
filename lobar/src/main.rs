//! The executable: command line, settings, wiring, shutdown, telemetry. Nothing else lives here.

#![allow(unreachable_pub)] // an executable exports nothing

mod audit;
mod bench;
mod build_info;
#[cfg(feature = "torch")]
mod calibrate;
mod cli;
mod columns;
#[cfg(feature = "torch")]
mod data;
mod decoding;
mod deidentify;
mod doctor;
#[cfg(feature = "torch")]
mod engine;
mod erase;
#[cfg(feature = "torch")]
mod evaluate;
#[cfg(feature = "torch")]
mod export;
mod exposure;
mod failure;
mod image;
#[cfg(feature = "torch")]
mod labelled;
mod log_line;
#[cfg(feature = "torch")]
mod model_file;
#[cfg(feature = "torch")]
mod novelty;
mod on_record;
mod people;
mod plan;
#[cfg(feature = "torch")]
mod predict;
#[cfg(feature = "torch")]
mod quantize;
mod quarantine;
mod queue;
mod reconcile;
mod registry;
#[cfg(feature = "torch")]
mod retrain;
#[cfg(feature = "torch")]
mod runs;
mod service;
mod settings;
#[cfg(feature = "torch")]
mod split;
mod startup_message;
mod stop;
mod telemetry;
#[cfg(feature = "torch")]
mod train;
#[cfg(feature = "torch")]
mod training_data;
mod upload;

use lobar_console::{noteln, out};
use std::future::Future;
use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};
use failure::Failure;
use settings::{LogFormat, Roles, Settings};

fn main() -> ExitCode {
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(error) => return not_understood(&error),
    };
    if !matches!(command, Command::DecodeDicom) {
        decoding::isolate();
    }
    let ended = run(command);
    let ended = ended.and_then(|()| lobar_console::finish().map_err(unwritten));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            noteln!("{}", failure.line());
            ExitCode::from(failure.code())
        }
    }
}

/// Help, or what is wrong with the arguments and the environment.
fn not_understood(error: &clap::Error) -> ExitCode {
    let failure = Failure::usage(error.to_string().trim_end());
    if error.use_stderr() && is_json_wanted() {
        noteln!("{}", failure.in_format(LogFormat::Json).line());
    } else {
        // As clap does it, with colours on a terminal. Nobody is left who could be told that it cannot be written.
        let _ = error.print();
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

#[allow(clippy::disallowed_methods)] // the settings could not be read
fn is_json_wanted() -> bool {
    std::env::var("LOBAR_LOG_FORMAT").is_ok_and(|format| format.parse() == Ok(LogFormat::Json))
}

/// What was asked for did not arrive.
fn unwritten(error: std::io::Error) -> Failure {
    Failure::failed(format!("standard output could not be written: {error}"))
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Up(args) => serve(args, Roles::all(), false),
        Command::Run { roles, stop_at_eof, service: args } => serve(args, roles, stop_at_eof),
        #[cfg(feature = "torch")]
        Command::Autoscale(args) => serve(args, Roles::autoscale(), false),
        Command::Plan(args) => block_on(plan::run(*args)),
        Command::Upload(args) => block_on(upload::run(*args)),
        Command::Deidentify(args) => deidentify::run(&args),
        #[cfg(feature = "torch")]
        Command::Predict(args) => predict::run(&args),
        #[cfg(feature = "torch")]
        Command::Train(args) => train::run(args),
        #[cfg(feature = "torch")]
        Command::Retrain(args) => block_on(retrain::run(*args)),
        #[cfg(feature = "torch")]
        Command::Calibrate(args) => block_on(calibrate::run(*args)),
        #[cfg(feature = "torch")]
        Command::Runs { folder, json } => runs::run(&folder, json),
        #[cfg(feature = "torch")]
        Command::Evaluate(args) => evaluate::run(&args),
        Command::User(command) => block_on(people::user(*command)),
        Command::Token(command) => block_on(people::token(*command)),
        Command::Site(command) => block_on(people::site(*command)),
        Command::Quarantine(command) => block_on(quarantine::run(*command)),
        Command::Queue(command) => block_on(queue::run(*command)),
        Command::Image(args) => block_on(image::run(*args)),
        Command::Audit(command) => block_on(audit::run(*command)),
        Command::Erase(command) => block_on(erase::run(*command)),
        Command::Exposure(command) => block_on(exposure::run(*command)),
        Command::Reconcile(command) => block_on(reconcile::run(*command)),
        Command::Model(command) => block_on(registry::run(*command)),
        #[cfg(feature = "torch")]
        Command::Novelty(args) => novelty::run(&args),
        #[cfg(feature = "torch")]
        Command::Quantize(args) => quantize::run(&args),
        #[cfg(feature = "torch")]
        Command::Data { what: cli::DataWhat::Report(args) } => data::report(&args),
        #[cfg(feature = "torch")]
        Command::Data { what: cli::DataWhat::Export(args) } => block_on(labelled::run(*args)),
        #[cfg(feature = "torch")]
        Command::Export(args) => export::run(&args),
        Command::DecodeDicom => decoding::serve(),
        Command::Bench(args) => bench::run(args),
        Command::Config(args) => {
            print_config(&load(args)?);
            Ok(())
        }
        Command::Doctor { roles, json, probe, probe_patience, service: args } => {
            let patience = probe.then(|| std::time::Duration::from_secs(probe_patience));
            block_on(doctor::run(load(args)?, roles, json, patience))
        }
        Command::Migrate { defer, service: args } => block_on(service::migrate(load(args)?, defer)),
    }
}

fn load(args: cli::Service) -> Result<Settings, Failure> {
    Settings::load(args.given, args.config)
}

/// Runs a service, whose failure is told as its log is written.
fn serve(args: cli::Service, roles: Roles, stop_at_eof: bool) -> Result<(), Failure> {
    let mut format = args.given.log_format.unwrap_or_default();
    let ended = load(args).and_then(|settings| {
        format = settings.log_format;
        block_on(service::run(settings, roles, stop_at_eof))
    });
    ended.map_err(|failure| failure.in_format(format))
}

fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(Failure::failed)?.block_on(work)
}

fn print_config(settings: &Settings) {
    out!("{}", settings.to_toml());
}
