"""Our safetensors files against the format's own package from PyPI, both ways.

safetensors_copy reads a file with core/io and writes it again with core/io, so each file here crosses over twice.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile
import unittest

import numpy
import safetensors
import safetensors.numpy

OPTIONS = None  # the command line's

TENSORS = {
    "float": numpy.array([[1.5, -0.0, numpy.nan], [numpy.inf, 1e-45, 3.25]], numpy.float32),
    "double": numpy.array([1e300, -1.0, 0.1]),
    "long": numpy.array([-(2**63), 2**63 - 1]),
    "int": numpy.array([[[-5]], [[7]]], numpy.int32),
    "byte": numpy.arange(256, dtype=numpy.uint8),
    "flag": numpy.array([True, False, True]),
    "scalar": numpy.array(2.5, numpy.float32),
    "none": numpy.zeros((0, 7)),
    "one": numpy.ones(1, numpy.int32),
    "layer.0.weight": numpy.ones((3, 1), numpy.float32),
    'we"ird\n\\ name/\x7f \u00e9\U0001f600': numpy.zeros(3, numpy.uint8),
    "": numpy.zeros(2, numpy.float32),
}


class Exchange(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.source = pathlib.Path(folder.name, "source.safetensors")
        self.copy = pathlib.Path(folder.name, "copy.safetensors")

    def run_copy(self, content=None):
        """safetensors_copy's exit code and stderr."""
        if content is not None:
            self.source.write_bytes(content)
        done = subprocess.run([OPTIONS.copy, self.source, self.copy], stderr=subprocess.PIPE, text=True)
        return done.returncode, done.stderr

    def check_tensors(self, tensors):
        back = safetensors.numpy.load_file(self.copy)
        self.assertEqual(sorted(back), sorted(tensors))
        for name, expected in tensors.items():
            self.assertEqual(back[name].dtype, expected.dtype, name)
            self.assertEqual(back[name].shape, expected.shape, name)
            self.assertEqual(back[name].tobytes(), expected.tobytes(), name)

    def test_tensors_cross_both_ways(self):
        safetensors.numpy.save_file(TENSORS, self.source)
        self.assertEqual(self.run_copy(), (0, ""))
        self.check_tensors(TENSORS)

    def test_metadata_crosses_both_ways(self):
        metadata = {"format": "pt", "": "empty", "k\u00e9y": 'va"lue\n\u4e2d'}
        safetensors.numpy.save_file({"w": numpy.ones(2)}, self.source, metadata)
        self.assertEqual(self.run_copy(), (0, ""))
        with safetensors.safe_open(self.copy, "numpy") as file:
            self.assertEqual(file.metadata(), metadata)

    def test_files_are_the_packages_own_byte_for_byte(self):
        for metadata in (None, {"format": "pt"}):
            safetensors.numpy.save_file(TENSORS, self.source, metadata)
            self.assertEqual(self.run_copy(), (0, ""))
            self.assertEqual(self.copy.read_bytes(), self.source.read_bytes())

    def test_a_file_without_tensors_crosses(self):
        safetensors.numpy.save_file({}, self.source)
        self.assertEqual(self.run_copy(), (0, ""))
        self.check_tensors({})

    def test_half_precision_is_refused_by_name(self):
        safetensors.numpy.save_file({"w": numpy.ones(2, numpy.float16)}, self.source)
        code, fault = self.run_copy()
        self.assertEqual(code, 1)
        self.assertIn("tensor 'w': dtype: expects one of F32, F64, I64, I32, U8 and BOOL, got 'F16'", fault)

    def test_what_the_package_refuses_is_refused(self):
        judged = 0
        for path in sorted(OPTIONS.corpus.iterdir()):
            content = path.read_bytes()
            try:
                safetensors.deserialize(content)
            except safetensors.SafetensorError:
                judged += 1
                self.assertEqual(self.run_copy(content)[0], 1, path.name)
        self.assertGreater(judged, 10)


def main():
    global OPTIONS
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--copy", required=True)
    parser.add_argument("--corpus", type=pathlib.Path, required=True)
    OPTIONS, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest], verbosity=0)


if __name__ == "__main__":
    main()
