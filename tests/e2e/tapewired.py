"""The server as tests start it."""

import re
import signal
import subprocess
import threading


class Server:
    """A tapewired of the test's own, on free ports, with further flags. `join` runs in the process before it starts."""

    def __init__(self, binary, *flags, join=None):
        self.process = subprocess.Popen(
            [binary, "--grpc_address=127.0.0.1:0", "--http_address=127.0.0.1:0", *flags],
            stdout=subprocess.PIPE, text=True, preexec_fn=join)
        killer = threading.Timer(60, self.process.kill)  # a server that never gets ready must not hang the test
        killer.start()
        line = self.process.stdout.readline()
        killer.cancel()
        match = re.match(r"tapewired ready grpc=(\S+) http=(\S+)", line)
        if not match:
            self.process.kill()
            raise RuntimeError(f"tapewired did not get ready: {line!r}")
        self.address = match.group(1)

    def stop(self):
        """Its exit code after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout=60)
        finally:
            self.process.kill()
            self.process.stdout.close()
        return code
