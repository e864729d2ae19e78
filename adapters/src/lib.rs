//! One module a technology. The only crate that names a vendor.
