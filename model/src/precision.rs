//! The arithmetic in which the engine's trunk runs.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tch::{Device, Kind};

use crate::card::Precisions;

/// The arithmetic of the trunk; the head, which makes the answer, is always fp32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits: the reference.
    Fp32,
    /// 16 bits with the range of 32.
    Bf16,
    /// 8-bit integers, on a CPU, for models that carry the ranges of their activations.
    Int8,
}

impl Precision {
    /// All, the most exact first.
    pub const ALL: [Self; 3] = [Self::Fp32, Self::Bf16, Self::Int8];

    /// What tensors are made of in it; the first layer's, for [`Precision::Int8`].
    pub(crate) fn kind(self, device: Device) -> Kind {
        match self {
            Self::Fp32 => Kind::Float,
            Self::Bf16 => Kind::BFloat16,
            Self::Int8 if Self::Bf16.is_quick(device) => Kind::BFloat16,
            Self::Int8 => Kind::Float,
        }
    }

    /// Whether `device` has instructions for it.
    #[must_use]
    pub fn is_quick(self, device: Device) -> bool {
        match (self, device) {
            (Self::Fp32, _) | (Self::Bf16, Device::Cuda(_)) => true,
            (Self::Bf16, _) => cpu_has_bf16(),
            (Self::Int8, Device::Cpu) => cpu_multiplies_bytes(),
            (Self::Int8, _) => false,
        }
    }
}

impl std::fmt::Display for Precision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Fp32 => "fp32",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        })
    }
}

/// The precision that was asked for: `auto`, `fp32`, `bf16`, `int8`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PrecisionChoice {
    /// The quickest that this device has and that lost nothing when the model was evaluated in it;
    /// bf16 also where that was never measured.
    #[default]
    Auto,
    /// This one or none.
    Only(Precision),
}

impl PrecisionChoice {
    /// What to try on `device`, best first. fp32 always ends it when the choice is left open.
    pub(crate) fn candidates(
        self,
        device: Device,
        measured: Option<&Precisions>,
    ) -> Vec<Precision> {
        let lossless = |precision| {
            let figures = measured.and_then(|measured| measured.of(precision));
            figures.map_or(precision == Precision::Bf16, |figures| figures.is_without_loss())
        };
        match self {
            Self::Only(precision) => vec![precision],
            Self::Auto => [Precision::Int8, Precision::Bf16]
                .into_iter()
                .filter(|&precision| precision.is_quick(device) && lossless(precision))
                .chain([Precision::Fp32])
                .collect(),
        }
    }
}

impl FromStr for PrecisionChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let named = Precision::ALL.into_iter().find(|precision| precision.to_string() == text);
        named
            .map(Self::Only)
            .ok_or_else(|| format!("precision {text:?} is not auto, fp32, bf16 or int8"))
    }
}

#[cfg(target_arch = "x86_64")]
fn cpu_has_bf16() -> bool {
    // A CPU with AMX tiles for bf16 has these instructions too.
    std::arch::is_x86_feature_detected!("avx512bf16")
}

#[cfg(not(target_arch = "x86_64"))]
fn cpu_has_bf16() -> bool {
    false
}

/// Without these instructions oneDNN adds products of bytes in 16 bits, which overflow.
#[cfg(target_arch = "x86_64")]
fn cpu_multiplies_bytes() -> bool {
    std::arch::is_x86_feature_detected!("avx512vnni")
}

#[cfg(not(target_arch = "x86_64"))]
fn cpu_multiplies_bytes() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card::PrecisionFigures;

    fn measured(lost: u64, auc_loss: f64) -> Precisions {
        let figures = |precision| PrecisionFigures {
            precision,
            auc: 0.99 - auc_loss,
            auc_loss,
            flagged: 100 - lost,
            lost,
            gained: 0,
            largest_difference: 0.01,
            unlike: None,
            images_per_second: 100.0,
        };
        Precisions {
            images: 200,
            ranged_on: 64,
            threads: 1,
            figures: vec![figures(Precision::Bf16), figures(Precision::Int8)],
        }
    }

    #[test]
    fn precisions_are_read_as_they_are_written() {
        for precision in Precision::ALL {
            assert_eq!(precision.to_string().parse(), Ok(PrecisionChoice::Only(precision)));
        }
        assert_eq!("auto".parse(), Ok(PrecisionChoice::Auto));
        assert!("fp16".parse::<PrecisionChoice>().is_err());
    }

    #[test]
    fn what_lost_a_flagged_case_or_ranks_worse_is_chosen_only_by_name() {
        let auto =
            |measured: &Precisions| PrecisionChoice::Auto.candidates(Device::Cpu, Some(measured));
        assert_eq!(auto(&measured(1, 0.0)), [Precision::Fp32]);
        assert_eq!(auto(&measured(0, 0.0021)), [Precision::Fp32]);
        let quick: Vec<Precision> = [Precision::Int8, Precision::Bf16, Precision::Fp32]
            .into_iter()
            .filter(|precision| precision.is_quick(Device::Cpu))
            .collect();
        assert_eq!(auto(&measured(0, 0.002)), quick);
        let only = PrecisionChoice::Only(Precision::Int8);
        assert_eq!(only.candidates(Device::Cpu, Some(&measured(9, 0.5))), [Precision::Int8]);
    }

    #[test]
    fn int8_is_never_chosen_for_a_model_that_was_not_measured_in_it() {
        let chosen = PrecisionChoice::Auto.candidates(Device::Cpu, None);
        assert!(!chosen.contains(&Precision::Int8));
        assert_eq!(chosen.last(), Some(&Precision::Fp32));
        let on_gpu = PrecisionChoice::Auto.candidates(Device::Cuda(0), Some(&measured(0, 0.0)));
        assert_eq!(on_gpu, [Precision::Bf16, Precision::Fp32]);
    }
}
