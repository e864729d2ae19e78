//! ONNX (<https://onnx.ai>), written from the folded network.
//!
//! Operator set 17 and the file format that goes with it (IR version 8), of 2022: only operators
//! that every runtime has had for years.

mod graph;
mod proto;
mod run;
mod wire;

use std::path::Path;

use lobar_model::card::CARD_KEY;
use lobar_model::engine::outputs::Outputs;
use tch::Tensor;

use super::{ExportError, SourceModel};
use proto::{Graph, Model};

/// The version of ONNX's operators.
const OPERATOR_SET: i64 = 17;
/// The version of ONNX's file format.
const IR_VERSION: i64 = 8;

/// Writes the model to `path`.
pub(super) fn write(source: &SourceModel, path: &Path) -> Result<(), ExportError> {
    let (trunk, head) = (&source.trunk, &source.head);
    let graph = graph::graph(trunk, head, source.approved.temperature).map_err(source.torch())?;
    let metadata = source.card.to_metadata().map_err(source.card_error())?;
    let card = metadata.get(CARD_KEY).cloned().unwrap_or_default();
    let properties = [
        (CARD_KEY, card),
        ("lobar.version", source.card.version.clone()),
        ("lobar.threshold", source.approved.threshold.to_string()),
        ("lobar.source_sha256", source.sha256.clone()),
    ];
    let model = Model {
        ir_version: IR_VERSION,
        opset_version: OPERATOR_SET,
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        doc_string: super::MEANING.to_owned(),
        metadata: properties.map(|(key, value)| (key.to_owned(), value)).into(),
        graph,
    };
    std::fs::write(path, model.encode()).map_err(|e| ExportError::write(path, e))
}

/// What the file at `path` answers, computed node by node with libtorch.
pub(super) fn answers(path: &Path, images: &Tensor) -> Result<Outputs, ExportError> {
    let bytes = std::fs::read(path).map_err(|e| ExportError::write(path, e))?;
    let damaged = |why: String| ExportError::Unusable { path: path.to_owned(), why };
    let graph = Graph::of_model(&bytes).map_err(damaged)?;
    run::run(&graph, images)
        .and_then(|outputs| Outputs::from_tensors(&outputs))
        .map_err(|e| damaged(lobar_model::script::first_line(&e.to_string())))
}
