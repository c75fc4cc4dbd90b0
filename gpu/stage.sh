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

rm -rf "$stage"
mkdir -p "$stage/tree"
cc -std=c11 -O2 -Wall -Wextra -o "$stage/tree/check" gpu/check.c -ldl -lm -lpthread
cp prebuilds/linux-x64/* "$stage/tree/"
cp "$rtx/libtensorrt_rtx.so.1.7.1" "$rtx/libtensorrt_onnxparser_rtx.so.1.7.1" "$stage/tree/"
cp "$small" "$stage/tree/efficientnet.onnx"
cp "$model" "$stage/tree/resnet18.onnx"
cp gpu/run.sh "$stage/tree/"
node gpu/expected.mjs "$stage/tree/efficientnet.onnx" "$stage/tree/efficientnet.expected"
node gpu/expected.mjs "$stage/tree/resnet18.onnx" "$stage/tree/resnet18.expected"

# What is needed first is packed first: the pieces before the model's are enough for the smaller model.
tar -C "$stage/tree" -c check run.sh libtrtpipe.so $(cd "$stage/tree" && ls trtpipe-host 2>/dev/null) \
  libtensorrt_onnxparser_rtx.so.1.7.1 libtensorrt_rtx.so.1.7.1 efficientnet.onnx efficientnet.expected \
  resnet18.expected resnet18.onnx | xz --x86 --lzma2=preset=6 -T1 >"$stage/all.tar.xz"
split -b "${piece_mib}m" -d -a 1 "$stage/all.tar.xz" "$stage/piece."
rm -r "$stage/all.tar.xz" "$stage/tree"
for piece in "$stage"/piece.*; do
  mkdir "$stage/${piece##*.}"
  mv "$piece" "$stage/${piece##*.}/"
done
du -sh "$stage"/*
