//! The picture of a DICOM file at its full depth, and what the file says of how it is looked at and measured.
//!
//! ```text
//! child    frame ─▶ stored values ─▶ places of modality values, more is brighter ─▶ Decoded
//! parent   Decoded + data set ─▶ windows, scale, spacing, orientation ─▶ FullDepth
//! ```
//!
//! A child gives samples and two facts that only decoding tells; all else is read from the data set by whoever asked.

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::codec::Frame;
use super::data_set::DataSet;
use super::grey;
use super::layout::Layout;
use super::text::Texts;
use super::values::{Lookup, Values};
use super::window;
use crate::Rejection;
use crate::full_depth::{Curve, FullDepth, Origin, Plane, Samples, Scale, Spacing, Spread, Window};
use crate::memory::Reserved;

/// Windows of a file that are kept.
const WINDOWS: usize = 8;
/// Spacings beyond these are none, mm.
const SPACINGS: std::ops::RangeInclusive<f32> = 0.001..=10.0;
/// Magnifications that can be.
const MAGNIFICATIONS: std::ops::RangeInclusive<f32> = 1.0..=10.0;

/// What decoding gives.
pub(crate) struct Decoded {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) samples: Samples,
    /// Whether stored values are signed, which a codec may say otherwise than the data set.
    pub(crate) signed: bool,
    /// Pixels of sample 0 that are padding.
    pub(crate) padding: u64,
}

/// The samples of a frame, with the memory that it was given.
pub(super) fn decoded(
    data_set: &DataSet<'_>,
    layout: &Layout,
    frame: Frame,
) -> Result<(Decoded, Reserved), Rejection> {
    let signed = frame.signed.unwrap_or(layout.signed);
    let layout = Layout { signed, ..*layout };
    let stored = grey::single(frame.samples, frame.channels, &layout)?;
    let values = Values::of(data_set, &layout)?;
    let places = Places::of(data_set, &layout, &values);
    let table = |count: usize| -> Vec<Option<u16>> {
        (0..count).map(|sample| places.of_sample(&values, sample as u16)).collect()
    };
    let mut padding = 0;
    let mut look = |place: Option<u16>| {
        padding += u64::from(place.is_none());
        place.unwrap_or(0)
    };
    let samples = match (stored, places.top > u16::from(u8::MAX)) {
        (Samples::Eight(samples), true) => {
            let table = table(1 << 8);
            let wide = samples.into_iter().map(|sample| look(table[usize::from(sample)]));
            Samples::Sixteen(wide.collect())
        }
        (Samples::Eight(mut samples), false) => {
            let table = table(1 << 8);
            samples.iter_mut().for_each(|sample| *sample = look(table[usize::from(*sample)]) as u8);
            Samples::Eight(samples)
        }
        (Samples::Sixteen(mut samples), true) => {
            let table = table(1 << 16);
            samples.iter_mut().for_each(|sample| *sample = look(table[usize::from(*sample)]));
            Samples::Sixteen(samples)
        }
        (Samples::Sixteen(samples), false) => {
            let table = table(1 << 16);
            let narrow = samples.into_iter().map(|sample| look(table[usize::from(sample)]) as u8);
            Samples::Eight(narrow.collect())
        }
    };
    let (width, height) = (layout.width, layout.height);
    Ok((Decoded { width, height, samples, signed, padding }, frame.reserved))
}

/// What was decoded, with what the data set says of it.
pub(super) fn complete(
    data_set: &DataSet<'_>,
    layout: &Layout,
    decoded: Decoded,
) -> Result<FullDepth, Rejection> {
    let layout = Layout { signed: decoded.signed, ..*layout };
    let values = Values::of(data_set, &layout)?;
    let places = Places::of(data_set, &layout, &values);
    let spread = Spread::of(&decoded.samples, decoded.padding);
    let windows = windows(data_set, &layout, &values, &places, &spread)?;
    Ok(FullDepth {
        width: decoded.width,
        height: decoded.height,
        samples: decoded.samples,
        top: places.top,
        scale: places.scale,
        windows,
        spacing: spacing(data_set),
        orientation: orientation(data_set),
        laterality: laterality(data_set),
    })
}

/// How modality values become samples that grow with brightness.
struct Places {
    turned: bool,
    inverted: bool,
    top: u16,
    scale: Scale,
}

impl Places {
    fn of(data_set: &DataSet<'_>, layout: &Layout, values: &Values) -> Self {
        let inverted = grey::inverted(data_set, layout);
        let (slope, intercept) = values.line();
        let top = values.top();
        let turned = (slope > 0.0) == inverted;
        let scale = match turned {
            true => Scale { slope: -slope, intercept: intercept + slope * f32::from(top) },
            false => Scale { slope, intercept },
        };
        Self { turned, inverted, top, scale }
    }

    fn of_sample(&self, values: &Values, sample: u16) -> Option<u16> {
        let place = values.place_of(sample)?;
        Some(if self.turned { self.top - place.min(self.top) } else { place })
    }

    /// The modality value of a sample.
    fn value(&self, sample: u16) -> f32 {
        f32::from(sample) * self.scale.slope + self.scale.intercept
    }

    /// Where a modality value lies among the samples, also between and beyond them.
    fn sample(&self, value: f32) -> f32 {
        (value - self.scale.intercept) / self.scale.slope
    }

