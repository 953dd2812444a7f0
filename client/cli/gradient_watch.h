#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "client/cpp/client.h"

namespace tapewire::client {

/// Watches the gradients that reach modules: registers a backward hook with statistics on each path, follows their
/// events in a thread of its own, and removes them in the end; where it cannot, their lease ends them. The norm is that
/// of the gradient with respect to the module's output, which every module has (the first one's input has none).
class GradientWatch {
 public:
  /// Throws Exit if the server refuses a hook.
  GradientWatch(const Client& client, const std::string& model, const std::vector<std::string>& paths);
  GradientWatch(const GradientWatch&) = delete;
  GradientWatch& operator=(const GradientWatch&) = delete;
  ~GradientWatch();

  /// By path in the order given, "-" where nothing has come yet.
  std::vector<std::string> latest() const;

  /// Mean norms since the last call, by path in the order given; none where nothing came. Events travel on a stream of
  /// their own: waits a moment for those up to `step`.
  std::vector<std::optional<double>> take_means(int64_t step);

  /// Throws Exit(kFailed) if a path was silent, had elements that are not finite, or the stream broke.
  void check() const;

 private:
  struct Layer {
    double latest = 0;
    double sum = 0;  // since the last take_means
    int64_t count = 0;
    int64_t total = 0;
    int64_t step = -1;  // of the last event
    int64_t nonfinite = 0;
  };

  void follow();
  void record(const v1::HookEvent& event);
  void stop();

  const Client client_;
  const std::string model_;
  const std::vector<std::string> paths_;
  std::vector<std::string> hook_ids_;
  std::optional<HookWatcher> watcher_;
  std::thread thread_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Layer> layers_;
  absl::Status broken_;
  bool ended_ = false;
};

}  // namespace tapewire::client
