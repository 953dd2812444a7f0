"""A Python client whose stubs stock protoc makes from proto/, against a running server.

Needs the distribution's python3-grpcio and python3-protobuf, protoc and grpc_python_plugin; no NumPy, no PyTorch.
"""

import argparse
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import threading
import unittest

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from tapewired import Server

OPTIONS = None  # the command line's
PROTOS = "call limits definition tensor model_service autograd_service hook_service server_service".split()
DEADLINE = 60  # seconds a call


def generate_stubs(folder):
    """Runs protoc on the contract and on reflection.proto, and makes what it writes importable."""
    here = pathlib.Path(__file__).resolve().parent
    protos = OPTIONS.source / "proto"
    subprocess.run(
        [OPTIONS.protoc, f"-I{protos}", f"-I{here}", f"--python_out={folder}", f"--grpc_python_out={folder}",
         f"--plugin=protoc-gen-grpc_python={OPTIONS.plugin}", str(here / "reflection.proto")]
        + [str(protos / "tapewire" / "v1" / f"{name}.proto") for name in PROTOS],
        check=True)
    sys.path.insert(0, folder)


def setUpModule():
    global SERVER, CHANNEL, FOLDER
    global definition, tensors, models_pb, autograd_pb, hooks_pb, reflection_pb
    global models, autograd, hooks, server_info
    FOLDER = tempfile.TemporaryDirectory()
    generate_stubs(FOLDER.name)
    from tapewire.v1 import (autograd_service_pb2, autograd_service_pb2_grpc, definition_pb2, hook_service_pb2,
                             hook_service_pb2_grpc, model_service_pb2, model_service_pb2_grpc,
                             server_service_pb2, server_service_pb2_grpc, tensor_pb2)
    import reflection_pb2
    definition, tensors, reflection_pb = definition_pb2, tensor_pb2, reflection_pb2
    models_pb, autograd_pb, hooks_pb = model_service_pb2, autograd_service_pb2, hook_service_pb2
    SERVER = Server(OPTIONS.server)
    CHANNEL = grpc.insecure_channel(SERVER.address)
    models = model_service_pb2_grpc.ModelServiceStub(CHANNEL)
    autograd = autograd_service_pb2_grpc.AutogradServiceStub(CHANNEL)
    hooks = hook_service_pb2_grpc.HookServiceStub(CHANNEL)
    info_stub = server_service_pb2_grpc.ServerServiceStub(CHANNEL)
    server_info = info_stub.GetServerInfo(server_service_pb2.GetServerInfoRequest(), timeout=DEADLINE)


def tearDownModule():
    CHANNEL.close()
    code = SERVER.stop()
    FOLDER.cleanup()
    if code != 0:
        raise RuntimeError(f"tapewired ended with {code} after SIGTERM")


def tensor(shape, values):
    return tensors.Tensor(dtype=tensors.DATA_TYPE_FLOAT32, shape=shape, data=struct.pack(f"<{len(values)}f", *values))


def named(name, shape, values):
    return tensors.NamedTensor(name=name, tensor=tensor(shape, values))


def values_of(data):
    return list(struct.unpack(f"<{len(data) // 4}f", data))


def float32(value):
    """What is left of a number on the wire."""
    return struct.unpack("<f", struct.pack("<f", value))[0]


def flatten(matrix):
    return [value for row in matrix for value in row]


def random_matrix(source, rows, columns):
    return [[float32(source.uniform(-1, 1)) for _ in range(columns)] for _ in range(rows)]


def linear_graph(path, weight, bias):
    """A module that is nn.Linear, spelled out, with parameters of known values."""
    module = definition.ModuleSpec(path=path, type="Graph")
    for name, shape, values in (("weight", [len(weight), len(weight[0])], flatten(weight)),
                                ("bias", [len(bias)], bias)):
        parameter = module.parameters.add(name=name, dtype=tensors.DATA_TYPE_FLOAT32, shape=shape)
        parameter.init.value.CopyFrom(tensor(shape, values))
    module.forward.inputs.add(name="input")
    call = module.forward.calls.add(op="linear", results=["output"])
    for ref in ("input", "weight", "bias"):
        call.args.add(ref=ref)
    module.forward.outputs.append("output")
    return module


