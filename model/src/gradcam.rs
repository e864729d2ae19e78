//! Grad-CAM (Selvaraju et al. 2017, <https://arxiv.org/abs/1610.02391>) over the last feature map.
//!
//! The weight of a channel is the mean over space of the score's gradient with respect to that
//! channel's map; the heat is the ReLU of the weighted sum of the maps. Here only a global average
//! stands between the map and the head, so that gradient is the same everywhere in a channel: the
//! gradient with respect to the pooled feature, divided by the number of cells. It is enough to
//! differentiate the head, and the divisor vanishes when the heat is scaled to a maximum of 1.

use lobar_core::finding::Heatmap;
use tch::{Kind, TchError, Tensor};

/// One heatmap an image, from the feature maps `[N, C, h, w]` and the gradients of the images'
/// scores with respect to the pooled features, fp32 `[N, C]`.
///
/// # Errors
/// libtorch's.
pub fn heatmaps(maps: &Tensor, gradients: &Tensor) -> Result<Vec<Heatmap>, TchError> {
    let (_, _, height, width) = maps.size4()?;
    let heat = maps
        .f_to_kind(Kind::Float)?
        .f_flatten(2, 3)?
        .f_transpose(1, 2)?
        .f_bmm(&gradients.f_unsqueeze(2)?)?
        .f_squeeze_dim(2)?
        .f_relu()?;
    let cells: Vec<Vec<f32>> = heat.f_to_device(tch::Device::Cpu)?.f_contiguous()?.try_into()?;
    Ok(cells
        .into_iter()
        .map(|cells| Heatmap { width: width as u32, height: height as u32, cells: scaled(cells) })
        .collect())
}

/// Scaled so that the largest cell is 1; all zero when nothing spoke for the score, or when
/// something is not a number.
fn scaled(mut cells: Vec<f32>) -> Vec<f32> {
    let max = cells.iter().copied().fold(0.0, f32::max);
    let usable = max > 0.0 && cells.iter().all(|c| c.is_finite());
    for cell in &mut cells {
        *cell = if usable { *cell / max } else { 0.0 };
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two images of two channels, 2 × 2 cells. The first channel speaks for the score, the second
    /// against it.
    fn maps() -> Tensor {
        Tensor::from_slice(&[
            4.0f32, 2.0, 0.0, 1.0, /**/ 0.0, 0.0, 3.0, 1.0, //
            0.0, 0.0, 0.0, 0.0, /**/ 1.0, 1.0, 1.0, 1.0,
        ])
        .reshape([2, 2, 2, 2])
    }

    #[test]
    fn heat_is_the_positive_part_of_the_weighted_maps_scaled_to_one() {
        let gradients = Tensor::from_slice(&[0.5f32, -0.5, 0.5, -0.5]).reshape([2, 2]);
        let found = heatmaps(&maps(), &gradients).unwrap();
        assert_eq!((found[0].width, found[0].height), (2, 2));
        assert_eq!(found[0].cells, [1.0, 0.5, 0.0, 0.0]);
    }

    #[test]
    fn an_image_in_which_nothing_speaks_for_the_score_is_cold() {
        let gradients = Tensor::from_slice(&[0.5f32, -0.5, 0.5, -0.5]).reshape([2, 2]);
        assert_eq!(heatmaps(&maps(), &gradients).unwrap()[1].cells, [0.0; 4]);
    }

    #[test]
    fn heat_that_is_not_a_number_is_cold() {
        let gradients = Tensor::from_slice(&[f32::NAN, 0.0, 1.0, 1.0]).reshape([2, 2]);
        let found = heatmaps(&maps(), &gradients).unwrap();
        assert_eq!(found[0].cells, [0.0; 4]);
        assert_eq!(found[1].cells, [1.0; 4]);
    }
}
