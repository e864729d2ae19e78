//! The network is torchvision's, name by name, and both ways in are the same.

use std::collections::BTreeMap;

use tch::{Device, Kind, Tensor, nn};

use super::*;

const SMALL: Layout = Layout { blocks: [1, 1, 1, 1], width: 8 };

#[test]
fn the_trunk_has_torchvisions_names_and_shapes() {
    let store = nn::VarStore::new(Device::Cpu);
    let _network = Network::new(&store.root());
    let variables = store.variables();
    let shapes: BTreeMap<&str, Vec<i64>> =
        variables.iter().map(|(name, value)| (name.as_str(), value.size())).collect();
    // torchvision's state has 320 entries: these 265, 53 counters of batches, and two of `fc`.
    assert_eq!(shapes.keys().filter(|name| !name.starts_with("head.")).count(), 265);
    for (name, shape) in [
        ("conv1.weight", vec![64, 3, 7, 7]),
        ("bn1.running_mean", vec![64]),
        ("layer1.0.downsample.0.weight", vec![256, 64, 1, 1]),
        ("layer1.0.downsample.1.running_var", vec![256]),
        ("layer2.0.conv1.weight", vec![128, 256, 1, 1]),
        ("layer2.0.conv2.weight", vec![128, 128, 3, 3]),
        ("layer3.5.bn3.bias", vec![1024]),
        ("layer4.2.conv3.weight", vec![2048, 512, 1, 1]),
        ("head.bn0.weight", vec![2048]),
        ("head.fc1.weight", vec![128, 2048]),
        ("head.fc3.bias", vec![128]),
        ("head.pneumonia.weight", vec![1, 128]),
    ] {
        assert_eq!(shapes.get(name), Some(&shape), "{name}");
    }
    let trained: usize = variables
        .iter()
        .filter(|(name, value)| !name.starts_with("head.") && value.requires_grad())
        .map(|(_, value)| value.numel())
        .sum();
    assert_eq!(trained, 23_508_032); // 25,557,032 of torchvision less 2,049,000 of its `fc`
}

#[test]
fn a_grey_picture_is_three_equal_channels() {
    let store = nn::VarStore::new(Device::Cpu);
    let network = Network::with_layout(&store.root(), SMALL);
    let grey = Tensor::randn([2, 1, 64, 64], (Kind::Float, Device::Cpu));
    let features = |images: &Tensor| tch::no_grad(|| network.trunk_features(images));
    let (one, three) = (features(&grey), features(&grey.expand([2, 3, 64, 64], false)));
    assert_eq!(one.size(), [2, SMALL.features(), 2, 2]);
    assert!(one.abs().max().double_value(&[]) > 0.1);
    assert!(one.allclose(&three, 1e-4, 1e-5, false));
}

#[test]
fn the_map_and_the_head_make_the_whole_answer() {
    let store = nn::VarStore::new(Device::Cpu);
    let network = Network::with_layout(&store.root(), SMALL);
    let images = Tensor::randn([3, 1, 64, 64], (Kind::Float, Device::Cpu));
    let whole = network.forward(&images, false);
    let parts = network.head_from_features(&network.trunk_features(&images));
    assert_eq!(whole.pneumonia.size(), [3]);
    assert_eq!(whole.pneumonia, parts.pneumonia);
    assert_eq!(whole.bacterial, parts.bacterial);
}

#[test]
fn bf16_images_train_fp32_weights() {
    let store = nn::VarStore::new(Device::Cpu);
    let network = Network::with_layout(&store.root(), SMALL);
    let images = Tensor::randn([4, 1, 64, 64], (Kind::BFloat16, Device::Cpu));
    let output = network.forward(&images, true);
    assert_eq!(output.pneumonia.kind(), Kind::Float);
    output.pneumonia.sum(Kind::Float).backward();
    let gradient = store.variables()["conv1.weight"].grad();
    assert_eq!(gradient.kind(), Kind::Float);
    assert!(gradient.isfinite().all().int64_value(&[]) == 1);
}

/// What `ops/setup` fetched.
fn imagenet() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../.imagenet/efficientnet-lite0.safetensors")
}

/// The drawn picture, on this program's scale: levels `(7x + 3y) mod 256`.
fn drawn(side: i64) -> Tensor {
    let level = |index: i64| ((index % side * 7 + index / side * 3) % 256) as f32;
    let levels: Vec<f32> =
        (0..side * side).map(|i| crate::preprocessing::normalise_level(level(i))).collect();
    Tensor::from_slice(&levels).view([1, 1, side, side])
}

#[test]
fn imagenet_weights_give_the_features_that_another_implementation_computes() {
    let store = nn::VarStore::new(Device::Cpu);
    let network = Network::of(&store.root(), Architecture::EfficientNetLite0);
    crate::weights::Weights::open(&imagenet()).unwrap().fill_trunk(&store).unwrap();
    let map = tch::no_grad(|| network.trunk_features(&drawn(96)));
    assert_eq!(map.size(), [1, 1280, 3, 3]);
    let pooled =
        Vec::<f32>::try_from(map.mean_dim([2i64, 3].as_slice(), false, Kind::Float).view([-1]))
            .unwrap();
    // Of a NumPy program, in double precision, from the same weights and levels.
    let sum: f32 = pooled.iter().sum();
    assert!((sum - 528.353_2).abs() < 0.05, "{sum}");
    for (channel, value) in [(0, 0.0), (3, 0.096_364), (1278, 2.905_005), (1279, 3.294_783)] {
        assert!((pooled[channel] - value).abs() < 2e-3, "{channel}: {}", pooled[channel]);
    }
    assert_eq!(pooled.iter().filter(|value| **value > 0.01).count(), 366);
}

#[test]
fn the_teachers_map_has_a_thirty_second_of_the_sides_and_its_own_number_of_channels() {
    let store = nn::VarStore::new(Device::Cpu);
    let network = Network::of(&store.root(), Architecture::EfficientNetLite0);
    for (side, cells) in [(64, 2), (160, 5), (224, 7)] {
        let map = tch::no_grad(|| network.trunk_features(&drawn(side)));
        assert_eq!(map.size(), [1, Architecture::EfficientNetLite0.features(), cells, cells]);
    }
}
