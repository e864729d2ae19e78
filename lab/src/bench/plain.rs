//! The folded network called layer by layer with nothing else around it: what the engine is
//! measured against.

use std::path::Path;

use lobar_core::engine::NetworkInput;
use lobar_model::engine::folded::{Head, Trunk};
use lobar_model::engine::input::GreyTable;
use lobar_model::engine::{LoadError, TorchEngine, fold, pool};
use lobar_model::weights::Weights;
use tch::{Kind, TchError, Tensor};

/// Plain libtorch with the best known settings: batch norms folded, channels-last.
#[derive(Debug)]
pub(crate) struct PlainForward {
    trunk: Trunk,
    head: Head,
    table: GreyTable,
}

impl PlainForward {
    /// The model at `path` on the device of `engine`, in its precision or in `kind`.
    ///
    /// # Errors
    /// When the model cannot be loaded.
    pub(crate) fn like(
        engine: &TorchEngine,
        path: &Path,
        kind: Option<Kind>,
    ) -> Result<Self, LoadError> {
        let weights = Weights::open(path)?;
        let (_, approved) = weights.approve()?;
        let (trunk, head) = fold::fold(&weights, approved.layout)?;
        let (device, own) = engine.input_options();
        let kind = kind.unwrap_or(own);
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
    pub(crate) fn input(&self, batch: &[NetworkInput]) -> Result<Tensor, TchError> {
        self.table.batch(batch)
    }

    /// Both logits of every image, on the CPU.
    ///
    /// # Errors
    /// libtorch's.
    pub(crate) fn logits(&self, input: &Tensor) -> Result<Vec<Vec<f32>>, TchError> {
        let _no_grad = tch::no_grad_guard();
        self.head.forward(&pool(&self.trunk.forward(input)?)?)?.try_into()
    }
}
