#!/bin/bash
# All figures of one card in ten minutes: the 7B shape packed and padded, with gradient checkpointing and compiled, the
# attention kernel against SDPA, a resume, generation; one table with MFU and peak memory beside the prediction of
# `medmix train --dry-run`. Each part is a process with its own time limit; one that fails, hangs or is killed gives a
# row with its last line, and the table is printed whatever happens.
#
#     bash benchmarks/gpu.sh [OUT]           one GPU of 80 GB
#     bash benchmarks/gpu.sh --tiny [OUT]    a small shape, also on a CPU: proves that all parts run
#
# BUDGET (seconds, 600), STEPS and PYTHON may be set in the environment. A mix in OUT/mix is used as it is.

here=$(dirname "$0")
python=${PYTHON:-python}
tiny=()
steps=${STEPS:-12}
times=1
if [ "$1" = --tiny ]; then
  tiny=(--tiny)
  steps=${STEPS:-6}
  times=4  # a CPU that others use as well is slow
  export MALLOC_MMAP_THRESHOLD_=65536  # glibc gives freed tensors back at once, so a peak is what was in use
  shift
fi
out=${1:-$(mktemp -d)}
mkdir -p "$out" || exit 2
: > "$out/parts"
end=$((SECONDS + ${BUDGET:-$((600 * times))}))
child=

table() {
  [ -n "$child" ] && kill -TERM "$child" 2> /dev/null
  "$python" "$here/gpu_table.py" "$out"
}
trap table EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# part NAME SECONDS ARGUMENTS...: run one part, for at most so many seconds of those that are left
part() {
  local name=$1 limit=$(($2 * times)) left=$((end - SECONDS))
  shift 2
  echo "$name" >> "$out/parts"
  if [ "$left" -lt 5 ]; then
    return
  fi
  [ "$limit" -gt "$left" ] && limit=$left
  echo "$name: at most $limit s" >&2
  timeout -k 10 "$limit" "$python" "$here/gpu.py" "$@" "${tiny[@]}" --mix "$out/mix" --row "$out/$name.row" \
    > "$out/$name.log" 2>&1 &
  child=$!
  wait "$child"
  echo $? > "$out/$name.rc"
  child=
}

part mix 120 mix
part attention 60 attention
part memory 60 memory
part packed 120 train --steps "$steps"
part packed-checkpointing 120 train --steps "$steps" --set run.gradient_checkpointing=true
part packed-compiled 180 train --steps "$steps" --set run.compile=true
part padded 120 train --steps "$steps" --padded
part padded-checkpointing 120 train --steps "$steps" --padded --set run.gradient_checkpointing=true
part resume 100 resume
part generation 100 generation
part padded-compiled 180 train --steps "$steps" --padded --set run.compile=true
