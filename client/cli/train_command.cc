#include <memory>
#include <optional>

#include "client/cli/checks.h"
#include "client/cli/data_options.h"
#include "client/cli/exit.h"
#include "client/cli/interrupt.h"
#include "client/cli/session.h"
#include "client/cli/trainer.h"

namespace tapewire::client {
namespace {

/// The data to evaluate after each epoch: named by the user, or the test files beside the training files.
std::optional<Dataset> load_eval(const TrainArgs& args) {
  if (args.no_eval) return std::nullopt;
  if (!args.eval_source.empty()) return load_or_exit(args.eval_source, Split::kTest, args.data);
  if (args.source.data.empty() || args.source.data.find(".csv") != std::string::npos) return std::nullopt;
  return load_or_exit(args.source, Split::kTest, args.data);
}

void train(const Session& session, const TrainArgs& args) {
  check_source(args.source, "", true);
  if (!args.eval_source.empty()) check_source(args.eval_source, "eval-", true);
  const Dataset data = load_or_exit(args.source, Split::kTrain, args.data);
  if (!data.targets) fail_usage("training needs targets");
  const std::optional<Dataset> eval = load_eval(args);
  const Client client = session.connect();
  const InterruptGuard guard;
  Trainer trainer(session, args, client, from_server(client.get_model(args.model)), data, eval ? &*eval : nullptr);
  trainer.run();
}

}  // namespace

void add_train_command(CLI::App& app, Session& session) {
  CLI::App& command = *app.add_subcommand("train", "Train a model over one stream of steps; a line an epoch");
  const auto args = std::make_shared<TrainArgs>();
  command.add_option("MODEL", args->model, "The model")->required();
  command.add_option("--epochs", args->epochs, "Passes over the data")
      ->check(count_for(args->epochs))
      ->capture_default_str();
  command.add_option("--batch", args->batch, "Samples a step")->check(count_for(args->batch))->capture_default_str();
  command.add_option("--lr", args->learning_rate, "Learning rate instead of the definition's")->check(above_zero());
  command
      .add_option(
          "--lr-schedule", args->schedule,
          "definition: what its scheduler says, or --lr throughout; linear: falls from --lr (or the definition's) to 0 "
          "over the run")
      ->check(CLI::IsMember({"definition", "linear"}))
      ->capture_default_str();
  command.add_option("--clip-norm", args->clip_norm, "Clip the gradient to this norm")->check(above_zero());
  command.add_option("--seed", args->seed, "Of the order of the samples")
      ->check(whole_unsigned())
      ->capture_default_str();
  command.add_option("--in-flight", args->in_flight, "Steps sent ahead of their answers")
      ->check(whole(1, 64))
      ->capture_default_str();
  command
      .add_option("--watch", args->watch,
                  "Module paths, comma separated: show the norms of their gradients, and fail if they are not finite")
      ->delimiter(',')
      ->allow_extra_args(false);
  command.add_option("--metric", args->metrics, "Metrics of the evaluation (default: accuracy for classes)")
      ->delimiter(',')
      ->allow_extra_args(false);
  command.add_flag("--no-eval", args->no_eval, "Do not evaluate the test files of a --data folder");
  add_source_options(command, args->source, "", "Training");
  add_source_options(command, args->eval_source, "eval-", "Evaluation");
  add_data_options(command, args->data);
  command.callback([&session, args] { session.command = [&session, args] { train(session, *args); }; });
}

}  // namespace tapewire::client
