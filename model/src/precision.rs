//! The arithmetic in which the engine's trunk runs.

use tch::{Device, Kind};

use crate::card::Precisions;

pub use lobar_core::compute::{Precision, PrecisionChoice};

/// What tensors are made of in it; the first layer's, for [`Precision::Int8`].
pub(crate) fn kind(precision: Precision, device: Device) -> Kind {
    match precision {
        Precision::Fp32 => Kind::Float,
        Precision::Bf16 => Kind::BFloat16,
        Precision::Int8 if is_quick(Precision::Bf16, device) => Kind::BFloat16,
        Precision::Int8 => Kind::Float,
    }
}

/// Whether `device` has instructions for `precision`.
#[must_use]
pub fn is_quick(precision: Precision, device: Device) -> bool {
    match (precision, device) {
        (Precision::Fp32, _) | (Precision::Bf16, Device::Cuda(_)) => true,
        (Precision::Bf16, _) => cpu_has_bf16(),
        (Precision::Int8, Device::Cpu) => cpu_multiplies_bytes(),
        (Precision::Int8, _) => false,
    }
}

/// What to try on `device`, best first. fp32 always ends it when the choice is left open.
pub(crate) fn candidates(
    choice: PrecisionChoice,
    device: Device,
    measured: Option<&Precisions>,
) -> Vec<Precision> {
    let lossless = |precision| {
        let figures = measured.and_then(|measured| measured.of(precision));
        figures.map_or(precision == Precision::Bf16, |figures| figures.is_without_loss())
    };
    match choice {
        PrecisionChoice::Only(precision) => vec![precision],
        PrecisionChoice::Auto => [Precision::Int8, Precision::Bf16]
            .into_iter()
            .filter(|&precision| is_quick(precision, device) && lossless(precision))
            .chain([Precision::Fp32])
            .collect(),
    }
}

#[cfg(target_arch = "x86_64")]
fn cpu_has_bf16() -> bool {
    // A CPU with AMX tiles for bf16 has these instructions too.
    std::arch::is_x86_feature_detected!("avx512bf16") && onednn_may_use("AVX512_CORE_BF16")
}

#[cfg(not(target_arch = "x86_64"))]
fn cpu_has_bf16() -> bool {
    false
}

/// Without these instructions oneDNN adds products of bytes in 16 bits, which overflow.
#[cfg(target_arch = "x86_64")]
fn cpu_multiplies_bytes() -> bool {
    std::arch::is_x86_feature_detected!("avx512vnni") && onednn_may_use("AVX512_CORE_VNNI")
}

#[cfg(not(target_arch = "x86_64"))]
fn cpu_multiplies_bytes() -> bool {
    false
}

/// oneDNN's levels of instructions, each above the one before, as `ONEDNN_MAX_CPU_ISA` names them
/// (<https://uxlfoundation.github.io/oneDNN/dev_guide_cpu_dispatcher_control.html>).
#[cfg(target_arch = "x86_64")]
const ONEDNN_LEVELS: [&str; 8] = [
    "SSE41",
    "AVX",
    "AVX2",
    "AVX2_VNNI",
    "AVX2_VNNI_2",
    "AVX512_CORE",
    "AVX512_CORE_VNNI",
    "AVX512_CORE_BF16",
];

/// Whether oneDNN may use the instructions of `level`: what the processor has and oneDNN is kept from is of
/// no use.
#[cfg(target_arch = "x86_64")]
fn onednn_may_use(level: &str) -> bool {
    #[allow(clippy::disallowed_methods)]
    // oneDNN's own setting, which nothing of ours can stand for
    let limit = std::env::var("ONEDNN_MAX_CPU_ISA").ok();
    is_within(limit.as_deref(), level)
}

/// No limit, and one above the levels that are known here, allow everything.
#[cfg(target_arch = "x86_64")]
fn is_within(limit: Option<&str>, level: &str) -> bool {
    let place = |name: &str| ONEDNN_LEVELS.iter().position(|one| one.eq_ignore_ascii_case(name));
    limit.and_then(place).is_none_or(|limit| place(level).is_some_and(|level| level <= limit))
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
            novel: None,
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
    #[cfg(target_arch = "x86_64")]
    fn what_onednn_is_kept_from_is_not_there() {
        assert!(is_within(None, "AVX512_CORE_BF16"));
        assert!(is_within(Some("AVX512_CORE_AMX"), "AVX512_CORE_BF16"));
        assert!(is_within(Some("avx512_core_vnni"), "AVX512_CORE_VNNI"));
        assert!(!is_within(Some("AVX512_CORE"), "AVX512_CORE_VNNI"));
        assert!(!is_within(Some("AVX2"), "AVX512_CORE_BF16"));
    }

    #[test]
    fn what_lost_a_flagged_case_or_ranks_worse_is_chosen_only_by_name() {
        let auto =
            |measured: &Precisions| candidates(PrecisionChoice::Auto, Device::Cpu, Some(measured));
        assert_eq!(auto(&measured(1, 0.0)), [Precision::Fp32]);
        assert_eq!(auto(&measured(0, 0.0021)), [Precision::Fp32]);
        let quick: Vec<Precision> = [Precision::Int8, Precision::Bf16, Precision::Fp32]
            .into_iter()
            .filter(|precision| is_quick(*precision, Device::Cpu))
            .collect();
        assert_eq!(auto(&measured(0, 0.002)), quick);
        let only = PrecisionChoice::Only(Precision::Int8);
        assert_eq!(candidates(only, Device::Cpu, Some(&measured(9, 0.5))), [Precision::Int8]);
    }

    #[test]
    fn int8_is_never_chosen_for_a_model_that_was_not_measured_in_it() {
        let chosen = candidates(PrecisionChoice::Auto, Device::Cpu, None);
        assert!(!chosen.contains(&Precision::Int8));
        assert_eq!(chosen.last(), Some(&Precision::Fp32));
        let on_gpu = candidates(PrecisionChoice::Auto, Device::Cuda(0), Some(&measured(0, 0.0)));
        assert_eq!(on_gpu, [Precision::Bf16, Precision::Fp32]);
    }
}
