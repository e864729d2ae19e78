//! TorchScript, written as source over the folded network's tensors: it takes any number of
//! pictures at once, and depends on nothing that was traced.

use std::fmt::Write as _;
use std::path::Path;

use lobar_model::engine::folded::{Block, Convolution, Head, Linear, Trunk};
use lobar_model::engine::outputs::Outputs;
use lobar_model::engine::script::ScriptFile;
use lobar_model::preprocessing::{MEAN, STD};
use lobar_model::script;
use tch::{Kind, Tensor};

use super::{ExportError, SourceModel};

/// Writes the model to `path`.
pub(super) fn write(source: &SourceModel, path: &Path) -> Result<(), ExportError> {
    let mut module = Module::default();
    module.features(&source.trunk);
    module.classify(&source.head);
    module.forward(source.approved.temperature);
    let unusable = |why: String| ExportError::Unusable {
        path: path.to_owned(),
        why: script::first_line(&why),
    };
    script::write(path, &module.text, &module.tensors, &source.card).map_err(unusable)
}

/// What the file at `path` answers.
pub(super) fn answers(path: &Path, images: &Tensor) -> Result<Outputs, ExportError> {
    let file = ScriptFile::open(path, tch::Device::Cpu)?;
    file.script.outputs(images).map_err(|e| ExportError::Unusable {
        path: path.to_owned(),
        why: script::first_line(&e.to_string()),
    })
}

/// Source and tensors as they grow.
#[derive(Default)]
struct Module {
    text: String,
    tensors: Vec<(String, Tensor)>,
}

impl Module {
    /// Grey levels `[N, 1, H, W]` to the last feature map.
    fn features(&mut self, trunk: &Trunk) {
        self.line("def features(self, images: Tensor) -> Tensor:");
        self.line(&format!("    xs = (images / 255.0 - {MEAN:?}) / {STD:?}"));
        let stem = self.convolution("stem", "xs", &trunk.stem);
        self.line(&format!("    xs = torch.relu({stem})"));
        self.line("    xs = torch.max_pool2d(xs, [3, 3], [2, 2], [1, 1], [1, 1], False)");
        for (index, block) in trunk.blocks.iter().enumerate() {
            self.block(&format!("block{index}"), block);
        }
        self.line("    return xs");
    }

    fn block(&mut self, name: &str, block: &Block) {
        let [first, second, third] = &block.inner;
        let call = self.convolution(&format!("{name}_conv1"), "xs", first);
        self.line(&format!("    ys = torch.relu({call})"));
        let call = self.convolution(&format!("{name}_conv2"), "ys", second);
        self.line(&format!("    ys = torch.relu({call})"));
        let call = self.convolution(&format!("{name}_conv3"), "ys", third);
        let shortcut = block.shortcut.as_ref().map_or("xs".to_owned(), |shortcut| {
            self.convolution(&format!("{name}_shortcut"), "xs", shortcut)
        });
        self.line(&format!("    xs = torch.relu({call} + {shortcut})"));
    }

    /// Pooled features `[N, C]` to both logits `[N, 2]`.
    fn classify(&mut self, head: &Head) {
        self.line("def classify(self, pooled: Tensor) -> Tensor:");
        self.line("    xs = pooled");
        for (index, layer) in head.hidden.iter().enumerate() {
            let call = self.linear(&format!("hidden{index}"), layer);
            self.line(&format!("    xs = torch.relu({call})"));
        }
        let call = self.linear("outputs", &head.outputs);
        self.line(&format!("    return {call}"));
    }

    fn forward(&mut self, temperature: f64) {
        self.line("def forward(self, images: Tensor) -> Tuple[Tensor, Tensor, Tensor]:");
        self.line("    logits = self.classify(torch.mean(self.features(images), [2, 3]))");
        self.line("    logit = torch.select(logits, 1, 0)");
        self.line(&format!("    probability = torch.sigmoid(logit / {temperature:?})"));
        self.line("    bacterial = torch.sigmoid(torch.select(logits, 1, 1))");
        self.line("    return probability, bacterial, logit");
    }

    fn convolution(&mut self, name: &str, from: &str, convolution: &Convolution) -> String {
        let Convolution { weight, bias, stride, padding } = convolution;
        let (weight, bias) = self.pair(name, weight, bias);
        format!(
            "torch.conv2d({from}, {weight}, {bias}, [{stride}, {stride}], [{padding}, {padding}], [1, 1], 1)"
        )
    }

    fn linear(&mut self, name: &str, Linear { weight, bias }: &Linear) -> String {
        let (weight, bias) = self.pair(name, weight, bias);
        format!("torch.linear(xs, {weight}, {bias})")
    }

    /// Keeps a layer's weight and bias; how the source names them.
    fn pair(&mut self, layer: &str, weight: &Tensor, bias: &Tensor) -> (String, String) {
        let mut keep = |part: &str, tensor: &Tensor| {
            let name = format!("{layer}_{part}");
            let called = format!("self.{name}");
            self.tensors.push((name, tensor.to_kind(Kind::Float)));
            called
        };
        (keep("weight", weight), keep("bias", bias))
    }

    fn line(&mut self, line: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "{line}");
    }
}
