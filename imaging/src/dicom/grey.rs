//! The samples of a frame to its grey picture: modality values, window, inversion.

use dicom_dictionary_std::tags;
use lobar_core::image::Reason;

use super::codec::{Frame, Samples};
use super::data_set::DataSet;
use super::layout::{Layout, Photometric};
use super::tag::named;
use super::values::Values;
use super::window::Window;
use crate::memory::Reserved;
use crate::{Rejection, Voi};

/// The refusal of what is in colour.
pub(super) fn coloured() -> Rejection {
    let detail = format!("{}: the picture is in colour.", named(tags::PHOTOMETRIC_INTERPRETATION));
    Rejection::new(Reason::ColourPhotograph, detail)
}

/// 8-bit grey, high values bright, for the network and for people alike, with the memory that the frame was given.
///
/// A sample has 16 bits at most, so all that is done to it is done once for each number that occurs, and the picture is
/// looked up in the table of results. `asked`: the window, in place of what the file says and holds.
pub(super) fn picture(
    data_set: &DataSet<'_>,
    layout: &Layout,
    frame: Frame,
    asked: Option<&Voi>,
) -> Result<(Vec<u8>, Reserved), Rejection> {
    let layout = Layout { signed: frame.signed.unwrap_or(layout.signed), ..*layout };
    let samples = single(frame.samples, frame.channels, &layout)?;
    let counts = samples.counts();
    let values = Values::of(data_set, &layout)?;
    // The value of each sample that occurs and is not padding, with how often it does.
    let mut seen: Vec<(f32, u32)> = counts
        .iter()
        .enumerate()
        .filter(|(_, count)| **count > 0)
        .filter_map(|(sample, count)| Some((values.of_sample(sample as u16)?, *count)))
        .collect();
    seen.sort_by(|a, b| a.0.total_cmp(&b.0));
    let inverted = inverted(data_set, &layout);
    let window = match asked {
        Some(asked) => Window::Given(*asked),
        None => Window::of(data_set, &layout, &values, &seen, inverted)?,
    };
    let grey = |sample: u16| match values.of_sample(sample) {
        // Padding is black, as what surrounds a film is.
        None => 0,
        Some(value) if inverted => 255 - window.grey(value),
        Some(value) => window.grey(value),
    };
    let table: Vec<u8> =
        (0..counts.len()).map(|i| if counts[i] > 0 { grey(i as u16) } else { 0 }).collect();
    let pixels = match samples {
        Samples::Eight(mut samples) => {
            samples.iter_mut().for_each(|sample| *sample = table[usize::from(*sample)]);
            samples
        }
        Samples::Sixteen(samples) => {
            samples.into_iter().map(|sample| table[usize::from(sample)]).collect()
        }
    };
    Ok((pixels, frame.reserved))
}

/// Whether low values are bright. Both attributes say the same of an image (PS3.3, C.8.11.3.1.2): one is enough, and two
/// do not invert it twice.
pub(super) fn inverted(data_set: &DataSet<'_>, layout: &Layout) -> bool {
    layout.photometric == Photometric::Monochrome1
        || data_set.word(tags::PRESENTATION_LUT_SHAPE) == Some("INVERSE")
}

/// One sample a pixel. Three are read where they are equal: grey that was stored as colour.
pub(super) fn single(
    samples: Samples,
    channels: usize,
    layout: &Layout,
) -> Result<Samples, Rejection> {
    if channels == 1 {
        return Ok(samples);
    }
    // Luma, and no difference of colour.
    let middle = 1u16 << (layout.stored - 1);
    let ybr = layout.photometric == Photometric::Ybr;
    let grey = |pixel: [u16; 3]| {
        let [first, second, third] = pixel;
        first == second && second == third || ybr && second == middle && third == middle
    };
    match samples {
        Samples::Eight(samples) => {
            let mut pixels = samples.chunks_exact(3);
            if !pixels.clone().all(|p| grey([p[0].into(), p[1].into(), p[2].into()])) {
                return Err(coloured());
            }
            Ok(Samples::Eight(pixels.by_ref().map(|p| p[0]).collect()))
        }
        Samples::Sixteen(samples) => {
            let mut pixels = samples.chunks_exact(3);
            if !pixels.clone().all(|p| grey([p[0], p[1], p[2]])) {
                return Err(coloured());
            }
            Ok(Samples::Sixteen(pixels.by_ref().map(|p| p[0]).collect()))
        }
    }
}
