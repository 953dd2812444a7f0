"""What clients can make a server hold: its resident memory against --tensor_memory_limit.

Each test starts a tapewired of its own, asks too much of it in one way, and looks at the most that it ever held.
"""

import argparse
import contextlib
import os
import pathlib
import random
import re
import sys
import tempfile
import threading
import time
import unittest
import urllib.request

import grpc
from google.protobuf import text_format

from python_client_test import generate_stubs
import python_client_test
from tapewired import Server

OPTIONS = None  # the command line's
MIB = 1 << 20
LIMIT = 256 * MIB
BESIDE = 150 * MIB  # what a server may hold beside the limit: code, threads, gRPC's buffers
DEADLINE = 50  # seconds a call


def setUpModule():
    global FOLDER, definition, tensors, models_pb, autograd_pb, models_grpc, autograd_grpc, call_pb
    FOLDER = tempfile.TemporaryDirectory()
    python_client_test.OPTIONS = OPTIONS
    generate_stubs(FOLDER.name)
    from tapewire.v1 import (autograd_service_pb2, autograd_service_pb2_grpc, call_pb2, definition_pb2,
                             model_service_pb2, model_service_pb2_grpc, tensor_pb2)
    definition, tensors, call_pb = definition_pb2, tensor_pb2, call_pb2
    models_pb, autograd_pb = model_service_pb2, autograd_service_pb2
    models_grpc, autograd_grpc = model_service_pb2_grpc, autograd_service_pb2_grpc


def tearDownModule():
    FOLDER.cleanup()


def floats(shape, data=None):
    count = 4
    for size in shape:
        count *= size
    return tensors.Tensor(dtype=tensors.DATA_TYPE_FLOAT32, shape=shape, data=bytes(count) if data is None else data)


