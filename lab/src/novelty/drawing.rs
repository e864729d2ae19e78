//! Pictures that are no X-rays: drawn, nobody's, the same on every machine.

use std::f32::consts::TAU;

/// What is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drawing {
    /// One even grey.
    Blank,
    /// Five times as wide as high.
    Banner,
    /// Every pixel by chance.
    Noise,
    /// Clouds: noise of many sizes.
    Clouds,
    /// From dark to bright, straight or round.
    Gradient,
    /// Squares of two greys.
    Checkerboard,
    /// Stripes of any direction.
    Stripes,
    /// A page of writing.
    Page,
    /// A face.
    Face,
    /// A slice through a body, as of a CT.
    Slice,
    /// Two bones in a limb.
    Limb,
}

impl Drawing {
    /// All of them; the first two are what the gate's rules are for.
    pub const ALL: [Self; 11] = [
        Self::Blank,
        Self::Banner,
        Self::Noise,
        Self::Clouds,
        Self::Gradient,
        Self::Checkerboard,
        Self::Stripes,
        Self::Page,
        Self::Face,
        Self::Slice,
        Self::Limb,
    ];

    /// Its name in a table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Blank => "an even grey",
            Self::Banner => "a banner, 5 to 1",
            Self::Noise => "noise",
            Self::Clouds => "clouds",
            Self::Gradient => "a gradient",
            Self::Checkerboard => "a checkerboard",
            Self::Stripes => "stripes",
            Self::Page => "a page of writing",
            Self::Face => "a drawn face",
            Self::Slice => "a drawn CT slice",
            Self::Limb => "a drawn limb",
        }
    }

    /// Width and height in pixels.
    #[must_use]
    pub fn size(self) -> (u32, u32) {
        match self {
            Self::Banner => (1280, 256),
            _ => (320, 320),
        }
    }

    /// The picture's grey levels, row by row; `which` makes another of its kind.
    #[must_use]
    pub fn draw(self, which: u32) -> Vec<u8> {
        let (width, height) = self.size();
        let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        pixels
            .map(|(x, y)| {
                let (u, v) = (x as f32 / width as f32, y as f32 / height as f32);
                self.grey(x as usize, y as usize, u, v, which).clamp(0.0, 255.0) as u8
            })
            .collect()
    }

    /// The grey at pixel `x`, `y`, which is `u` of the width and `v` of the height.
    fn grey(self, x: usize, y: usize, u: f32, v: f32, which: u32) -> f32 {
        // 0 to 1, another for each purpose.
        let chance = |purpose: usize| f32::from(hash(purpose, 0, which)) / 255.0;
        let (dark, bright) = (60.0 * chance(0), 255.0 - 60.0 * chance(1));
        let grain = f32::from(hash(x, y, which)) / 32.0;
        let ellipse = |cx: f32, cy: f32, rx: f32, ry: f32| {
            1.0 - ((u - cx) / rx).powi(2) - ((v - cy) / ry).powi(2)
        };
        let either = |yes: bool| if yes { bright } else { dark };
        match self {
            Self::Blank => 100.0 + f32::from(hash(x, y, which) % 3),
            Self::Banner => clouds(u * 5.0, v, which),
            Self::Noise => f32::from(hash(x, y, which)),
            Self::Clouds => clouds(u, v, which),
            Self::Gradient => {
                let turn = TAU * chance(2);
                let straight = 0.5 + (u - 0.5) * turn.cos() + (v - 0.5) * turn.sin();
                let round = 2.0 * (u - chance(3)).hypot(v - chance(4));
                dark + (bright - dark)
                    * if which.is_multiple_of(2) { straight } else { 1.0 - round }
            }
            Self::Checkerboard => {
                let squares = 4.0 + 12.0 * chance(2);
                either(((u * squares) as i32 + (v * squares) as i32) % 2 == 0)
            }
            Self::Stripes => {
                let (turn, number) = (TAU * chance(2), 5.0 + 20.0 * chance(3));
                either(((u * turn.cos() + v * turn.sin()) * number).rem_euclid(1.0) < 0.5)
            }
            Self::Page => {
                let (line, place) = ((v * 28.0) as usize, (u * 70.0) as usize);
                let on_line = (v * 28.0).fract() < 0.55 && line > 1 && line < 26;
                let word = hash(place / 5, line, which) > 60 && hash(place, line, which) > 70;
                either(!(on_line && word && u > 0.08 && u < 0.93))
            }
            Self::Face => {
                let sway = 0.05 * (chance(2) - 0.5);
                let eye = ellipse(0.38 + sway, 0.42, 0.05, 0.03).max(ellipse(
                    0.62 + sway,
                    0.42,
                    0.05,
                    0.03,
                ));
                let mouth = ellipse(0.5 + sway, 0.66, 0.13, 0.04);
                let hair = ellipse(0.5, 0.3, 0.36, 0.3) > 0.0 && v < 0.28 + 0.05 * chance(3);
                let skin = ellipse(0.5, 0.5, 0.3, 0.4);
                grain
                    + match () {
                        () if eye > 0.0 || mouth > 0.0 => 40.0 + dark,
                        () if hair => 30.0 + dark,
                        () if skin > 0.0 => 130.0 + 70.0 * skin * chance(4).max(0.4),
                        () => 70.0 + 120.0 * chance(5),
                    }
            }
            Self::Slice => {
                let body = ellipse(0.5, 0.5, 0.42 + 0.04 * chance(2), 0.3 + 0.05 * chance(3));
                let lung = ellipse(0.32, 0.47, 0.13, 0.19).max(ellipse(0.68, 0.47, 0.13, 0.19));
                let bone = ellipse(0.5, 0.7, 0.06, 0.06);
                let heart = ellipse(0.53, 0.42, 0.1, 0.1);
                grain
                    + match () {
                        () if bone > 0.0 => 235.0,
                        () if heart > 0.0 => 150.0,
                        () if lung > 0.0 => 25.0 + 30.0 * chance(4),
                        () if body > 0.08 => 130.0,
                        () if body > 0.0 => 90.0,
                        () => 2.0,
                    }
            }
            Self::Limb => {
                let bend = 0.1 * (chance(2) - 0.5) * (v - 0.5);
                let across = |centre: f32, half: f32| 1.0 - ((u - centre - bend) / half).powi(2);
                let shaft = across(0.42, 0.06).max(across(0.6, 0.04));
                let flesh = across(0.5, 0.26 + 0.05 * chance(3));
                grain
                    + match () {
                        () if shaft > 0.0 => 150.0 + 70.0 * (1.0 - shaft),
                        () if flesh > 0.0 => 60.0 + 40.0 * flesh,
                        () => 8.0,
                    }
            }
        }
    }
}

