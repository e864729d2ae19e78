//! `train DATA OUT [STAGES] [THREADS] [RATE] [INIT]`, until the command line has it.
#![allow(clippy::print_stdout)]

use lobar_model::training::{TrainOptions, train};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [data, out, rest @ ..] = &arguments[..] else {
        return Err("train DATA OUT [SIDE:EPOCHS,...] [THREADS]".into());
    };
    let mut options = TrainOptions::new(data, out);
    if let Some(stages) = rest.first() {
        options.stages = stages.split(',').map(str::parse).collect::<Result<_, _>>()?;
    }
    if let Some(threads) = rest.get(1) {
        options.threads = threads.parse()?;
    }
    if let [_, _, rate, init] = rest {
        options.rate = rate.parse()?;
        options.init = Some(init.into());
    }
    let report = train(&options, |epoch| println!("{epoch}"))?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}
