//! A window that somebody asks for, in place of the file's own (PS3.3, C.11.2.1.2 and C.11.2.1.3).

/// How values become grey between black and white: VOI LUT Function (0028,1056).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoiFunction {
    /// From `center - 0.5 - (width - 1) / 2` to `center - 0.5 + (width - 1) / 2`.
    Linear,
    /// From `center - width / 2` to `center + width / 2`.
    LinearExact,
    /// A sigmoid curve.
    Sigmoid,
}

/// A window: of the modality values of a DICOM file, that is after rescale or modality lookup table, and of the grey
/// values, 0 to 255, of other files.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Voi {
    center: f32,
    width: f32,
    function: VoiFunction,
}

impl Voi {
    /// `None` where a number is infinite or none, and where the width is not one of the function: a linear one is 1 at
    /// least, others are above zero.
    pub fn new(center: f32, width: f32, function: VoiFunction) -> Option<Self> {
        let is_one = match function {
            VoiFunction::Linear => width >= 1.0,
            VoiFunction::LinearExact | VoiFunction::Sigmoid => width > 0.0,
        };
        (center.is_finite() && width.is_finite() && is_one).then_some(Self {
            center,
            width,
            function,
        })
    }

    pub(crate) fn center(&self) -> f32 {
        self.center
    }

    pub(crate) fn width(&self) -> f32 {
        self.width
    }

    pub(crate) fn function(&self) -> VoiFunction {
        self.function
    }

    /// The values that are black and white; `None` for a curve, which has no such ends.
    pub(crate) fn ends(&self) -> Option<(f32, f32)> {
        self.exact_ends().map(|(low, high)| (low as f32, high as f32))
    }

    /// In numbers that the largest window does not leave.
    fn exact_ends(&self) -> Option<(f64, f64)> {
        let Self { center, width, function } = *self;
        let (center, width) = (f64::from(center), f64::from(width));
        let (center, half) = match function {
            VoiFunction::Linear => (center - 0.5, (width - 1.0) / 2.0),
            VoiFunction::LinearExact => (center, width / 2.0),
            VoiFunction::Sigmoid => return None,
        };
        Some((center - half, center + half))
    }

    /// How bright a value is, from 0 black to 1 white; beyond these where it lies outside the window.
    pub(crate) fn share(&self, value: f32) -> f32 {
        let Some((low, high)) = self.exact_ends() else {
            return 1.0 / (1.0 + (-4.0 * (value - self.center) / self.width).exp());
        };
        let value = f64::from(value);
        // A width of one is a threshold.
        if high <= low {
            return if value > high { 1.0 } else { 0.0 };
        }
        ((value - low) / (high - low)) as f32
    }

    /// Puts the window on grey values.
    pub(crate) fn apply(&self, pixels: &mut [u8]) {
        let table: Vec<u8> = (0..=u8::MAX).map(|grey| level(self.share(f32::from(grey)))).collect();
        pixels.iter_mut().for_each(|pixel| *pixel = table[usize::from(*pixel)]);
    }
}

/// Grey of a share of white: rounds; saturates; a number that is none is black.
pub(crate) fn level(share: f32) -> u8 {
    (share * 255.0 + 0.5) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(center: f32, width: f32, function: VoiFunction, value: f32) -> u8 {
        level(Voi::new(center, width, function).expect("a window").share(value))
    }

    #[test]
    fn windows_are_those_of_the_standard() {
        use VoiFunction::*;
        // PS3.3, C.11.2.1.2.1: center 2048 and width 4096 are all values of 12 bits.
        assert_eq!(
            [0.0, 2047.5, 4095.0].map(|value| grey(2048.0, 4096.0, Linear, value)),
            [0, 128, 255]
        );
        // The same: width 1 shows what is above -0.5 white.
        assert_eq!([-0.5, 0.0].map(|value| grey(0.0, 1.0, Linear, value)), [0, 255]);
        assert_eq!(
            [0.0, 128.0, 256.0].map(|value| grey(128.0, 256.0, LinearExact, value)),
            [0, 128, 255]
        );
        assert_eq!(grey(100.0, 40.0, Sigmoid, 100.0), 128);
        assert_eq!(grey(100.0, 40.0, Sigmoid, 110.0), 186);
        assert_eq!([-1e9, 1e9].map(|value| grey(100.0, 40.0, Sigmoid, value)), [0, 255]);
    }

    #[test]
    fn what_is_no_window_is_none() {
        use VoiFunction::*;
        for (center, width, function) in [
            (f32::NAN, 1.0, Linear),
            (0.0, f32::NAN, Linear),
            (f32::INFINITY, 1.0, Linear),
            (0.0, f32::INFINITY, Sigmoid),
            (0.0, 0.0, Sigmoid),
            (0.0, 0.0, LinearExact),
            (0.0, -400.0, LinearExact),
            (0.0, 0.5, Linear),
        ] {
            assert!(Voi::new(center, width, function).is_none(), "{center} {width} {function:?}");
        }
        // The largest numbers there are make no panic and no number that is none.
        let widest = Voi::new(f32::MAX, f32::MAX, Linear).expect("a window");
        assert!(!widest.share(f32::MIN).is_nan());
    }
}
