//! A picture at its full resolution and depth, for a viewer that windows it itself.
//!
//! Samples are those that the file stores, after its modality transform and turned so that more is brighter, whatever the
//! photometric interpretation: a window in samples is all that is left to do (PS3.3, C.11.2). Nothing is measured in them
//! without [`Scale`], which leads back to the file's own numbers.

mod quantile;

use crate::RenderError;
pub(crate) use quantile::Spread;

/// Grey samples, row-major from the top left; more is brighter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Samples {
    /// Of a file with 8 bits or less.
    Eight(Vec<u8>),
    /// Of a file with more.
    Sixteen(Vec<u16>),
}

/// From samples to modality values: `value = sample × slope + intercept`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// Never zero. Negative where low values are bright.
    pub slope: f32,
    /// The value of sample 0.
    pub intercept: f32,
}

/// Where a window comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The file's own.
    File,
    /// What nearly all samples of this picture span.
    Spread,
    /// Its darker part: lungs.
    Dark,
    /// Its brighter part: mediastinum, bone.
    Bright,
    /// All that the samples can be.
    Range,
}

/// How samples become grey, 0 black to 1 white, clamped.
#[derive(Clone, Debug, PartialEq)]
pub enum Curve {
    /// `(sample - black) / (white - black)`; `black < white`.
    Linear {
        /// The sample that is just black.
        black: f32,
        /// The sample that is just white.
        white: f32,
    },
    /// `1 / (1 + exp(-4 (sample - center) / width))` (PS3.3, C.11.2.1.3.1).
    Sigmoid {
        /// The sample of middle grey.
        center: f32,
        /// Above zero.
        width: f32,
    },
    /// Grey of each sample from 0 on, 0 black to 255 white; the last goes on beyond the end. Never empty.
    Table(Vec<u8>),
}

/// A window to look through.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// Where it comes from.
    pub origin: Origin,
    /// What the file calls it.
    pub explanation: Option<String>,
    /// What it does.
    pub curve: Curve,
}

/// What a distance between pixels was measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plane {
    /// At the front of the detector: what lies before it is smaller than it measures.
    Detector,
    /// Corrected to the patient by known geometry or by an object of known size.
    Patient,
    /// On a film that was scanned.
    Film,
    /// The file does not say.
    Unknown,
}

/// Distances between the centres of pixels, mm (PS3.3, 10.7).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spacing {
    /// Between rows.
    pub rows: f32,
    /// Between columns.
    pub columns: f32,
    /// Where they hold.
    pub plane: Plane,
    /// How many times larger the patient is on the detector, where the file estimates it.
    pub magnification: Option<f32>,
}

/// See the module's documentation.
#[derive(Clone, PartialEq)]
pub struct FullDepth {
    /// Pixels a row, upright as the file says.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `width × height` of them. What the file calls padding is 0.
    pub samples: Samples,
    /// The largest sample that is no mark on the film: 255, 4095, ….
    pub top: u16,
    /// Back to modality values.
    pub scale: Scale,
    /// Windows to choose from, the one of the picture for people first. Never empty.
    pub windows: Vec<Window>,
    /// Distances between pixels, where the file says them.
    pub spacing: Option<Spacing>,
    /// Whither rows and columns run in the patient, as letters of the standard: `L`, `F` (PS3.3, C.7.6.1.1.1).
    pub orientation: Option<[String; 2]>,
    /// The side of a paired part: `R`, `L`, `B` both, `U` unpaired.
    pub laterality: Option<char>,
}

impl std::fmt::Debug for FullDepth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FullDepth({}×{}, 0..={})", self.width, self.height, self.top)
    }
}

impl FullDepth {
    /// What is no DICOM file says nothing of itself but its grey, which was made for the eye: the whole range comes first.
    pub(crate) fn of_grey(width: u32, height: u32, samples: Samples, bits: u8) -> Self {
        let top = ((1u32 << bits.clamp(8, 16)) - 1) as u16;
        let mut windows = vec![Window::range(top)];
        windows.extend(Spread::of(&samples, 0).windows(true));
        let scale = Scale { slope: 1.0, intercept: 0.0 };
        let (spacing, orientation, laterality) = (None, None, None);
        Self { width, height, samples, top, scale, windows, spacing, orientation, laterality }
    }

    /// A grey PNG of 8 or 16 bits with `note` in an `iTXt` chunk of the keyword `Lobar`.
    ///
    /// # Errors
    /// Where the encoder has none to give; never for pixels that a decoder gave.
    pub fn png(&self, note: &str) -> Result<Vec<u8>, RenderError> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width, self.height);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_compression(png::Compression::Fast);
        // What is read back by pages: differences to the left are undone in one pass over a row.
        encoder.set_filter(png::Filter::Sub);
        encoder.add_itxt_chunk("Lobar".into(), note.into())?;
        match &self.samples {
            Samples::Eight(samples) => {
                encoder.set_depth(png::BitDepth::Eight);
                let mut writer = encoder.write_header()?;
                writer.write_image_data(samples)?;
                writer.finish()?;
            }
            Samples::Sixteen(samples) => {
                encoder.set_depth(png::BitDepth::Sixteen);
                let mut writer = encoder.write_header()?;
                let mut stream = writer.stream_writer()?;
                // Rows at a time: the whole picture is in memory once, and not twice.
                let mut row = Vec::with_capacity(self.width as usize * 2);
                for samples in samples.chunks(self.width.max(1) as usize) {
                    row.clear();
                    row.extend(samples.iter().flat_map(|sample| sample.to_be_bytes()));
                    std::io::Write::write_all(&mut stream, &row)
                        .map_err(png::EncodingError::from)?;
                }
                stream.finish()?;
                writer.finish()?;
            }
        }
        Ok(bytes)
    }
}

impl Window {
    pub(crate) fn range(top: u16) -> Self {
        let curve = Curve::Linear { black: 0.0, white: f32::from(top) };
        Self { origin: Origin::Range, explanation: None, curve }
    }
}

impl Samples {
    /// How often each sample occurs, from 0 on.
    pub(crate) fn counts(&self) -> Vec<u32> {
        let mut counts;
        match self {
            Samples::Eight(samples) => {
                counts = vec![0; 1 << 8];
                samples.iter().for_each(|sample| counts[usize::from(*sample)] += 1);
            }
            Samples::Sixteen(samples) => {
                counts = vec![0; 1 << 16];
                samples.iter().for_each(|sample| counts[usize::from(*sample)] += 1);
            }
        }
        counts
    }
}
