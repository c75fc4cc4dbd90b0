#!/bin/bash
# The checks of a GPU machine with TensorRT 10.6, in sections, on what stage-tensorrt10.sh and stage-app.sh packed.
# Run in the tree's root; everything lies in /tmp/trtpipe-gpu between calls. JSON lines go to $OUT (else ./out) and
# to the terminal in short.
#   gpu/device.sh unpack              puts together what has come, and generates the models and engines
#   gpu/device.sh SECTION [...]       numbers | clients | latency | matrix | faults | sanitizer | torch | runtimes
set -uo pipefail
here="$PWD/gpu"
home=/tmp/trtpipe-gpu
out="${OUT:-$PWD/out}"
mkdir -p "$home/pieces" "$home/trt" "$home/app" "$out"
export LD_LIBRARY_PATH="$home/trt${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export TRTPIPE_TENSORRT="$home/trt/libnvinfer.so.10"
node="$home/node"
library="$home/app/prebuilds/linux-x64/libtrtpipe.so"
model="$home/resnet18.onnx"
expected="$home/app/resnet18.expected"
failed=0

# try LOG SECONDS COMMAND ...: runs it, notes what it was and how it ended.
try() {
  local log="$out/$1.jsonl" limit="$2" start=$SECONDS code
  shift 2
  printf '{"case":"%s"}\n' "$(printf '%s ' "${@##*/}" | tr -d '"\\')" | tee -a "$log"
  timeout "$limit" "$@" 2>>"$out/stderr.txt" | tee -a "$log" | cut -c1-400
  code=${PIPESTATUS[0]}
  printf '{"ended":%d,"seconds":%d}\n' "$code" $((SECONDS - start)) | tee -a "$log"
  [ "$code" -eq 0 ] || failed=$((failed + 1))
  return "$code"
}
# check LOG OPTION ...; engines are kept by what they depend on.
check() {
  local log="$1"
  shift
  try "$log" 240 "$home/app/check" "$library" "$model" "$expected" tensorrt="$TRTPIPE_TENSORRT" "$@"
}
reference() {
  local log="$1"
  shift
  try "$log" 240 "$node" "$here/reference.mjs" "$home/app/dist/index.js" "$model" "$expected" "$@"
}
cache() { echo "model::cache=$home/$1.trt"; }

collect() { # called with the call that carries a piece: moves it out of the way of the next one
  mv .cache/gpu106/[0-9][0-9]/* "$home/pieces/" 2>/dev/null
  ls "$home/pieces" | wc -l
}

unpack() {
  collect
  local xz="xz -dc -T0"
  command -v xz >/dev/null || xz="python3 -c 'import lzma,shutil,sys;shutil.copyfileobj(lzma.open(sys.stdin.buffer),sys.stdout.buffer,1<<20)'"
  if [ -d .cache/gpu106/app ]; then
    eval "$xz" <.cache/gpu106/app/node.xz >"$node" && chmod +x "$node"
    eval "$xz" <.cache/gpu106/app/app.tar.xz | tar -x -C "$home/app" || exit 1
  fi
  for runtime in bun deno; do
    [ -e ".cache/gpu106/$runtime/$runtime.xz" ] || continue
    eval "$xz" <".cache/gpu106/$runtime/$runtime.xz" >"$home/$runtime" && chmod +x "$home/$runtime"
  done
  if [ ! -e "$TRTPIPE_TENSORRT" ]; then
    cat "$home"/pieces/trt.tar.xz.* >"$home/trt.tar.xz" || exit 1
    (cd "$home" && sha256sum -c pieces/trt.sha256) || exit 1
    eval "$xz" <"$home/trt.tar.xz" | tar -x -C "$home/trt" || exit 1
    rm -r "$home/trt.tar.xz" "$home/pieces"
  fi
  [ -e "$model" ] || "$node" "$home/app/make-model.mjs" resnet18 "$home/models" >"$home/path" || exit 1
  [ -e "$model" ] || mv "$(cat "$home/path")" "$model"
  {
    ldd --version | head -1
    nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
    nproc
    grep -m1 "model name" /proc/cpuinfo
    ulimit -l
    "$node" --version
  } | tee "$out/machine.txt"
}

# Every batch size of every mode against ONNX Runtime's numbers, and the C loop's speed.
numbers() {
  check numbers precision=fp32 "$(cache fp32)" instances=1,2,4 seconds=2
  check numbers precision=fp16 tolerance=0.01 "$(cache fp16)" instances=1,2,4 seconds=2
  check numbers precision=fp32 "$(cache fp32)" pinned_bytes=0 instances=1,2 seconds=2
  check numbers precision=fp16 tolerance=0.01 "$(cache fp16)" pinned_bytes=0 instances=1,2 seconds=2
  check numbers precision=fp16 tolerance=0.01 "$(cache fp16g)" cuda_graph=1 instances=1,2,4 seconds=2
  check numbers precision=tf32 tolerance=0.02 "$(cache tf32)" instances=1,2 seconds=2
}

# The reference configuration beside the C loop that copies its rows as a client does: the ratios of the goals.
clients() {
  local precision
  for precision in fp32 fp16; do
    check clients precision=$precision tolerance=0.01 "$(cache $precision)" instances=2 seconds=3 runs=500
    check clients precision=$precision tolerance=0.01 "$(cache $precision)" instances=2 seconds=3 runs=500 copy=1
    reference clients requests=30000 precision=$precision tolerance=0.01 "$(cache $precision)"
    reference clients requests=30000 precision=$precision tolerance=0.01 "$(cache $precision)" pinned_bytes=0
    reference clients requests=30000 precision=$precision tolerance=0.01 "$(cache $precision)" clients=16
    reference clients requests=30000 precision=$precision tolerance=0.01 "$(cache $precision)" device=1
  done
  check past-caches precision=fp16 tolerance=0.01 "$(cache fp16)" instances=1,2 seconds=3 runs=500 copy=2
  reference clients requests=30000 precision=fp16 tolerance=0.01 "$(cache fp16g)" cuda_graph=1
  reference clients requests=30000 precision=fp16 tolerance=0.01 "$(cache fp16g)" cuda_graph=1 device=1
  reference clients requests=100000 precision=fp32 tolerance=0.001 "$(cache fp32)"
  ratios | tee "$out/ratios.jsonl"
}

# What clients.jsonl says of the goals: requests/s over the C loop's rows/s, and a lone request beside its run.
ratios() {
  python3 - "$out/clients.jsonl" <<'P'
import json, re, sys
loops, said, rows = {}, "", []
for line in open(sys.argv[1]):
    record = json.loads(line)
    if "case" in record:
        said = record["case"]
        precision = re.search("precision=(\w+)", said).group(1)
        copy = "copying" if "copy=1" in said else "plain"
    elif record.get("step") == "throughput":
        loops[precision, copy] = record["rows_per_s"]
    elif record.get("step") == "latency" and record["rows"] == 1:
        loops[precision, copy, "ms"] = record["p50_ms"]
    elif "requests_per_s" in record:
        row = {"precision": precision, "case": said[said.index("requests=") :].strip(), "requests_per_s": record["requests_per_s"]}
        for copy in ("plain", "copying"):
            row[f"of_{copy}_loop"] = round(record["requests_per_s"] / loops[precision, copy], 3)
            row[f"lone_ms_over_{copy}_loop"] = round(record["lone_p50_ms"] - loops[precision, copy, "ms"], 4)
        rows.append(row)
print("\n".join(map(json.dumps, rows)))
P
}

# A lone request (lone_p50_ms) and ten clients with longer and shorter busy waits, of the callers and for the device.
latency() {
  local spin
  for spin in 0 100 1000; do
    for precision in fp32 fp16; do
      reference latency requests=10000 precision=$precision tolerance=0.01 "$(cache $precision)" spin_us=$spin
      reference latency requests=10000 precision=$precision tolerance=0.01 "$(cache $precision)" \
        spin_us=100 device_spin_us=$spin
    done
    check latency precision=fp16 tolerance=0.01 "$(cache fp16)" spin_us=$spin instances=2 seconds=1 copy=1
  done
}

matrix() {
  local max instances clients
  for max in 1 4 8 16 32; do
    for instances in 1 2 4; do
      clients=$((2 * max * instances > 10 ? 2 * max * instances : 10))
      reference matrix requests=12000 precision=fp16 tolerance=0.01 "$(cache "fp16-$max")" \
        max=$max instance_num=$instances clients=$clients
    done
    check matrix precision=fp16 tolerance=0.01 "$(cache "fp16-$max")" rows=$max max=$max instances=1,2,4 seconds=1 \
      runs=50
  done
}

# A plan with bytes changed: FILE, the way, a number that the place follows from.
damage() {
  python3 - "$@" <<'P'
import random, struct, sys
source, target, kind, seed = sys.argv[1:]
data = bytearray(open(source, "rb").read())
key_bytes, plan_bytes = struct.unpack_from("<IQ", data, 12)
start = len(data) - plan_bytes
random.seed(int(seed))
bare = kind.startswith("bare")
if bare:
    data = data[start:]
if kind.endswith("flip"):
    for _ in range(8):
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
elif kind.endswith("head"):
    data[random.randrange(256)] ^= 1 << random.randrange(8)
elif kind.endswith("cut"):
    del data[random.randrange(1, len(data)) :]
elif kind.endswith("empty"):
    data.clear()
elif kind.endswith("junk"):
    data[:] = random.randbytes(len(data))
open(target, "wb").write(data)
P
}

plans() {
  local kind seed suffix code refused=0 ran=0 died=0
  for kind in container-whole container-flip container-head container-cut container-junk container-empty \
    bare-whole bare-flip bare-head bare-cut bare-junk bare-empty; do
    for seed in 1 2 3 4; do
      case "$kind-$seed" in *whole-[234] | *empty-[234]) continue ;; esac
      suffix=$([[ "$kind" == bare* ]] && echo plan || echo trt)
      damage "$home/fp16.trt" "$home/damaged.$suffix" "$kind" "$seed"
      timeout 60 "$home/app/faults" plan "$library" "$home/damaged.$suffix" tensorrt="$TRTPIPE_TENSORRT" max=4 \
        >"$home/said" 2>>"$out/stderr.txt"
      code=$?
      printf '{"plan":"%s","seed":%d,"ended":%d,"said":%s}\n' "$kind" "$seed" "$code" \
        "$(tail -1 "$home/said" | cut -c1-500 | python3 -c 'import json,sys;print(json.dumps(sys.stdin.read().strip()))')" |
        tee -a "$out/faults.jsonl" | cut -c1-300
      case "$code" in 0) ran=$((ran + 1)) ;; 3) refused=$((refused + 1)) ;; *) died=$((died + 1)) ;; esac
      # What our container guards must never reach TensorRT; a whole one must run.
      case "$kind:$code" in container-whole:0 | bare-whole:0 | bare-[!w]*:* | container-[!w]*:3) ;; *) failed=$((failed + 1)) ;; esac
    done
  done
  echo "{\"plans\":{\"ran\":$ran,\"refused\":$refused,\"died\":$died}}" | tee -a "$out/faults.jsonl"
}

faults() {
  local faults="$home/app/faults" trt="tensorrt=$TRTPIPE_TENSORRT"
  try faults 60 "$faults" driver
  try faults 90 "$faults" illegal "$library" "$model" "$trt" precision=fp16 max=4 "$(cache fp16)"
  try faults 120 "$faults" load "$library" "$model" "$trt" precision=fp16 max=4 "$(cache fp16)"
  try faults 180 "$faults" run "$library" "$home/app/late.onnx" "$trt" "$(cache late)"
  try faults 120 "$faults" capture "$library" "$model" "$trt" precision=fp16 max=4 cuda_graph=1 "$(cache fp16g)"
  plans
}

sanitizer() {
  local tool
  tool="$(command -v compute-sanitizer || ls /usr/local/cuda*/bin/compute-sanitizer 2>/dev/null | head -1)"
  if [ -z "$tool" ]; then
    echo '{"sanitizer":"none on this machine"}' | tee -a "$out/sanitizer.jsonl"
    return
  fi
  try sanitizer 280 "$tool" --tool memcheck --error-exitcode 9 "$home/app/check" "$library" "$model" "$expected" \
    tensorrt="$TRTPIPE_TENSORRT" precision=fp16 tolerance=0.01 "$(cache fp16)" instances=2 seconds=1 runs=10
}

torch() { try torch 280 python3 "$here/torch_loop.py" 1.0; }

# Bun and Deno, where they were carried along.
runtimes() {
  local arguments=("$here/reference.mjs" "$home/app/dist/index.js" "$model" "$expected" requests=20000 precision=fp16
    tolerance=0.01 "$(cache fp16)")
  [ -x "$home/bun" ] && try runtimes 120 "$home/bun" "${arguments[@]}"
  [ -x "$home/deno" ] && try runtimes 120 "$home/deno" run -A "${arguments[@]}"
}

for section in "$@"; do
  echo "{\"section\":\"$section\",\"time\":\"$(date -u +%T)\"}"
  "$section"
done
echo "{\"failed_cases\":$failed}"
exit $((failed > 0))
