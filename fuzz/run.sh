#!/bin/sh
# Runs fuzz targets one after the other, each for a while: sh fuzz/run.sh SECONDS [TARGET…]
# Works on stable Rust, without a sanitizer: coverage comes by the flags that cargo-fuzz sets too. What it learns is kept in
# fuzz/corpus, what it finds in fuzz/artifacts. FUZZ_TARGET_DIR names another build folder.
set -eu
cd "$(dirname "$0")"
seconds=$1
shift
[ $# -gt 0 ] || set -- notification image dicom dicom_peer rle jpeg_lossless s3_listing sse_position api_bodies stow_multipart

target=${FUZZ_TARGET_DIR:-target}
host=$(rustc -vV | sed -n 's/^host: //p')
flags="--cfg fuzzing -Cdebug-assertions -Ccodegen-units=1 -Cpasses=sancov-module"
for flag in level=4 inline-8bit-counters pc-table trace-compares; do
    flags="$flags -Cllvm-args=-sanitizer-coverage-$flag"
done
flags="$flags -Cllvm-args=-simplifycfg-branch-fold-threshold=0"
# For a named target alone: build scripts and macros are built without the flags.
RUSTFLAGS=$flags cargo build --locked --release --target "$host" --target-dir "$target"
for name; do
    mkdir -p "corpus/$name" "artifacts/$name"
    # Only the first folder is written to.
    set -- "corpus/$name" "seeds/$name"
    case $name in
        notification) set -- "$@" ../ingest/tests/fixtures ;;
        image | dicom) set -- "$@" ../imaging/tests/fixtures ;;
    esac
    echo "fuzz: $name for $seconds s"
    nice -n 19 "$target/$host/release/$name" -artifact_prefix="artifacts/$name/" \
        -max_total_time="$seconds" -rss_limit_mb=4096 -max_len=65536 -timeout=20 -print_final_stats=1 "$@"
done
