//! A graph of ONNX computed node by node with libtorch: enough of it to check what was exported,
//! from nothing but the bytes of the file.

use std::collections::HashMap;

use tch::{Kind, TchError, Tensor};

use super::proto::{FLOAT, Graph, INT64, Node, Tensor as Stored};

/// The outputs of `graph` for one input, in the graph's order.
///
/// # Errors
/// libtorch's; or a name or operator that is unknown.
pub(crate) fn run(graph: &Graph, input: &Tensor) -> Result<Vec<Tensor>, TchError> {
    let _no_grad = tch::no_grad_guard();
    let mut values: HashMap<&str, Tensor> = HashMap::new();
    for stored in &graph.initializers {
        values.insert(&stored.name, tensor(stored)?);
    }
    for value in &graph.inputs {
        values.insert(&value.name, input.shallow_clone());
    }
    // Maps are large: each is kept until the last node that reads it.
    let mut last_use: HashMap<&str, usize> = HashMap::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        last_use.extend(node.inputs.iter().map(|name| (name.as_str(), index)));
    }
    last_use.extend(graph.outputs.iter().map(|value| (value.name.as_str(), usize::MAX)));
    for (index, node) in graph.nodes.iter().enumerate() {
        let from: Vec<&Tensor> =
            node.inputs.iter().map(|name| known(&values, name)).collect::<Result<_, _>>()?;
        let result = compute(node, &from)?;
        values.retain(|name, _| last_use.get(name).is_none_or(|&last| last > index));
        values.insert(&node.name, result);
    }
    graph.outputs.iter().map(|value| Ok(known(&values, &value.name)?.shallow_clone())).collect()
}

fn compute(node: &Node, from: &[&Tensor]) -> Result<Tensor, TchError> {
    match (node.operator.as_str(), from) {
        ("Conv", [xs, weight, bias]) => {
            let [strides, pads] = [ints(node, "strides")?, ints(node, "pads")?];
            xs.f_conv2d(weight, Some(*bias), strides, &pads[..2], [1; 2], 1)
        }
        ("MaxPool", [xs]) => {
            let [kernel, strides, pads] =
                [ints(node, "kernel_shape")?, ints(node, "strides")?, ints(node, "pads")?];
            xs.f_max_pool2d(kernel, strides, &pads[..2], [1; 2], false)
        }
        ("GlobalAveragePool", [xs]) => xs.f_mean_dim([2i64, 3].as_slice(), true, Kind::Float),
        ("Flatten", [xs]) => xs.f_flatten(1, -1),
        ("Gemm", [xs, weight, bias]) => xs.f_linear(weight, Some(*bias)),
        ("Relu", [xs]) => xs.f_relu(),
        ("Sigmoid", [xs]) => xs.f_sigmoid(),
        ("Squeeze", [xs, axes]) => xs.f_squeeze_dim(axes.f_int64_value(&[0])?),
        ("Add", [a, b]) => a.f_add(b),
        ("Sub", [a, b]) => a.f_sub(b),
        ("Div", [a, b]) => a.f_div(b),
        (other, from) => Err(wrong(&format!("{other} of {} inputs is unknown", from.len()))),
    }
}

fn tensor(stored: &Stored) -> Result<Tensor, TchError> {
    let kind = match stored.data_type {
        FLOAT => Kind::Float,
        INT64 => Kind::Int64,
        other => return Err(wrong(&format!("{} has type {other}", stored.name))),
    };
    Tensor::f_from_data_size(&stored.raw_data, &stored.dims, kind)
}

fn known<'a>(values: &'a HashMap<&str, Tensor>, name: &str) -> Result<&'a Tensor, TchError> {
    values.get(name).ok_or_else(|| wrong(&format!("nothing is called {name}")))
}

/// A list of two or four numbers.
fn ints<'a>(node: &'a Node, name: &str) -> Result<&'a [i64], TchError> {
    match node.integers(name) {
        Some(ints) if ints.len() >= 2 => Ok(ints),
        _ => Err(wrong(&format!("{} has no {name}", node.name))),
    }
}

fn wrong(why: &str) -> TchError {
    TchError::Torch(format!("the ONNX graph cannot be computed: {why}"))
}
