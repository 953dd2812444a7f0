"""Prometheus scrapes a server of 300 models over a link with delay, and the HTTP port lives through crowds.

Needs the distribution's prometheus and promtool; the contract's stubs are made with stock protoc.
"""

import argparse
import asyncio
import contextlib
import json
import os
import pathlib
import resource
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse
import urllib.request

import grpc
from google.protobuf import text_format

from tapewired import Server

OPTIONS = None  # the command line's
DEADLINE = 60  # seconds a call
MODELS = 300
# Ten minutes of a Prometheus that scrapes every 15 s: here several targets, which are the same server, more often.
TARGETS = 4
SCRAPES = 40
INTERVAL = 2  # seconds
DELAY = 0.003  # seconds each way


class DelayingProxy:
    """Forwards TCP connections; each piece of data travels for DELAY seconds. A reset is passed on as one."""

    def __init__(self, host, port):
        self.target = host, port
        self.loop = asyncio.new_event_loop()
        self.port = None
        started = threading.Event()

        def run():
            asyncio.set_event_loop(self.loop)
            server = self.loop.run_until_complete(asyncio.start_server(self.serve, "127.0.0.1", 0))
            self.port = server.sockets[0].getsockname()[1]
            started.set()
            self.loop.run_forever()
            tasks = asyncio.all_tasks(self.loop)
            for task in tasks:
                task.cancel()
            self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()
        started.wait()

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()

    async def serve(self, reader, writer):
        try:
            server_reader, server_writer = await asyncio.open_connection(*self.target)
        except OSError:
            writer.transport.abort()
            return
        writers = writer, server_writer
        await asyncio.gather(self.forward(reader, server_writer, writers), self.forward(server_reader, writer, writers))

    async def forward(self, reader, writer, writers):
        try:
            while data := await reader.read(1 << 16):
                await asyncio.sleep(DELAY)
                writer.write(data)
                await writer.drain()
            await asyncio.sleep(DELAY)
            writer.write_eof()
        except OSError:
            for broken in writers:
                broken.transport.abort()


def import_stubs(folder):
    protos = OPTIONS.source / "proto"
    subprocess.run(
        [OPTIONS.protoc, f"-I{protos}", f"--python_out={folder}", f"--grpc_python_out={folder}",
         f"--plugin=protoc-gen-grpc_python={OPTIONS.plugin}"]
        + sorted(map(str, (protos / "tapewire" / "v1").glob("*.proto"))),
        check=True)
    sys.path.insert(0, folder)


def setUpModule():
    global FOLDER
    FOLDER = tempfile.TemporaryDirectory()
    import_stubs(FOLDER.name)


def tearDownModule():
    FOLDER.cleanup()


def train_models(address, count):
    """Creates models, and trains each for a step, so that most of its series are there."""
    from tapewire.v1 import (autograd_service_pb2, autograd_service_pb2_grpc, definition_pb2, model_service_pb2,
                             model_service_pb2_grpc, tensor_pb2)
    text = (OPTIONS.source / "client/examples/simplenet/simplenet.txtpb").read_text()
    spec = text_format.Parse(text, definition_pb2.ModelSpec())

    def tensor(shape, size):
        return tensor_pb2.Tensor(dtype=tensor_pb2.DATA_TYPE_FLOAT32, shape=shape, data=struct.pack(f"<{size}f", *[0.5] * size))

    step = autograd_service_pb2.TrainStepRequest(
        inputs=[tensor_pb2.NamedTensor(name="input", tensor=tensor([4, 10], 40))],
        targets=[tensor_pb2.NamedTensor(tensor=tensor([4, 1], 4))], learning_rate=0.1)
    with grpc.insecure_channel(address) as channel:
        models = model_service_pb2_grpc.ModelServiceStub(channel)
        autograd = autograd_service_pb2_grpc.AutogradServiceStub(channel)
        for i in range(count):
            models.CreateModel(model_service_pb2.CreateModelRequest(name=f"model-{i}", spec=spec), timeout=DEADLINE)
            step.model = f"model-{i}"
            autograd.TrainStep(step, timeout=DEADLINE)


def fetch(url):
    with urllib.request.urlopen(url, timeout=DEADLINE) as answer:
        return answer.read().decode()


