#!/bin/bash
# Packs TensorRT 10.6 with the resource that its builder needs (from its Maven package) into pieces, one in each
# folder FOLDER/00, 01, ...: for a machine that takes no more at a time. Needs mvn, unzip and xz. See README.md.
#   gpu/stage-tensorrt10.sh [FOLDER, default .cache/gpu106] [MiB per piece, default 45]
set -euo pipefail
root="$(cd "$(dirname "$0")/.." && pwd)"
target="$(mkdir -p "${1:-$root/.cache/gpu106}" && cd "${1:-$root/.cache/gpu106}" && pwd)"
piece_mib="${2:-45}"
source="$target-source"
jar="$source/tensorrt-10.6-1.5.11-linux-x86_64-redist.jar"
libraries="libnvinfer.so.10 libnvonnxparser.so.10 libnvinfer_builder_resource.so.10.6.0"

mkdir -p "$source"
if [ ! -e "$jar" ]; then
  mvn -q -B dependency:copy -Dartifact=org.bytedeco:tensorrt:10.6-1.5.11:jar:linux-x86_64-redist \
    -DoutputDirectory="$source"
fi
# Packed once: it takes minutes.
if [ ! -e "$source/trt.tar.xz" ]; then
  for library in $libraries; do
    [ -e "$source/$library" ] || unzip -q -j -o "$jar" "org/bytedeco/tensorrt/linux-x86_64/$library" -d "$source"
  done
  # shellcheck disable=SC2086
  tar -C "$source" -c $libraries | xz -3 -T0 >"$source/trt.part"
  mv "$source/trt.part" "$source/trt.tar.xz"
  (cd "$source" && rm $libraries)
fi
rm -rf "$target"/[0-9][0-9]
split -b "${piece_mib}m" -d -a 2 "$source/trt.tar.xz" "$target/piece."
for piece in "$target"/piece.*; do
  mkdir "$target/${piece##*.}"
  mv "$piece" "$target/${piece##*.}/trt.tar.xz.${piece##*.}"
done
(cd "$source" && sha256sum trt.tar.xz) >"$target/00/trt.sha256"
du -sh "$target"/[0-9][0-9]
