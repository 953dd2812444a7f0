#include "client/cli/trainer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/evaluation.h"
#include "client/cli/exit.h"
#include "client/cli/interrupt.h"

namespace tapewire::client {
namespace {

using Clock = std::chrono::steady_clock;

/// What every step's learning rate is, or starts from; none leaves it to the definition.
std::optional<double> base_learning_rate(const TrainArgs& args, const v1::Model& model) {
  if (args.learning_rate || args.schedule == "definition") return args.learning_rate;
  const auto& attributes = model.spec().optimizer().attributes();
  const auto found = attributes.find("lr");
  if (found == attributes.end()) {
    fail_usage(absl::StrCat("--lr-schedule ", args.schedule, " needs --lr: the definition names none"));
  }
  const v1::Literal& lr = found->second;
  return lr.has_int_value() ? static_cast<double>(lr.int_value()) : lr.double_value();
}

std::vector<std::string> metrics_of(const TrainArgs& args, const Dataset* eval) {
  return args.metrics.empty() && eval != nullptr ? default_metrics(*eval) : args.metrics;
}

Json number_or_null(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

}  // namespace

double Trainer::Epoch::seconds() const { return std::chrono::duration<double>(Clock::now() - start).count(); }

Trainer::Trainer(const Session& session, const TrainArgs& args, const Client& client, v1::Model model,
                 const Dataset& train, const Dataset* eval)
    : session_(session),
      args_(args),
      client_(client),
      model_(std::move(model)),
      train_(train),
      eval_(eval),
      metrics_(metrics_of(args, eval)),
      base_lr_(base_learning_rate(args, model_)),
      steps_per_epoch_(train.size() / args.batch + (train.size() % args.batch == 0 ? 0 : 1)),
      progress_(session.console),
      stream_(client.train(model_.name(), {.max_in_flight = args.in_flight})) {
  if (!args.watch.empty()) watch_.emplace(client, model_.name(), args.watch);
  columns_ = {{"epoch", Align::kRight}, {"loss", Align::kRight, 7}};
  if (eval_ != nullptr && metrics_.empty()) columns_.push_back({"eval loss", Align::kRight});
  for (const auto& metric : metrics_) columns_.push_back({metric, Align::kRight});
  for (const auto& path : args.watch) columns_.push_back({"∇" + path, Align::kRight, 7});
  columns_.push_back({"seconds", Align::kRight});
}

void Trainer::run() {
  const auto start = Clock::now();
  for (int number = 0; number < args_.epochs; ++number) {
    Epoch epoch;
    epoch.number = number;
    run_epoch(epoch);
    const auto evaluation = evaluate(epoch);
    progress_.clear();
    report(epoch, evaluation);
  }
  from_server(stream_.finish());
  if (watch_) watch_->check();
  if (session_.json) return;
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  const auto samples = static_cast<double>(train_.size()) * args_.epochs;
  session_.out() << session_.console.paint(
                        Colour::kDim, absl::StrCat(with_thousands(args_.epochs * steps_per_epoch_), " steps in ",
                                                   seconds_text(seconds), ", ",
                                                   with_thousands(static_cast<int64_t>(samples / seconds)),
                                                   " samples/s; the model is at step ", with_thousands(last_.step())))
                 << '\n';
}

void Trainer::run_epoch(Epoch& epoch) {
  const std::vector<int64_t> order = shuffled(train_.size(), args_.seed + static_cast<uint64_t>(epoch.number));
  for (int64_t index = 0; index < steps_per_epoch_; ++index) {
    InterruptGuard::check();
    const int64_t first = index * args_.batch;
    const int64_t count = std::min(args_.batch, train_.size() - first);
    const auto rows = std::span(order).subspan(static_cast<size_t>(first), static_cast<size_t>(count));
    from_server(stream_.write(make_step(epoch, index, rows)));
    while (const auto answer = stream_.try_read()) take(epoch, *answer);
  }
  while (epoch.answered < steps_per_epoch_) {
    InterruptGuard::check();
    const auto answer = from_server(stream_.read());
    if (!answer) throw Exit(ExitCode::kFailed, absl::StatusCode::kInternal, "the server ended the training stream");
    take(epoch, *answer);
  }
}

v1::TrainStepRequest Trainer::make_step(const Epoch& epoch, int64_t index, std::span<const int64_t> rows) const {
  v1::TrainStepRequest step;
  Batch batch = train_.batch(rows, input_name(model_));
  for (auto& input : batch.inputs) *step.add_inputs() = std::move(input);
  for (auto& target : batch.targets) *step.add_targets() = std::move(target);
  step.set_end_of_epoch(index + 1 == steps_per_epoch_);
  if (args_.clip_norm) step.mutable_clip()->set_max_norm(*args_.clip_norm);
  if (base_lr_) {
    const auto done = static_cast<double>(epoch.number * steps_per_epoch_ + index);
    const auto total = static_cast<double>(args_.epochs * steps_per_epoch_);
    step.set_learning_rate(args_.schedule == "linear" ? *base_lr_ * (1 - done / total) : *base_lr_);
  }
  return step;
}

void Trainer::take(Epoch& epoch, const v1::TrainStepResponse& answer) {
  const int64_t first = epoch.answered * args_.batch;
  const int64_t samples = std::min(args_.batch, train_.size() - first);
  ++epoch.answered;
  last_ = answer.info();
  if (last_.has_loss()) {
    epoch.loss_sum += last_.loss() * static_cast<double>(samples);
    epoch.samples += samples;
  }
  if (progress_.due()) draw(epoch, static_cast<double>(epoch.answered) / static_cast<double>(steps_per_epoch_));
}

std::optional<v1::EvaluateResponse> Trainer::evaluate(Epoch& epoch) {
  if (eval_ == nullptr) return std::nullopt;
  const auto sent = [&](int64_t /*count*/) {
    InterruptGuard::check();
    if (progress_.due()) draw(epoch, 1);
  };
  return evaluate_all(client_, model_, *eval_, std::max<int64_t>(args_.batch, 256), metrics_, sent);
}

void Trainer::print_header() {
  if (std::exchange(header_printed_, true)) return;
  std::vector<std::string> headers;
  for (const auto& column : columns_) headers.push_back(column.header);
  session_.out() << session_.console.paint(Colour::kBold, table_row(columns_, headers)) << std::endl;
}

void Trainer::draw(const Epoch& epoch, double fraction) {
  if (!session_.json) print_header();
  std::vector<std::string> cells{absl::StrCat(epoch.number + 1, "/", args_.epochs),
                                 absl::StrFormat("%.4f", epoch.mean_loss())};
  cells.resize(columns_.size() - 1 - args_.watch.size());
  if (watch_) {
    for (auto& text : watch_->latest()) cells.push_back(std::move(text));
  }
  cells.push_back(absl::StrFormat("%.1f", epoch.seconds()));
  progress_.draw(table_row(columns_, cells), fraction);
}

void Trainer::report(const Epoch& epoch, const std::optional<v1::EvaluateResponse>& evaluation) {
  std::vector<std::optional<double>> norms;
  if (watch_) norms = watch_->take_means(last_.step());
  if (session_.json) {
    report_json(epoch, evaluation, norms);
    return;
  }
  print_header();
  std::vector<std::string> cells{absl::StrCat(epoch.number + 1), absl::StrFormat("%.4f", epoch.mean_loss())};
  if (evaluation && metrics_.empty()) {
    cells.push_back(evaluation->has_loss() ? absl::StrFormat("%.4f", evaluation->loss()) : "-");
  }
  for (const auto& metric : metrics_) {
    const auto found = evaluation->metrics().find(metric);
    cells.push_back(found == evaluation->metrics().end() ? "-" : absl::StrFormat("%.4f", found->second));
  }
  for (const auto& norm : norms) cells.push_back(norm ? column_number(*norm) : "-");
  cells.push_back(absl::StrFormat("%.1f", epoch.seconds()));
  session_.out() << table_row(columns_, cells) << std::endl;
}

void Trainer::report_json(const Epoch& epoch, const std::optional<v1::EvaluateResponse>& evaluation,
                          const std::vector<std::optional<double>>& norms) const {
  Json json{{"epoch", epoch.number + 1}, {"steps", steps_per_epoch_}, {"samples", train_.size()},
            {"loss", epoch.mean_loss()}, {"step", last_.step()},      {"learning_rate", last_.learning_rate()},
            {"seconds", epoch.seconds()}};
  if (evaluation) json["evaluation"] = to_json(*evaluation);
  for (size_t i = 0; i < norms.size(); ++i) json["gradient_norms"][args_.watch[i]] = number_or_null(norms[i]);
  session_.print(json);
  session_.out().flush();
}

}  // namespace tapewire::client
