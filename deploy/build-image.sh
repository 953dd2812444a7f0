#!/usr/bin/env bash
# Builds the image of the Dockerfile with buildah: no daemon, and no registry, as the base is made with debootstrap. Then
# runs the server from the image's root, read-only and as the image's user, checks it by the image's health check, stops it,
# and prints the image's size over its base. Fails above the limit. ./dev image calls this.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly limit_mb=70
readonly base=localhost/debian:bookworm-slim # what FROM finds first
readonly image=localhost/tapewire
readonly mirror=${TAPEWIRE_DEBIAN_MIRROR:-http://deb.debian.org/debian}
readonly work=$PWD/.cache/image

if [[ $(id -u) != 0 ]]; then exec sudo "$PWD/deploy/build-image.sh"; fi

fail() {
  printf 'image: %s\n' "$*" >&2
  exit 1
}

# run <log> <command...>: shows the log's end if the command fails.
run() {
  local log=$work/$1
  shift
  if ! "$@" >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    fail "failed: $* (all of it in $log)"
  fi
}

store() { buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs "$@"; }

make_base() {
  if [[ ! -e $work/rootfs.complete ]]; then
    echo "making the base with debootstrap"
    rm -rf "$work/rootfs"
    run debootstrap.log debootstrap --variant=minbase bookworm "$work/rootfs" "$mirror"
    # As the published image has it.
    cat >"$work/rootfs/etc/apt/sources.list" <<TEXT
deb $mirror bookworm main
deb $mirror bookworm-updates main
deb ${mirror%/debian}/debian-security bookworm-security main
TEXT
    rm -rf "$work"/rootfs/var/cache/apt/archives/*.deb "$work"/rootfs/var/lib/apt/lists/*
    touch "$work/rootfs.complete"
  fi
  if ! store inspect --type image "$base" >/dev/null 2>&1; then
    local container
    container=$(store from scratch)
    cp -a "$work/rootfs/." "$(store mount "$container")/"
    run commit.log store commit --rm "$container" "$base"
  fi
}

# config <path...>: a value of the image's configuration, a list one item a line.
config() {
  store inspect --type image "$image" | python3 -c '
import json, sys
value = json.load(sys.stdin)["Docker"]["config"]
for key in sys.argv[1:]:
    value = value[key]
print("\n".join(value) if isinstance(value, list) else value)' "$@"
}

# in_image <root> <command...>: runs a command with the image's root, read-only, and the image's user.
in_image() {
  # shellcheck disable=SC2016 # expanded by the inner shell
  exec unshare --mount sh -euc '
    root=$1 user=$2
    shift 2
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount -o remount,bind,ro "$root"
    exec chroot --userspec="$user" "$root" "$@"' sh "$1" "$user" "${@:2}"
}

stop_server() {
  if [[ -n ${server:-} ]]; then kill -KILL "$server" 2>/dev/null || true; fi
}

check_server() {
  local root=$1 entrypoint command health grpc
  mapfile -t entrypoint < <(config Entrypoint)
  mapfile -t command < <(config Cmd)
  mapfile -t health < <(config Healthcheck Test)
  user=$(config User)
  [[ $user =~ ^[1-9][0-9]*:[1-9][0-9]*$ ]] || fail "the image's user is '$user'; it must be numeric and not root"
  [[ ${health[0]:-} == CMD ]] || fail "the image has no HEALTHCHECK CMD"

  # The last flag of a name counts: free ports, so that a server on this machine is not in the way.
  (in_image "$root" "${entrypoint[@]}" "${command[@]}" --grpc_address=127.0.0.1:0 --http_address=127.0.0.1:0) \
    >"$work/server.out" 2>"$work/server.err" &
  server=$!
  trap stop_server EXIT
  for _ in {1..100}; do
    grpc=$(sed -n 's/^tapewired ready grpc=\([^ ]*\) .*/\1/p' "$work/server.out")
    if [[ -n $grpc ]]; then break; fi
    if ! kill -0 "$server" 2>/dev/null; then break; fi
    sleep 0.1
  done
  if [[ -z $grpc ]]; then
    cat "$work/server.out" "$work/server.err" >&2
    fail "the server did not become ready"
  fi
  echo "serving from the image's root, read-only, as user $user, on $grpc"
  (in_image "$root" env "TAPEWIRE_SERVER=$grpc" "${health[@]:1}") || fail "the health check failed: ${health[*]:1}"
  kill -TERM "$server"
  wait "$server" || fail "the server ended with code $? on SIGTERM"
  server=
  echo "health check passed; stopped cleanly"
}

mkdir -p "$work/ccache" "$work/apt"
make_base
echo "building $image"
# The caches make the next build quick; they are no part of the image.
run build.log store build --isolation chroot --format docker --pull-never --file Dockerfile --tag "$image" \
  --volume "$work/ccache:/root/.cache/ccache" --volume "$work/apt:/var/cache/apt/archives" .

container=$(store from --pull-never "$image")
root=$(store mount "$container")
check_server "$root"

size() { du -sxb "$1" | cut -f1; }
over=$(($(size "$root") - $(size "$work/rootfs")))
store rm "$container" >/dev/null
printf 'image %s: %d.%d MB over the base, of at most %d\n' \
  "$image" $((over / 1000000)) $((over / 100000 % 10)) "$limit_mb"
((over <= limit_mb * 1000000)) || fail "that is too much"
