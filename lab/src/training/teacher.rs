//! The networks that another one learns from.

use std::path::Path;

use lobar_model::network::Network;
use lobar_model::weights::Weights;
use tch::{Kind, TchError, Tensor, nn};

use super::{TrainError, TrainOptions};

/// What teachers say of a batch: probabilities, each `[N]`, fp32.
#[derive(Debug)]
pub(super) struct Told {
    /// Of pneumonia.
    pub(super) pneumonia: Tensor,
    /// Of bacterial, given pneumonia.
    pub(super) bacterial: Tensor,
}

/// One or several teachers, frozen.
#[derive(Debug)]
pub(super) struct Teachers {
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    network: Network,
    /// Divides its logits of pneumonia, as its card says.
    temperature: f64,
    sha256: String,
    /// Owns the weights.
    _store: nn::VarStore,
}

impl Teachers {
    /// The teachers of a run on data of this digest; `None` where it learns from labels alone.
    ///
    /// # Errors
    /// A file cannot be read or has no card, or a teacher has learnt from this run's validation images.
    pub(super) fn open(
        options: &TrainOptions,
        data_sha256: &str,
    ) -> Result<Option<Self>, TrainError> {
        let members = options
            .distillation
            .teachers
            .iter()
            .map(|path| Member::open(path, options, data_sha256))
            .collect::<Result<Vec<_>, _>>()?;
        Ok((!members.is_empty()).then_some(Self { members }))
    }

    /// Their SHA-256s, in the order in which they were named.
    pub(super) fn sha256(&self) -> String {
        let each: Vec<&str> = self.members.iter().map(|member| member.sha256.as_str()).collect();
        each.join(",")
    }

    /// What they say of normalised images `[N, 1, H, W]`: the sigmoid of the mean of their logits, over all of them
    /// and over the `views` of each picture, which stand beside one another.
    pub(super) fn answers(&self, images: &Tensor, views: usize) -> Result<Told, TchError> {
        let _no_grad = tch::no_grad_guard();
        let (mut pneumonia, mut bacterial) = (Vec::new(), Vec::new());
        for member in &self.members {
            let output = member.network.forward(images, false);
            pneumonia.push(output.pneumonia.f_div_scalar(member.temperature)?);
            bacterial.push(output.bacterial);
        }
        let told = |logits: &[Tensor]| -> Result<Tensor, TchError> {
            let mean =
                Tensor::f_stack(logits, 0)?.f_mean_dim([0i64].as_slice(), false, Kind::Float)?;
            let pictures = mean.f_view([-1, views as i64])?;
            let mean = pictures.f_mean_dim([1i64].as_slice(), true, Kind::Float)?;
            mean.f_sigmoid()?.f_expand_as(&pictures)?.f_reshape([-1])
        };
        Ok(Told { pneumonia: told(&pneumonia)?, bacterial: told(&bacterial)? })
    }
}

impl Member {
    fn open(path: &Path, options: &TrainOptions, data_sha256: &str) -> Result<Self, TrainError> {
        let unusable = |reason: String| TrainError::Teacher { path: path.to_owned(), reason };
        let weights = Weights::open(path)?;
        let card = weights.card().ok_or_else(|| {
            unusable("it carries no card, which says what network it is".to_owned())
        })?;
        let architecture = card.network().map_err(|e| unusable(e.to_string()))?;
        let temperature =
            card.temperature.ok_or_else(|| unusable("its card has no temperature".to_owned()))?;
        let same_data = card.training.data_sha256 == data_sha256;
        let split_seed =
            card.training.settings.get("split_seed").and_then(serde_json::Value::as_u64);
        if same_data && split_seed != Some(options.split_seed) {
            return Err(unusable(format!(
                "it was trained on these data with another cut ({}), so it knows images that this run validates on: \
                 give the same --split-seed",
                split_seed.map_or("unknown".to_owned(), |seed| format!("--split-seed {seed}"))
            )));
        }
        if !same_data {
            tracing::warn!(
                "training: the teacher {} was trained on other data; if this run's validation or test images are among \
                 them, its figures will be too good",
                card.version
            );
        }
        let mut store = nn::VarStore::new(options.device);
        let network = Network::of(&store.root(), architecture);
        weights.fill(&store)?;
        store.freeze();
        Ok(Self { network, temperature, sha256: weights.sha256().to_owned(), _store: store })
    }
}
