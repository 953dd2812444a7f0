#!/usr/bin/env bash
# collect.sh <base packages> <folder> <binary...>: puts the binaries, stripped, and every shared library they need that no
# package of the base brings, into the folder as they shall lie in an image. The base packages are a file of names.
set -euo pipefail

base_packages=$1 image=$2
shift 2
install -d "$image/usr/bin" "$image/usr/lib/x86_64-linux-gnu"

for binary in "$@"; do
  install -m 755 --strip "$binary" "$image/usr/bin/"
done

# "libz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x...)"; what is not found is a fault.
ldd "$@" | awk '/not found/ { print "collect.sh: " $0 > "/dev/stderr"; bad = 1 } $2 == "=>" { print $3 } END { exit bad }' |
  sort -u | while IFS= read -r library; do
  # dpkg may know a library by the path before or after /lib became a link to /usr/lib.
  path=$(realpath "$library")
  package=$(dpkg-query -S "$path" 2>/dev/null || dpkg-query -S "${path#/usr}")
  package=${package%%:*}
  if ! grep -qxF "$package" "$base_packages"; then
    install -m 644 "$path" "$image/usr/lib/x86_64-linux-gnu/$(basename "$library")"
    # Debian asks that a package's copyright goes with its files.
    install -D -m 644 -t "$image/usr/share/doc/$package" "/usr/share/doc/$package/copyright"
  fi
done
