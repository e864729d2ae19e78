//! What tests of adapters and of the whole system share: real services that are private to a test
//! process, and the contract suites of the ports. It knows the ports and the services' own clients, and no
//! adapter.

// A test owns its process: it reads the environment and spawns as it likes.
#![allow(clippy::disallowed_methods)]

pub mod contract;
pub mod preload;
pub mod services;

/// The folder of the workspace.
///
/// # Panics
/// When it is gone.
pub fn workspace() -> std::path::PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    std::path::Path::new(folder).canonicalize().expect("the workspace")
}

/// A folder with Node.js and packages that `make test` makes: `.provider` has those of `tests/provider`, `.clients` those of
/// `tests/clients`.
///
/// # Panics
/// When it is missing.
pub fn node_packages(link: &str) -> std::path::PathBuf {
    let packages = workspace().join(link);
    assert!(packages.exists(), "{} is missing: run `make test`", packages.display());
    packages
}

/// A program of the tests' Python environment: `LOBAR_VENV`, or the workspace's `.venv`.
///
/// # Panics
/// When it is missing.
pub fn python_program(name: &str) -> std::path::PathBuf {
    let default = || workspace().join(".venv");
    let venv = std::env::var_os("LOBAR_VENV").map_or_else(default, Into::into);
    let program = venv.join("bin").join(name);
    assert!(program.exists(), "{} is missing: run `make test`", program.display());
    program
}
