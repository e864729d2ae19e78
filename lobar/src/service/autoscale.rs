//! `lobar autoscale`: worker processes of this executable, one a GPU or a group of cores.

use std::ffi::OsString;
use std::net::SocketAddr;

use lobar_autoscale::{
    AutoscaleMetrics, Autoscaler, Launcher, Meter, MeterPorts, Place, Stop, core_groups,
};
use lobar_core::compute::DeviceChoice;
use lobar_model::engine::cuda_devices;

use super::ports::Ports;
use super::running::Running;
use crate::engine;
use crate::failure::Failure;
use crate::settings::{Replicas, Settings};

/// Starts the loop that keeps the worker processes.
pub fn start(settings: &Settings, parts: &Ports, running: &mut Running) -> Result<(), Failure> {
    let places = places(settings)?;
    let wanted = places.len();
    let launcher = Launcher {
        program: std::env::current_exe().map_err(Failure::failed)?,
        arguments: arguments(std::env::args_os()),
        places,
    };
    let meter = Meter::new(MeterPorts {
        store: parts.store.clone(),
        uploads: parts.uploads.clone(),
        presence: parts.presence.clone(),
        clock: parts.clock.clone(),
    });
    let metrics = AutoscaleMetrics::register(&parts.registry).map_err(Failure::failed)?;
    let policy = settings.scaling();
    let autoscaler = Autoscaler::new(policy, meter, launcher, metrics, parts.clock.clone());
    let health = autoscaler.health();
    running.watch(parts.readiness.check("workers"), move || match health.fault() {
        None => Ok(()),
        Some(fault) => Err(fault.into()),
    });
    let stop = Stop { receiving: running.receiving.clone(), abort: running.abort.clone() };
    running.start("autoscale", async move {
        autoscaler.run(stop).await;
        Ok(())
    });
    tracing::info!(workers = wanted, "autoscaler ready: at most so many worker processes");
    Ok(())
}

/// What a worker process is given: what this one was given, which stands after the command's name.
fn arguments(own: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let role = ["run", "--roles", "worker", "--stop-at-eof"].map(OsString::from);
    role.into_iter().chain(own.skip(2)).collect()
}

/// A place for each process: its device, its group of cores, and the address that it tells of itself at.
fn places(settings: &Settings) -> Result<Vec<Place>, Failure> {
    let gpus = match settings.device {
        DeviceChoice::Cpu => Vec::new(),
        DeviceChoice::Cuda(index) => vec![index],
        DeviceChoice::Auto => (0..cuda_devices(engine::cuda_library().as_deref())).collect(),
    };
    let cores = core_groups(1).map_err(Failure::failed)?.concat().len();
    let count = match settings.scale_processes.map(Replicas::count) {
        Some(count) => count,
        None if gpus.is_empty() => cores.div_ceil(2).min(settings.scale_ceiling.count()),
        None => gpus.len(),
    };
    let groups = core_groups(count).map_err(Failure::failed)?;
    let place = |(place, cores): (usize, Vec<usize>)| {
        let mut arguments = Vec::new();
        if let Some(gpu) = gpus.get(place % gpus.len().max(1)) {
            arguments.extend(["--device".into(), format!("cuda:{gpu}").into()]);
        }
        if let Some(listen) = settings.metrics_listen {
            let listen = metrics_listen(listen, place)?;
            arguments.extend(["--metrics-listen".into(), listen.to_string().into()]);
        }
        Ok(Place { arguments, cores })
    };
    groups.into_iter().enumerate().map(place).collect()
}

/// The ports after the autoscaler's own, in the order of the places.
fn metrics_listen(own: SocketAddr, place: usize) -> Result<SocketAddr, Failure> {
    if own.port() == 0 {
        return Ok(own);
    }
    let port = u16::try_from(place + 1).ok().and_then(|after| own.port().checked_add(after));
    let port = port.ok_or_else(|| {
        let why = "its workers tell of themselves at the ports after it, and there are too few";
        Failure::usage(format!("metrics_listen is {own}: {why}; set a lower port"))
    })?;
    Ok(SocketAddr::new(own.ip(), port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::PartialSettings;

    fn settings(change: impl FnOnce(&mut Settings)) -> Settings {
        let mut settings = Settings::load(PartialSettings::default(), None).expect("valid");
        change(&mut settings);
        settings
    }

    fn said(settings: &Settings) -> Vec<String> {
        let places = places(settings).expect("places");
        let words = |place: &Place| {
            let words = place.arguments.iter().map(|word| word.to_string_lossy().into_owned());
            words.collect::<Vec<_>>().join(" ")
        };
        places.iter().map(words).collect()
    }

    #[test]
    fn a_worker_is_given_what_the_autoscaler_was_given() {
        let own = ["lobar", "autoscale", "--store", "postgres://db/lobar"].map(OsString::from);
        let given = arguments(own.into_iter());
        assert_eq!(given[..4], ["run", "--roles", "worker", "--stop-at-eof"]);
        assert_eq!(given[4..], ["--store", "postgres://db/lobar"]);
    }

    #[test]
    fn each_place_has_its_gpu_and_its_own_address_and_the_last_word_holds() {
        let four = settings(|it| {
            it.scale_processes = "4".parse().ok();
            it.device = DeviceChoice::Cuda(2);
            it.metrics_listen = "127.0.0.1:9101".parse().ok();
        });
        let said = said(&four);
        assert_eq!(said.len(), 4);
        assert_eq!(said[3], "--device cuda:2 --metrics-listen 127.0.0.1:9105");
        let full = settings(|it| {
            it.scale_processes = "4".parse().ok();
            it.metrics_listen = "127.0.0.1:65532".parse().ok();
        });
        assert!(places(&full).expect_err("refused").to_string().contains("lower port"));
        use clap::Parser as _;
        let line = "lobar run --roles worker --device cpu --device cuda:2";
        let cli = crate::cli::Cli::try_parse_from(line.split(' ')).expect("read");
        let crate::cli::Command::Run { service, .. } = cli.command else { panic!("not run") };
        assert_eq!(service.given.device, Some(DeviceChoice::Cuda(2)));
    }

    #[test]
    fn on_a_cpu_there_is_a_place_for_every_two_cores_and_no_more_than_the_ceiling() {
        let cores = core_groups(1).expect("known").concat();
        let own = settings(|it| it.device = DeviceChoice::Cpu);
        let found = places(&own).expect("places");
        assert_eq!(found.len(), cores.len().div_ceil(2).min(10));
        let used = found.iter().map(|place| place.cores.len()).sum::<usize>();
        assert_eq!(used, cores.len(), "every core has its worker");
    }
}
