//! Lets what is built here find libtorch when it runs: torch-sys tells where it linked it from, but
//! its own link arguments do not reach the crates that make binaries and tests.
#![allow(
    clippy::disallowed_methods,
    reason = "cargo speaks to build scripts through the environment"
)]

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/engine/guarded.h");
    println!("cargo:rerun-if-changed=src/engine/fused.cpp");
    println!("cargo:rerun-if-changed=src/engine/int8/quantized.cpp");
    println!("cargo:rerun-if-changed=src/script.cpp");
    if let Ok(lib) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        let lib = std::fs::canonicalize(&lib).unwrap_or_else(|_| lib.into());
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.display());
        // An installed copy: bin/lobar beside lib/libtorch_cpu.so.
        println!("cargo:rustc-link-arg=-Wl,-rpath,$ORIGIN/../lib");
        // Headers lie beside the library, where torch-sys took them from too.
        let include = lib.with_file_name("include");
        cc::Build::new()
            .cpp(true)
            .std("c++17")
            .warnings(false)
            .includes([include.join("torch/csrc/api/include"), include])
            .file("src/engine/fused.cpp")
            .file("src/engine/int8/quantized.cpp")
            .file("src/script.cpp")
            .compile("lobar_torch");
    }
}
