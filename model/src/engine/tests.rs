//! The engine on random weights with batch norms that are not the identity.

use super::*;
use crate::network::Layout;
use crate::precision::is_quick;
use crate::weights::{self, Weights};

/// Quick enough for a debug build.
const SMALL: Layout = Layout { blocks: [1, 2, 1, 1], width: 8 };

const FP32: PrecisionChoice = PrecisionChoice::Only(Precision::Fp32);

fn model(name: &str, layout: Layout) -> PathBuf {
    let path =
        std::env::temp_dir().join(format!("lobar-{name}-{}.safetensors", std::process::id()));
    weights::random(&path, layout, 5).unwrap();
    path
}

fn engine(name: &str, change: impl FnOnce(&mut EngineOptions)) -> TorchEngine {
    let path = model(name, SMALL);
    let mut options = EngineOptions { threads: 1, max_batch: 8, ..EngineOptions::default() };
    change(&mut options);
    let engine = TorchEngine::load(&path, &options).unwrap();
    std::fs::remove_file(path).unwrap();
    engine
}

fn probabilities(engine: &mut TorchEngine, batch: &[NetworkInput]) -> Vec<f64> {
    engine.infer(batch).unwrap().into_iter().map(|p| p.unwrap().probability).collect()
}

fn spread(values: &[f64]) -> f64 {
    let max = values.iter().copied().fold(f64::MIN, f64::max);
    max - values.iter().copied().fold(f64::MAX, f64::min)
}

#[test]
fn the_folded_network_answers_as_the_plain_one() {
    let path = model("folded", SMALL);
    let weights = Weights::open(&path).unwrap();
    let (_, approved) = weights.approve().unwrap();
    let plain = proof::plain_answers(&weights, SMALL, approved.temperature).unwrap();
    let options =
        EngineOptions { precision: FP32, device: DeviceChoice::Cpu, ..EngineOptions::default() };
    let engine = TorchEngine::load(&path, &options).unwrap();
    std::fs::remove_file(path).unwrap();
    let folded = engine.golden_answers().unwrap();
    assert!(spread(&plain.iter().map(|a| a[0]).collect::<Vec<_>>()) > 0.1, "{plain:?}");
    let difference = proof::difference(&plain, &folded);
    assert!(difference < 1e-5, "{difference}");
}

#[test]
fn forgetting_a_batch_norm_is_noticed() {
    let path = model("forgotten", SMALL);
    let weights = Weights::open(&path).unwrap();
    let plain = proof::plain_answers(&weights, SMALL, 1.0).unwrap();
    let options = EngineOptions { precision: FP32, ..EngineOptions::default() };
    let mut engine = TorchEngine::load(&path, &options).unwrap();
    std::fs::remove_file(path).unwrap();
    let _ = tch::no_grad(|| engine.trunk.stem_bias().zero_());
    let difference = proof::difference(&plain, &engine.golden_answers().unwrap());
    assert!(difference > FOLDING_TOLERANCE, "{difference}");
}

#[test]
fn batching_does_not_change_an_answer() {
    for precision in [FP32, PrecisionChoice::Auto] {
        let mut engine = engine(&format!("batching-{precision:?}"), |o| o.precision = precision);
        let pictures = golden::pictures();
        let alone: Vec<f64> = pictures
            .iter()
            .flat_map(|p| probabilities(&mut engine, std::slice::from_ref(p)))
            .collect();
        assert!(spread(&alone) > 0.1, "{alone:?}");
        for size in 1..=8 {
            let batch: Vec<_> = (0..size).map(|i| pictures[i % golden::COUNT].clone()).collect();
            let together = probabilities(&mut engine, &batch);
            for (index, probability) in together.iter().enumerate() {
                let away = (probability - alone[index % golden::COUNT]).abs();
                assert!(away <= engine.info().tolerance, "{away} at {index} of {size}");
            }
        }
    }
}

#[test]
fn a_cpu_with_onednn_runs_the_fused_form() {
    for precision in [FP32, PrecisionChoice::Auto] {
        let engine = engine(&format!("is-fused-{precision:?}"), |o| o.precision = precision);
        assert_eq!(engine.is_fused(), tch::utils::has_mkldnn(), "{precision:?}");
    }
}

