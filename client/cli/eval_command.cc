#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/checks.h"
#include "client/cli/data_options.h"
#include "client/cli/evaluation.h"
#include "client/cli/exit.h"
#include "client/cli/format.h"
#include "client/cli/interrupt.h"
#include "client/cli/session.h"

namespace tapewire::client {
namespace {

struct EvalArgs {
  std::string model;
  DataSource source;
  DataOptions data;
  int64_t batch = 256;
  std::vector<std::string> metrics;
};

void eval(const Session& session, const EvalArgs& args) {
  check_source(args.source, "", true);
  const Dataset data = load_or_exit(args.source, Split::kTest, args.data);
  if (!data.targets) fail_usage("evaluating needs targets");
  const Client client = session.connect();
  ProgressLine progress(session.console);
  const auto sent = [&](int64_t count) {
    InterruptGuard::check();
    if (progress.due()) progress.draw(args.model, static_cast<double>(count) / static_cast<double>(data.size()));
  };
  const auto metrics = args.metrics.empty() ? default_metrics(data) : args.metrics;
  v1::EvaluateResponse result;
  run_interruptible([&client] { client.cancel_calls(); },
                    [&] {
                      const v1::Model model = from_server(client.get_model(args.model));
                      result = evaluate_all(client, model, data, args.batch, metrics, sent);
                    });
  progress.clear();
  if (session.json) {
    session.print(to_json(result));
    return;
  }
  const auto line = [&session](const std::string& name, const std::string& value) {
    session.out() << table_row({{"", Align::kLeft, 12}, {""}}, {name, value}) << '\n';
  };
  if (result.has_loss()) line("loss", absl::StrFormat("%.4f", result.loss()));
  for (const auto& [name, value] : std::map<std::string, double>(result.metrics().begin(), result.metrics().end())) {
    line(name, absl::StrFormat("%.4f", value));
  }
  line("samples", with_thousands(result.samples()));
}

}  // namespace

void add_eval_command(CLI::App& app, Session& session) {
  CLI::App& command = *app.add_subcommand("eval", "Loss and metrics of a model on data");
  const auto args = std::make_shared<EvalArgs>();
  command.add_option("MODEL", args->model, "The model")->required();
  command.add_option("--batch", args->batch, "Samples a message")->check(count_for(args->batch))->capture_default_str();
  command.add_option("--metric", args->metrics, "Metrics (default: accuracy for classes)")
      ->delimiter(',')
      ->allow_extra_args(false);
  add_source_options(command, args->source, "", "Test");
  add_data_options(command, args->data);
  command.callback([&session, args] { session.command = [&session, args] { eval(session, *args); }; });
}

}  // namespace tapewire::client