class Gradients:
    """The closed form of dL/dparameter for L = mean((W2 relu(W1 x + b1) + b2 - y)^2), in double precision."""

    def __init__(self, x, y, w1, b1, w2, b2):
        samples, hidden, inputs = len(x), len(w1), len(w1[0])
        h = [[sum(w1[j][i] * row[i] for i in range(inputs)) + b1[j] for j in range(hidden)] for row in x]
        out = [sum(w2[0][j] * max(row[j], 0) for j in range(hidden)) + b2[0] for row in h]
        self.output = out
        self.loss = sum((out[n] - y[n]) ** 2 for n in range(samples)) / samples
        d_out = [2 * (out[n] - y[n]) / samples for n in range(samples)]
        d_h = [[d_out[n] * w2[0][j] * (h[n][j] > 0) for j in range(hidden)] for n in range(samples)]
        self.by_name = {
            "fc1.weight": [sum(d_h[n][j] * x[n][i] for n in range(samples))
                           for j in range(hidden) for i in range(inputs)],
            "fc1.bias": [sum(d_h[n][j] for n in range(samples)) for j in range(hidden)],
            "fc2.weight": [sum(d_out[n] * max(h[n][j], 0) for n in range(samples)) for j in range(hidden)],
            "fc2.bias": [sum(d_out)],
        }


