//! `lobar export`.

use lobar_console::outln;
use lobar_lab::export::{ExportOptions, Exported, Format, export};

use crate::cli;
use crate::failure::{Failure, chain};
use crate::model_file;

/// Writes a model in another form, checks it, and says how far its answers are from the network's.
pub fn run(args: &cli::Export) -> Result<(), Failure> {
    let model = model_file::find(args.model.as_ref())?;
    if args.half && args.format != Format::Safetensors {
        return Err(Failure::usage("only safetensors can be in half precision: leave out --half"));
    }
    let check = args.check || !args.no_check;
    let options = ExportOptions { format: args.format, half: args.half, check };
    let exported = export(&model, &args.out, &options).map_err(|e| Failure::failed(chain(&e)))?;
    print(args, &exported);
    Ok(())
}

fn print(args: &cli::Export, exported: &Exported) {
    let Exported { version, bytes, difference, tolerance } = exported;
    let megabytes = *bytes as f64 / 1e6;
    outln!("{}: model {version}, {megabytes:.1} MB", args.out.display());
    match difference {
        Some(found) => outln!(
            "largest difference in probability on the golden pictures: {found:.1e} (allowed: {tolerance:.0e})"
        ),
        None => outln!("not checked, because of --no-check"),
    }
}
