#!/bin/sh
# Runs the numeric suites as other processors would compute them, and says which of them failed.
#
#   sh ops/test-processors.sh [ARGUMENTS OF cargo test]      `-p lobar-model -p lobar-lab` when left out
#
# MKL, oneDNN and PyTorch take the kernels that suit the processor, and each rounds in its own way. These variables
# make them take those of another one, as far as this one has the instructions.
set -u
cd "$(dirname "$0")/.." || exit 1
cargo=${CARGO:-cargo}
[ $# -gt 0 ] || set -- -p lobar-model -p lobar-lab

# Tests of the laboratory ask the executable too.
if [ -z "${LOBAR_BIN:-}" ]; then "$cargo" build --locked -p lobar || exit 1; fi
"$cargo" test --locked --no-run "$@" || exit 1

failed=""
for processor in \
    "" \
    MKL_CBWR=COMPATIBLE \
    MKL_CBWR=AVX2 \
    MKL_CBWR=AVX512 \
    ATEN_CPU_CAPABILITY=default \
    ATEN_CPU_CAPABILITY=avx2 \
    ONEDNN_MAX_CPU_ISA=AVX2 \
    ONEDNN_MAX_CPU_ISA=AVX512_CORE; do
    name=${processor:-"this processor"}
    echo "== $name"
    # An empty word would be taken for a command.
    if ! env ${processor:+"$processor"} "$cargo" test --locked --no-fail-fast "$@"; then
        failed="$failed
  $name"
    fi
done
if [ -n "$failed" ]; then
    echo "Failed under:$failed"
    exit 1
fi
echo "All suites passed under every one of them."
