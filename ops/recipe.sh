#!/bin/sh
# Repeats the whole recipe of a model, from ImageNet weights to the file that can be served.
#
# usage: recipe.sh DATA OUT SEED... [-- FURTHER ARGUMENTS OF lobar train]
#
# For every seed a teacher (EfficientNet-Lite0, from ImageNet) and a student (ResNet-50, from scratch, or from the
# weights in $INIT) that learns from it. The last seed's student learns from all teachers that are there by then if
# ENSEMBLE=1. It is resumable: the same command goes on where it was. LOBAR names the executable.
#
# Without bf16 in the processor (lscpu: avx512_bf16, amx_bf16) give `-- --fp32`.
set -eu

lobar=${LOBAR:-target/release/lobar}
imagenet=${IMAGENET:-.imagenet/efficientnet-lite0.safetensors}
[ $# -ge 3 ] || { sed -n '3,12s/^# \{0,1\}//p' "$0" >&2; exit 2; }
data=$1 out=$2
shift 2
seeds=
while [ $# -gt 0 ] && [ "$1" != -- ]; do seeds="$seeds $1"; shift; done
[ $# -eq 0 ] || shift

teachers=
for seed in $seeds; do
    teacher=$out/teacher-$seed
    [ -f "$teacher/model.safetensors" ] ||
        "$lobar" train --data "$data" --out "$teacher" --seed "$seed" --architecture efficientnet-lite0 \
            --init "$imagenet" --rate 5e-4 --stages "${TEACHER_STAGES:-160:5,224:4}" --balance-groups \
            --name "efficientnet-lite0-$seed" "$@"
    teachers=${teachers:+$teachers,}$teacher/model.safetensors
    [ "${ENSEMBLE:-}" = 1 ] || teachers=$teacher/model.safetensors
    student=$out/student-$seed
    [ -f "$student/model.safetensors" ] ||
        "$lobar" train --data "$data" --out "$student" --seed "$seed" --teacher "$teachers" --views 2 --consistency 0.1 \
            --rate "${STUDENT_RATE:-5e-4}" --stages "${STUDENT_STAGES:-160:4,224:3}" --balance-groups \
            ${INIT:+--init "$INIT"} "$@"
done
"$lobar" runs "$out"
