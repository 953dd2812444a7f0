"""The server as tests start it."""

import re
import resource
import signal
import subprocess
import threading


class Server:
    """A tapewired of the test's own, on free ports, with further flags. `join` runs in the process before it starts;
    `limits`: the file descriptors that it may have, soft and hard."""

    def __init__(self, binary, *flags, join=None, limits=None):
        def prepare():
            if limits is not None:
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            if join is not None:
                join()

        self.process = subprocess.Popen(
            [binary, "--grpc_address=127.0.0.1:0", "--http_address=127.0.0.1:0", *flags],
            stdout=subprocess.PIPE, text=True, preexec_fn=prepare if join or limits else None)
        killer = threading.Timer(60, self.process.kill)  # a server that never gets ready must not hang the test
        killer.start()
        line = self.process.stdout.readline()
        killer.cancel()
        match = re.match(r"tapewired ready grpc=(\S+) http=(\S+)", line)
        if not match:
            self.process.kill()
            raise RuntimeError(f"tapewired did not get ready: {line!r}")
        self.address, self.http_address = match.groups()

    def stop(self):
        """Its exit code after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout=60)
        finally:
            self.process.kill()
            self.process.stdout.close()
        return code
