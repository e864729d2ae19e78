//! The folded network as a graph of ONNX's operators.

use lobar_model::engine::folded::{Block, Convolution, Head, Linear, Trunk};
use lobar_model::preprocessing;
use tch::{Kind, TchError, Tensor};

use super::proto::{
    Attribute, Extent, FLOAT, Graph, INT64, Node, Setting, Tensor as Stored, Value,
};
use crate::export::{INPUT, OUTPUTS};

/// Grey levels to the three outputs, any number of pictures at once.
pub(crate) fn graph(trunk: &Trunk, head: &Head, temperature: f64) -> Result<Graph, TchError> {
    let mut graph = Builder(Graph::default());
    graph.network(trunk, head, temperature)?;
    let Builder(mut graph) = graph;
    let side = preprocessing::SIDE as i64;
    let pictures =
        vec![Extent::Free("N"), Extent::Fixed(1), Extent::Fixed(side), Extent::Fixed(side)];
    graph.inputs = vec![value(INPUT, pictures)];
    graph.outputs = OUTPUTS.map(|output| value(output, vec![Extent::Free("N")])).into();
    Ok(graph)
}

fn value((name, meaning): (&str, &str), shape: Vec<Extent>) -> Value {
    Value { name: name.to_owned(), doc_string: meaning.to_owned(), shape }
}

fn ints(name: &str, ints: &[i64]) -> Attribute {
    Attribute { name: name.to_owned(), value: Setting::Integers(ints.to_vec()) }
}

/// Adds nodes; every node's only output has the node's name.
struct Builder(Graph);

impl Builder {
    fn network(&mut self, trunk: &Trunk, head: &Head, temperature: f64) -> Result<(), TchError> {
        let scaled = self.by_number("scaled", "Div", INPUT.0, 255.0);
        let centred = self.by_number("centred", "Sub", &scaled, preprocessing::MEAN);
        let normal = self.by_number("normalised", "Div", &centred, preprocessing::STD);
        let stem = self.convolution("stem", &normal, &trunk.stem)?;
        let stem = self.node("stem.relu", "Relu", &[&stem], vec![]);
        let window =
            vec![ints("kernel_shape", &[3; 2]), ints("strides", &[2; 2]), ints("pads", &[1; 4])];
        let mut map = self.node("stem.pool", "MaxPool", &[&stem], window);
        for (index, block) in trunk.blocks.iter().enumerate() {
            map = self.block(&format!("block{index}"), &map, block)?;
        }
        let pooled = self.node("pooled", "GlobalAveragePool", &[&map], vec![]);
        let mut features = self.node("features", "Flatten", &[&pooled], vec![]);
        for (index, layer) in head.hidden.iter().enumerate() {
            let name = format!("hidden{index}");
            let layer = self.linear(&name, &features, &layer.weight, &layer.bias)?;
            features = self.node(&format!("{name}.relu"), "Relu", &[&layer], vec![]);
        }
        let Linear { weight, bias } = &head.outputs;
        let [probability, bacterial, logit] = OUTPUTS.map(|(name, _)| name);
        let mut answer = |name: &str, row: i64, squeezed: &str| {
            let (weight, bias) = (weight.f_narrow(0, row, 1)?, bias.f_narrow(0, row, 1)?);
            let column = self.linear(name, &features, &weight, &bias)?;
            let axes = format!("{squeezed}.axes");
            self.store(&axes, INT64, vec![1], 1i64.to_le_bytes().to_vec());
            Ok::<_, TchError>(self.node(squeezed, "Squeeze", &[&column, &axes], vec![]))
        };
        let pneumonia = answer("pneumonia", 0, logit)?;
        let second = answer("bacterial", 1, "bacterial.logit")?;
        let calibrated = self.by_number("calibrated", "Div", &pneumonia, temperature as f32);
        self.node(probability, "Sigmoid", &[&calibrated], vec![]);
        self.node(bacterial, "Sigmoid", &[&second], vec![]);
        Ok(())
    }

    fn block(&mut self, name: &str, from: &str, block: &Block) -> Result<String, TchError> {
        let [first, second, third] = &block.inner;
        let mut ys = from.to_owned();
        for (index, convolution) in [first, second].into_iter().enumerate() {
            let name = format!("{name}.conv{}", index + 1);
            ys = self.convolution(&name, &ys, convolution)?;
            ys = self.node(&format!("{name}.relu"), "Relu", &[&ys], vec![]);
        }
        let ys = self.convolution(&format!("{name}.conv3"), &ys, third)?;
        let shortcut = match &block.shortcut {
            Some(shortcut) => self.convolution(&format!("{name}.shortcut"), from, shortcut)?,
            None => from.to_owned(),
        };
        let sum = self.node(&format!("{name}.sum"), "Add", &[&ys, &shortcut], vec![]);
        Ok(self.node(&format!("{name}.relu"), "Relu", &[&sum], vec![]))
    }

    fn convolution(
        &mut self,
        name: &str,
        from: &str,
        convolution: &Convolution,
    ) -> Result<String, TchError> {
        let Convolution { weight, bias, stride, padding } = convolution;
        let (_, _, height, width) = weight.size4()?;
        let how = vec![
            ints("kernel_shape", &[height, width]),
            ints("strides", &[*stride; 2]),
            ints("pads", &[*padding; 4]),
        ];
        let (weight, bias) = self.pair(name, weight, bias)?;
        Ok(self.node(name, "Conv", &[from, &weight, &bias], how))
    }

    fn linear(
        &mut self,
        name: &str,
        from: &str,
        weight: &Tensor,
        bias: &Tensor,
    ) -> Result<String, TchError> {
        let transposed = Attribute { name: "transB".to_owned(), value: Setting::Integer(1) };
        let (weight, bias) = self.pair(name, weight, bias)?;
        Ok(self.node(name, "Gemm", &[from, &weight, &bias], vec![transposed]))
    }

    /// A step with one number.
    fn by_number(&mut self, name: &str, operator: &str, from: &str, number: f32) -> String {
        let constant = format!("{name}.number");
        self.store(&constant, FLOAT, vec![], number.to_le_bytes().to_vec());
        self.node(name, operator, &[from, &constant], vec![])
    }

    fn node(&mut self, name: &str, operator: &str, from: &[&str], how: Vec<Attribute>) -> String {
        self.0.nodes.push(Node {
            inputs: from.iter().map(|&name| name.to_owned()).collect(),
            name: name.to_owned(),
            operator: operator.to_owned(),
            attributes: how,
        });
        name.to_owned()
    }

    /// Stores a layer's weight and bias; their names.
    fn pair(
        &mut self,
        layer: &str,
        weight: &Tensor,
        bias: &Tensor,
    ) -> Result<(String, String), TchError> {
        let mut keep = |part: &str, tensor: &Tensor| {
            let tensor = tensor.f_to_kind(Kind::Float)?.f_contiguous()?;
            let mut bytes = vec![0; tensor.numel() * 4];
            tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
            let name = format!("{layer}.{part}");
            self.store(&name, FLOAT, tensor.size(), bytes);
            Ok::<_, TchError>(name)
        };
        Ok((keep("weight", weight)?, keep("bias", bias)?))
    }

    fn store(&mut self, name: &str, data_type: i64, dims: Vec<i64>, raw_data: Vec<u8>) {
        self.0.initializers.push(Stored { dims, data_type, name: name.to_owned(), raw_data });
    }
}
