//! A TorchScript module as the engine runs it: in fp32, as it was written.
//!
//! Beside `forward`, which is for other programs, it has the two methods between which the heatmap
//! is made: `features`, grey levels `[N, 1, 224, 224]` to the last feature map `[N, C, h, w]`, and
//! `classify`, that map's mean over space `[N, C]` to both logits `[N, 2]`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tch::{CModule, Device, IValue, TchError, Tensor};

use super::LoadError;
use super::outputs::Outputs;
use crate::card::{Approved, Card, CardError};
use crate::script::{self, first_line};
use crate::weights::WeightsError;

/// A loaded module.
#[derive(Clone, Debug)]
pub struct Script(Arc<CModule>);

impl Script {
    /// Grey levels, 0.0..=255.0, `[N, 1, 224, 224]`, to the last feature map.
    ///
    /// # Errors
    /// libtorch's.
    pub fn features(&self, images: &Tensor) -> Result<Tensor, TchError> {
        self.0.method_ts("features", &[images])
    }

    /// Pooled features to both logits. Differentiable.
    ///
    /// # Errors
    /// libtorch's.
    pub fn classify(&self, pooled: &Tensor) -> Result<Tensor, TchError> {
        self.0.method_ts("classify", &[pooled])
    }

    /// What `forward` answers.
    ///
    /// # Errors
    /// When it does not return three tensors.
    pub fn outputs(&self, images: &Tensor) -> Result<Outputs, TchError> {
        let _no_grad = tch::no_grad_guard();
        let wrong = || TchError::Torch("forward does not return three tensors".to_owned());
        let IValue::Tuple(values) = self.0.forward_is(&[IValue::Tensor(images.shallow_clone())])?
        else {
            return Err(wrong());
        };
        let tensors: Vec<Tensor> = values
            .into_iter()
            .map(|value| if let IValue::Tensor(tensor) = value { Ok(tensor) } else { Err(wrong()) })
            .collect::<Result<_, _>>()?;
        Outputs::from_tensors(&tensors)
    }
}

/// A TorchScript file and what it says of itself.
#[derive(Debug)]
pub struct ScriptFile {
    /// Where it lies.
    pub path: PathBuf,
    /// Its module.
    pub script: Script,
    /// The card that it carries.
    pub card: Card,
    /// What serving needs of the card.
    pub approved: Approved,
    /// SHA-256 of the whole file, lower-case hexadecimal.
    pub sha256: String,
}

impl ScriptFile {
    /// Whether the file at `path` is an archive, which safetensors files are not.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn is_one(path: &Path) -> Result<bool, LoadError> {
        use std::io::Read as _;
        let mut beginning = Vec::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(4).read_to_end(&mut beginning))
            .map_err(|source| WeightsError::Io { path: path.to_owned(), source })?;
        Ok(script::is_archive(&beginning))
    }

    /// Reads the whole file. The card is read and approved before anything of the module is.
    ///
    /// # Errors
    /// When it is no module, or its card does not allow serving.
    pub fn open(path: &Path, device: Device) -> Result<Self, LoadError> {
        let bytes = std::fs::read(path)
            .map_err(|source| WeightsError::Io { path: path.to_owned(), source })?;
        let refused = |source| WeightsError::Card { path: path.to_owned(), source };
        let card = script::card(&bytes).map_err(refused)?;
        let card = card.ok_or_else(|| refused(CardError::Absent))?;
        let approved = card.approve().map_err(refused)?;
        let module = CModule::load_data_on_device(&mut bytes.as_slice(), device);
        let mut module = module.map_err(|e| unusable(path, &e))?;
        module.f_set_eval().map_err(|e| unusable(path, &e))?;
        Ok(Self {
            path: path.to_owned(),
            script: Script(Arc::new(module)),
            card,
            approved,
            sha256: hex::encode(Sha256::digest(&bytes)),
        })
    }
}

/// A module that does not do what a served one must.
pub(super) fn unusable(path: &Path, error: &TchError) -> LoadError {
    LoadError::Script { path: path.to_owned(), why: first_line(&error.to_string()) }
}
