//! Which layers learn. From pretrained weights one often trains the head first, or the last layers
//! alone, and the rest later.
//!
//! A layer is one with weights to multiply by, a convolution or a fully connected one, together with
//! the batch norm that follows it. Layers are counted from the output: the two outputs are one layer,
//! and a block's shortcut belongs to the layer whose result it is added to. So of ResNet-50 and its
//! head the last 4 are the head, the last 13 the head and `layer4`, and 53 are all; of EfficientNet-Lite0
//! 53 are all too.

use tch::Tensor;

/// The layers of the head.
pub const HEAD: usize = 4;

/// Place of a parameter's layer, from the input on.
fn place(name: &str) -> (u8, u32, u8) {
    let parts: Vec<&str> = name.split('.').collect();
    let digit = |part: &str| part.bytes().last().map_or(0, |last| last.saturating_sub(b'0'));
    match parts[..] {
        ["conv1" | "bn1" | "_conv_stem" | "_bn0", ..] => (0, 0, 0),
        ["_blocks", block, layer, ..] => {
            let order = match layer {
                "_expand_conv" | "_bn0" => 1,
                "_depthwise_conv" | "_bn1" => 2,
                _ => 3,
            };
            (1, block.parse().unwrap_or(0), order)
        }
        ["_conv_head" | "_bn1", ..] => (2, 0, 0),
        ["head", "bn0" | "fc1" | "bn1", ..] => (9, 0, 1),
        ["head", "fc2" | "bn2", ..] => (9, 0, 2),
        ["head", "fc3" | "bn3", ..] => (9, 0, 3),
        ["head", ..] => (9, 0, 4),
        [stage, block, "downsample", ..] => (digit(stage), block.parse().unwrap_or(0), 3),
        [stage, block, layer, ..] => (digit(stage), block.parse().unwrap_or(0), digit(layer)),
        _ => (9, 0, 4),
    }
}

/// Lets the last `last` layers learn and freezes the others; `None` lets all learn. Running statistics
/// never have gradients and are left as they are.
pub(crate) fn freeze(
    variables: &[(String, Tensor)],
    last: Option<usize>,
) -> Result<(), tch::TchError> {
    let mut places: Vec<_> = variables.iter().map(|(name, _)| place(name)).collect();
    places.sort_unstable();
    places.dedup();
    let first = match last {
        Some(last) => places[places.len().saturating_sub(last)],
        None => places[0],
    };
    for (name, value) in variables {
        if !is_statistic(name) {
            let _ = value.f_set_requires_grad(place(name) >= first)?;
        }
    }
    Ok(())
}

fn is_statistic(name: &str) -> bool {
    name.ends_with(".running_mean") || name.ends_with(".running_var")
}

#[cfg(test)]
mod tests {
    use tch::{Device, nn};

    use super::*;
    use lobar_model::network::{Architecture, Layout, Network};

    fn learning(layout: Layout, last: Option<usize>) -> Vec<String> {
        let store = nn::VarStore::new(Device::Cpu);
        let _network = Network::with_layout(&store.root(), layout);
        let variables: Vec<(String, Tensor)> = store.variables().into_iter().collect();
        freeze(&variables, last).expect("frozen");
        let learns = variables.into_iter().filter(|(_, value)| value.requires_grad());
        learns.map(|(name, _)| name).collect()
    }

    const SMALL: Layout = Layout { blocks: [1, 1, 2, 1], width: 4 };

    #[test]
    fn the_last_four_layers_are_the_head() {
        let names = learning(SMALL, Some(HEAD));
        assert!(names.iter().all(|name| name.starts_with("head.")));
        assert!(
            ["head.bn0.weight", "head.fc1.weight", "head.bacterial.bias"]
                .iter()
                .all(|wanted| names.iter().any(|name| name == wanted))
        );
    }

    #[test]
    fn further_layers_learn_from_the_output_backwards_and_statistics_never() {
        let names = learning(SMALL, Some(HEAD + 1));
        let beyond: Vec<_> = names.iter().filter(|name| !name.starts_with("head.")).collect();
        assert!(!beyond.is_empty());
        let of_the_last = ["layer4.0.conv3", "layer4.0.bn3", "layer4.0.downsample"];
        assert!(beyond.iter().all(|name| of_the_last.iter().any(|layer| name.starts_with(layer))));
        assert!(!names.iter().any(|name| is_statistic(name)));
    }

    #[test]
    fn all_layers_learn_when_nothing_is_said_or_more_are_asked_for_than_there_are() {
        let all = learning(SMALL, None);
        assert!(all.iter().any(|name| name == "conv1.weight"));
        assert_eq!(learning(SMALL, Some(1000)).len(), all.len());
    }

    #[test]
    fn a_teachers_last_layers_are_its_head_and_then_its_last_blocks() {
        let with = |last| {
            let store = nn::VarStore::new(Device::Cpu);
            let _network = Network::of(&store.root(), Architecture::EfficientNetLite0);
            let variables: Vec<(String, Tensor)> = store.variables().into_iter().collect();
            freeze(&variables, Some(last)).expect("frozen");
            let learns = variables.into_iter().filter(|(_, value)| value.requires_grad());
            learns.map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert!(with(53).iter().any(|name| name == "_conv_stem.weight"));
        assert!(!with(52).iter().any(|name| name == "_conv_stem.weight" || name == "_bn0.weight"));
        assert!(with(HEAD + 1).iter().any(|name| name == "_bn1.weight"));
        assert!(!with(HEAD + 1).iter().any(|name| name.starts_with("_blocks.")));
        assert!(with(HEAD + 2).iter().any(|name| name == "_blocks.15._bn2.bias"));
        assert!(!with(HEAD + 2).iter().any(|name| name == "_blocks.15._bn1.bias"));
    }

    #[test]
    fn resnet_50_and_its_head_have_53_layers() {
        let with = |last| learning(Layout::RESNET50, Some(last));
        assert!(with(53).iter().any(|name| name == "conv1.weight"));
        assert!(!with(52).iter().any(|name| name == "conv1.weight"));
        assert!(with(13).iter().any(|name| name == "layer4.0.conv1.weight"));
        assert!(!with(13).iter().any(|name| name.starts_with("layer3.")));
    }
}
