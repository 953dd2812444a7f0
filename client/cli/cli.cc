#include "client/cli/cli.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <exception>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/checks.h"
#include "client/cli/exit.h"
#include "client/cli/format.h"
#include "client/cli/session.h"

namespace tapewire::client {
namespace {

constexpr const char* kFooter = R"(
Exit codes:
  0    done
  1    the server refused (a faulty definition, too) or failed, or the result is not what was asked for
  2    wrong usage
  3    the server cannot be reached, is draining, or the connection was lost
  4    a definition or data file cannot be read, parsed or written
  130  interrupted)";

void report(const Session& session, const Exit& exit) {
  const std::string code = absl::StatusCodeToString(exit.status());
  if (session.json) {
    session.console.err() << json_line({{"error", {{"code", code}, {"message", exit.what()}}}}) << '\n';
    return;
  }
  session.console.err() << "tapewire: " << printable(exit.what(), true);
  // The server's codes are part of the contract; of our own the words say all.
  if (exit.code() == ExitCode::kFailed) session.console.err() << " (" << code << ")";
  session.console.err() << '\n';
}

/// "tapewire hooks add", as far as the command line names commands.
std::string command_of(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? app.get_name() : absl::StrCat(app.get_name(), " ", command_of(*chosen[0]));
}

/// What is wrong with the command line, in our words where CLI11 has none that help.
std::string usage_fault(const CLI::App& app, const CLI::ParseError& error) {
  const std::string command = command_of(app);
  const std::string see = absl::StrCat("; see ", command, " --help");
  const std::vector<std::string> rest = app.remaining(true);
  if (!rest.empty()) {
    if (rest[0].starts_with('-')) return absl::StrCat("unknown option '", rest[0], "'", see);
    if (error.get_name() == "RequiredError") {
      // After "tapewire hooks" it is the command "hooks bogus" that is not there.
      const std::string outer = command.substr(std::min(command.size(), app.get_name().size() + 1));
      return absl::StrCat("unknown command '", outer, outer.empty() ? "" : " ", rest[0], "'", see);
    }
    return absl::StrCat("unexpected argument '", rest[0], "'", see);
  }
  if (error.get_name() == "RequiredError") {
    const std::string what = error.what();
    return absl::StrCat(what.starts_with("A subcommand") ? "a command is required" : what, see);
  }
  return error.what();
}

int parse_and_run(CLI::App& app, Session& session, const std::vector<std::string>& arguments) {
  try {
    // CLI11 takes them from the back.
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::Success& asked) {  // --help, --version
    app.exit(asked, session.console.out(), session.console.err());
    return static_cast<int>(ExitCode::kOk);
  } catch (const CLI::ParseError& error) {
    // CLI11 sets flags only once the whole line is right.
    session.json = std::find(arguments.begin(), arguments.end(), "--json") != arguments.end();
    report(session, Exit(ExitCode::kUsage, absl::StatusCode::kInvalidArgument, usage_fault(app, error)));
    return static_cast<int>(ExitCode::kUsage);
  }
  try {
    if (const absl::Status status = check_server(session.server); !status.ok()) {
      fail_usage(absl::StrCat("--server: ", std::string(status.message())));
    }
    session.command();
    session.out().flush();
    return static_cast<int>(ExitCode::kOk);
  } catch (const Exit& exit) {
    session.out().flush();
    if (exit.what()[0] != '\0') report(session, exit);
    return static_cast<int>(exit.code());
  }
}

}  // namespace

Client Session::connect() const {
  ClientOptions options;
  if (timeout > 0) {
    options.timeout = absl::Seconds(timeout);
    options.connect_timeout = std::min(options.connect_timeout, options.timeout);
  }
  return from_server(Client::connect(server, options));
}

int run_cli(const std::vector<std::string>& arguments, const Console& console) {
  Session session(console);
  CLI::App app("Trains, watches and uses models on a Tapewire server.", "tapewire");
  app.fallthrough();
  app.require_subcommand(1);
  app.set_version_flag("--version", "tapewire " TAPEWIRE_VERSION);
  app.add_option("--server", session.server, "Address of the server, HOST:PORT or unix:PATH")
      ->envname("TAPEWIRE_SERVER")
      ->capture_default_str();
  app.add_option("--timeout", session.timeout, "Seconds that a call may take (default: no limit)")->check(above_zero());
  app.add_flag("--json", session.json, "Print JSON, one value a line, for scripts");
  app.footer(kFooter);
  app.get_formatter()->column_width(34);

  add_models_command(app, session);
  add_train_command(app, session);
  add_eval_command(app, session);
  add_predict_command(app, session);
  add_hooks_command(app, session);
  add_state_command(app, session);
  add_status_command(app, session);
  add_ops_command(app, session);
  try {
    return parse_and_run(app, session, arguments);
  } catch (const std::bad_alloc&) {
    report(session, Exit(ExitCode::kFailed, absl::StatusCode::kResourceExhausted, "out of memory"));
    return static_cast<int>(ExitCode::kFailed);
  }
}

}  // namespace tapewire::client
