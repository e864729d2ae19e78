//! The folded network called layer by layer with nothing else around it: what the engine is
//! measured against.

use std::path::Path;

use lobar_core::engine::NetworkInput;
use tch::{Kind, TchError, Tensor};

use super::folded::{Head, Trunk};
use super::input::GreyTable;
use super::{LoadError, TorchEngine, fold, pool};
use crate::weights::Weights;

/// Plain libtorch with the best known settings: batch norms folded, channels-last.
#[derive(Debug)]
pub struct PlainForward {
    trunk: Trunk,
    head: Head,
    table: GreyTable,
}

impl PlainForward {
    /// The model at `path` on the device of `engine`, in its precision or in `kind`.
    ///
    /// # Errors
    /// When the model cannot be loaded.
    pub fn like(engine: &TorchEngine, path: &Path, kind: Option<Kind>) -> Result<Self, LoadError> {
        let weights = Weights::open(path)?;
        let (_, approved) = weights.approve()?;
        let (trunk, head) = fold::fold(&weights, approved.layout)?;
        let (device, kind) = (engine.table.device(), kind.unwrap_or(engine.table.kind()));
        Ok(Self {
            trunk: trunk.to(kind, device)?,
            head: head.to(device)?,
            table: GreyTable::new(kind, device)?,
        })
    }

    /// The tensor that [`Self::logits`] takes.
    ///
    /// # Errors
    /// libtorch's.
    pub fn input(&self, batch: &[NetworkInput]) -> Result<Tensor, TchError> {
        self.table.batch(batch)
    }

    /// Both logits of every image, on the CPU.
    ///
    /// # Errors
    /// libtorch's.
    pub fn logits(&self, input: &Tensor) -> Result<Vec<Vec<f32>>, TchError> {
        let _no_grad = tch::no_grad_guard();
        self.head.forward(&pool(&self.trunk.forward(input)?)?)?.try_into()
    }
}
