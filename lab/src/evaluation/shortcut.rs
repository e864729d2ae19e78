//! What one could answer without looking at the picture. In the data of Kermany et al. 2018 normal
//! children were photographed in another format than ill ones; a model must be held against that.

use lobar_model::card::Shortcut;

use super::roc_auc;

/// The AUC by format alone; `None` unless formats of both classes are known.
pub(super) fn shortcut(sizes: &[Option<(u32, u32)>], positive: &[bool]) -> Option<Shortcut> {
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
    Some(Shortcut {
        images: sizes.len() as u64,
        by_height: either_way(|(_, height)| *height)?,
        by_aspect_ratio: either_way(|(width, height)| width / height)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_that_separates_the_classes_is_seen_either_way_round() {
        let sizes = [Some((100, 50)), Some((100, 60)), None, Some((90, 80)), Some((80, 90))];
        let found = shortcut(&sizes, &[true, true, true, false, false]).unwrap();
        assert_eq!(found, Shortcut { images: 4, by_height: 1.0, by_aspect_ratio: 1.0 });
        assert_eq!(shortcut(&sizes[..2], &[true, true]), None);
    }
}
