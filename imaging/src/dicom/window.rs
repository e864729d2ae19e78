//! Modality values to grey (PS3.3, C.11.2): the file's lookup table, else its window, else what its values span.

use dicom_dictionary_std::tags;

use super::data_set::DataSet;
use super::layout::Layout;
use super::values::{Lookup, Values};
use crate::voi::level;
use crate::{Rejection, Voi, VoiFunction};

/// Where the file has no window: the values that these shares of all pixels lie below, and the greys that they become.
/// The greys are those of the same shares in the pictures that the network was trained on (`docs/adr/0029`). What lies
/// beyond, letters and the border of the plate, goes on in line until it is black or white.
const LOW: (f64, f32) = (0.005, 4.0);
const HIGH: (f64, f32) = (0.995, 208.0);

/// How a value becomes grey.
pub(super) enum Window {
    Table(Lookup),
    /// From black at the first to white at the second.
    Linear(f32, f32),
    /// That of the file, or one that was asked for.
    Given(Voi),
}

impl Window {
    /// The window of an image. `seen`: its values, sorted, with how often each occurs. `inverted`: whether its greys are
    /// inverted afterwards.
    pub(super) fn of(
        data_set: &DataSet<'_>,
        layout: &Layout,
        values: &Values,
        seen: &[(f32, u32)],
        inverted: bool,
    ) -> Result<Self, Rejection> {
        if let Some(item) = data_set.item(tags::VOILUT_SEQUENCE) {
            // Its numbers are signed where values below zero can be.
            return Ok(Window::Table(Lookup::of(&item, values.range().0 < 0.0)?));
        }
        if let Some(window) = Self::given(data_set) {
            return Ok(Window::Given(window));
        }
        // 8 bits were made for the eye, as those of a JPEG were.
        if layout.stored <= 8 && values.is_plain() {
            let (low, high) = values.range();
            return Ok(Window::Linear(low, high));
        }
        Ok(Self::spanned(seen, inverted))
    }

    /// The first Window Center and Width that can be one (C.11.2.1.2).
    fn given(data_set: &DataSet<'_>) -> Option<Voi> {
        Self::all_given(data_set).flatten().next()
    }

    /// Each Window Center and Width, in the order of the file; `None` for one that cannot be one.
    pub(super) fn all_given(data_set: &DataSet<'_>) -> impl Iterator<Item = Option<Voi>> {
        let centers = data_set.decimals(tags::WINDOW_CENTER);
        let pairs = centers.zip(data_set.decimals(tags::WINDOW_WIDTH));
        let function = match data_set.word(tags::VOILUT_FUNCTION) {
            Some("SIGMOID") => VoiFunction::Sigmoid,
            Some("LINEAR_EXACT") => VoiFunction::LinearExact,
            _ => VoiFunction::Linear,
        };
        // A linear one of one is a threshold: nothing of a film is left.
        let is_one = move |width: f32| match function {
            VoiFunction::Linear => width > 1.0,
            VoiFunction::LinearExact | VoiFunction::Sigmoid => width >= 1.0,
        };
        pairs.map(move |pair| {
            let (center, width) = (pair.0?, pair.1?);
            if is_one(width) { Voi::new(center, width, function) } else { None }
        })
    }

    pub(super) fn spanned(seen: &[(f32, u32)], inverted: bool) -> Self {
        let total: u64 = seen.iter().map(|(_, count)| u64::from(*count)).sum();
        let percentile = |share: f64| {
            let mut left = (total as f64 * share) as u64;
            let here = |(value, count): &(f32, u32)| {
                let found = left < u64::from(*count);
                left = left.saturating_sub((*count).into());
                found.then_some(*value)
            };
            seen.iter().find_map(here).or(seen.last().map(|(value, _)| *value)).unwrap_or(0.0)
        };
        let (low, high) = (percentile(LOW.0), percentile(HIGH.0));
        // The greys are meant as they are seen.
        let [dark, bright] =
            if inverted { [255.0 - HIGH.1, 255.0 - LOW.1] } else { [LOW.1, HIGH.1] };
        let grey = (high - low) / (bright - dark);
        Window::Linear(low - grey * dark, low + grey * (255.0 - dark))
    }

    /// Grey, 0 black to 255 white, before any inversion.
    pub(super) fn grey(&self, value: f32) -> u8 {
        let share = match self {
            Window::Table(table) => f32::from(table.entry(value)) / f32::from(table.top().max(1)),
            // One even value.
            Window::Linear(low, high) if high <= low => 0.0,
            Window::Linear(low, high) => (value - low) / (high - low),
            Window::Given(window) => window.share(value),
        };
        level(share)
    }
}
