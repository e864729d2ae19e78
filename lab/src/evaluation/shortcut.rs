//! What one could answer without looking at the picture. In the data of Kermany et al. 2018 normal
//! children were photographed in another format than ill ones; a model must be held against that.

use serde::{Deserialize, Serialize};

use super::roc_auc;

/// AUC of pneumonia against normal by the original's format alone, either way round.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shortcut {
    /// Pictures whose format is known.
    pub images: u64,
    /// By the original's height in pixels.
    pub by_height: f64,
    /// By width divided by height.
    pub by_aspect_ratio: f64,
}

impl Shortcut {
    /// `None` unless formats of both classes are known.
    pub(super) fn measure(sizes: &[Option<(u32, u32)>], positive: &[bool]) -> Option<Self> {
        let (sizes, positive): (Vec<(f64, f64)>, Vec<bool>) = sizes
            .iter()
            .zip(positive)
            .filter_map(|(size, positive)| {
                size.map(|(width, height)| ((f64::from(width), f64::from(height)), *positive))
            })
            .unzip();
        let either_way = |value: fn(&(f64, f64)) -> f64| {
            let values: Vec<f64> = sizes.iter().map(value).collect();
            roc_auc(&values, &positive).map(|auc| auc.max(1.0 - auc))
        };
        Some(Self {
            images: sizes.len() as u64,
            by_height: either_way(|(_, height)| *height)?,
            by_aspect_ratio: either_way(|(width, height)| width / height)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_that_separates_the_classes_is_seen_either_way_round() {
        let sizes = [Some((100, 50)), Some((100, 60)), None, Some((90, 80)), Some((80, 90))];
        let shortcut = Shortcut::measure(&sizes, &[true, true, true, false, false]).unwrap();
        assert_eq!(shortcut, Shortcut { images: 4, by_height: 1.0, by_aspect_ratio: 1.0 });
        assert_eq!(Shortcut::measure(&sizes[..2], &[true, true]), None);
    }
}
