#include <ctime>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/exit.h"
#include "client/cli/format.h"
#include "client/cli/session.h"

namespace tapewire::client {
namespace {

void status(const Session& session) {
  const Client client = session.connect();
  const bool serving = from_server(client.check_health());
  const v1::GetServerInfoResponse info = from_server(client.server_info());
  if (session.json) {
    Json json{{"server", client.address()}, {"serving", serving}};
    json.update(to_json(info));
    session.print(json);
  } else {
    const auto line = [&session](const std::string& name, const std::string& value) {
      session.out() << table_row({{"", Align::kLeft, 16}, {""}}, {name, value}) << '\n';
    };
    session.out() << session.console.paint(Colour::kBold, client.address()) << "  "
                  << (serving ? session.console.paint(Colour::kGreen, "serving")
                              : session.console.paint(Colour::kRed, "not serving"))
                  << '\n';
    line("version", info.version());
    line("up", seconds_text(static_cast<double>(std::time(nullptr) - info.start_time().seconds())));
    line("models", with_thousands(info.models()));
    line("tapes", with_thousands(info.tapes()));
    line("memory", bytes_text(info.tensor_bytes()));
    line("compute threads", absl::StrCat(info.compute_threads()));
    line("cpu", info.cpu());
    if (!info.features().empty()) line("features", absl::StrJoin(info.features(), ", "));
    if (!info.limits().empty()) {
      session.out() << "\n";
      Table limits({{"limit"}, {"value", Align::kRight}});
      for (const auto& [name, value] : std::map<std::string, int64_t>(info.limits().begin(), info.limits().end())) {
        limits.add({name, with_thousands(value)});
      }
      limits.print(session.console);
    }
  }
  if (!serving) throw Exit(ExitCode::kUnreachable, absl::StatusCode::kUnavailable, "the server is not serving");
}

}  // namespace

void add_status_command(CLI::App& app, Session& session) {
  CLI::App& command = *app.add_subcommand("status", "Health, version, load and limits of the server; a health check");
  command.callback([&session] { session.command = [&session] { status(session); }; });
}

}  // namespace tapewire::client
