//! Network, engine, Grad-CAM, training, evaluation, export. The only crate that links libtorch.
