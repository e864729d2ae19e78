//! Pictures to the tensor that the trunk takes.

use lobar_core::engine::NetworkInput;
use tch::{Device, Kind, TchError, Tensor};

use crate::preprocessing;

/// Every grey level as the trunk takes it, in its precision: preprocessing is a look-up.
#[derive(Clone, Debug)]
pub struct GreyTable {
    /// Bytes of one value, 256 times.
    bytes: Vec<u8>,
    kind: Kind,
    device: Device,
}

impl GreyTable {
    /// The table of a trunk of `kind` on `device`.
    ///
    /// # Errors
    /// libtorch's.
    pub fn new(kind: Kind, device: Device) -> Result<Self, TchError> {
        Self::of(preprocessing::normalise, kind, device)
    }

    /// The table of a module that normalises for itself: levels as they are, fp32.
    ///
    /// # Errors
    /// libtorch's.
    pub fn levels(device: Device) -> Result<Self, TchError> {
        Self::of(f32::from, Kind::Float, device)
    }

    fn of(value: fn(u8) -> f32, kind: Kind, device: Device) -> Result<Self, TchError> {
        let levels: Vec<f32> = (0..=u8::MAX).map(value).collect();
        let levels = Tensor::f_from_slice(&levels)?.f_to_kind(kind)?;
        let mut bytes = vec![0; levels.numel() * kind.elt_size_in_bytes()];
        levels.f_copy_data_u8(&mut bytes, levels.numel())?;
        Ok(Self { bytes, kind, device })
    }

    /// Of the tensors that it makes.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Where the tensors that it makes lie.
    #[must_use]
    pub fn device(&self) -> Device {
        self.device
    }

    /// A batch as `[N, 1, 224, 224]`, channels-last.
    ///
    /// # Errors
    /// libtorch's.
    pub fn batch(&self, pictures: &[NetworkInput]) -> Result<Tensor, TchError> {
        let side = NetworkInput::SIDE as i64;
        let shape = [pictures.len() as i64, side, side, 1];
        let bytes = match self.kind.elt_size_in_bytes() {
            2 => self.look_up::<2>(pictures),
            _ => self.look_up::<4>(pictures),
        };
        // [N, H, W, C] in memory, [N, C, H, W] in name.
        Tensor::f_from_data_size(&bytes, &shape, self.kind)?
            .f_to_device(self.device)?
            .f_permute([0, 3, 1, 2])
    }

    fn look_up<const WIDTH: usize>(&self, pictures: &[NetworkInput]) -> Vec<u8> {
        let (values, _) = self.bytes.as_chunks::<WIDTH>();
        let mut bytes = Vec::with_capacity(pictures.len() * NetworkInput::SIDE.pow(2) * WIDTH);
        for picture in pictures {
            for &grey in picture.pixels() {
                bytes.extend_from_slice(&values[usize::from(grey)]);
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_the_normalised_pixels_in_their_places() {
        let pixels: Vec<u8> = (0..224 * 224).map(|i| (i % 251) as u8).collect();
        let picture = NetworkInput::new(pixels).unwrap();
        let table = GreyTable::new(Kind::Float, Device::Cpu).unwrap();
        let batch = table.batch(&[picture.clone(), picture]).unwrap();
        assert_eq!(batch.size(), [2, 1, 224, 224]);
        let grey = ((3 * 224 + 17) % 251) as u8;
        let found = batch.double_value(&[1, 0, 3, 17]);
        assert!((found - f64::from(preprocessing::normalise(grey))).abs() < 1e-6);
    }
}