/// Value noise in six sizes, each half as large and half as strong as the one before.
fn clouds(u: f32, v: f32, which: u32) -> f32 {
    let smooth = |t: f32| t * t * (3.0 - 2.0 * t);
    let mut level = 0.0;
    for size in 0..6u32 {
        let cells = (3 << size) as f32;
        let (x, y) = (u * cells, v * cells);
        let corner = |dx: usize, dy: usize| {
            f32::from(hash(x as usize + dx, y as usize + dy, which.wrapping_mul(31) + size))
        };
        let (s, t) = (smooth(x.fract()), smooth(y.fract()));
        let top = corner(0, 0) * (1.0 - s) + corner(1, 0) * s;
        let bottom = corner(0, 1) * (1.0 - s) + corner(1, 1) * s;
        level += (top * (1.0 - t) + bottom * t) / (2 << size) as f32;
    }
    level
}

/// An integer hash as a grey level.
pub(super) fn hash(x: usize, y: usize, salt: u32) -> u8 {
    let mut h = (x as u32).wrapping_mul(0x9E37_79B1)
        ^ (y as u32).wrapping_mul(0x85EB_CA77)
        ^ salt.wrapping_mul(0xC2B2_AE3D);
    h = (h ^ (h >> 15)).wrapping_mul(0x2C1B_3C6D);
    h = (h ^ (h >> 12)).wrapping_mul(0x297A_2D39);
    ((h ^ (h >> 15)) >> 24) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawings_of_one_kind_differ_and_fill_their_size() {
        for drawing in Drawing::ALL {
            let (width, height) = drawing.size();
            let [one, other] = [1, 2].map(|which| drawing.draw(which));
            assert_eq!(one.len(), (width * height) as usize, "{drawing:?}");
            assert_ne!(one, other, "{drawing:?}");
        }
    }
}
