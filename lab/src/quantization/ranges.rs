//! Choosing the ranges of the trunk's activations on training images: of those between three tenths and the
//! whole of what was seen, the one whose rounding errors have the least mean square. A few large values
//! then saturate, and all others are finer.

use lobar_core::engine::NetworkInput;
use lobar_model::engine::folded::Trunk;
use lobar_model::engine::input::GreyTable;
use lobar_model::engine::int8::{Ranges, Scale};
use tch::{Device, Kind, TchError, Tensor};

/// Shares of the whole range that are tried.
const SHARES: [f64; 7] = [1.0, 0.85, 0.7, 0.6, 0.5, 0.4, 0.3];
/// So many rows of a map stand for all when rounding errors are compared. Never a part of the channels:
/// those of large values are few.
const ROWS: i64 = 8;
/// Images whose activations are held at once.
const BATCH: usize = 8;

/// The ranges of `trunk`, fp32 on the CPU, on these images.
pub(super) fn observe(trunk: &Trunk, images: &[NetworkInput]) -> Result<Ranges, TchError> {
    let _no_grad = tch::no_grad_guard();
    let table = GreyTable::new(Kind::Float, Device::Cpu)?;
    let mut seen: Vec<[f64; 2]> = Vec::new();
    watch(trunk, &table, images, &mut |index, map| {
        let (low, high) = (map.f_min()?, map.f_max()?);
        let (low, high) = (low.f_double_value(&[])?, high.f_double_value(&[])?);
        match seen.get_mut(index) {
            Some(range) => *range = [range[0].min(low), range[1].max(high)],
            None => seen.push([low, high]),
        }
        Ok(())
    })?;
    let mut errors = vec![[0.0; SHARES.len()]; seen.len()];
    watch(trunk, &table, images, &mut |index, map| {
        let every = (map.size4()?.2 / ROWS).max(1);
        let map = map.f_slice(2, 0, i64::MAX, every)?.f_contiguous()?;
        for (error, share) in errors[index].iter_mut().zip(SHARES) {
            let Scale { step, zero } = Scale::of(seen[index].map(|end| end * share));
            let rounded = map.f_fake_quantize_per_tensor_affine(step, zero, 0, 255)?;
            *error += rounded.f_sub(&map)?.f_square()?.f_mean(Kind::Double)?.f_double_value(&[])?;
        }
        Ok(())
    })?;
    let best = |errors: &[f64; SHARES.len()]| {
        let pairs = errors.iter().zip(SHARES);
        pairs.min_by(|a, b| a.0.total_cmp(b.0)).map_or(1.0, |(_, share)| share)
    };
    let ranges = seen.iter().zip(&errors).map(|(range, e)| range.map(|end| end * best(e)));
    Ok(Ranges::new(ranges.collect()))
}

/// Shows every activation of every batch to `see`, with its place in the order of [`Ranges`].
fn watch(
    trunk: &Trunk,
    table: &GreyTable,
    images: &[NetworkInput],
    see: &mut dyn FnMut(usize, &Tensor) -> Result<(), TchError>,
) -> Result<(), TchError> {
    for batch in images.chunks(BATCH) {
        let mut index = 0;
        let _ = trunk.forward_watched(&table.batch(batch)?, &mut |map| {
            see(index, map)?;
            index += 1;
            Ok(())
        })?;
    }
    Ok(())
}
