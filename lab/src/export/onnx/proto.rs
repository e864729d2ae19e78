//! The messages of ONNX that a network needs, with the field numbers of the standard
//! (<https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>). What is left out here is left out
//! when a file is read.

use super::wire::{Message, fields};

/// `ModelProto`
#[derive(Debug, PartialEq)]
pub(crate) struct Model {
    pub(crate) ir_version: i64,
    pub(crate) opset_version: i64,
    pub(crate) producer_version: String,
    pub(crate) doc_string: String,
    pub(crate) metadata: Vec<(String, String)>,
    pub(crate) graph: Graph,
}

/// `GraphProto`
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Graph {
    pub(crate) nodes: Vec<Node>,
    pub(crate) initializers: Vec<Tensor>,
    pub(crate) inputs: Vec<Value>,
    pub(crate) outputs: Vec<Value>,
}

/// `NodeProto`; every node here has one output, and its name.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Node {
    pub(crate) inputs: Vec<String>,
    pub(crate) name: String,
    pub(crate) operator: String,
    pub(crate) attributes: Vec<Attribute>,
}

/// `AttributeProto`
#[derive(Debug, PartialEq)]
pub(crate) struct Attribute {
    pub(crate) name: String,
    pub(crate) value: Setting,
}

/// What an attribute may be here.
#[derive(Debug, PartialEq)]
pub(crate) enum Setting {
    Integer(i64),
    Integers(Vec<i64>),
}

/// `TensorProto`, its values little-endian in `raw_data`.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Tensor {
    pub(crate) dims: Vec<i64>,
    pub(crate) data_type: i64,
    pub(crate) name: String,
    pub(crate) raw_data: Vec<u8>,
}

/// `TensorProto.DataType.FLOAT`
pub(crate) const FLOAT: i64 = 1;
/// `TensorProto.DataType.INT64`
pub(crate) const INT64: i64 = 7;

/// `ValueInfoProto` of a tensor of `FLOAT`.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Value {
    pub(crate) name: String,
    pub(crate) doc_string: String,
    /// Not read back.
    pub(crate) shape: Vec<Extent>,
}

/// `TensorShapeProto.Dimension`
#[derive(Debug, PartialEq)]
pub(crate) enum Extent {
    /// Known.
    Fixed(i64),
    /// Free, under a name.
    Free(&'static str),
}

impl Model {
    /// The file's bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut message = Message::default();
        message.integer(1, self.ir_version);
        message.bytes(2, "lobar");
        message.bytes(3, &self.producer_version);
        message.bytes(6, &self.doc_string);
        message.message(7, self.graph.encode());
        let mut operators = Message::default();
        operators.bytes(1, ""); // the standard's own
        operators.integer(2, self.opset_version);
        message.message(8, operators);
        for (key, value) in &self.metadata {
            let mut property = Message::default();
            property.bytes(1, key);
            property.bytes(2, value);
            message.message(14, property);
        }
        message.into_bytes()
    }
}

impl Graph {
    fn encode(&self) -> Message {
        let mut message = Message::default();
        for node in &self.nodes {
            message.message(1, node.encode());
        }
        message.bytes(2, "lobar");
        for tensor in &self.initializers {
            message.message(5, tensor.encode());
        }
        for (field, values) in [(11, &self.inputs), (12, &self.outputs)] {
            for value in values {
                message.message(field, value.encode());
            }
        }
        message
    }

    /// The graph of a file.
    pub(crate) fn of_model(bytes: &[u8]) -> Result<Self, String> {
        let graph = fields(bytes)?.into_iter().find(|(field, _)| *field == 7);
        let (_, graph) = graph.ok_or("there is no graph")?;
        let mut read = Self::default();
        for (field, value) in fields(graph.bytes()?)? {
            match field {
                1 => read.nodes.push(Node::decode(value.bytes()?)?),
                5 => read.initializers.push(Tensor::decode(value.bytes()?)?),
                11 => read.inputs.push(Value::decode(value.bytes()?)?),
                12 => read.outputs.push(Value::decode(value.bytes()?)?),
                _ => {}
            }
        }
        Ok(read)
    }
}

impl Node {
    fn encode(&self) -> Message {
        let mut message = Message::default();
        for input in &self.inputs {
            message.bytes(1, input);
        }
        message.bytes(2, &self.name);
        message.bytes(3, &self.name);
        message.bytes(4, &self.operator);
        for Attribute { name, value } in &self.attributes {
            let mut attribute = Message::default();
            attribute.bytes(1, name);
            // The last field is `AttributeType`.
            match value {
                Setting::Integer(value) => {
                    attribute.integer(3, *value);
                    attribute.integer(20, 2);
                }
                Setting::Integers(values) => {
                    values.iter().for_each(|value| attribute.integer(8, *value));
                    attribute.integer(20, 7);
                }
            }
            message.message(5, attribute);
        }
        message
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        let mut read = Self::default();
        for (field, value) in fields(bytes)? {
            match field {
                1 => read.inputs.push(value.text()?),
                2 => read.name = value.text()?,
                4 => read.operator = value.text()?,
                5 => read.attributes.push(Attribute::decode(value.bytes()?)?),
                _ => {}
            }
        }
        Ok(read)
    }

    /// The numbers of an attribute.
    pub(crate) fn integers(&self, name: &str) -> Option<&[i64]> {
        self.attributes.iter().find(|attribute| attribute.name == name).and_then(|attribute| {
            match &attribute.value {
                Setting::Integers(values) => Some(values.as_slice()),
                Setting::Integer(_) => None,
            }
        })
    }
}

impl Attribute {
    fn decode(bytes: &[u8]) -> Result<Self, String> {
        let (mut name, mut integer, mut integers) = (String::new(), None, Vec::new());
        for (field, value) in fields(bytes)? {
            match field {
                1 => name = value.text()?,
                3 => integer = Some(value.integer()?),
                8 => integers.push(value.integer()?),
                _ => {}
            }
        }
        let value = integer.map_or(Setting::Integers(integers), Setting::Integer);
        Ok(Self { name, value })
    }
}

impl Tensor {
    fn encode(&self) -> Message {
        let mut message = Message::default();
        for extent in &self.dims {
            message.integer(1, *extent);
        }
        message.integer(2, self.data_type);
        message.bytes(8, &self.name);
        message.bytes(9, &self.raw_data);
        message
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        let mut read = Self::default();
        for (field, value) in fields(bytes)? {
            match field {
                1 => read.dims.push(value.integer()?),
                2 => read.data_type = value.integer()?,
                8 => read.name = value.text()?,
                9 => read.raw_data = value.bytes()?.to_vec(),
                _ => {}
            }
        }
        Ok(read)
    }
}

impl Value {
    fn encode(&self) -> Message {
        let mut shape = Message::default();
        for extent in &self.shape {
            let mut dimension = Message::default();
            match extent {
                Extent::Fixed(extent) => dimension.integer(1, *extent),
                Extent::Free(name) => dimension.bytes(2, name),
            }
            shape.message(1, dimension);
        }
        let mut tensor = Message::default();
        tensor.integer(1, FLOAT);
        tensor.message(2, shape);
        let mut kind = Message::default();
        kind.message(1, tensor);
        let mut message = Message::default();
        message.bytes(1, &self.name);
        message.message(2, kind);
        message.bytes(3, &self.doc_string);
        message
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        let mut read = Self::default();
        for (field, value) in fields(bytes)? {
            match field {
                1 => read.name = value.text()?,
                3 => read.doc_string = value.text()?,
                _ => {}
            }
        }
        Ok(read)
    }
}
