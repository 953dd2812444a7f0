"""Runs clang-tidy over our translation units, in parallel, and remembers those it found clean.

usage: run_tidy.py <clang-tidy> <build directory> <jobs>

A result is remembered under build/lint by a hash of all that it depends on in this tree: the file, our headers that it
includes, the contract, its compile command, the .clang-tidy files and the tool's version.
"""

import concurrent.futures
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

OURS = ("core", "server", "client", "tests")
INCLUDE = re.compile(rb'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)


class Hasher:
    """Content hashes of files together with our headers that they include."""

    def __init__(self, root, salt):
        self.root = root
        self.salt = salt
        self.files = {}  # path -> (digest, includes)

    def read(self, path):
        if path not in self.files:
            content = (self.root / path).read_bytes()
            includes = [name.decode() for name in INCLUDE.findall(content)]
            ours = [name for name in includes if name.split("/")[0] in OURS and (self.root / name).is_file()]
            self.files[path] = (hashlib.sha256(content).hexdigest(), ours)
        return self.files[path]

    def key(self, path, command):
        seen, stack = {}, [path]
        while stack:
            name = stack.pop()
            if name not in seen:
                seen[name], includes = self.read(name)
                stack.extend(includes)
        return hashlib.sha256(json.dumps([self.salt, command, sorted(seen.items())]).encode()).hexdigest()


def tidy(tool, build, path):
    result = subprocess.run(
        [tool, "--quiet", "-p", str(build), str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    return result.returncode == 0, result.stdout or result.stderr


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    tool, build, jobs = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    root = Path.cwd()
    protos = b"".join(path.read_bytes() for path in sorted(Path("proto").rglob("*.proto")))
    version = subprocess.run([tool, "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout
    settings = [path.read_text() for path in (Path(".clang-tidy"), Path("tests/.clang-tidy"))]
    salt = [version, *settings, hashlib.sha256(protos).hexdigest()]
    hasher = Hasher(root, salt)
    clean = Path("build/lint/clean")
    clean.mkdir(parents=True, exist_ok=True)

    work = []
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = Path(entry["file"])
        if path.is_relative_to(root) and path.relative_to(root).parts[0] in OURS and path.is_file():
            name = str(path.relative_to(root))
            key = hasher.key(name, entry["command"])
            if not (clean / key).exists():
                work.append((name, key))

    failed = 0
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        runs = {pool.submit(tidy, tool, build, name): (name, key) for name, key in work}
        for number, run in enumerate(concurrent.futures.as_completed(runs), 1):
            name, key = runs[run]
            ok, output = run.result()
            if sys.stdout.isatty():
                print(f"\r\033[Kclang-tidy {number}/{len(runs)} {name}", end="", flush=True)
            if ok:
                (clean / key).touch()
            else:
                failed += 1
                print(f"\n{name}\n{output}", flush=True)
    if sys.stdout.isatty():
        print(f"\r\033[Kclang-tidy: {len(runs)} files, {failed} with faults")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
