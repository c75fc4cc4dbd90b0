#!/bin/bash
# Packs what a bare GPU machine needs to run check.c into pieces in .cache/gpu/. See README.md.
#   gpu/stage.sh [MiB per piece, default 45]
set -euo pipefail
cd "$(dirname "$0")/.."
piece_mib="${1:-45}"
stage=.cache/gpu
rtx=.cache/rtx/onnxruntime_ep_nv_tensorrt_rtx
small=examples/data/efficientnet_lite0.onnx

if [ ! -e "$rtx/libtensorrt_rtx.so.1.7.1" ]; then
  python3 -m pip download -q --no-deps -d .cache/wheel onnxruntime-ep-nv-tensorrt-rtx-cu12==0.5.0
  python3 -m zipfile -e .cache/wheel/onnxruntime_ep_nv_tensorrt_rtx_cu12-0.5.0-*.whl .cache/rtx
fi
node scripts/setup.mjs
model="$(npx tsx examples/models/make.ts resnet18)"

# The two large archives are packed once: that takes minutes.
packed=.cache/gpu-packed
mkdir -p "$packed"
pack="xz --x86 --lzma2=preset=6 -T1"
if [ ! -e "$packed/rtx.tar.xz" ]; then
  tar -C "$rtx" -c libtensorrt_onnxparser_rtx.so.1.7.1 libtensorrt_rtx.so.1.7.1 | $pack >"$packed/rtx.part"
  mv "$packed/rtx.part" "$packed/rtx.tar.xz"
fi
if [ ! -e "$packed/models.tar.xz" ]; then
  mkdir -p "$packed/models"
  cp "$small" "$packed/models/efficientnet.onnx"
  cp "$model" "$packed/models/resnet18.onnx"
  for name in efficientnet resnet18; do
    node gpu/expected.mjs "$packed/models/$name.onnx" "$packed/models/$name.expected"
  done
  tar -C "$packed/models" -c efficientnet.onnx efficientnet.expected resnet18.expected resnet18.onnx |
    $pack >"$packed/models.part"
  mv "$packed/models.part" "$packed/models.tar.xz"
  rm -r "$packed/models"
fi

rm -rf "$stage"
mkdir -p "$stage/tree"
cc -std=c11 -O2 -Wall -Wextra -o "$stage/tree/check" gpu/check.c -ldl -lm -lpthread
cp prebuilds/linux-x64/* gpu/run.sh "$packed"/*.tar.xz "$stage/tree/"
tar -C "$stage/tree" -c check run.sh libtrtpipe.so trtpipe-host rtx.tar.xz models.tar.xz |
  split -b "${piece_mib}m" -d -a 1 - "$stage/piece."
rm -r "$stage/tree"
for piece in "$stage"/piece.*; do
  mkdir "$stage/${piece##*.}"
  mv "$piece" "$stage/${piece##*.}/"
done
du -sh "$stage"/*
