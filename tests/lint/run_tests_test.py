"""Runs tools/run_tests.py over a small CMake project whose tests pass, fail, skip, crash, hang and are empty."""

import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

RUNNER = Path(__file__).resolve().parents[2] / "tools" / "run_tests.py"

PRESETS = """{ "version": 6,
  "configurePresets": [ { "name": "p", "generator": "Ninja", "binaryDir": "${sourceDir}/build/p" } ],
  "testPresets": [ { "name": "p", "configurePreset": "p", "execution": { "jobs": 2 } } ] }"""

# Stands in for a GoogleTest binary: lists its tests, honours the filter and writes the report.
FAKE = """#!/usr/bin/python3
import fnmatch, os, subprocess, sys
cases = {cases!r}
pattern = os.environ.get("GTEST_FILTER", "*")
for argument in sys.argv[1:]:
    if argument.startswith("--gtest_filter="):
        pattern = argument.split("=", 1)[1]
chosen = {{name: how for name, how in cases.items() if fnmatch.fnmatchcase("Suite." + name, pattern)}}
if "--gtest_list_tests" in sys.argv:
    print("Suite.")
    print("".join("  " + name + "\\n" for name in chosen), end="")
    sys.exit(0)
if "crash" in chosen.values():
    os.abort()
if "hang" in chosen.values() or "leave" in chosen.values():
    # A child as it comes, and one that has a session of its own.
    for own_session in (False, True):
        child = subprocess.Popen(
            ["sleep", "1000"], start_new_session=own_session, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open("children", "a") as pids:
            print(child.pid, file=pids)
    if "hang" in chosen.values():
        print("looking for what never comes", flush=True)
        child.wait()
rows = ""
for name, how in chosen.items():
    result = "skipped" if how == "skip" else "completed"
    inside = "<failure/>" if how == "fail" else ""
    rows += '<testcase name="%s" result="%s">%s</testcase>' % (name, result, inside)
folder = os.environ["GTEST_OUTPUT"].split(":", 1)[1]
os.makedirs(folder, exist_ok=True)
with open(os.path.join(folder, os.path.basename(sys.argv[0]) + ".xml"), "w") as report:
    report.write("<testsuites>" + rows + "</testsuites>")
if "fail" in chosen.values():
    print("the reason it failed")
    sys.exit(1)
if "leak" in chosen.values():
    sys.exit(23)
"""


class RunTests(unittest.TestCase):
    def setUp(self):
        self.root = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.root)
        (self.root / "CMakePresets.json").write_text(PRESETS)

    def project(self, time_limit=None, **binaries):
        """Configures a project with one test binary per argument: its cases by name and outcome."""
        lines = ["cmake_minimum_required(VERSION 3.25)", "project(fake NONE)", "enable_testing()"]
        for name, cases in binaries.items():
            binary = self.root / "build" / "p" / name
            binary.parent.mkdir(parents=True, exist_ok=True)
            binary.write_text(FAKE.format(cases=cases))
            binary.chmod(0o755)
            lines.append(f"add_custom_target({name})")
            lines.append(f"add_test(NAME {name} COMMAND ${{CMAKE_BINARY_DIR}}/{name})")
            if time_limit:
                lines.append(f"set_tests_properties({name} PROPERTIES TIMEOUT {time_limit})")
        (self.root / "CMakeLists.txt").write_text("\n".join(lines))
        subprocess.run(["cmake", "--preset", "p"], cwd=self.root, check=True, stdout=subprocess.DEVNULL)

    def run_tests(self, *arguments, action="run"):
        result = subprocess.run(
            [sys.executable, RUNNER, action, "p", *arguments],
            cwd=self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        lines = result.stdout.splitlines()
        return result.returncode, lines[-1] if lines else "", result.stdout

    def test_counts_tests_over_binaries(self):
        self.project(tensor_test={"a": "pass", "b": "pass"}, ops_test={"c": "pass"})
        self.assertEqual(self.run_tests()[:2], (0, "3 passed, 0 failed"))

    def test_failure_is_counted_and_shown(self):
        self.project(tensor_test={"a": "pass", "b": "fail"}, ops_test={"c": "pass"})
        code, last, output = self.run_tests()
        self.assertEqual((code, last), (1, "2 passed, 1 failed"))
        self.assertIn("the reason it failed", output)

    def test_crash_is_a_failure(self):
        self.project(tensor_test={"a": "pass", "b": "crash"})
        self.assertEqual(self.run_tests()[:2], (1, "0 passed, 1 failed"))

    def children_that_live(self):
        pids = (self.root / "build" / "p" / "children").read_text().split()
        self.assertEqual(len(pids), 2)
        return [pid for pid in pids if Path("/proc", pid).exists()]

    def test_hang_is_a_failure_by_name_and_leaves_nothing_running(self):
        self.project(time_limit=1, tensor_test={"a": "pass", "b": "hang"}, ops_test={"c": "pass"})
        code, last, output = self.run_tests()
        self.assertEqual((code, last), (1, "1 passed, 1 failed"))
        self.assertRegex(output, r"tensor_test +0 passed, 1 failed \(timed out\)")
        self.assertIn("looking for what never comes", output)
        self.assertEqual(self.children_that_live(), [])

    def test_what_a_test_leaves_behind_is_killed(self):
        self.project(tensor_test={"a": "leave"})
        code, last, output = self.run_tests()
        self.assertEqual((code, last), (0, "1 passed, 0 failed"))
        self.assertIn("killed what a test left behind: sleep 1000", output)
        self.assertEqual(self.children_that_live(), [])

    def test_bad_exit_after_good_tests_is_a_failure(self):
        self.project(tensor_test={"a": "leak"})
        self.assertEqual(self.run_tests()[:2], (1, "1 passed, 1 failed"))

    def test_binary_without_tests_is_a_failure(self):
        self.project(tensor_test={})
        self.assertEqual(self.run_tests()[:2], (1, "0 passed, 1 failed"))

    def test_skipped_tests_do_not_pass(self):
        self.project(tensor_test={"a": "pass", "b": "skip"})
        code, last, output = self.run_tests()
        self.assertEqual((code, last), (0, "1 passed, 0 failed"))
        self.assertIn("1 skipped", output)

    def test_filter_by_room(self):
        self.project(tensor_test={"a": "pass", "b": "pass"}, ops_test={"tensor": "fail"})
        self.assertEqual(self.run_tests("tensor")[:2], (0, "2 passed, 0 failed"))

    def test_filter_by_test_name(self):
        self.project(tensor_test={"adds": "pass", "b": "fail"}, ops_test={"also_adds": "pass"}, nn_test={"c": "fail"})
        self.assertEqual(self.run_tests("adds")[:2], (0, "2 passed, 0 failed"))

    def test_filter_that_matches_nothing_fails(self):
        self.project(tensor_test={"a": "pass"})
        code, _, output = self.run_tests("nothing")
        self.assertNotEqual(code, 0)
        self.assertIn("no test matches 'nothing'", output)

    def test_targets_of_a_room(self):
        self.project(tensor_test={"a": "pass"}, ops_test={"b": "pass"})
        self.assertEqual(self.run_tests("ops", action="targets")[:2], (0, "ops_test"))
        self.assertEqual(self.run_tests(action="targets")[:2], (0, ""))

    def test_binary_that_was_not_built_is_a_failure(self):
        self.project(tensor_test={"a": "pass"}, ops_test={"b": "pass"})
        (self.root / "build" / "p" / "ops_test").unlink()
        self.assertEqual(self.run_tests()[:2], (1, "1 passed, 1 failed"))


if __name__ == "__main__":
    unittest.main()