#[test]
fn a_batch_larger_than_the_largest_is_cut_and_answered_in_order() {
    let mut engine = engine("cut", |o| o.max_batch = 4);
    let pictures = golden::pictures();
    let batch: Vec<_> = (0..11).map(|i| pictures[i % golden::COUNT].clone()).collect();
    let answers = probabilities(&mut engine, &batch);
    assert_eq!(answers.len(), 11);
    for index in 6..11 {
        assert!((answers[index] - answers[index - 6]).abs() <= engine.info().tolerance);
    }
    assert_eq!(engine.infer(&[]).unwrap().len(), 0);
}

#[test]
fn an_answer_that_is_not_a_number_is_an_error_of_its_image() {
    let mut engine = engine("nan", |_| {});
    // Features that are not numbers, for the second of three images.
    let pooled = Tensor::randn([3, SMALL.features()], (Kind::Float, Device::Cpu));
    let _ = pooled.select(0, 1).fill_(f64::NAN);
    let logits = Vec::<Vec<f32>>::try_from(engine.head.forward(&pooled).unwrap()).unwrap();
    let errors: Vec<bool> = logits.iter().map(|l| engine.answer(l, None).is_err()).collect();
    assert_eq!(errors, [false, true, false]);
    // And a whole batch.
    let _ = tch::no_grad(|| engine.head.output_bias().fill_(f64::NAN));
    let answers = engine.infer(&golden::pictures()[..3]).unwrap();
    assert_eq!(answers.len(), 3);
    assert!(answers.iter().all(Result::is_err));
}

#[test]
fn the_engine_can_move_to_another_thread() {
    let mut engine = engine("moved", |_| {});
    let pictures = golden::pictures();
    let here = probabilities(&mut engine, &pictures);
    let there = std::thread::spawn(move || probabilities(&mut engine, &pictures)).join().unwrap();
    assert_eq!(here, there);
}

/// What an engine answers alone, and what it and a replica answer while both compute, again and again.
fn at_once(mut engine: TorchEngine, batch: &[NetworkInput]) -> (Vec<f64>, Vec<Vec<f64>>) {
    let alone = probabilities(&mut engine, batch);
    let replica = engine.share();
    let compute = |mut engine: TorchEngine| {
        let batch = batch.to_vec();
        std::thread::spawn(move || (0..3).map(|_| probabilities(&mut engine, &batch)).collect())
    };
    let threads = [compute(engine), compute(replica)];
    (alone, threads.into_iter().flat_map(|one| -> Vec<_> { one.join().unwrap() }).collect())
}

#[test]
fn a_replica_answers_the_same_while_its_engine_computes() {
    for explanations in [false, true] {
        let engine = engine("replica", |options| options.explanations = explanations);
        let (alone, answers) = at_once(engine, &golden::pictures());
        assert_eq!(answers, vec![alone; 6]);
    }
}

#[test]
fn a_replica_has_no_weights_of_its_own() {
    let mut engine = engine("shared", |_| {});
    let mut replica = engine.share();
    assert_eq!(engine.trunk.stem_bias().data_ptr(), replica.trunk.stem_bias().data_ptr());
    assert_eq!(engine.head.output_bias().data_ptr(), replica.head.output_bias().data_ptr());
}

#[test]
fn explanations_come_when_asked_for_and_do_not_change_the_answer() {
    let mut with = engine("explained", |_| {});
    let mut without = engine("unexplained", |o| o.explanations = false);
    let pictures = golden::pictures();
    let explained = with.infer(&pictures).unwrap();
    let bare = without.infer(&pictures).unwrap();
    let mut warm = 0;
    for (explained, bare) in explained.into_iter().zip(bare) {
        let (explained, bare) = (explained.unwrap(), bare.unwrap());
        assert!((explained.probability - bare.probability).abs() < 1e-6);
        assert_eq!(bare.heatmap, None);
        let heatmap = explained.heatmap.unwrap();
        assert_eq!((heatmap.width, heatmap.height, heatmap.cells.len()), (7, 7, 49));
        assert!(heatmap.cells.iter().all(|c| (0.0..=1.0).contains(c)));
        warm += usize::from(heatmap.cells.contains(&1.0));
    }
    assert!(warm > 0, "every heatmap is cold");
}

