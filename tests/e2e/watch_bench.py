"""What watching costs the watched: times Forward and TrainStep with and without watchers, in turns, in one run.

usage: watch_bench.py --server TAPEWIRED --source . --protoc protoc --plugin grpc_python_plugin [--rounds 5]

Prints each case's median latency and its ratio to the same call without watchers. Watchers are processes of their own
that read over loopback; a stalled one reads nothing until the end, when it is asked what it was told of its drops.
"""

import argparse
import multiprocessing
import pathlib
import random
import statistics
import shutil
import struct
import subprocess
import sys
import tempfile
import time

import grpc

from tapewired import Server

# fc1 puts out 1 MiB for a batch of 256.
WIDE = """
inputs { name: "input" dtype: DATA_TYPE_FLOAT32 shape: [-1, 16] }
modules { type: "Sequential" }
modules {
  path: "fc1" type: "Linear"
  attributes { key: "in_features" value { int_value: 16 } } attributes { key: "out_features" value { int_value: 1024 } }
}
modules {
  path: "fc2" type: "Linear"
  attributes { key: "in_features" value { int_value: 1024 } } attributes { key: "out_features" value { int_value: 1024 } }
}
modules {
  path: "fc3" type: "Linear"
  attributes { key: "in_features" value { int_value: 1024 } } attributes { key: "out_features" value { int_value: 8 } }
}
"""


def load_stubs(options, folder):
    subprocess.run([options.protoc, f"-I{options.source}/proto", f"--python_out={folder}",
                    f"--grpc_python_out={folder}", f"--plugin=protoc-gen-grpc_python={options.plugin}"]
                   + sorted(map(str, (options.source / "proto/tapewire/v1").glob("*.proto"))), check=True)


def watch(address, request, ready, stop, got):
    """Reads events without parsing them, until told to stop."""
    channel = grpc.insecure_channel(address, options=[("grpc.max_receive_message_length", -1)])
    call = channel.unary_stream("/tapewire.v1.HookService/WatchHooks", lambda r: r, len)
    events = call(request)
    events.initial_metadata()
    ready.set()
    try:
        for size in events:
            with got.get_lock():
                got.value += size
            if stop.is_set():
                break
    except grpc.RpcError:
        pass
    events.cancel()


class Watchers:
    """So many reading watchers, for a while."""

    def __init__(self, address, request, count):
        self.stop = multiprocessing.Event()
        self.got = multiprocessing.Value("q", 0)
        self.processes = []
        for _ in range(count):
            ready = multiprocessing.Event()
            process = multiprocessing.Process(
                target=watch, args=(address, request.SerializeToString(), ready, self.stop, self.got), daemon=True)
            process.start()
            self.processes.append(process)
            ready.wait(30)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.terminate()
            process.join()


