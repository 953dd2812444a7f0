"""Checks what the compilers do not: who may include whom, where locks live, that no unfinished work lands.

usage: check_source.py [root]     prints "file:line: fault" and exits with 1 if there is any

The rules are those of docs/contributing.md: imports point one way, and the engine knows nothing of the wire.
"""

import re
import subprocess
import sys
from pathlib import Path

# A room of core may include itself and those before it.
CORE_ROOMS = ["base", "tensor", "kernels", "autograd", "ops", "nn", "io", "optim", "graph"]
PARTS = ("core", "server", "client", "tests")
# Of the server, these alone speak gRPC.
GRPC_ROOMS = ("rpc", "secure")

PROTOBUF = re.compile(r"google/protobuf/|tapewire/v1/|inference/|.*\.pb\.h$")
GRPC = re.compile(r"grpc(pp)?/|.*\.grpc\.pb\.h$")
ENGINE_FOREIGN = re.compile(r"prometheus/|microhttpd|spdlog/|CLI/")
NUMERIC = re.compile(r"Eigen/|unsupported/Eigen/|dnnl|oneapi/")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
LOCK = re.compile(r"std::(recursive_|shared_|timed_|recursive_timed_)?mutex\b|std::(lock_guard|unique_lock|scoped_lock)\b|absl::Mutex")
UNFINISHED = re.compile(r"\b(TO[D]O|FI[X]ME)\b")
CODE = re.compile(r".*(\.(cc|h|py|sh|cmake|proto|yaml|yml|toml)|CMakeLists\.txt|Dockerfile|/?dev|\.ci/run)$")
CPP = re.compile(r".*\.(cc|h)$")


def room_of(path):
    """("core", "tensor") for core/tensor/shape.h; ("server", "") for server/main.cc."""
    parts = path.split("/")
    return parts[0], parts[1] if len(parts) > 2 else ""


def include_fault(path, target, quoted, root):
    """What is wrong with `path` including `target`, or None."""
    part, room = room_of(path)
    to_part, to_room = room_of(target)
    beside = (root / path).parent / target
    if quoted and ("/" not in target or target.startswith(".")) and beside.is_file():
        return f'"{target}": our headers are included by their path from the root'
    ours = to_part in PARTS and quoted
    if ours and not (root / target).is_file():
        return f'"{target}": no such file'

    if part == "core":
        if to_part in ("server", "client") and ours:
            return f"core includes {target}: the engine knows nothing of {to_part}"
        if PROTOBUF.match(target) or GRPC.match(target) or ENGINE_FOREIGN.match(target):
            return f"core includes {target}: the engine knows nothing of the wire"
        if NUMERIC.match(target) and room != "kernels" and path.endswith(".h"):
            return f"{target} in a public header: Eigen and oneDNN stay inside core/kernels"
        if ours and to_part == "core" and room in CORE_ROOMS:
            if to_room not in CORE_ROOMS:
                return f"core/{to_room} is not a room that check_source.py knows"
            if CORE_ROOMS.index(to_room) > CORE_ROOMS.index(room):
                return f"core/{room} includes {target}: {to_room} comes after {room}"
    if part == "core" and room not in CORE_ROOMS:
        return f"core/{room} is not a room that check_source.py knows"
    if part == "server":
        if to_part == "client" and ours:
            return f"server includes {target}: the server knows nothing of its clients"
        if GRPC.match(target) and room not in GRPC_ROOMS:
            return f"{target}: of server, only {' and '.join(GRPC_ROOMS)} speak gRPC"
        if ours and to_part == "server" and to_room == "rpc" and room not in ("rpc", ""):
            return f"server/{room} includes {target}: rpc calls the others, none calls rpc"
    if part == "client" and to_part == "server" and ours:
        return f"client includes {target}: a client knows the contract alone"
    if to_part == "tests" and ours and part != "tests":
        return f"{target}: only tests include tests"
    return None


def find_cycle(edges):
    """A cycle among rooms as a list that starts and ends with the same room, or None."""
    done = set()

    def walk(room, path):
        if room in path:
            return path[path.index(room) :] + [room]
        if room in done:
            return None
        for other in sorted(edges.get(room, ())):
            cycle = walk(other, path + [room])
            if cycle:
                return cycle
        done.add(room)
        return None

    for room in sorted(edges):
        cycle = walk(room, [])
        if cycle:
            return cycle
    return None


def check(root, paths):
    """The faults of these files, each "file:line: fault". `paths` are relative to `root`."""
    faults = []
    edges = {}  # server room -> {other: where it is included}
    for path in paths:
        lines = (root / path).read_text(encoding="utf-8", errors="replace").splitlines()
        part, room = room_of(path)
        cpp = CPP.match(path) and part in PARTS
        if cpp and path.endswith(".h") and "#pragma once" not in lines[:3]:
            faults.append(f"{path}:1: a header begins with #pragma once")
        for number, line in enumerate(lines, 1):
            where = f"{path}:{number}"
            if UNFINISHED.search(line):
                faults.append(f"{where}: unfinished work: {line.strip()}")
            if not cpp:
                continue
            include = INCLUDE.match(line)
            if include:
                quoted, target = include[1] == '"', include[2]
                fault = include_fault(path, target, quoted, root)
                to_part, to_room = room_of(target)
                if fault:
                    faults.append(f"{where}: {fault}")
                elif part == to_part == "server" and room and to_room and room != to_room:
                    edges.setdefault(room, {}).setdefault(to_room, where)
            elif part in ("core", "server") and LOCK.search(line) and not path.startswith("core/base/mutex."):
                faults.append(f"{where}: locks are those of core/base/mutex.h, which clang checks")
    cycle = find_cycle(edges)
    if cycle:
        faults.append(f"{edges[cycle[0]][cycle[1]]}: rooms of server include each other: {' -> '.join(cycle)}")
    return faults


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    paths = [path for path in listing.splitlines() if CODE.match(path) and (root / path).is_file()]
    faults = check(root, sorted(set(paths)))
    for fault in faults:
        print(fault)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
