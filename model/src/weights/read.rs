//! Reading weights.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};
use tch::{Kind, Tensor, nn};

use super::{WeightsError, finite, torch};
use crate::card::{Approved, Card, CardError};

/// The tensors of a safetensors file, as fp32 on the CPU, and its card.
#[derive(Debug)]
pub struct Weights {
    path: PathBuf,
    tensors: BTreeMap<String, Tensor>,
    card: Option<Card>,
    sha256: String,
}

impl Weights {
    /// Reads the whole file. Tensors that count batches (`num_batches_tracked`) are left out.
    ///
    /// # Errors
    /// When the file cannot be read, is not whole, holds other things than numbers, or has a card
    /// that this program does not understand.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        let bytes = std::fs::read(path)
            .map_err(|source| WeightsError::Io { path: path.to_owned(), source })?;
        let damaged = |why: String| WeightsError::NotSafetensors { path: path.to_owned(), why };
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| damaged(e.to_string()))?;
        let card = match header.metadata() {
            Some(metadata) => Card::from_metadata(metadata)
                .map_err(|source| WeightsError::Card { path: path.to_owned(), source })?,
            None => None,
        };
        let file = SafeTensors::deserialize(&bytes).map_err(|e| damaged(e.to_string()))?;
        let mut tensors = BTreeMap::new();
        for (name, view) in file.iter() {
            if name.ends_with("num_batches_tracked") {
                continue;
            }
            let kind = match view.dtype() {
                Dtype::F16 => Kind::Half,
                Dtype::BF16 => Kind::BFloat16,
                Dtype::F32 => Kind::Float,
                Dtype::F64 => Kind::Double,
                other => {
                    return Err(WeightsError::Kind {
                        path: path.to_owned(),
                        name: name.to_owned(),
                        found: format!("{other:?}"),
                    });
                }
            };
            let shape: Vec<i64> = view.shape().iter().map(|&n| n as i64).collect();
            let tensor = Tensor::f_from_data_size(view.data(), &shape, kind)
                .and_then(|t| t.f_to_kind(Kind::Float))
                .map_err(torch(path))?;
            // Nothing after this point can tell: a fused ReLU turns what is not a number into 0.
            if !finite(&tensor).map_err(torch(path))? {
                return Err(WeightsError::NotFinite {
                    path: path.to_owned(),
                    name: name.to_owned(),
                });
            }
            tensors.insert(name.to_owned(), tensor);
        }
        let sha256 = hex::encode(Sha256::digest(&bytes));
        Ok(Self { path: path.to_owned(), tensors, card, sha256 })
    }

    /// The file they came from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// SHA-256 of the file, hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The card, if the file carries one.
    #[must_use]
    pub fn card(&self) -> Option<&Card> {
        self.card.as_ref()
    }

    /// The card, and what it allows to serve.
    ///
    /// # Errors
    /// When there is no card, or one that does not allow serving.
    pub fn approve(&self) -> Result<(&Card, Approved), WeightsError> {
        let error = |source| WeightsError::Card { path: self.path.clone(), source };
        let card = self.card.as_ref().ok_or_else(|| error(CardError::Absent))?;
        Ok((card, card.approve().map_err(error)?))
    }

    /// The shape of the tensor `name`, when there is one.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<Vec<i64>> {
        self.tensors.get(name).map(Tensor::size)
    }

    /// The tensor `name`, which must have this `shape`.
    ///
    /// # Errors
    /// When it is missing or has another shape.
    pub fn tensor(&self, name: &str, shape: &[i64]) -> Result<&Tensor, WeightsError> {
        let tensor = self.tensors.get(name).ok_or_else(|| WeightsError::Missing {
            path: self.path.clone(),
            name: name.to_owned(),
        })?;
        let found = tensor.size();
        if found == shape {
            Ok(tensor)
        } else {
            Err(WeightsError::Shape {
                path: self.path.clone(),
                name: name.to_owned(),
                found,
                wanted: shape.to_vec(),
            })
        }
    }

    /// Copies every variable of `vs` from the file.
    ///
    /// # Errors
    /// When one is missing or has another shape; `vs` may then be partly filled.
    pub fn fill(&self, vs: &nn::VarStore) -> Result<(), WeightsError> {
        self.fill_where(vs, |_| true)
    }

    /// Copies the variables of the trunk only, as torchvision names them, and leaves those under
    /// `head.` alone: how training starts from weights made elsewhere. torchvision's own last
    /// layer (`fc.*`) is ignored.
    ///
    /// # Errors
    /// When one is missing or has another shape; `vs` may then be partly filled.
    pub fn fill_trunk(&self, vs: &nn::VarStore) -> Result<(), WeightsError> {
        self.fill_where(vs, |name| !name.starts_with("head."))
    }

    fn fill_where(
        &self,
        vs: &nn::VarStore,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<(), WeightsError> {
        let _no_grad = tch::no_grad_guard();
        let mut variables: Vec<_> = vs.variables().into_iter().collect();
        variables.sort_by(|a, b| a.0.cmp(&b.0));
        for (name, mut variable) in variables {
            if wanted(&name) {
                let tensor = self.tensor(&name, &variable.size())?;
                variable.f_copy_(tensor).map_err(torch(&self.path))?;
            }
        }
        Ok(())
    }
}
