#!/bin/bash
# Runs every check of this folder's models, each in a process of its own; one JSON object per line.
#   run.sh [options of check ...]
cd "$(dirname "$0")" || exit 2
for archive in rtx models; do
  if [ -e "$archive.tar.xz" ]; then
    # Python unpacks where there is no xz.
    tar -xJf "$archive.tar.xz" || python3 -m tarfile -e "$archive.tar.xz" . || exit 2
    rm "$archive.tar.xz"
  fi
done
rtx="tensorrt=$PWD/libtensorrt_rtx.so.1.7.1"
failed=0
try() {
  echo "{\"case\":\"$*\"}"
  timeout 240 ./check ./libtrtpipe.so "$@" || failed=$((failed + 1))
}
try efficientnet.onnx efficientnet.expected "$rtx" instances=1,4 "$@"
try resnet18.onnx resnet18.expected "$rtx" "$@"
try resnet18.onnx resnet18.expected "$rtx" precision=tf32 tolerance=0.02 "$@"
try resnet18.onnx resnet18.expected "$rtx" compute_capability=current "$@"
try resnet18.onnx resnet18.expected "$rtx" cuda_graph=1 "$@"
try resnet18.onnx resnet18.expected "$rtx" cuda_graph=1 precision=tf32 tolerance=0.02 "$@"
try resnet18.onnx resnet18.expected "$rtx" model::cache="$PWD/resnet18.trt" instances=1 seconds=1 "$@"
try resnet18.onnx resnet18.expected "$rtx" model::cache="$PWD/resnet18.trt" instances=1 seconds=1 "$@"
echo "{\"failed_cases\":$failed}"
exit "$failed"
