//! The head: pooled features to two logits.
//!
//! global average pool → BN → 128 → BN → 256 → BN → 128 → dropout 0.5 → pneumonia, and a small
//! second output, bacterial or viral, given pneumonia.

use tch::{Kind, Tensor, nn};

use super::layers::{BatchNorm, Linear};

/// Share of features that dropout silences before the outputs.
const DROPOUT: f64 = 0.5;

/// Logits of a batch, fp32, each of shape `[N]`.
#[derive(Debug)]
pub struct Output {
    /// Above 0: rather pneumonia than not.
    pub pneumonia: Tensor,
    /// Above 0: rather bacterial than viral. Means something only given pneumonia.
    pub bacterial: Tensor,
}

/// Feature map to logits. Computes in fp32 whatever the kind of the map.
#[derive(Debug)]
pub struct Head {
    bn0: BatchNorm,
    hidden: [(Linear, BatchNorm); 3],
    pneumonia: Linear,
    bacterial: Linear,
}

impl Head {
    /// A head freshly initialised under `path`, for a map of `features` channels.
    #[must_use]
    pub fn new(path: &nn::Path, features: i64) -> Self {
        let hidden = |index: i64, from: i64, to: i64| {
            (
                Linear::new(&(path / format!("fc{index}")), from, to),
                BatchNorm::new(&(path / format!("bn{index}")), to, 1.0),
            )
        };
        Self {
            bn0: BatchNorm::new(&(path / "bn0"), features, 1.0),
            hidden: [hidden(1, features, 128), hidden(2, 128, 256), hidden(3, 256, 128)],
            pneumonia: Linear::new(&(path / "pneumonia"), 128, 1),
            bacterial: Linear::new(&(path / "bacterial"), 128, 1),
        }
    }

    /// Map `[N, features, h, w]` to logits.
    #[must_use]
    pub fn forward(&self, map: &Tensor, train: bool) -> Output {
        let pooled = map.mean_dim([2i64, 3].as_slice(), false, Kind::Float);
        let mut xs = self.bn0.forward(&pooled, train);
        for (linear, bn) in &self.hidden {
            xs = bn.forward(&linear.forward(&xs), train).relu();
        }
        let xs = xs.dropout(DROPOUT, train);
        Output {
            pneumonia: self.pneumonia.forward(&xs).squeeze_dim(1),
            bacterial: self.bacterial.forward(&xs).squeeze_dim(1),
        }
    }
}
