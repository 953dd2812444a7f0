#pragma once

#include <CLI/CLI.hpp>

#include <functional>
#include <optional>
#include <string>

#include "client/cli/console.h"
#include "client/cli/json.h"
#include "client/cpp/client.h"

namespace tapewire::client {

/// What all commands share: the global options, the console and the connection.
struct Session {
  explicit Session(const Console& the_console) : console(the_console) {}

  const Console& console;
  std::string server = "127.0.0.1:8001";
  double timeout = 0;  // seconds a call; 0: none
  bool json = false;
  /// Set by the subcommand that was chosen; run after parsing. Throws Exit.
  std::function<void()> command;

  std::ostream& out() const { return console.out(); }
  /// Throws Exit(kUnreachable) if nobody answers.
  Client connect() const;
  void print(const Json& value) const { out() << json_line(value) << '\n'; }
};

/// Each adds its subcommand to `app`; `session` outlives the app.
void add_models_command(CLI::App& app, Session& session);
void add_train_command(CLI::App& app, Session& session);
void add_eval_command(CLI::App& app, Session& session);
void add_predict_command(CLI::App& app, Session& session);
void add_hooks_command(CLI::App& app, Session& session);
void add_state_command(CLI::App& app, Session& session);
void add_status_command(CLI::App& app, Session& session);
void add_ops_command(CLI::App& app, Session& session);

}  // namespace tapewire::client
