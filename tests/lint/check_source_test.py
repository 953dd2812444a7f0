"""Plants one fault at a time in a small tree and expects tools/check_source.py to name it, and nothing else."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
import check_source  # noqa: E402

CLEAN = {
    "core/base/mutex.h": "#pragma once\n#include <mutex>\nstd::mutex mutex;\n",
    "core/tensor/tensor.h": '#pragma once\n#include "core/base/mutex.h"\n',
    "core/kernels/gemm.h": "#pragma once\n#include <Eigen/Core>\n",
    "core/ops/linear.cc": '#include "core/kernels/gemm.h"\n#include <Eigen/Core>\n',
    "core/graph/graph.h": '#pragma once\n#include "core/tensor/tensor.h"\n',
    "server/model/model.h": '#pragma once\n#include "core/graph/graph.h"\n#include "tapewire/v1/model.pb.h"\n',
    "server/hook/hook.h": '#pragma once\n#include "server/model/model.h"\n',
    "server/rpc/service.cc": '#include <grpcpp/grpcpp.h>\n#include "server/hook/hook.h"\n',
    "client/cpp/client.h": '#pragma once\n#include <grpcpp/grpcpp.h>\n#include "tapewire/v1/model.grpc.pb.h"\n',
    "tests/tensor/tensor_test.cc": '#include "core/tensor/tensor.h"\n#include <mutex>\nstd::mutex guard;\n',
    "CMakeLists.txt": "project(x)\n",
}


class CheckSource(unittest.TestCase):
    def faults(self, **planted):
        """The faults found in the clean tree with these lines appended: path (with / as __, . as _DOT_) = line."""
        files = dict(CLEAN)
        for name, text in planted.items():
            path = name.replace("__", "/").replace("_DOT_", ".")
            files[path] = files.get(path, "#pragma once\n" if path.endswith(".h") else "") + text + "\n"
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for path, text in files.items():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(text)
            return check_source.check(root, sorted(files))

    def expect(self, message, **planted):
        faults = self.faults(**planted)
        self.assertEqual(len(faults), 1, faults)
        self.assertIn(message, faults[0])

    def test_clean_tree_has_no_fault(self):
        self.assertEqual(self.faults(), [])

    def test_fault_names_file_and_line(self):
        faults = self.faults(core__tensor__tensor_DOT_h='#include "core/graph/graph.h"')
        self.assertTrue(faults[0].startswith("core/tensor/tensor.h:3: "), faults)

    def test_core_room_includes_later_room(self):
        self.expect("graph comes after tensor", core__tensor__tensor_DOT_h='#include "core/graph/graph.h"')

    def test_core_includes_server(self):
        self.expect("nothing of server", core__ops__linear_DOT_cc='#include "server/model/model.h"')

    def test_core_includes_client(self):
        self.expect("nothing of client", core__ops__linear_DOT_cc='#include "client/cpp/client.h"')

    def test_core_includes_generated_code(self):
        self.expect("nothing of the wire", core__graph__graph_DOT_h='#include "tapewire/v1/tensor.pb.h"')

    def test_core_includes_protobuf(self):
        self.expect("nothing of the wire", core__graph__graph_DOT_h="#include <google/protobuf/message.h>")

    def test_core_includes_grpc(self):
        self.expect("nothing of the wire", core__graph__graph_DOT_h="#include <grpcpp/grpcpp.h>")

    def test_core_includes_prometheus(self):
        self.expect("nothing of the wire", core__ops__linear_DOT_cc="#include <prometheus/counter.h>")

    def test_eigen_in_public_header(self):
        self.expect("public header", core__tensor__tensor_DOT_h="#include <Eigen/Core>")

    def test_onednn_in_public_header(self):
        self.expect("public header", core__graph__graph_DOT_h='#include "oneapi/dnnl/dnnl.hpp"')

    def test_room_that_is_not_on_the_map(self):
        self.expect("not a room", core__misc__thing_DOT_h="#include <vector>")

    def test_grpc_in_model(self):
        self.expect("speak gRPC", server__model__model_DOT_h="#include <grpcpp/grpcpp.h>")

    def test_stubs_in_hook(self):
        self.expect("speak gRPC", server__hook__hook_DOT_h='#include "tapewire/v1/hook.grpc.pb.h"')

    def test_model_includes_rpc(self):
        self.expect(
            "none calls rpc",
            server__rpc__codec_DOT_h="#include <string>",
            server__model__model_DOT_h='#include "server/rpc/codec.h"',
        )

    def test_server_includes_client(self):
        self.expect("nothing of its clients", server__rpc__service_DOT_cc='#include "client/cpp/client.h"')

    def test_client_includes_server(self):
        self.expect("the contract alone", client__cpp__client_DOT_h='#include "server/model/model.h"')

    def test_server_rooms_in_a_circle(self):
        self.expect("hook -> model -> hook", server__model__model_DOT_h='#include "server/hook/hook.h"')

    def test_source_includes_test(self):
        self.expect(
            "only tests",
            tests__support_DOT_h="#include <string>",
            core__ops__linear_DOT_cc='#include "tests/support.h"',
        )

    def test_include_without_path(self):
        self.expect(
            "by their path", core__graph__node_DOT_h="#include <map>", core__graph__graph_DOT_h='#include "node.h"'
        )

    def test_library_header_without_path(self):
        self.assertEqual(self.faults(server__hook__hook_DOT_h='#include "microhttpd.h"'), [])

    def test_relative_include(self):
        self.expect("by their path", core__graph__graph_DOT_h='#include "../tensor/tensor.h"')

    def test_include_of_no_file(self):
        self.expect("no such file", core__graph__graph_DOT_h='#include "core/graph/nothing.h"')

    def test_header_without_pragma_once(self):
        with_guard = dict(CLEAN)
        self.addCleanup(CLEAN.update, with_guard)
        CLEAN["core/graph/graph.h"] = "#ifndef GRAPH_H\n#define GRAPH_H\n#endif\n"
        self.expect("#pragma once")

    def test_lock_outside_base(self):
        self.expect("core/base/mutex.h", core__tensor__tensor_DOT_h="std::lock_guard<std::mutex> lock(mutex);")

    def test_abseil_mutex(self):
        self.expect("core/base/mutex.h", server__hook__hook_DOT_h="absl::Mutex mutex_;")

    def test_unfinished_work(self):
        self.expect("unfinished", core__ops__linear_DOT_cc="// TO" + "DO: later")
        self.expect("unfinished", **{"CMakeLists_DOT_txt": "# FIX" + "ME"})


if __name__ == "__main__":
    unittest.main()