def timed(call, seconds):
    call()
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return statistics.median(times), sum(times) / len(times)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--source", type=pathlib.Path, required=True)
    parser.add_argument("--protoc", default="protoc")
    parser.add_argument("--plugin", default=shutil.which("grpc_python_plugin"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5)
    options = parser.parse_args()
    multiprocessing.set_start_method("spawn")
    with tempfile.TemporaryDirectory() as folder:
        load_stubs(options, folder)
        sys.path.insert(0, folder)
        run(options)


def run(options):
    from google.protobuf import text_format
    from tapewire.v1 import (autograd_service_pb2 as autograd_pb, autograd_service_pb2_grpc as autograd_grpc,
                             definition_pb2, hook_service_pb2 as hooks_pb, hook_service_pb2_grpc as hooks_grpc,
                             model_service_pb2 as models_pb, model_service_pb2_grpc as models_grpc, tensor_pb2)

    server = Server(options.server)
    channel = grpc.insecure_channel(server.address)
    models = models_grpc.ModelServiceStub(channel)
    autograd = autograd_grpc.AutogradServiceStub(channel)
    hooks = hooks_grpc.HookServiceStub(channel)

    def floats(name, shape):
        count = 1
        for size in shape:
            count *= size
        data = struct.pack(f"<{count}f", *(random.uniform(-1, 1) for _ in range(count)))
        return tensor_pb2.NamedTensor(name=name, tensor=tensor_pb2.Tensor(
            dtype=tensor_pb2.DATA_TYPE_FLOAT32, shape=shape, data=data))

    def create(name, text):
        models.CreateModel(models_pb.CreateModelRequest(
            name=name, spec=text_format.Parse(text, definition_pb2.ModelSpec()), seed=1))

    create("wide", WIDE)
    hooks.RegisterHook(hooks_pb.RegisterHookRequest(model="wide", hook=hooks_pb.Hook(
        target="fc1", kind=hooks_pb.HOOK_KIND_FORWARD, observe=hooks_pb.Observe(tensor=True))))
    forward_request = autograd_pb.ForwardRequest(model="wide", inputs=[floats("input", [256, 16])])

    create("mnist", (options.source / "client/examples/mnist/mnist.txtpb").read_text())
    labels = struct.pack("<64q", *(random.randrange(10) for _ in range(64)))
    step_request = autograd_pb.TrainStepRequest(
        model="mnist", inputs=[floats("input", [64, 1, 28, 28])],
        targets=[tensor_pb2.NamedTensor(tensor=tensor_pb2.Tensor(
            dtype=tensor_pb2.DATA_TYPE_INT64, shape=[64], data=labels))])

    def forward():
        autograd.Forward(forward_request)

    def step():
        autograd.TrainStep(step_request)

    watch_wide = hooks_pb.WatchHooksRequest(model="wide")
    results = {}

    def measure(name, call):
        median, mean = timed(call, options.seconds)
        results.setdefault(name, []).append((median, mean))

    told = 0
    read = 0.0
    for _ in range(options.rounds):
        measure("forward", forward)
        for count in (1, 4):
            with Watchers(server.address, watch_wide, count) as watchers:
                begin = time.perf_counter()
                measure(f"forward, {count} watching", forward)
                if count == 4:
                    read = watchers.got.value / (time.perf_counter() - begin) / 2**20
        stalled_channel = grpc.insecure_channel(server.address, options=[("grpc.use_local_subchannel_pool", 1)])
        stalled = hooks_grpc.HookServiceStub(stalled_channel).WatchHooks(
            watch_wide, timeout=options.seconds + 5)
        stalled.initial_metadata()
        measure("forward, 1 stalled", forward)
        try:
            while not told:
                told = next(stalled).event.dropped
        except grpc.RpcError:
            pass  # it was told of none
        stalled.cancel()
        stalled_channel.close()
        measure("step", step)
        hook_id = hooks.RegisterHook(hooks_pb.RegisterHookRequest(model="mnist", hook=hooks_pb.Hook(
            target="*", kind=hooks_pb.HOOK_KIND_FORWARD, observe=hooks_pb.Observe(stats=True)))).hook.id
        with Watchers(server.address, hooks_pb.WatchHooksRequest(model="mnist"), 1):
            measure("step, statistics of every module", step)
        hooks.RemoveHook(hooks_pb.RemoveHookRequest(model="mnist", hook_id=hook_id))

    for name, figures in results.items():
        base = results[name.split(",")[0]]
        ratio = statistics.median(f[0] / b[0] for f, b in zip(figures, base))
        mean_ratio = statistics.median(f[1] / b[1] for f, b in zip(figures, base))
        print(f"{name:36} {statistics.median(f[0] for f in figures) * 1e3:8.2f} ms   "
              f"{ratio:5.2f}x of the median   {mean_ratio:5.2f}x of the mean")
    print(f"four watchers read {read:.0f} MiB/s; the stalled one was told of {told} dropped events")
    server.stop()


if __name__ == "__main__":
    main()
