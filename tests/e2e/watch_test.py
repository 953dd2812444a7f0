"""A tapewire that is killed while it trains and watches: its hooks end with their lease.

Uses the programs alone.
"""

import argparse
import datetime
import json
import pathlib
import signal
import subprocess
import sys
import time
import unittest

from tapewired import Server

OPTIONS = None  # the command line's
PATIENCE = 60  # seconds


class KilledWatcherTest(unittest.TestCase):
    def setUp(self):
        self.server = Server(OPTIONS.server)
        self.addCleanup(self.server.stop)

    def tapewire(self, *args):
        done = subprocess.run([OPTIONS.tapewire, f"--server={self.server.address}", *args], capture_output=True,
                              text=True, timeout=PATIENCE)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def hooks(self):
        return [json.loads(line) for line in self.tapewire("--json", "hooks", "list", "mnist").splitlines()]

    def expiries(self):
        """When the leases end, in seconds."""
        return [datetime.datetime.fromisoformat(hook["expire_time"]).timestamp() for hook in self.hooks()]

    def wait_for(self, condition):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if condition():
                return
        self.fail("it did not come true")

    def test_a_killed_client_leaves_hooks_whose_lease_runs(self):
        examples = OPTIONS.source / "client" / "examples" / "mnist"
        self.tapewire("models", "create", "mnist", "-f", str(examples / "mnist.txtpb"))
        client = subprocess.Popen(
            [OPTIONS.tapewire, f"--server={self.server.address}", "train", "mnist",
             "--data", str(examples / "data"), "--epochs", "1000", "--watch", "conv1,fc2"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            # While it watches, the end of the lease moves on.
            self.wait_for(lambda: client.poll() is not None or len(self.hooks()) == 2)
            self.assertIsNone(client.poll(), "it ended by itself")
            first = self.expiries()
            self.wait_for(lambda: all(now > then + 0.5 for now, then in zip(self.expiries(), first)))
        finally:
            client.send_signal(signal.SIGKILL)
            client.wait()
            client.stderr.close()

        # Then it stands still: it has not moved for three seconds.
        last, since = self.expiries(), time.monotonic()

        def stands_still():
            nonlocal last, since
            now = self.expiries()
            if any(abs(a - b) > 0.1 for a, b in zip(now, last)):
                last, since = now, time.monotonic()
            return time.monotonic() - since > 3

        self.wait_for(stands_still)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--tapewire", required=True)
    parser.add_argument("--source", type=pathlib.Path, required=True)
    global OPTIONS
    OPTIONS, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest])


if __name__ == "__main__":
    main()