class PythonClientTest(unittest.TestCase):

    def assert_close(self, got, wanted, what):
        self.assertEqual(len(got), len(wanted), what)
        for a, b in zip(got, wanted):
            self.assertLessEqual(abs(a - b), 1e-5 + 1e-5 * abs(b), what)

    def simplenet(self):
        text = (OPTIONS.source / "client/examples/simplenet/simplenet.txtpb").read_text()
        return text_format.Parse(text, definition.ModelSpec())

    def create(self, name, spec, seed=0):
        request = models_pb.CreateModelRequest(name=name, spec=spec, seed=seed)
        self.addCleanup(models.DeleteModel, models_pb.DeleteModelRequest(name=name), timeout=DEADLINE)
        return models.CreateModel(request, timeout=DEADLINE).model

    def read_gradients(self, model, chunk_bytes=0):
        parts = {}
        request = autograd_pb.ReadGradientsRequest(model=model, chunk_bytes=chunk_bytes)
        for response in autograd.ReadGradients(request, timeout=DEADLINE):
            data = parts.setdefault(response.chunk.name, bytearray())
            self.assertEqual(response.chunk.offset, len(data))
            data += response.chunk.data
        return {name: values_of(bytes(data)) for name, data in parts.items()}

    def reflect(self, version="v1", error=False, **request):
        """The answer to one request of a version's reflection; their messages are the same."""
        info = CHANNEL.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb.ServerReflectionResponse.FromString)
        answer = next(info(iter([reflection_pb.ServerReflectionRequest(**request)]), timeout=DEADLINE))
        self.assertEqual(answer.HasField("error_response"), error, answer.error_response.error_message)
        return answer

    def listed_services(self, version):
        return [service.name for service in self.reflect(version, list_services="").list_services_response.service]

    def pool_of(self, version, **request):
        """The files of an answer, as a pool: it takes them only with all that they import."""
        pool = descriptor_pool.DescriptorPool()
        files = {}
        for data in self.reflect(version, **request).file_descriptor_response.file_descriptor_proto:
            file = descriptor_pb2.FileDescriptorProto.FromString(data)
            files[file.name] = file

        def add(name):
            file = files.pop(name, None)
            if file is not None:
                for imported in file.dependency:
                    add(imported)
                pool.Add(file)

        for name in list(files):
            add(name)
        return pool

    def test_reflection_lists_every_service_once(self):
        wanted = [f"tapewire.v1.{name}" for name in
                  ("AutogradService", "HookService", "ModelService", "ServerService")]
        wanted += ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
                   "grpc.reflection.v1alpha.ServerReflection"]
        for version in ("v1", "v1alpha"):
            self.assertEqual(sorted(self.listed_services(version)), sorted(wanted))

    def test_reflection_describes_every_service_that_it_lists(self):
        for version in ("v1", "v1alpha"):
            for name in self.listed_services(version):
                service = self.pool_of(version, file_containing_symbol=name).FindServiceByName(name)
                self.assertGreater(len(service.methods), 0, name)
                for method in service.methods:
                    self.assertIsNotNone(method.input_type, method.full_name)
        methods = self.pool_of("v1", file_containing_symbol="tapewire.v1.AutogradService.Train").FindServiceByName(
            "tapewire.v1.AutogradService").methods_by_name
        self.assertLessEqual({"Forward", "Backward", "Train", "ReadGradients"}, set(methods))

    def test_reflection_finds_files_and_messages_and_says_what_there_is_not(self):
        for version in ("v1", "v1alpha"):
            self.pool_of(version, file_by_filename="tapewire/v1/tensor.proto").FindMessageTypeByName("tapewire.v1.Tensor")
            self.pool_of(version, file_containing_symbol="tapewire.v1.Tensor").FindFileByName("tapewire/v1/tensor.proto")
            for request in ({"file_by_filename": "none.proto"}, {"file_containing_symbol": "no.Such"}):
                answer = self.reflect(version, error=True, **request)
                self.assertEqual(answer.error_response.error_code, grpc.StatusCode.NOT_FOUND.value[0])
                self.assertIn(next(iter(request.values())), answer.error_response.error_message)
            self.assertEqual(self.reflect(version, error=True).error_response.error_code,
                             grpc.StatusCode.INVALID_ARGUMENT.value[0])
            with self.assertRaises(grpc.RpcError) as refused:
                self.reflect(version, file_containing_symbol="x" * 2000)
            self.assertEqual(refused.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)
            self.assertIn("file_containing_symbol: expects at most 1024 bytes, got 2000", refused.exception.details())

    def test_health_is_told_to_a_client_that_knows_it_by_reflection_alone(self):
        pool = self.pool_of("v1", file_containing_symbol="grpc.health.v1.Health")
        health = pool.FindServiceByName("grpc.health.v1.Health")
        factory = message_factory.MessageFactory(pool)

        def stub(name, kind):
            method = health.methods_by_name[name]
            return kind(f"/{health.full_name}/{name}",
                        request_serializer=factory.GetPrototype(method.input_type).SerializeToString,
                        response_deserializer=factory.GetPrototype(method.output_type).FromString)

        request = factory.GetPrototype(pool.FindMessageTypeByName("grpc.health.v1.HealthCheckRequest"))
        status = pool.FindEnumTypeByName("grpc.health.v1.HealthCheckResponse.ServingStatus").values_by_name
        check, watch = stub("Check", CHANNEL.unary_unary), stub("Watch", CHANNEL.unary_stream)
        for name in ("", "tapewire.v1.ModelService", "tapewire.v1.HookService"):
            self.assertEqual(check(request(service=name), timeout=DEADLINE).status, status["SERVING"].number, name)
            watching = watch(request(service=name), timeout=DEADLINE)
            self.assertEqual(next(watching).status, status["SERVING"].number, name)
            watching.cancel()
        with self.assertRaises(grpc.RpcError) as unknown:
            check(request(service="no.such.Service"), timeout=DEADLINE)
        self.assertEqual(unknown.exception.code(), grpc.StatusCode.NOT_FOUND)
        self.assertEqual(next(watch(request(service="no.such.Service"), timeout=DEADLINE)).status,
                         status["SERVICE_UNKNOWN"].number)

    def test_the_requests_id_comes_back(self):
        list_models = CHANNEL.unary_unary("/tapewire.v1.ModelService/ListModels")
        _, call = list_models.with_call(b"", timeout=DEADLINE, metadata=[("x-request-id", "python-1")])
        self.assertEqual(dict(call.initial_metadata())["x-request-id"], "python-1")
        with self.assertRaises(grpc.RpcError) as refused:
            CHANNEL.unary_unary("/tapewire.v1.ModelService/GetModel")(b"\x0a\x04none", timeout=DEADLINE)
        self.assertRegex(dict(refused.exception.initial_metadata())["x-request-id"], "^[0-9a-f]{16}$")
        self.assertTrue(server_info.version)

    def test_backward_gives_the_closed_forms_gradients_once(self):
        source = random.Random(1)
        w1, b1 = random_matrix(source, 5, 10), random_matrix(source, 1, 5)[0]
        w2, b2 = random_matrix(source, 1, 5), random_matrix(source, 1, 1)[0]
        x, y = random_matrix(source, 8, 10), random_matrix(source, 1, 8)[0]
        spec = self.simplenet()
        spec.modules[1].CopyFrom(linear_graph("fc1", w1, b1))
        spec.modules[2].CopyFrom(linear_graph("fc2", w2, b2))
        self.create("closed-form", spec)
        wanted = Gradients(x, y, w1, b1, w2, b2)

        forward = autograd.Forward(
            autograd_pb.ForwardRequest(model="closed-form", inputs=[named("input", [8, 10], flatten(x))], keep_tape=True),
            timeout=DEADLINE)
        self.assert_close(values_of(forward.outputs[0].tensor.data), wanted.output, "output")
        self.assertEqual(forward.outputs[0].tensor.shape, [8, 1])

        request = autograd_pb.BackwardRequest(
            model="closed-form", tape_id=forward.tape.id, loss=definition.LossSpec(type="MSELoss"),
            targets=[named("", [8, 1], y)])
        backward = autograd.Backward(request, timeout=DEADLINE)
        self.assertAlmostEqual(backward.info.loss, wanted.loss, delta=1e-5)

        for chunk_bytes in (0, 16):
            got = self.read_gradients("closed-form", chunk_bytes)
            self.assertEqual(set(got), set(wanted.by_name))
            for name, values in wanted.by_name.items():
                self.assert_close(got[name], values, name)
        norms = {norm.name: norm.value for norm in backward.gradient_norms}
        for name, values in wanted.by_name.items():
            self.assertAlmostEqual(norms[name], sum(v * v for v in values) ** 0.5, delta=1e-5)

        with self.assertRaises(grpc.RpcError) as second:
            autograd.Backward(request, timeout=DEADLINE)
        self.assertEqual(second.exception.code(), grpc.StatusCode.FAILED_PRECONDITION)
        self.assertIn("Trying to backward through the graph a second time", second.exception.details())

    def regression(self, samples=256):
        """Inputs, and a target that the network can learn."""
        source = random.Random(2)
        x = random_matrix(source, samples, 10)
        return x, [float32(max(sum(row[:5]), 0) - 0.5 * row[9]) for row in x]

    def test_simplenet_trains_over_the_stream(self):
        self.create("stream", self.simplenet(), seed=1)
        x, y = self.regression()
        steps = 400

        def requests():
            for step in range(steps):
                first = step % 8 * 32
                request = autograd_pb.TrainStepRequest(
                    inputs=[named("input", [32, 10], flatten(x[first:first + 32]))],
                    targets=[named("", [32, 1], y[first:first + 32])], learning_rate=0.1)
                if step == 0:
                    request.model = "stream"
                yield autograd_pb.TrainRequest(step=request)

        infos = [response.result.info for response in autograd.Train(requests(), timeout=DEADLINE)]
        self.assertEqual([info.step for info in infos], list(range(1, steps + 1)))
        first, last = (sum(info.loss for info in part) / 8 for part in (infos[:8], infos[-8:]))
        self.assertLess(last, 0.2 * first)

        batches = iter([autograd_pb.EvaluateRequest(
            model="stream", metrics=["mae"], inputs=[named("input", [256, 10], flatten(x))],
            targets=[named("", [256, 1], y)])])
        evaluation = autograd.Evaluate(batches, timeout=DEADLINE)
        self.assertEqual(evaluation.samples, 256)
        self.assertLess(evaluation.loss, 0.2 * first)
        self.assertLess(evaluation.metrics["mae"], 1)

    def test_unary_steps_equal_forward_backward_and_step(self):
        x, y = self.regression(32)
        inputs, targets = [named("input", [32, 10], flatten(x))], [named("", [32, 1], y)]
        self.create("whole", self.simplenet(), seed=3)
        self.create("parts", self.simplenet(), seed=3)
        for _ in range(5):
            whole = autograd.TrainStep(
                autograd_pb.TrainStepRequest(model="whole", inputs=inputs, targets=targets), timeout=DEADLINE).info
            autograd.ZeroGrad(autograd_pb.ZeroGradRequest(model="parts"), timeout=DEADLINE)
            tape = autograd.Forward(
                autograd_pb.ForwardRequest(model="parts", inputs=inputs, keep_tape=True), timeout=DEADLINE).tape
            parts = autograd.Backward(
                autograd_pb.BackwardRequest(model="parts", tape_id=tape.id, targets=targets), timeout=DEADLINE).info
            autograd.Step(autograd_pb.StepRequest(model="parts"), timeout=DEADLINE)
            self.assertEqual(whole.loss, parts.loss)

    def test_hooks_show_a_steps_gradients(self):
        self.create("hooked", self.simplenet(), seed=1)
        hook = hooks.RegisterHook(hooks_pb.RegisterHookRequest(
            model="hooked", hook=hooks_pb.Hook(target="fc1", kind=hooks_pb.HOOK_KIND_BACKWARD,
                                               observe=hooks_pb.Observe(stats=True))), timeout=DEADLINE).hook
        self.assertEqual(list(hook.matched), ["fc1"])
        x, y = self.regression(32)
        request = autograd_pb.TrainStepRequest(model="hooked", inputs=[named("input", [32, 10], flatten(x))],
                                               targets=[named("", [32, 1], y)])
        events = hooks.WatchHooks(hooks_pb.WatchHooksRequest(model="hooked"), timeout=DEADLINE)
        stop = threading.Event()

        def train():  # until the watcher, which may attach late, has seen a step
            while not stop.is_set():
                autograd.TrainStep(request, timeout=DEADLINE)

        trainer = threading.Thread(target=train)
        trainer.start()
        try:
            event = next(events).event
        finally:
            stop.set()
            trainer.join()
            events.cancel()
        self.assertEqual(event.path, "fc1")
        observed = {tensor.name: tensor for tensor in event.tensors}
        self.assertEqual(observed["grad_output"].spec.shape, [32, 5])
        self.assertGreater(observed["grad_output"].stats.l2_norm, 0)

    def test_a_wrong_shape_is_named(self):
        self.create("shapes", self.simplenet())
        with self.assertRaises(grpc.RpcError) as error:
            autograd.Forward(autograd_pb.ForwardRequest(model="shapes", inputs=[named("input", [1, 3], [1, 2, 3])]),
                             timeout=DEADLINE)
        self.assertEqual(error.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)
        self.assertIn("[1, 3]", error.exception.details())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", required=True, help="the tapewired to test")
    parser.add_argument("--source", required=True, type=pathlib.Path, help="the source tree")
    parser.add_argument("--protoc", default="protoc")
    parser.add_argument("--plugin", default="/usr/bin/grpc_python_plugin")
    OPTIONS, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest])
