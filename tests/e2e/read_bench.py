"""How long a small model's reads and metadata take while another model trains: prints medians and tails, judges nothing.

usage: read_bench.py --server build/release/server/tapewired --source . --protoc protoc --plugin grpc_python_plugin
"""

import argparse
import pathlib
import tempfile
import threading
import time

import python_client_test
from siege_test import connect, import_stubs, literal, module, named
from tapewired import Server

SECONDS = 10


def measure(call):
    """Milliseconds of calls made one after the other."""
    took = []
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        begun = time.monotonic()
        call()
        took.append(1000 * (time.monotonic() - begun))
    return sorted(took)


def show(what, took):
    at = lambda share: took[min(len(took) - 1, int(share * len(took)))]
    print(f"{what:44} p50 {at(0.5):7.2f} ms  p99 {at(0.99):7.2f} ms  most {took[-1]:7.2f} ms  of {len(took)}", flush=True)


def main(options):
    python_client_test.OPTIONS = options
    with tempfile.TemporaryDirectory() as folder:
        python_client_test.generate_stubs(folder)
        import_stubs(folder)
        from siege_test import autograd_grpc, autograd_pb, definition, models_grpc, models_pb
        server = Server(options.server, "--log_level=error")
        channel = connect(server.address)
        models, autograd = models_grpc.ModelServiceStub(channel), autograd_grpc.AutogradServiceStub(channel)
        models.CreateModel(models_pb.CreateModelRequest(name="victim", spec=definition.ModelSpec(
            modules=[module("", "Linear", in_features=4, out_features=2)])))
        layers = [module(str(i), "Linear", in_features=1024, out_features=1024) for i in range(8)]
        models.CreateModel(models_pb.CreateModelRequest(name="trained", spec=definition.ModelSpec(
            modules=[module("", "Sequential"), *layers], loss=definition.LossSpec(type="MSELoss"),
            optimizer=definition.OptimizerSpec(type="SGD", attributes={"lr": literal(0.0)}))))
        request = autograd_pb.ForwardRequest(model="victim", inputs=[named([1, 4])], training=False)
        read = lambda: autograd.Forward(request)
        metadata = lambda: autograd.ListTapes(autograd_pb.ListTapesRequest(model="victim"))
        over = threading.Event()
        steps = []

        def train():
            trained = autograd_grpc.AutogradServiceStub(connect(server.address))
            step = autograd_pb.TrainStepRequest(
                model="trained", inputs=[named([256, 1024])], targets=[named([256, 1024])])
            while not over.is_set():
                begun = time.monotonic()
                trained.TrainStep(step)
                steps.append(1000 * (time.monotonic() - begun))

        show("reads alone", measure(read))
        thread = threading.Thread(target=train)
        thread.start()
        time.sleep(1)
        show("reads while another model trains", measure(read))
        show("metadata while another model trains", measure(metadata))
        over.set()
        thread.join()
        show("the training steps", sorted(steps))
        channel.close()
        server.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--source", type=pathlib.Path, required=True)
    parser.add_argument("--protoc", default="protoc")
    parser.add_argument("--plugin", default="/usr/bin/grpc_python_plugin")
    main(parser.parse_args())
