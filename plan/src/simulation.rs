//! The simulation: what happens next, until all is done.

mod agenda;

use std::collections::VecDeque;
use std::time::Duration;

use lobar_core::image::{Lane, Lanes};
use lobar_core::scaling::{Load, Throughput};
use lobar_core::time::Stamp;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::WorkerModel;
use crate::arrivals::Arrival;
use crate::fleet::Fleet;
use crate::sizing::{Seen, Sizing};
use agenda::{Agenda, Event};

const SECOND: Duration = Duration::from_secs(1);
/// After so long a plan is given up: nobody works any more, or workers are lost before they have finished anything.
const GIVEN_UP: Duration = Duration::from_secs(7 * 86_400);

/// One second of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Images that have arrived and are not finished.
    pub unfinished: u64,
    /// Workers that take work.
    pub running: u32,
    /// Workers that there should be.
    pub wanted: u32,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// From an image's arrival to its result, in no order.
    pub waits: Lanes<Vec<Duration>>,
    /// Second by second.
    pub samples: Vec<Sample>,
    /// When the last image was finished.
    pub finished: Stamp,
    /// Images that were never finished.
    pub unfinished: u64,
    /// Workers at once, those that start or drain counted.
    pub most: u32,
    /// Seconds of all workers, from the decision to start each until it ended.
    pub worker_seconds: f64,
    /// Workers that were lost.
    pub lost: u32,
}

/// Runs `arrivals`, which are in order, until all of them are finished, `until` is over and no more than the fewest workers
/// are there.
pub fn simulate(
    arrivals: &[Arrival],
    worker: &WorkerModel,
    sizing: &mut dyn Sizing,
    until: Duration,
    seed: u64,
) -> Run {
    let mut simulation = Simulation::new(arrivals, worker, seed);
    simulation.begin(sizing.floor());
    let last = arrivals.last().map_or(Stamp(0), |arrival| arrival.at);
    let end = last.max(Stamp(0).plus(until));
    loop {
        let due = simulation.agenda.next();
        if let Some(arrival) = arrivals.get(simulation.come).filter(|arrival| arrival.at <= due) {
            simulation.now = arrival.at;
            simulation.arrive(arrival.lane);
            continue;
        }
        let (now, event) = simulation.agenda.pop();
        simulation.now = now;
        match event {
            Event::Look => {
                simulation.look(sizing);
                let at_rest = simulation.fleet.there() <= sizing.floor() as usize;
                let done = simulation.unfinished() == 0 && at_rest;
                if now >= end && (done || now >= end.plus(GIVEN_UP)) {
                    return simulation.end();
                }
            }
            Event::Ready(id) => simulation.ready(id),
            Event::Computed(id) => simulation.computed(id),
            Event::Lost(id) => simulation.lose(id),
            Event::LeaseLapsed(image) => simulation.wait(image, true),
        }
    }
}

struct Simulation<'a> {
    arrivals: &'a [Arrival],
    model: &'a WorkerModel,
    random: StdRng,
    now: Stamp,
    agenda: Agenda,
    fleet: Fleet,
    /// Images that have come.
    come: usize,
    /// Those of them that no worker has in hand.
    waiting: Lanes<VecDeque<usize>>,
    of_lane: Lanes<u64>,
    arriving: Throughput,
    run: Run,
}

impl<'a> Simulation<'a> {
    fn new(arrivals: &'a [Arrival], model: &'a WorkerModel, seed: u64) -> Self {
        let (finished, waits) = (Stamp(0), Lanes::default());
        let (unfinished, most, worker_seconds, lost) = (0, 0, 0.0, 0);
        let samples = Vec::new();
        Self {
            arrivals,
            model,
            random: StdRng::seed_from_u64(seed),
            now: Stamp(0),
            agenda: Agenda::new(),
            fleet: Fleet::new(model.in_hand),
            come: 0,
            waiting: Lanes::default(),
            of_lane: Lanes::default(),
            arriving: Throughput::default(),
            run: Run { waits, samples, finished, unfinished, most, worker_seconds, lost },
        }
    }

    /// The fewest workers are there and have worked before.
    fn begin(&mut self, floor: u32) {
        for _ in 0..floor {
            let id = self.start(true);
            self.ready(id);
        }
        self.agenda.put(self.now, Event::Look);
    }