class Cgroup:
    """A memory cgroup of the test's own (v1 or v2), or None where this user may not make one."""

    @classmethod
    def make(cls, limit):
        for mount, name in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
            folder = pathlib.Path(mount, f"tapewire-test-{os.getpid()}")
            try:
                folder.mkdir()
            except OSError:
                continue
            try:
                (folder / name).write_text(str(limit))
                return cls(folder)
            except OSError:
                folder.rmdir()
        return None

    def __init__(self, folder):
        self.folder = folder

    def join(self):
        """In the child, before it becomes the server."""
        (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    def remove(self):
        self.folder.rmdir()


class MemoryTest(unittest.TestCase):
    def start(self, *flags, join=None):
        self.server = Server(OPTIONS.server, *flags, join=join)
        self.addCleanup(self.check_end)
        self.channel = self.connect()
        self.models = models_grpc.ModelServiceStub(self.channel)
        self.autograd = autograd_grpc.AutogradServiceStub(self.channel)

    def check_end(self):
        self.assertEqual(self.server.stop(), 0)

    def connect(self):
        """A connection of its own: gRPC would share one among channels with the same options."""
        most = ("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)
        channel = grpc.insecure_channel(self.server.address, options=[*most, ("grpc.use_local_subchannel_pool", 1)])
        self.addCleanup(channel.close)
        return channel

    def peak(self):
        for line in pathlib.Path(f"/proc/{self.server.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        self.fail("the server has no peak")

    def check_peak(self, most=LIMIT + BESIDE):
        peak = self.peak()
        print(f"{self.id().rpartition('.')[2]}: {peak / MIB:.0f} MiB of at most {most / MIB:.0f}", file=sys.stderr)
        self.assertLessEqual(peak, most)

    def create(self, name, spec):
        return self.models.CreateModel(models_pb.CreateModelRequest(name=name, spec=spec), timeout=DEADLINE)

    def at_once(self, count, work):
        """Runs work(i) on threads; what it raises is returned, None where it does not."""
        results = [None] * count

        def run(i):
            try:
                work(i)
            except Exception as error:  # pylint: disable=broad-except
                results[i] = error

        threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    def assert_served_or_refused(self, results):
        """A caller that asks too much hears so; one that it met may be told to try again."""
        for error in results:
            if error is not None:
                self.assertIsInstance(error, grpc.RpcError)
                self.assertIn(error.code(), (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE), error)

    def identity(self):
        return definition.ModelSpec(modules=[definition.ModuleSpec(path="", type="Identity")])

    def chain(self, op, length):
        spec = definition.ModelSpec(modules=[definition.ModuleSpec(path="", type="Graph")])
        graph = spec.modules[0].forward
        graph.inputs.add(name="v0")
        for i in range(length):
            graph.calls.add(op=op, args=[definition.Argument(ref=f"v{i}")], results=[f"v{i + 1}"])
        graph.outputs.append(f"v{length}")
        return spec

    def conv_net(self):
        """Of digits: little to compute, and some 90 MiB to keep of a batch of 256."""
        return text_format.Parse("""
            modules { type: "Sequential" }
            modules { path: "0" type: "Conv2d"
                      attributes { key: "in_channels" value { int_value: 1 } }
                      attributes { key: "out_channels" value { int_value: 32 } }
                      attributes { key: "kernel_size" value { int_value: 3 } } }
            modules { path: "1" type: "ReLU" }
            modules { path: "2" type: "MaxPool2d" attributes { key: "kernel_size" value { int_value: 4 } } }
            modules { path: "3" type: "Flatten" }
            modules { path: "4" type: "Linear"
                      attributes { key: "in_features" value { int_value: 1152 } }
                      attributes { key: "out_features" value { int_value: 10 } } }
            loss { type: "CrossEntropyLoss" }
            optimizer { type: "SGD" attributes { key: "lr" value { double_value: 0.01 } }
                        attributes { key: "momentum" value { double_value: 0.9 } } }
            """, definition.ModelSpec())

    def train_on_varying_batches(self, steps=1000, most=256):
        self.create("net", self.conv_net())
        source = random.Random(1)
        pixels = bytes(4 * most * 28 * 28)

        def requests():
            for _ in range(steps):
                batch = source.randint(1, most)
                step = autograd_pb.TrainStepRequest(model="net")
                step.inputs.add(tensor=floats([batch, 1, 28, 28], pixels[:4 * batch * 28 * 28]))
                step.targets.add(tensor=tensors.Tensor(dtype=tensors.DATA_TYPE_INT64, shape=[batch],
                                                       data=bytes(8 * batch)))
                yield autograd_pb.TrainRequest(step=step)

        done = 0
        for response in self.autograd.Train(requests(), timeout=DEADLINE):
            done += 1
            self.assertEqual(response.result.info.step, done)
        self.assertEqual(done, steps)

    def test_batches_of_all_sizes_train_within_the_limit(self):
        self.start(f"--tensor_memory_limit={LIMIT}")
        self.train_on_varying_batches(steps=300)
        self.check_peak()

    def test_batches_of_all_sizes_train_in_a_small_container_with_default_flags(self):
        container = 512 * MIB
        cgroup = Cgroup.make(container)
        if cgroup is None:
            self.skipTest("this user may not make a memory cgroup")
        self.addCleanup(cgroup.remove)
        self.start(join=cgroup.join)
        self.train_on_varying_batches()
        self.check_peak(container)

    def test_large_messages_at_once(self):
        self.start(f"--tensor_memory_limit={LIMIT}")
        self.create("copy", self.identity())
        request = autograd_pb.ForwardRequest(model="copy")
        request.inputs.add(tensor=floats([15 * MIB]))
        stubs = [autograd_grpc.AutogradServiceStub(self.connect()) for _ in range(8)]
        for _ in range(2):
            results = self.at_once(8, lambda i: stubs[i].Forward(request, timeout=DEADLINE))
            self.assert_served_or_refused(results)
        self.check_peak()
        # When the storm is over, one alone is served.
        self.autograd.Forward(request, timeout=DEADLINE)

    def test_definitions_of_many_calls(self):
        self.start(f"--tensor_memory_limit={LIMIT}")
        spec = self.chain("neg", 100_000)
        self.assertGreater(spec.ByteSize(), 2_400_000)
        for i in range(8):
            self.create(f"graph{i}", spec)
        self.check_peak()
        for i in range(8):
            self.models.DeleteModel(models_pb.DeleteModelRequest(name=f"graph{i}"), timeout=DEADLINE)

    def test_readers_that_stall(self):
        limit = 2 * LIMIT
        self.start(f"--tensor_memory_limit={limit}")
        spec = definition.ModelSpec(modules=[definition.ModuleSpec(path="", type="Linear")])
        for name in ("in_features", "out_features"):
            spec.modules[0].attributes[name].int_value = 4096
        spec.optimizer.type = "SGD"
        spec.optimizer.attributes["lr"].double_value = 0.1
        spec.loss.type = "MSELoss"
        self.create("wide", spec)
        step = autograd_pb.TrainStepRequest(model="wide")
        step.inputs.add(tensor=floats([1, 4096]))
        step.targets.add(tensor=floats([1, 4096]))
        readers = []
        for _ in range(8):
            # A step between two readers: each sees other values.
            self.autograd.TrainStep(step, timeout=DEADLINE)
            stub = models_grpc.ModelServiceStub(self.connect())
            reader = stub.ReadState(models_pb.ReadStateRequest(name="wide", chunk_bytes=2 * MIB), timeout=DEADLINE)
            next(reader)
            readers.append(reader)
        # The last that began reads all; the one that waited longest made room for those after it.
        self.assertEqual(sum(len(message.chunk.data) for message in
                             self.models.ReadState(models_pb.ReadStateRequest(name="wide"), timeout=DEADLINE)),
                         4 * (4096 * 4096 + 4096))
        with self.assertRaises(grpc.RpcError) as error:
            for _ in readers[0]:
                pass
        self.assertEqual(error.exception.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)
        self.assertIn("--tensor_memory_limit", error.exception.details())
        for reader in readers:
            reader.cancel()
        self.check_peak(limit + BESIDE)

    def test_states_that_are_half_sent(self):
        self.start(f"--tensor_memory_limit={LIMIT}")
        self.create("net", self.conv_net())
        most = 256
        step = autograd_pb.TrainStepRequest(model="net")
        step.inputs.add(tensor=floats([most, 1, 28, 28]))
        step.targets.add(tensor=tensors.Tensor(dtype=tensors.DATA_TYPE_INT64, shape=[most], data=bytes(8 * most)))
        go_on = threading.Event()
        self.addCleanup(go_on.set)

        def upload():
            whole = 4 * MIB
            for offset in range(0, whole, MIB):
                chunk = tensors.TensorChunk(name="4.weight", offset=offset, data=bytes(MIB))
                if offset == 0:
                    chunk.dtype = tensors.DATA_TYPE_FLOAT32
                    chunk.shape.append(whole // 4)
                yield models_pb.WriteStateRequest(name="net", chunk=chunk)
                go_on.wait()

        streams = [self.models.WriteState.future(upload(), timeout=DEADLINE) for _ in range(300)]
        end = time.monotonic() + DEADLINE
        while self.live_bytes() < LIMIT - 16 * MIB:
            self.assertLess(time.monotonic(), end, "the states did not come")
            time.sleep(0.02)
        for i in range(3):
            answer = self.autograd.TrainStep(step, timeout=DEADLINE)
            self.assertEqual(answer.info.step, i + 1)
        go_on.set()
        errors = [stream.exception() for stream in streams]
        let_go = [error for error in errors if "send it again" in error.details()]
        self.assertGreater(len(let_go), 30, "those that were silent made room")
        for error in let_go:
            self.assertEqual(error.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)
            self.assertIn("--tensor_memory_limit", error.details())
        self.check_peak()

    def live_bytes(self):
        with urllib.request.urlopen(f"http://{self.server.http_address}/metrics", timeout=DEADLINE) as page:
            text = page.read().decode()
        return float(re.search(r'^tapewire_tensor_bytes{kind="live"} (\S+)$', text, re.MULTILINE).group(1))

    def test_tapes_of_many_small_operations(self):
        self.start(f"--tensor_memory_limit={LIMIT}")
        self.create("deep", self.chain("sin", 20_000))
        self.create("copy", self.identity())
        forward = autograd_pb.ForwardRequest(model="deep", keep_tape=True, inputs_require_grad=["v0"])
        forward.inputs.add(name="v0", tensor=floats([1]))
        kept = 0
        with self.assertRaises(grpc.RpcError) as error:
            for _ in range(64):
                self.autograd.Forward(forward, timeout=DEADLINE)
                kept += 1
        self.assertEqual(error.exception.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)
        self.assertGreater(kept, 4)
        other = autograd_pb.ForwardRequest(model="copy")
        other.inputs.add(tensor=floats([30_000]))
        self.autograd.Forward(other, timeout=DEADLINE)
        self.check_peak()

    def test_what_operations_look_up(self):
        """Tables as long as an output, beside it."""
        self.start(f"--tensor_memory_limit={LIMIT}")
        for i, (op, size, numbers) in enumerate((
                ("interpolate", [1, 1, 4], {"size": 33_000_000, "mode": "linear"}),
                ("interpolate", [1, 1, 2, 2], {"size": [1, 30_000_000], "mode": "bicubic"}),
                ("adaptive_avg_pool1d", [1, 1, 4], {"output_size": 40_000_000}),
                ("pad", [1, 1, 4], {"pad": [0, 50_000_000], "mode": "replicate"}))):
            spec = definition.ModelSpec(modules=[definition.ModuleSpec(path="", type="Graph")])
            graph = spec.modules[0].forward
            graph.inputs.add(name="x")
            call = graph.calls.add(op=op, args=[definition.Argument(ref="x")], results=["y"])
            for name, value in numbers.items():
                literal = call.kwargs[name].literal
                if isinstance(value, list):
                    literal.ints.values.extend(value)
                elif isinstance(value, str):
                    literal.string_value = value
                else:
                    literal.int_value = value
            graph.outputs.append("y")
            self.create(f"model{i}", spec)
            forward = autograd_pb.ForwardRequest(model=f"model{i}")
            forward.inputs.add(name="x", tensor=floats(size))
            with self.assertRaises(grpc.RpcError) as error:
                self.autograd.Forward(forward, timeout=DEADLINE)
            self.assertEqual(error.exception.code(), grpc.StatusCode.RESOURCE_EXHAUSTED, error.exception.details())
        self.check_peak()

    def test_long_client_ids(self):
        self.start(f"--tensor_memory_limit={LIMIT}")
        self.create("copy", self.identity())
        for i in range(5):
            call_id = call_pb.CallId(client_id=str(i) * (30 * MIB), sequence=1)
            with contextlib.suppress(grpc.RpcError):  # refused or remembered
                self.models.SetTraining(
                    models_pb.SetTrainingRequest(name="copy", training=True, call_id=call_id), timeout=DEADLINE)
        self.check_peak()
        self.models.GetModel(models_pb.GetModelRequest(name="copy"), timeout=DEADLINE)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", type=pathlib.Path, required=True)
    parser.add_argument("--source", type=pathlib.Path, required=True)
    parser.add_argument("--protoc", required=True)
    parser.add_argument("--plugin", required=True)
    OPTIONS, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest])