class Prometheus:
    """The distribution's, with a data folder and a port of its own."""

    def __init__(self, targets, folder):
        config = {
            "global": {"scrape_interval": f"{INTERVAL}s", "scrape_timeout": f"{INTERVAL}s"},
            "scrape_configs": [{"job_name": "tapewire", "static_configs": [
                {"targets": [target], "labels": {"link": str(i)}} for i, target in enumerate(targets)]}],
        }
        file = pathlib.Path(folder, "prometheus.yml")
        file.write_text(json.dumps(config))  # YAML reads JSON
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self.log = open(pathlib.Path(folder, "prometheus.log"), "w+", encoding="utf-8")
        self.process = subprocess.Popen(
            [OPTIONS.prometheus, f"--config.file={file}", f"--storage.tsdb.path={folder}/data",
             f"--web.listen-address={self.address}"], stdout=self.log, stderr=subprocess.STDOUT)

    def get(self, path):
        return json.loads(fetch(f"http://{self.address}{path}"))["data"]

    def query(self, expression):
        """{labels of interest: value} of an instant query."""
        result = self.get("/api/v1/query?query=" + urllib.parse.quote(expression))["result"]
        return {series["metric"].get("link", ""): float(series["value"][1]) for series in result}

    def wait(self, condition, seconds, what):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.process.poll() is not None:
                break
            with contextlib.suppress(OSError):
                if condition():
                    return
            time.sleep(0.2)
        self.log.seek(0)
        raise AssertionError(f"{what} did not come within {seconds} s; prometheus said:\n{self.log.read()}")

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.log.close()


class ScrapeTest(unittest.TestCase):

    def test_no_scrape_of_300_models_over_a_delayed_link_fails(self):
        server = Server(OPTIONS.server)
        self.addCleanup(server.stop)
        train_models(server.address, MODELS)
        host, port = server.http_address.rsplit(":", 1)
        proxy = DelayingProxy(host, int(port))
        self.addCleanup(proxy.stop)
        with tempfile.TemporaryDirectory() as folder:
            prometheus = Prometheus([f"127.0.0.1:{proxy.port}"] * TARGETS, folder)
            try:
                prometheus.wait(lambda: sum(prometheus.query("count_over_time(up[10m])").values()) >= SCRAPES,
                                4 * INTERVAL * SCRAPES / TARGETS + 30, f"{SCRAPES} scrapes")
                errors = [target["lastError"] for target in prometheus.get("/api/v1/targets")["activeTargets"]]
                self.assertEqual(errors, [""] * TARGETS)
                links = {str(i) for i in range(TARGETS)}
                self.assertEqual(prometheus.query("min_over_time(up[10m])"), {link: 1 for link in links})
                for expression in ("tapewire_models", "count by (link) (tapewire_steps_total == 1)",
                                   'count by (link) (tapewire_compute_seconds_count{phase="step"} == 1)'):
                    self.assertEqual(prometheus.query(expression), {link: MODELS for link in links}, expression)
            finally:
                prometheus.stop()

    def test_promtool_finds_no_fault(self):
        server = Server(OPTIONS.server)
        self.addCleanup(server.stop)
        train_models(server.address, 2)
        text = fetch(f"http://{server.http_address}/metrics")
        done = subprocess.run([OPTIONS.promtool, "check", "metrics"], input=text, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))


class CrowdTest(unittest.TestCase):
    """Of a server that may have few file descriptors."""

    DESCRIPTORS = 128

    def setUp(self):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
        self.server = Server(OPTIONS.server, limits=(self.DESCRIPTORS, self.DESCRIPTORS))
        self.addCleanup(self.server.stop)

    def crowd(self, address):
        """Connections that say nothing, more than the server has descriptors for."""
        host, port = address.rsplit(":", 1)
        stack = contextlib.ExitStack()
        for _ in range(2 * self.DESCRIPTORS):
            stack.enter_context(socket.create_connection((host, int(port)), timeout=DEADLINE))
        return stack

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.server.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def check_probes(self):
        for path in ("healthz", "readyz", "metrics") * 3:
            begun = time.monotonic()
            fetch(f"http://{self.server.http_address}/{path}")
            self.assertLess(time.monotonic() - begun, 5)

    def check_rests(self):
        before = self.cpu_seconds()
        time.sleep(1)
        self.assertLess(self.cpu_seconds() - before, 0.5, "it spins")

    def list_models(self):
        from tapewire.v1 import model_service_pb2, model_service_pb2_grpc
        with grpc.insecure_channel(self.server.address) as channel:
            model_service_pb2_grpc.ModelServiceStub(channel).ListModels(
                model_service_pb2.ListModelsRequest(), timeout=DEADLINE, wait_for_ready=True)

    def test_probes_are_answered_in_a_crowd_of_idle_http_connections(self):
        with self.crowd(self.server.http_address):
            self.check_probes()
            self.check_rests()
            self.list_models()
        self.check_probes()

    def test_probes_are_answered_and_calls_come_back_after_a_crowd_of_grpc_connections(self):
        with self.crowd(self.server.address):
            self.check_probes()
            self.check_rests()
        self.list_models()


def main():
    global OPTIONS
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", required=True)
    parser.add_argument("--source", type=pathlib.Path, required=True)
    parser.add_argument("--protoc", required=True)
    parser.add_argument("--plugin", required=True)
    parser.add_argument("--prometheus", required=True)
    parser.add_argument("--promtool", required=True)
    OPTIONS, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest], verbosity=0)


if __name__ == "__main__":
    main()
