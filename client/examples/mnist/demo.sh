#!/usr/bin/env bash
# Trains the MNIST network end to end on a server of its own, watched through its hooks, and checks the result.
# Usage: client/examples/mnist/demo.sh BUILD_DIR
set -euo pipefail

if [[ $# -ne 1 || ! -d $1 ]]; then
  echo "usage: $0 BUILD_DIR (the folder that holds server/tapewired and client/cli/tapewire)" >&2
  exit 2
fi
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

model=mnist
layers=conv1,conv2,fc1,fc2
epochs=5
required=0.97
data=(--data "$here/data" --mean 0.1307 --std 0.3081)

scratch=$(mktemp -d)
server_pid=

stop_server() {  # returns what the server exits with
  local pid=$server_pid watchdog status=0
  server_pid=
  kill -TERM "$pid" || return
  (sleep 30 && kill -KILL "$pid") 2>/dev/null &
  watchdog=$!
  wait "$pid" || status=$?
  kill "$watchdog" 2>/dev/null || true
  return "$status"
}

cleanup() {
  if [[ -n $server_pid ]]; then
    stop_server || true
  fi
  rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then bold=$'\e[1m' plain=$'\e[0m'; else bold='' plain=''; fi
title() { printf '\n%s%s%s\n' "$bold" "$1" "$plain"; }

fail() {
  echo "demo: $1" >&2
  if [[ -s $scratch/server.log ]]; then
    echo "demo: the last lines of the server's log:" >&2
    tail -n 20 "$scratch/server.log" >&2
  fi
  exit 1
}

# The server says where it listens in one line on stdout, once it serves.
mkfifo "$scratch/ready"
"$build/server/tapewired" --grpc_address=127.0.0.1:0 --http_address=127.0.0.1:0 \
  >"$scratch/ready" 2>"$scratch/server.log" &
server_pid=$!
exec {ready}<"$scratch/ready"
ready_line=
while IFS= read -r -t 30 -u "$ready" ready_line; do
  [[ $ready_line == "tapewired ready "* ]] && break
done
[[ $ready_line =~ ^tapewired\ ready\ grpc=([^ ]+)\ http=([^ ]+) ]] || fail "the server did not become ready"
export TAPEWIRE_SERVER=${BASH_REMATCH[1]}
http=${BASH_REMATCH[2]}
tapewire=$build/client/cli/tapewire

metrics() {  # GET /metrics, with nothing but bash
  local connection line
  exec {connection}<>"/dev/tcp/${http%:*}/${http##*:}"
  printf 'GET /metrics HTTP/1.0\r\nHost: %s\r\n\r\n' "$http" >&"$connection"
  while IFS= read -r -u "$connection" line && [[ $line != $'\r' ]]; do :; done
  cat <&"$connection"
  exec {connection}>&-
}

title "Tapewire: MNIST over gRPC"
printf 'server    %s (metrics on http://%s/metrics)\n' "$TAPEWIRE_SERVER" "$http"
printf 'network   %s\n' "${here#"$PWD"/}/mnist.txtpb"
"$tapewire" models create "$model" -f "$here/mnist.txtpb" --seed 20

title "Training, with backward hooks on ${layers//,/, } (their gradients' norms: ∇)"
"$tapewire" train "$model" "${data[@]}" --epochs "$epochs" --batch 32 --lr-schedule linear --seed 20 --watch "$layers"

title "Held-out digits and what the network says"
"$tapewire" predict "$model" "${data[@]}" --show 6

title "From /metrics"
metrics >"$scratch/metrics"
pattern='^tapewire_(steps_total|samples_total|loss|grad_norm|learning_rate|parameter_version|hook_events_total)\{'
pattern+='|^tapewire_(rpc_duration_seconds|compute_seconds)_count\{.*(Train|Evaluate|forward|backward|step)'
pattern+='|^tapewire_tensor_bytes\{'
grep -E "$pattern" "$scratch/metrics" || fail "/metrics has none of the lines that matter"

result=$("$tapewire" eval "$model" "${data[@]}" --json)
[[ $result =~ \"samples\":([0-9]+) ]] || fail "no number of samples in: $result"
samples=${BASH_REMATCH[1]}
[[ $result =~ \"accuracy\":([0-9.eE+-]+) ]] || fail "no accuracy in: $result"
exact=${BASH_REMATCH[1]}
accuracy=$(LC_ALL=C printf '%.4f' "$exact")

stop_server || fail "the server did not stop cleanly (exit code $?)"
title "Server stopped cleanly"
# By the number itself: a rounded 0.97 is not enough.
LC_ALL=C awk -v got="$exact" -v want="$required" 'BEGIN { exit !(got + 0 >= want + 0) }' ||
  fail "accuracy $accuracy is below $required"
echo "accuracy $accuracy on $samples digits after $epochs epochs"
