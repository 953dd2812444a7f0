"""Runs the tests of a preset through ctest and counts GoogleTest's tests.

usage: run_tests.py targets <preset> [filter]   print the build targets the selected tests need (none: all)
       run_tests.py run     <preset> [filter]   run them; the last line is "N passed, N failed", or of the conformance
                                                tests alone "N names, M cases, K passed"

A filter that is part of a ctest name (a room: "tensor") selects these; otherwise it selects the GoogleTest tests whose
"Suite.Name" contains it (or matches it, where it has a *).
"""

import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

RESULT_LINE = re.compile(r"^\s*\d+/\d+ Test\s+#\d+: (\S+) \.*\s*(.*?)\s+([\d.]+) sec")


def list_tests(preset):
    """The ctest tests: {name: path of the executable}. ctest gives no path to what is not built: then it is the name."""
    listing = subprocess.run(
        ["ctest", "--preset", preset, "--show-only=json-v1"], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    return {test["name"]: Path(test.get("command", [test["name"]])[0]) for test in json.loads(listing)["tests"]}


def build_targets(preset):
    listing = subprocess.run(
        ["ninja", "-C", f"build/{preset}", "-t", "targets", "all"], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    return {line.split(":")[0] for line in listing.splitlines()}


def in_build(path, preset):
    return path.is_relative_to(Path("build", preset).resolve())


def gtest_pattern(text):
    return text if "*" in text else f"*{text}*"


def has_gtest_match(executable, pattern):
    listing = subprocess.run(
        [executable, "--gtest_list_tests", f"--gtest_filter={pattern}"], stdout=subprocess.PIPE, text=True
    )
    return listing.returncode == 0 and re.search(r"^  \S", listing.stdout, re.MULTILINE) is not None


def adopt_orphans():
    """Makes processes whose parents end this one's children: what a test starts cannot escape by outliving it."""
    PR_SET_CHILD_SUBREAPER = 36
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children():
    """This process's children: {pid: command line}."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # "pid (name) state ppid ..."; the name may hold anything.
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            command = (stat.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except (OSError, ValueError):
            continue  # it ended meanwhile
        if parent == os.getpid():
            found[int(stat.parent.name)] = command
    return found


def kill_orphans():
    """Kills the processes that the tests have left behind, and those that these leave."""
    while orphans := children():
        for pid, command in orphans.items():
            if command:  # else it has ended already
                print(f"killed what a test left behind: {command}", flush=True)
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


class Tally:
    """Prints a line for each ctest test as it ends, and counts the tests within."""

    def __init__(self, tests, results):
        self.tests = tests
        self.results = results
        self.passed = self.failed = self.skipped = 0
        self.cases = {}  # of the conformance tests: name of the test -> (name in the database, passed everywhere)
        self.width = max(len(name) for name in tests)
        self.colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def count(self, name, ok):
        report = self.results / f"{self.tests[name].name}.xml"
        passed = failed = skipped = 0
        if report.exists():
            for case in ElementTree.parse(report).iter("testcase"):
                self.note_case(case)
                if case.get("result") == "skipped":
                    skipped += 1
                elif case.get("result") == "completed":
                    if case.find("failure") is not None:
                        failed += 1
                    else:
                        passed += 1
            if ok and passed + failed + skipped == 0:
                failed = 1  # a binary without a test proves nothing
            report.unlink()
        elif ok:
            passed = 1
        if not ok and failed == 0:
            failed = 1  # a crash, a leak or a time-out: no test of it says so itself
        return passed, failed, skipped

    def note_case(self, test):
        name = next((p.get("value") for p in test.iter("property") if p.get("name") == "database_name"), None)
        if name is None:
            return
        ok = test.get("result") == "completed" and test.find("failure") is None
        self.cases[test.get("name")] = (name, ok and self.cases.get(test.get("name"), (name, True))[1])

    def conformance(self):
        names = {name for name, _ in self.cases.values()}
        passed = sum(ok for _, ok in self.cases.values())
        return f"{len(names)} names, {len(self.cases)} cases, {passed} passed"

    def add(self, name, status, seconds):
        passed, failed, skipped = self.count(name, status == "Passed")
        self.passed += passed
        self.failed += failed
        self.skipped += skipped
        text = f"{name:<{self.width}}  {passed:4} passed"
        if skipped:
            text += f", {skipped} skipped"
        if failed:
            reason = "" if status.startswith(("***Failed", "Passed")) else f" ({status.strip('*')})"
            if "Timeout" in status:
                reason = " (timed out)"
            text += f", {failed} failed{reason}"
            if self.colour:
                text = f"\033[31m{text}\033[0m"
        print(f"{text}  {float(seconds):6.1f} s", flush=True)


def run(preset, names, tests, gtest_filter, tally):
    """One ctest run of the tests named; passes what failing tests print through."""
    adopt_orphans()
    environment = dict(os.environ, GTEST_OUTPUT=f"xml:{tally.results}/", CTEST_OUTPUT_ON_FAILURE="1")
    if gtest_filter:
        environment["GTEST_FILTER"] = gtest_filter
    pattern = "^(" + "|".join(re.escape(name) for name in names) + ")$"
    with subprocess.Popen(
        ["ctest", "--preset", preset, "-R", pattern],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as process:
        reporting = False  # between a failed test's line and the next test's
        for line in process.stdout:
            result = RESULT_LINE.match(line)
            if result and result[1] in tests:
                tally.add(*result.groups())
                reporting = result[2] != "Passed"
            elif re.match(r"^\s*Start\s+\d+: |^\d+% tests passed", line):
                reporting = False
            elif reporting and line.strip():
                print(f"  {line}", end="", flush=True)
    kill_orphans()
    return process.returncode


def main():
    if len(sys.argv) not in (3, 4) or sys.argv[1] not in ("targets", "run"):
        sys.exit(__doc__)
    action, preset = sys.argv[1:3]
    text = sys.argv[3] if len(sys.argv) == 4 else ""
    tests = list_tests(preset)
    if not tests:
        sys.exit(f"no tests in build/{preset}")
    names = [name for name in tests if text in name]

    if action == "targets":
        # A test that is not a target of its own (a script) may need anything: then all is built.
        if len(names) < len(tests) and build_targets(preset).issuperset(names):
            print(" ".join(names))
        return

    gtest_filter = ""
    if not names:
        gtest_filter = gtest_pattern(text)
        names = [n for n, path in tests.items() if in_build(path, preset) and has_gtest_match(path, gtest_filter)]
        if not names:
            sys.exit(f"no test matches '{text}'; rooms: {', '.join(sorted(tests))}")
    results = Path("build", preset, "test-results").resolve()
    shutil.rmtree(results, ignore_errors=True)
    tally = Tally({name: tests[name] for name in names}, results)
    code = run(preset, names, tests, gtest_filter, tally)
    if code and not tally.failed:
        tally.failed = 1  # ctest itself failed
    if tally.skipped:
        print(f"{tally.skipped} skipped")
    totals = [f"{tally.passed} passed, {tally.failed} failed"]
    if tally.cases:
        totals.insert(1 if all("conformance" in name for name in names) else 0, tally.conformance())
    print("\n".join(totals), flush=True)
    sys.exit(1 if tally.failed else 0)


if __name__ == "__main__":
    main()