#[test]
fn heatmaps_are_those_of_the_definition() {
    let engine = engine("definition", |o| o.precision = FP32);
    let maps = tch::no_grad(|| {
        engine.trunk.forward(&engine.table.batch(&golden::pictures()).unwrap()).unwrap()
    });
    let (_, found) = engine.explained(&maps).unwrap();
    // Grad-CAM as published: gradients of one image's score with respect to the whole map.
    for (index, found) in found.iter().enumerate() {
        let map = maps.narrow(0, index as i64, 1).detach().set_requires_grad(true);
        let score =
            engine.head.forward(&pool(&map).unwrap()).unwrap().select(1, 0).sum(Kind::Float);
        let gradient = Tensor::run_backward(&[score], &[&map], false, false).swap_remove(0);
        let weights = gradient.mean_dim([2i64, 3].as_slice(), true, Kind::Float);
        let heat =
            (&map.detach() * weights).sum_dim_intlist([1i64].as_slice(), false, Kind::Float).relu();
        let max = heat.max().double_value(&[]);
        for (cell, &found) in found.cells.iter().enumerate() {
            let (y, x) = (cell as i64 / 7, cell as i64 % 7);
            let wanted = if max > 0.0 { heat.double_value(&[0, y, x]) / max } else { 0.0 };
            assert!((wanted - f64::from(found)).abs() < 1e-4, "image {index} cell {cell}");
        }
    }
}

#[test]
fn the_card_and_the_file_name_the_model() {
    let path = model("named", SMALL);
    let options = EngineOptions { threads: 1, max_batch: 1, ..EngineOptions::default() };
    let engine = TorchEngine::load(&path, &options).unwrap();
    let digest = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(std::fs::read(&path).unwrap()));
    std::fs::remove_file(path).unwrap();
    assert_eq!(engine.info().model.version, "random-5");
    assert_eq!(engine.info().model.preprocessing, "grey224-v1");
    assert_eq!(engine.info().model.sha256, digest);
}

#[test]
fn a_lost_device_is_told_from_a_failed_batch() {
    let lost = TchError::Torch("CUDA error: device-side assert triggered".into());
    assert!(matches!(failure(4, &lost), EngineError::DeviceLost(_)));
    for text in ["CUDA error: out of memory", "size mismatch"] {
        assert!(matches!(
            failure(4, &TchError::Torch(text.into())),
            EngineError::Batch { size: 4, .. }
        ));
    }
}

#[test]
fn fused_convolutions_answer_as_plain_ones() {
    let path = model("fused", SMALL);
    let weights = Weights::open(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    let (trunk, _) = fold::fold(&weights, SMALL).unwrap();
    let _no_grad = tch::no_grad_guard();
    // oneDNN has no bf16 convolutions for a processor without AVX-512.
    let bf16 = is_quick(Precision::Bf16, Device::Cpu).then_some(Kind::BFloat16);
    for kind in [Kind::Float].into_iter().chain(bf16) {
        let table = GreyTable::new(kind, Device::Cpu).unwrap();
        let fused = fused::Trunk::pack(&trunk, kind, 4).unwrap();
        let plain = trunk.to(kind, Device::Cpu).unwrap();
        // Other batches than the one that weights were packed for run too.
        for size in [4, 1, 6] {
            let images = table.batch(&golden::pictures()[..size]).unwrap();
            let wanted = plain.forward(&images).unwrap().to_kind(Kind::Float);
            let found = fused.forward(&images).unwrap().to_kind(Kind::Float);
            let away = (&found - &wanted).abs().max().double_value(&[]);
            let scale = wanted.abs().max().double_value(&[]);
            let allowed = if kind == Kind::Float { 1e-5 } else { 2e-2 };
            assert!(scale > 0.1 && away <= scale * allowed, "{kind:?} {size}: {away} of {scale}");
        }
    }
}

#[test]
fn the_shipped_model_is_served_in_every_precision_of_this_machine() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("weights/lobar-resnet50.safetensors");
    let pictures = golden::pictures();
    let [exact, quick] = [FP32, PrecisionChoice::Auto].map(|precision| {
        let options =
            EngineOptions { threads: 1, max_batch: 2, precision, ..EngineOptions::default() };
        let engine = TorchEngine::load(&path, &options).unwrap();
        assert_eq!(engine.is_fused(), tch::utils::has_mkldnn(), "{}", engine.info().device);
        let (alone, answers) = at_once(engine, &pictures);
        assert_eq!(answers, vec![alone.clone(); 6]);
        alone
    });
    let away = exact.iter().zip(&quick).map(|(e, q)| (e - q).abs()).fold(0.0, f64::max);
    assert!(away <= BF16_TOLERANCE, "{away}");
}

