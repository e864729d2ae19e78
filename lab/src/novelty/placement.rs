//! A film on a ground: smaller or larger, moved, turned.

/// Pixels a side.
const SIDE: usize = lobar_core::engine::NetworkInput::SIDE;

/// Where a film of 224 × 224 grey levels comes to lie on a square of that size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Placement {
    /// What the film takes of the square's width; above 1, its edges are cut off.
    pub(super) width: f32,
    /// The same of the height.
    pub(super) height: f32,
    /// Where the film's centre lies, in shares of the side from the square's: right and down.
    pub(super) shift: (f32, f32),
    /// Turned clockwise around its centre by so many degrees.
    pub(super) turn: f32,
    /// The grey around it.
    pub(super) ground: u8,
}

impl Placement {
    /// The film as it is.
    pub(super) const WHOLE: Self =
        Self { width: 1.0, height: 1.0, shift: (0.0, 0.0), turn: 0.0, ground: 0 };

    /// With a border on every side, `border` of the film's width and height wide.
    pub(super) fn padded(border: f32, ground: u8) -> Self {
        let share = 1.0 / (1.0 + 2.0 * border);
        Self { width: share, height: share, ground, ..Self::WHOLE }
    }

    /// A film whose original was `aspect` times as wide as high, made a square by bars above and below,
    /// or beside it where it was higher than wide.
    pub(super) fn letterboxed(aspect: f32, ground: u8) -> Self {
        Self { width: aspect.min(1.0), height: aspect.recip().min(1.0), ground, ..Self::WHOLE }
    }

    /// Turned clockwise, its corners cut off.
    pub(super) fn turned(degrees: f32, ground: u8) -> Self {
        Self { turn: degrees, ground, ..Self::WHOLE }
    }

    /// `film`, 224 × 224 grey levels, so placed: bilinear, with antialiasing where it becomes smaller.
    pub(super) fn apply(self, film: &[u8]) -> Vec<u8> {
        let across = |share: f32| ((share * SIDE as f32).round() as usize).max(1);
        let (width, height) = (across(self.width), across(self.height));
        let full = (SIDE as u32, SIDE as u32);
        let Some(film) = lobar_imaging::resize(film, full, (width as u32, height as u32)) else {
            return vec![self.ground; SIDE * SIDE];
        };
        let grey = |x: i64, y: i64| match (usize::try_from(x), usize::try_from(y)) {
            (Ok(x), Ok(y)) if x < width && y < height => f32::from(film[y * width + x]),
            _ => f32::from(self.ground),
        };
        let (sin, cos) = self.turn.to_radians().sin_cos();
        let centre = |shift: f32| (SIDE as f32 - 1.0) / 2.0 + shift * SIDE as f32;
        let (cx, cy) = (centre(self.shift.0), centre(self.shift.1));
        let of_film = ((width as f32 - 1.0) / 2.0, (height as f32 - 1.0) / 2.0);
        let at = |index: usize| {
            let (dx, dy) = ((index % SIDE) as f32 - cx, (index / SIDE) as f32 - cy);
            let (x, y) = (cos * dx + sin * dy + of_film.0, cos * dy - sin * dx + of_film.1);
            let (right, down) = (x - x.floor(), y - y.floor());
            let (left, top) = (x.floor() as i64, y.floor() as i64);
            let above = grey(left, top) * (1.0 - right) + grey(left + 1, top) * right;
            let below = grey(left, top + 1) * (1.0 - right) + grey(left + 1, top + 1) * right;
            (above * (1.0 - down) + below * down).round() as u8
        };
        (0..SIDE * SIDE).map(at).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn film() -> Vec<u8> {
        (0..SIDE * SIDE)
            .map(|at| super::super::drawing::hash(at % SIDE / 9, at / SIDE / 9, 4))
            .collect()
    }

    #[test]
    fn a_film_placed_as_it_is_stays_as_it_is() {
        assert_eq!(Placement::WHOLE.apply(&film()), film());
    }

    #[test]
    fn a_border_of_a_quarter_leaves_two_thirds_of_either_side() {
        let placed = Placement::padded(0.25, 7).apply(&[200; SIDE * SIDE]);
        let row: Vec<u8> = placed[SIDE / 2 * SIDE..][..SIDE].to_vec();
        let film = row.iter().filter(|grey| **grey == 200).count();
        assert!((147..=150).contains(&film), "{film}");
        assert_eq!((row[0], row[SIDE - 1], placed[0]), (7, 7, 7));
    }

    #[test]
    fn a_wide_film_gets_bars_above_and_below_and_a_high_one_beside_it() {
        let wide = Placement::letterboxed(2.0, 9).apply(&[200; SIDE * SIDE]);
        assert_eq!((wide[SIDE / 2], wide[SIDE / 2 * SIDE]), (9, 200));
        let high = Placement::letterboxed(0.5, 9).apply(&[200; SIDE * SIDE]);
        assert_eq!((high[SIDE / 2], high[SIDE / 2 * SIDE]), (200, 9));
    }

    #[test]
    fn a_quarter_turn_clockwise_is_that_of_the_alterations() {
        let turned = Placement::turned(90.0, 0).apply(&film());
        let exact = super::super::Alteration::QuarterTurn.apply(&film(), 0);
        let far = turned.iter().zip(&exact).filter(|(a, b)| a.abs_diff(**b) > 2).count();
        assert!(far < SIDE * SIDE / 100, "{far}");
    }
}