    fn start(&mut self, worked: bool) -> usize {
        let id = self.fleet.start(self.now, worked);
        if self.model.losses > 0.0 {
            let hours = -(1.0 - self.random.random::<f64>()).ln() / self.model.losses;
            let life = Duration::from_secs_f64((hours * 3_600.0).min(1e9));
            self.agenda.put(self.now.plus(life), Event::Lost(id));
        }
        id
    }

    fn look(&mut self, sizing: &mut dyn Sizing) {
        let ready = (self.waiting.stat.len() + self.waiting.routine.len()) as u64;
        let capacity = self.fleet.has_worked().then(|| {
            let running = f64::from(self.fleet.running);
            (self.model.rate * running).min(self.model.together.unwrap_or(f64::INFINITY))
        });
        let load = Load {
            unfinished: self.of_lane,
            uploads: 0,
            arrivals: self.arriving.lately(self.now),
            capacity,
            workers: Some(self.fleet.running),
        };
        let wanted = sizing.wanted(&Seen { now: self.now, load, ready });
        let there = self.fleet.running + self.fleet.starting;
        for _ in there..wanted {
            let id = self.start(false);
            self.agenda.put(self.now.plus(self.model.start_up), Event::Ready(id));
        }
        for _ in wanted..there {
            self.fleet.stop(self.now);
        }
        self.run.most = self.run.most.max(u32::try_from(self.fleet.there()).unwrap_or(u32::MAX));
        let (unfinished, running) = (self.unfinished(), self.fleet.running);
        self.run.samples.push(Sample { unfinished, running, wanted });
        self.agenda.put(self.now.plus(SECOND), Event::Look);
    }

    fn arrive(&mut self, lane: Lane) {
        self.arriving.count(1, self.now);
        *self.of_lane.of_mut(lane) += 1;
        let image = self.come;
        self.come += 1;
        self.wait(image, false);
    }

    /// An image goes to a worker, or waits: behind the others, or in `front` when a lost worker had it.
    fn wait(&mut self, image: usize, front: bool) {
        let lane = self.arrivals[image].lane;
        // Where any waits nobody has room.
        let crowded = !(self.waiting.stat.is_empty() && self.waiting.routine.is_empty());
        match self.fleet.roomiest().filter(|_| !crowded) {
            Some(id) => {
                self.fleet.take(id, image, lane);
                self.compute(id);
            }
            None if front => self.waiting.of_mut(lane).push_front(image),
            None => self.waiting.of_mut(lane).push_back(image),
        }
    }

    fn ready(&mut self, id: usize) {
        if self.fleet.ready(id) {
            self.fill(id);
        }
    }

    /// It takes what waits, urgent images first, and works.
    fn fill(&mut self, id: usize) {
        while self.fleet.has_room(id) {
            let Lanes { stat, routine } = &mut self.waiting;
            let Some(image) = stat.pop_front().or_else(|| routine.pop_front()) else { break };
            self.fleet.take(id, image, self.arrivals[image].lane);
        }
        self.compute(id);
    }

    fn compute(&mut self, id: usize) {
        if self.fleet.compute(id).is_some() {
            let share = self
                .model
                .together
                .map_or(f64::INFINITY, |together| together / self.fleet.computing as f64);
            let seconds = self.model.rate.min(share).recip();
            self.agenda.put(self.now.plus(Duration::from_secs_f64(seconds)), Event::Computed(id));
        }
    }

    fn computed(&mut self, id: usize) {
        if let Some(image) = self.fleet.computed(id, self.now) {
            let Arrival { at, lane } = self.arrivals[image];
            self.run.waits.of_mut(lane).push(self.now.since(at));
            *self.of_lane.of_mut(lane) -= 1;
            self.run.finished = self.now;
            self.fill(id);
        }
    }

    fn lose(&mut self, id: usize) {
        if let Some(held) = self.fleet.lose(id, self.now) {
            self.run.lost += 1;
            for image in held {
                self.agenda.put(self.now.plus(self.model.lease), Event::LeaseLapsed(image));
            }
        }
    }

    fn unfinished(&self) -> u64 {
        self.of_lane.stat + self.of_lane.routine
    }

    fn end(mut self) -> Run {
        self.run.unfinished = self.unfinished();
        self.run.worker_seconds = self.fleet.seconds(self.now);
        self.run
    }
}

#[cfg(test)]
mod tests;