    fn curve(&self, window: &window::Window) -> Curve {
        match window {
            window::Window::Linear(low, high) => {
                let ends = [self.sample(*low), self.sample(*high)];
                let black = ends[0].min(ends[1]);
                // One even value is black, as in the picture for people.
                Curve::Linear { black, white: ends[0].max(ends[1]).max(black + f32::EPSILON) }
            }
            window::Window::Given(voi) => match voi.ends() {
                Some((low, high)) => self.curve(&window::Window::Linear(low, high)),
                None => Curve::Sigmoid {
                    center: self.sample(voi.center()),
                    width: (voi.width() / self.scale.slope).abs(),
                },
            },
            table @ window::Window::Table(_) => {
                let grey = |sample| table.grey(self.value(sample));
                let turn = |grey: u8| if self.inverted { 255 - grey } else { grey };
                Curve::Table((0..=self.top).map(|sample| turn(grey(sample))).collect())
            }
        }
    }
}

/// The file's own, then those of what the samples span; the one that the picture for people is drawn with comes first.
fn windows(
    data_set: &DataSet<'_>,
    layout: &Layout,
    values: &Values,
    places: &Places,
    spread: &Spread,
) -> Result<Vec<Window>, Rejection> {
    let texts = Texts::of(data_set);
    let mut windows = Vec::new();
    let mut add = |origin, explanation, window: &window::Window| {
        windows.push(Window { origin, explanation, curve: places.curve(window) });
    };
    if let Some(item) = data_set.item(tags::VOILUT_SEQUENCE) {
        let table = window::Window::Table(Lookup::of(&item, values.range().0 < 0.0)?);
        add(Origin::File, texts.text(&item, tags::LUT_EXPLANATION), &table);
    }
    let mut names = texts.texts(data_set, tags::WINDOW_CENTER_WIDTH_EXPLANATION).into_iter();
    for given in window::Window::all_given(data_set).take(WINDOWS) {
        let name = names.next().flatten();
        if let Some(window) = given {
            add(Origin::File, name, &window::Window::Given(window));
        }
    }
    let bright = layout.stored <= 8 && values.is_plain();
    let seen = || {
        let counts = spread.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        let mut seen: Vec<_> =
            counts.map(|(sample, count)| (places.value(sample as u16), *count)).collect();
        seen.sort_by(|a, b| a.0.total_cmp(&b.0));
        seen
    };
    let range = Window::range(places.top);
    if bright && windows.is_empty() {
        windows.push(range.clone());
        windows.extend(spread.windows(true));
        return Ok(windows);
    }
    let spanned = window::Window::spanned(&seen(), places.inverted);
    let curve = places.curve(&spanned);
    windows.push(Window { origin: Origin::Spread, explanation: None, curve });
    windows.extend(spread.windows(false));
    windows.push(range);
    Ok(windows)
}

fn spacing(data_set: &DataSet<'_>) -> Option<Spacing> {
    let pair = |tag: Tag| {
        let mut sides = data_set.decimals(tag);
        let (rows, columns) = (sides.next()??, sides.next()??);
        let fit = SPACINGS.contains(&rows) && SPACINGS.contains(&columns);
        fit.then_some((rows, columns))
    };
    let imager = pair(tags::IMAGER_PIXEL_SPACING);
    let calibrated = data_set.word(tags::PIXEL_SPACING_CALIBRATION_TYPE);
    let calibrated = matches!(calibrated, Some("GEOMETRY" | "FIDUCIAL"));
    let ((rows, columns), plane) = match (pair(tags::PIXEL_SPACING), imager) {
        // PS3.3, 10.7.1.3: one that differs from the detector's was corrected.
        (Some(own), Some(imager)) if own == imager && !calibrated => (imager, Plane::Detector),
        (Some(own), Some(_)) => (own, Plane::Patient),
        (Some(own), None) if calibrated => (own, Plane::Patient),
        (None, Some(imager)) => (imager, Plane::Detector),
        (own, None) => match (pair(tags::NOMINAL_SCANNED_PIXEL_SPACING), own) {
            (_, Some(own)) => (own, Plane::Unknown),
            (Some(scanned), None) => (scanned, Plane::Film),
            (None, None) => return None,
        },
    };
    let magnification = data_set.decimal(tags::ESTIMATED_RADIOGRAPHIC_MAGNIFICATION_FACTOR);
    let magnification = magnification.filter(|factor| MAGNIFICATIONS.contains(factor));
    Some(Spacing { rows, columns, plane, magnification })
}

fn orientation(data_set: &DataSet<'_>) -> Option<[String; 2]> {
    let mut words = data_set.words(tags::PATIENT_ORIENTATION).map(|word| {
        let known = word.chars().all(|letter| matches!(letter, 'A' | 'P' | 'R' | 'L' | 'F' | 'H'));
        ((1..=3).contains(&word.len()) && known).then(|| word.to_owned())
    });
    Some([words.next()??, words.next()??])
}

fn laterality(data_set: &DataSet<'_>) -> Option<char> {
    let word = [tags::IMAGE_LATERALITY, tags::LATERALITY].map(|tag| data_set.word(tag));
    let word = word.into_iter().flatten().next()?;
    let mut letters = word.chars();
    let letter = letters.next().filter(|letter| matches!(letter, 'R' | 'L' | 'B' | 'U'));
    letter.filter(|_| letters.next().is_none())
}