/// The whole range of every activation on `pictures`.
fn observed(trunk: &folded::Trunk, pictures: &[NetworkInput]) -> int8::Ranges {
    let table = GreyTable::new(Kind::Float, Device::Cpu).unwrap();
    let mut ends = Vec::new();
    let _no_grad = tch::no_grad_guard();
    let _ = trunk
        .forward_watched(&table.batch(pictures).unwrap(), &mut |map| {
            ends.push([map.f_min()?, map.f_max()?].map(|end| end.double_value(&[])));
            Ok(())
        })
        .unwrap();
    int8::Ranges::new(ends)
}

/// The folded trunk of a small random network, its ranges on the golden pictures, and what it answers.
fn ranged(name: &str) -> (folded::Trunk, int8::Ranges, Tensor) {
    let path = model(name, SMALL);
    let weights = Weights::open(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    let (trunk, _) = fold::fold(&weights, SMALL).unwrap();
    let ranges = observed(&trunk, &golden::pictures());
    let table = GreyTable::new(Kind::Float, Device::Cpu).unwrap();
    let wanted =
        tch::no_grad(|| trunk.forward(&table.batch(&golden::pictures()).unwrap()).unwrap());
    (trunk, ranges, wanted)
}

#[test]
fn integers_answer_nearly_as_floating_point() {
    if !is_quick(Precision::Int8, Device::Cpu) {
        return; // without these instructions products overflow, and the engine does not run so
    }
    let (trunk, ranges, wanted) = ranged("int8");
    let packed = int8::Trunk::pack(&trunk, &ranges, Kind::Float, 4).unwrap();
    let table = GreyTable::new(Kind::Float, Device::Cpu).unwrap();
    let _no_grad = tch::no_grad_guard();
    for size in [6, 1, 4] {
        let found = packed.forward(&table.batch(&golden::pictures()[..size]).unwrap()).unwrap();
        let wanted = wanted.narrow(0, 0, size as i64);
        assert_eq!((found.size(), found.kind()), (wanted.size(), Kind::Float));
        let away = (&found - &wanted).square().mean(Kind::Double).sqrt().double_value(&[]);
        let scale = wanted.square().mean(Kind::Double).sqrt().double_value(&[]);
        assert!(away < 0.05 * scale && away > 0.0, "{size}: {away} of {scale}");
    }
}

#[test]
fn ranges_of_another_network_are_refused() {
    let (trunk, _, _) = ranged("int8-ours");
    let path = model("int8-other", Layout { blocks: [1, 1, 1, 1], width: 8 });
    let (other, _) =
        fold::fold(&Weights::open(&path).unwrap(), Layout { blocks: [1, 1, 1, 1], width: 8 })
            .unwrap();
    std::fs::remove_file(path).unwrap();
    let ranges = |trunk| observed(trunk, &golden::pictures()[..1]);
    for (trunk, ranges) in [(&trunk, ranges(&other)), (&other, ranges(&trunk))] {
        let packed = int8::Trunk::pack(trunk, &ranges, Kind::Float, 1);
        assert!(packed.unwrap_err().to_string().contains("ranges"));
    }
}

#[test]
fn integers_are_refused_by_name_where_a_model_has_no_ranges() {
    let path = model("no-ranges", SMALL);
    let precision = PrecisionChoice::Only(Precision::Int8);
    let options = EngineOptions { precision, ..EngineOptions::default() };
    let refused = TorchEngine::load(&path, &options);
    std::fs::remove_file(path).unwrap();
    let Err(LoadError::Precision { precision: Precision::Int8, .. }) = refused else {
        panic!("{refused:?}");
    };
}
