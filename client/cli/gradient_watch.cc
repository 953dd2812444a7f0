#include "client/cli/gradient_watch.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cli/exit.h"
#include "client/cli/format.h"
#include "client/cpp/status.h"

namespace tapewire::client {
namespace {

// What a watcher may lag behind before the server drops events.
constexpr int kBufferEvents = 4096;
constexpr std::chrono::seconds kLag(1);
// How long hooks outlive a client that was killed: while it watches, the lease does not run.
constexpr int kLeaseSeconds = 30;

}  // namespace

GradientWatch::GradientWatch(const Client& client, const std::string& model, const std::vector<std::string>& paths)
    : client_(client), model_(model), paths_(paths) {
  try {
    v1::WatchHooksRequest request;
    request.set_model(model);
    request.set_buffer_events(kBufferEvents);
    for (const auto& path : paths_) {
      v1::Hook hook;
      hook.set_target(path);
      hook.set_kind(v1::HOOK_KIND_BACKWARD);
      hook.mutable_observe()->set_stats(true);
      hook.mutable_lease()->set_seconds(kLeaseSeconds);
      hook_ids_.push_back(from_server(client_.register_hook(model, hook)).id());
      request.add_hook_ids(hook_ids_.back());
      layers_[path];
    }
    watcher_.emplace(client_.watch_hooks(request));
    thread_ = std::thread([this] { follow(); });
  } catch (...) {
    stop();
    throw;
  }
}

GradientWatch::~GradientWatch() { stop(); }

void GradientWatch::stop() {
  if (watcher_) watcher_->cancel();
  if (thread_.joinable()) thread_.join();
  // With the model or the server gone there is nothing left to remove.
  for (const auto& id : hook_ids_) client_.remove_hook(model_, id, {.timeout = absl::Seconds(5)}).IgnoreError();
}

void GradientWatch::follow() {
  while (true) {
    const auto event = watcher_->next();
    const std::lock_guard lock(mutex_);
    if (!event.ok() || !event->has_value()) {
      broken_ = event.status();
      ended_ = true;
      changed_.notify_all();
      return;
    }
    record(**event);
    changed_.notify_all();
  }
}

void GradientWatch::record(const v1::HookEvent& event) {
  const auto found = layers_.find(event.path());
  if (found == layers_.end()) return;  // a glob's other matches are not asked for
  Layer& layer = found->second;
  layer.step = std::max(layer.step, event.step());
  for (const auto& tensor : event.tensors()) {
    layer.nonfinite += tensor.stats().nans() + tensor.stats().infs();
    if (tensor.name() != "grad_output" || !tensor.has_stats()) continue;
    layer.latest = tensor.stats().l2_norm();
    layer.sum += layer.latest;
    ++layer.count;
    ++layer.total;
  }
}

std::vector<std::string> GradientWatch::latest() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> texts;
  for (const auto& path : paths_) {
    const Layer& layer = layers_.at(path);
    texts.push_back(layer.total == 0 ? "-" : column_number(layer.latest));
  }
  return texts;
}

std::vector<std::optional<double>> GradientWatch::take_means(int64_t step) {
  std::unique_lock lock(mutex_);
  // A step counts when it ends, so its events carry the number of the one before.
  changed_.wait_for(lock, kLag, [&] {
    return ended_ || std::all_of(layers_.begin(), layers_.end(),
                                 [&](const auto& entry) { return entry.second.step + 1 >= step; });
  });
  std::vector<std::optional<double>> means;
  for (const auto& path : paths_) {
    Layer& layer = layers_.at(path);
    means.push_back(layer.count == 0 ? std::nullopt : std::optional(layer.sum / static_cast<double>(layer.count)));
    layer.sum = 0;
    layer.count = 0;
  }
  return means;
}

void GradientWatch::check() const {
  const std::lock_guard lock(mutex_);
  from_server(annotate(broken_, "watching gradients"));
  for (const auto& path : paths_) {
    const Layer& layer = layers_.at(path);
    if (layer.total == 0) {
      throw Exit(ExitCode::kFailed, absl::StatusCode::kNotFound, absl::StrCat(path, ": no gradient was seen"));
    }
    if (layer.nonfinite > 0) {
      throw Exit(ExitCode::kFailed, absl::StatusCode::kOutOfRange,
                 absl::StrCat(path, ": ", layer.nonfinite, " gradient elements were not finite"));
    }
  }
}

}  // namespace tapewire::client
