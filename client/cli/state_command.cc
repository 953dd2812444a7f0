#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/exit.h"
#include "client/cli/format.h"
#include "client/cli/interrupt.h"
#include "client/cli/session.h"
#include "client/cli/state_file.h"

namespace tapewire::client {
namespace {

struct PullArgs {
  std::string model;
  std::string file;
  std::vector<std::string> keys;
};

struct PushArgs {
  std::string model;
  std::string file;
  bool allow_partial = false;
};

std::string size_text(size_t tensors, int64_t bytes) {
  return absl::StrCat(with_thousands(static_cast<int64_t>(tensors)), tensors == 1 ? " tensor (" : " tensors (",
                      bytes_text(bytes), ")");
}

// Draws how much of `total` bytes has gone.
std::function<void(int64_t)> progress_of(ProgressLine& line, const std::string& model, int64_t total) {
  return [&line, &model, total](int64_t bytes) {
    if (!line.due()) return;
    line.draw(absl::StrCat(model, "  ", bytes_text(bytes)),
              total == 0 ? 1 : static_cast<double>(bytes) / static_cast<double>(total));
  };
}

void pull(const Session& session, const PullArgs& args) {
  const Client client = session.connect();
  ProgressLine line(session.console);
  std::map<std::string, v1::Tensor> state;
  run_interruptible([&client] { client.cancel_calls(); },
                    [&] {
                      const int64_t total = from_server(client.get_model(args.model)).parameter_bytes();
                      state = from_server(client.read_state(
                          args.model, {.keys = args.keys, .progress = progress_of(line, args.model, total)}));
                    });
  line.clear();
  const size_t tensors = state.size();
  int64_t bytes = 0;
  for (const auto& [key, tensor] : state) bytes += static_cast<int64_t>(tensor.data().size());
  from_file(write_state_file(args.file, std::move(state)));
  if (session.json) {
    session.print({{"model", args.model}, {"file", args.file}, {"tensors", tensors}, {"bytes", bytes}});
    return;
  }
  session.out() << "wrote " << session.console.paint(Colour::kBold, args.file) << ": " << size_text(tensors, bytes)
                << '\n';
}

void print_keys(const Session& session, const std::string& what,
                const google::protobuf::RepeatedPtrField<std::string>& keys) {
  const std::vector<Column> columns{{"", Align::kLeft, 10}, {""}};
  for (int i = 0; i < keys.size(); ++i) {
    session.out() << table_row(columns, {i == 0 ? what : "", keys[i]}) << '\n';
  }
}

void push(const Session& session, const PushArgs& args) {
  const SafetensorsFile file = from_file(SafetensorsFile::open(args.file));
  const size_t tensors = file.header().tensors.size();
  const int64_t bytes = file.header().data_bytes();
  const Client client = session.connect();
  ProgressLine line(session.console);
  v1::WriteStateResponse response;
  run_interruptible([&client] { client.cancel_calls(); },
                    [&] {
                      const ChunkSource chunks = chunks_of_file(file, progress_of(line, args.model, bytes));
                      absl::Status reading;
                      const auto next = [&]() {
                        auto chunk = chunks();
                        reading = chunk.status();
                        return chunk;
                      };
                      auto answer = client.write_state(args.model, next, {.allow_partial = args.allow_partial});
                      from_file(reading);
                      response = from_server(std::move(answer));
                    });
  line.clear();
  if (session.json) {
    Json json{{"model", args.model}, {"file", args.file}, {"tensors", tensors}, {"bytes", bytes}};
    json.update(to_json(response));
    session.print(json);
    return;
  }
  session.out() << "loaded " << session.console.paint(Colour::kBold, args.model) << ": " << size_text(tensors, bytes)
                << ", parameter version " << with_thousands(response.parameter_version()) << '\n';
  print_keys(session, "missing", response.missing_keys());
  print_keys(session, "unexpected", response.unexpected_keys());
}

}  // namespace

void add_state_command(CLI::App& app, Session& session) {
  CLI::App& state = *app.add_subcommand("state", "Save a model's state to a safetensors file, and load it");
  state.require_subcommand(1);

  CLI::App& pulling = *state.add_subcommand("pull", "Write parameters and buffers to a safetensors file");
  const auto from = std::make_shared<PullArgs>();
  pulling.add_option("MODEL", from->model, "The model")->required();
  pulling.add_option("FILE", from->file, "The file to write; one of that name is replaced")->required();
  pulling.add_option("--keys", from->keys, "Globs over the keys (default: all)")
      ->delimiter(',')
      ->allow_extra_args(false);
  pulling.callback([&session, from] { session.command = [&session, from] { pull(session, *from); }; });

  CLI::App& pushing = *state.add_subcommand("push", "Load parameters and buffers from a safetensors file");
  const auto into = std::make_shared<PushArgs>();
  pushing.add_option("MODEL", into->model, "The model")->required();
  pushing.add_option("FILE", into->file, "The file to read")->required();
  pushing.add_flag("--allow-partial", into->allow_partial, "Keys may be missing or unknown; shapes must match");
  pushing.callback([&session, into] { session.command = [&session, into] { push(session, *into); }; });
}

}  // namespace tapewire::client
