"""A state's way from a trained model to a file, through the safetensors package, and into another model.

Runs the programs as users do, and checks the file with the format's own package.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

import numpy
import safetensors
import safetensors.numpy

from tapewired import Server

OPTIONS = None  # the command line's
SHAPES = {"fc1.weight": (5, 10), "fc1.bias": (5,), "fc2.weight": (1, 5), "fc2.bias": (1,)}


class State(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(OPTIONS.server)
        cls.folder = tempfile.TemporaryDirectory()
        rows = numpy.random.default_rng(1).uniform(-1, 1, (32, 11))
        cls.data = pathlib.Path(cls.folder.name, "data.csv")
        numpy.savetxt(cls.data, rows, delimiter=",")
        cls.definition = OPTIONS.source / "client/examples/simplenet/simplenet.txtpb"

    @classmethod
    def tearDownClass(cls):
        code = cls.server.stop()
        cls.folder.cleanup()
        if code != 0:
            raise RuntimeError(f"tapewired ended with {code} after SIGTERM")

    def setUp(self):
        self.file = pathlib.Path(self.folder.name, "state.safetensors")
        for seed, name in enumerate(("trained", "fresh")):
            self.tapewire("models", "create", name, "-f", self.definition, "--seed", seed)
            self.addCleanup(self.tapewire, "models", "delete", name)
        self.tapewire("train", "trained", "--data", self.data, "--epochs", 3, "--batch", 8)

    def tapewire(self, *arguments, code=0):
        """What the command prints: to stdout, or where it is to fail, to stderr."""
        done = subprocess.run(
            [OPTIONS.tapewire, "--server", self.server.address, *map(str, arguments)], capture_output=True, text=True)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stderr if code else done.stdout

    def outputs(self, model):
        lines = self.tapewire("--json", "predict", model, "--data", self.data, "--raw", "--count", 32).splitlines()
        self.assertEqual(len(lines), 32)
        return [json.loads(line)["output"] for line in lines]

    def test_a_state_goes_through_the_package_into_another_model(self):
        self.assertNotEqual(self.outputs("fresh"), self.outputs("trained"))
        self.assertEqual(self.tapewire("state", "pull", "trained", self.file),
                         f"wrote {self.file}: 4 tensors (244 B)\n")
        tensors = safetensors.numpy.load_file(self.file)
        self.assertEqual({name: tensor.shape for name, tensor in tensors.items()}, SHAPES)
        with safetensors.safe_open(self.file, "numpy") as file:
            self.assertEqual(file.metadata(), {"format": "pt"})

        safetensors.numpy.save_file(tensors, self.file)
        self.assertEqual(self.tapewire("state", "push", "fresh", self.file),
                         "loaded fresh: 4 tensors (244 B), parameter version 1\n")
        self.assertEqual(self.outputs("fresh"), self.outputs("trained"))

    def test_the_numbers_in_a_file_are_those_that_the_model_computes_with(self):
        self.tapewire("state", "pull", "trained", self.file)
        state = safetensors.numpy.load_file(self.file)
        rows = numpy.loadtxt(self.data, delimiter=",", dtype=numpy.float32)[:, :10]
        hidden = numpy.maximum(rows @ state["fc1.weight"].T + state["fc1.bias"], 0)
        expected = hidden @ state["fc2.weight"].T + state["fc2.bias"]
        numpy.testing.assert_allclose(numpy.array(self.outputs("trained")), expected, rtol=1e-4, atol=1e-6)

    def test_a_file_that_does_not_fit_loads_nothing(self):
        before = self.outputs("fresh")
        state = {name: numpy.zeros(shape, numpy.float32) for name, shape in SHAPES.items()}
        state["fc1.weight"] = numpy.zeros((5, 9), numpy.float32)
        state["fc3.bias"] = state.pop("fc2.bias")
        safetensors.numpy.save_file(state, self.file)
        fault = self.tapewire("state", "push", "fresh", self.file, code=1)
        for part in ('Missing key(s) in state_dict: "fc2.bias"', 'Unexpected key(s) in state_dict: "fc3.bias"',
                     "size mismatch for fc1.weight"):
            self.assertIn(part, fault)
        self.assertEqual(self.outputs("fresh"), before)

    def test_a_part_is_pulled_and_pushed(self):
        self.tapewire("state", "pull", "trained", self.file, "--keys", "fc1.*")
        tensors = safetensors.numpy.load_file(self.file)
        self.assertEqual(sorted(tensors), ["fc1.bias", "fc1.weight"])
        answer = self.tapewire("state", "push", "fresh", self.file, "--allow-partial")
        self.assertEqual(answer.splitlines()[1:], ["missing     fc2.weight", "            fc2.bias"])
        self.tapewire("state", "pull", "fresh", self.file, "--keys", "fc1.*")
        for name, tensor in safetensors.numpy.load_file(self.file).items():
            self.assertEqual(tensor.tobytes(), tensors[name].tobytes(), name)


def main():
    global OPTIONS
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", required=True)
    parser.add_argument("--tapewire", required=True)
    parser.add_argument("--source", type=pathlib.Path, required=True)
    OPTIONS, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest], verbosity=0)


if __name__ == "__main__":
    main()
