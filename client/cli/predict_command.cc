#include <algorithm>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/cli/checks.h"
#include "client/cli/data_options.h"
#include "client/cli/digits.h"
#include "client/cli/evaluation.h"
#include "client/cli/exit.h"
#include "client/cli/format.h"
#include "client/cli/interrupt.h"
#include "client/cli/prediction.h"
#include "client/cli/session.h"
#include "client/cpp/tensor.h"

namespace tapewire::client {
namespace {

constexpr size_t kBatch = 256;

struct PredictArgs {
  std::string model;
  DataSource source;
  DataOptions data;
  int64_t start = 0;
  int64_t count = 10;
  int64_t show = 0;
  bool raw = false;
};

std::vector<Prediction> predict_rows(const Client& client, const v1::Model& model, const Dataset& data,
                                     std::span<const int64_t> rows) {
  std::vector<Prediction> all;
  for (size_t at = 0; at < rows.size(); at += kBatch) {
    InterruptGuard::check();
    const auto some = rows.subspan(at, std::min(kBatch, rows.size() - at));
    const auto answer =
        from_server(client.infer(model.name(), named(input_name(model), gather_rows(data.inputs, some))));
    if (answer.outputs().empty()) {
      throw Exit(ExitCode::kFailed, absl::StatusCode::kInternal, "the model gave no output");
    }
    const auto part = from_server(predictions_of(answer.outputs(0).tensor(), static_cast<int64_t>(some.size())));
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

void print_json(const Session& session, std::span<const int64_t> rows, std::span<const Prediction> predictions,
                std::span<const int64_t> labels, bool classes) {
  for (size_t i = 0; i < rows.size(); ++i) {
    Json json{{"index", rows[i]}};
    if (classes) {
      json["prediction"] = predictions[i].best;
      json["probability"] = predictions[i].probability;
    }
    if (!labels.empty()) json["label"] = labels[i];
    json["output"] = predictions[i].output;
    session.print(json);
  }
}

void print_values(const Session& session, std::span<const int64_t> rows, std::span<const Prediction> predictions) {
  Table table({{"sample", Align::kRight}, {"output"}});
  for (size_t i = 0; i < rows.size(); ++i) {
    std::vector<std::string> values;
    for (const double value : predictions[i].output) values.push_back(number(value));
    table.add({absl::StrCat(rows[i]), absl::StrJoin(values, "  ")});
  }
  table.print(session.console);
}

void print_classes(const Session& session, std::span<const int64_t> rows, std::span<const Prediction> predictions,
                   std::span<const int64_t> labels) {
  std::vector<Column> columns{{"sample", Align::kRight}, {"prediction", Align::kRight}, {"probability", Align::kRight}};
  if (!labels.empty()) columns.insert(columns.end(), {{"label", Align::kRight}, {""}});
  Table table(columns);
  int64_t right = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    std::vector<std::string> cells{absl::StrCat(rows[i]), absl::StrCat(predictions[i].best),
                                   absl::StrFormat("%.4f", predictions[i].probability)};
    if (!labels.empty()) {
      const bool good = labels[i] == predictions[i].best;
      right += good ? 1 : 0;
      cells.insert(cells.end(), {absl::StrCat(labels[i]), good ? "" : "wrong"});
    }
    table.add(std::move(cells));
  }
  table.print(session.console);
  if (!labels.empty()) session.out() << right << " of " << rows.size() << " right\n";
}

void show_images(const Session& session, const Dataset& data, std::span<const int64_t> rows,
                 std::span<const Prediction> predictions, std::span<const int64_t> labels) {
  std::vector<std::string> captions;
  for (size_t i = 0; i < rows.size(); ++i) {
    std::string caption = absl::StrFormat("%d  %.1f%%", predictions[i].best, predictions[i].probability * 100);
    if (!labels.empty() && labels[i] != predictions[i].best) absl::StrAppend(&caption, "  (is ", labels[i], ")");
    captions.push_back(std::move(caption));
  }
  print_images(session.console, gather_rows(*data.pixels, rows), captions);
}

void predict(const Session& session, const PredictArgs& args) {
  check_source(args.source, "", false);
  const Dataset data = load_or_exit(args.source, Split::kTest, args.data);
  if (args.show > 0 && !data.pixels) fail_usage("--show draws images; this data has none");
  const int64_t wanted = std::max(args.count, args.show);
  const int64_t count = std::min(wanted, data.size() - args.start);
  if (count <= 0) fail_usage(absl::StrCat("--start ", args.start, ": the data holds ", data.size(), " samples"));
  std::vector<int64_t> rows(static_cast<size_t>(count));
  std::iota(rows.begin(), rows.end(), args.start);

  const Client client = session.connect();
  std::vector<Prediction> predictions;
  run_interruptible([&client] { client.cancel_calls(); },
                    [&] {
                      const v1::Model model = from_server(client.get_model(args.model));
                      predictions = predict_rows(client, model, data, rows);
                    });
  const bool classes = !args.raw && predictions[0].output.size() > 1 && (!data.targets || data.has_classes());
  v1::Tensor label_tensor;
  std::span<const int64_t> labels;
  if (data.has_classes()) {
    label_tensor = gather_rows(*data.targets, rows);
    labels = *view<int64_t>(label_tensor);
  }
  if (session.json) {
    print_json(session, rows, predictions, labels, classes);
  } else if (!classes) {
    print_values(session, rows, predictions);
  } else if (args.show > 0) {
    const auto shown = static_cast<size_t>(std::min(args.show, count));
    show_images(session, data, std::span(rows).first(shown), std::span(predictions).first(shown),
                labels.empty() ? labels : labels.first(shown));
  } else {
    print_classes(session, rows, predictions, labels);
  }
}

}  // namespace

void add_predict_command(CLI::App& app, Session& session) {
  CLI::App& command = *app.add_subcommand("predict", "Run a model on samples and show what it says");
  const auto args = std::make_shared<PredictArgs>();
  command.add_option("MODEL", args->model, "The model")->required();
  command.add_option("--start", args->start, "First sample")->check(index_for(args->start))->capture_default_str();
  command.add_option("--count", args->count, "Samples")->check(count_for(args->count))->capture_default_str();
  command.add_option("--show", args->show, "Draw this many images with their predictions, instead of the table")
      ->check(count_for(args->show));
  command.add_flag("--raw", args->raw, "The output as it is, not as classes");
  add_source_options(command, args->source, "", "Input");
  add_data_options(command, args->data);
  command.callback([&session, args] { session.command = [&session, args] { predict(session, *args); }; });
}

}  // namespace tapewire::client
