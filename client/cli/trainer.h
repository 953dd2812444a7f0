#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "client/cli/dataset.h"
#include "client/cli/format.h"
#include "client/cli/gradient_watch.h"
#include "client/cli/session.h"

namespace tapewire::client {

struct TrainArgs {
  std::string model;
  DataSource source;
  DataSource eval_source;
  DataOptions data;
  int epochs = 1;
  int64_t batch = 64;
  std::optional<double> learning_rate;
  std::string schedule = "definition";
  std::optional<double> clip_norm;
  uint64_t seed = 0;
  int in_flight = 4;
  bool no_eval = false;
  std::vector<std::string> watch;
  std::vector<std::string> metrics;
};

/// One run of `tapewire train`: the epochs of a model over one Train stream, with a row of a table (or a line of JSON)
/// for each. Everything passed in outlives it. Methods throw Exit.
class Trainer {
 public:
  Trainer(const Session& session, const TrainArgs& args, const Client& client, v1::Model model, const Dataset& train,
          const Dataset* eval);

  void run();

 private:
  struct Epoch {
    int number = 0;  // from 0
    int64_t answered = 0;
    int64_t samples = 0;
    double loss_sum = 0;
    std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();

    double mean_loss() const { return samples == 0 ? 0 : loss_sum / static_cast<double>(samples); }
    double seconds() const;
  };

  void run_epoch(Epoch& epoch);
  /// `index`: of the step in its epoch.
  v1::TrainStepRequest make_step(const Epoch& epoch, int64_t index, std::span<const int64_t> rows) const;
  void take(Epoch& epoch, const v1::TrainStepResponse& answer);
  std::optional<v1::EvaluateResponse> evaluate(Epoch& epoch);
  /// Once, with the first row.
  void print_header();
  void draw(const Epoch& epoch, double fraction);
  void report(const Epoch& epoch, const std::optional<v1::EvaluateResponse>& evaluation);
  void report_json(const Epoch& epoch, const std::optional<v1::EvaluateResponse>& evaluation,
                   const std::vector<std::optional<double>>& norms) const;

  const Session& session_;
  const TrainArgs& args_;
  const Client& client_;
  const v1::Model model_;
  const Dataset& train_;
  const Dataset* eval_;
  const std::vector<std::string> metrics_;
  const std::optional<double> base_lr_;
  const int64_t steps_per_epoch_;
  ProgressLine progress_;
  TrainStream stream_;
  std::optional<GradientWatch> watch_;
  std::vector<Column> columns_;
  bool header_printed_ = false;
  v1::StepInfo last_;
};

}  // namespace tapewire::client
