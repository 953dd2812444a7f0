#include <google/protobuf/util/time_util.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/checks.h"
#include "client/cli/exit.h"
#include "client/cli/format.h"
#include "client/cli/interrupt.h"
#include "client/cli/session.h"
#include "client/cpp/tensor.h"

namespace tapewire::client {
namespace {

using google::protobuf::util::TimeUtil;

const std::map<std::string, v1::HookKind> kKinds{
    {"forward-pre", v1::HOOK_KIND_FORWARD_PRE},
    {"forward", v1::HOOK_KIND_FORWARD},
    {"backward-pre", v1::HOOK_KIND_BACKWARD_PRE},
    {"backward", v1::HOOK_KIND_BACKWARD},
    {"tensor", v1::HOOK_KIND_TENSOR},
};
const std::map<std::string, v1::SlowWatcher> kSlow{
    {"drop", v1::SLOW_WATCHER_DROP_OLDEST},
    {"fail", v1::SLOW_WATCHER_FAIL},
};

template <class Value>
std::vector<std::string> names_of(const std::map<std::string, Value>& values) {
  std::vector<std::string> names;
  for (const auto& [name, value] : values) names.push_back(name);
  return names;
}

std::string kind_name(v1::HookKind kind) {
  for (const auto& [name, value] : kKinds) {
    if (value == kind) return name;
  }
  return "?";
}

std::string action_text(const v1::Hook& hook) {
  if (hook.has_transform()) return "transform";
  if (hook.has_delegate()) return "delegate";
  std::vector<std::string> parts;
  if (hook.observe().stats()) parts.emplace_back("stats");
  if (hook.observe().histogram_bins() > 0)
    parts.push_back(absl::StrCat("histogram of ", hook.observe().histogram_bins()));
  if (hook.observe().tensor()) parts.emplace_back("tensors");
  return absl::StrCat("observe ", absl::StrJoin(parts, ", "));
}

struct AddArgs {
  std::string model;
  std::string target;
  std::string kind = "forward";
  int histogram_bins = 0;
  bool tensor = false;
  int64_t max_tensor_bytes = 0;
  int every = 1;
  bool prepend = false;
  double lease = 0;
};

void add(const Session& session, const AddArgs& args) {
  v1::Hook hook;
  hook.set_target(args.target);
  hook.set_kind(kKinds.at(args.kind));
  hook.mutable_observe()->set_stats(true);
  hook.mutable_observe()->set_histogram_bins(args.histogram_bins);
  hook.mutable_observe()->set_tensor(args.tensor);
  hook.mutable_observe()->set_max_tensor_bytes(args.max_tensor_bytes);
  if (args.every != 1) hook.set_every_n_steps(args.every);
  hook.set_prepend(args.prepend);
  if (args.lease > 0) {
    *hook.mutable_lease() = TimeUtil::MillisecondsToDuration(static_cast<int64_t>(args.lease * 1000));
  }
  const v1::Hook made = from_server(session.connect().register_hook(args.model, hook));
  if (session.json) {
    session.print(to_json(made));
  } else {
    session.out() << made.id() << "  on " << printable(absl::StrJoin(made.matched(), ", ")) << '\n';
  }
}

void list(const Session& session, const std::string& model) {
  const auto hooks = from_server(session.connect().list_hooks(model));
  if (session.json) {
    for (const auto& hook : hooks) session.print(to_json(hook));
    return;
  }
  if (hooks.empty()) {
    session.out() << "no hooks\n";
    return;
  }
  Table table({{"id"}, {"target"}, {"kind"}, {"action"}, {"every", Align::kRight}, {"on"}, {"until"}});
  for (const auto& hook : hooks) {
    table.add({hook.id(), hook.target(), kind_name(hook.kind()), action_text(hook),
               absl::StrCat(std::max(1, hook.every_n_steps())), absl::StrJoin(hook.matched(), " "),
               hook.has_expire_time() ? time_text(hook.expire_time().seconds()) : "removed"});
  }
  table.print(session.console);
}

struct WatchArgs {
  std::string model;
  std::vector<std::string> hooks;
  int64_t count = 0;
  int buffer = 0;
  std::string slow = "drop";
};

const std::vector<Column> kEventColumns{
    {"step", Align::kRight, 7},   {"path", Align::kLeft, 16},  {"kind", Align::kLeft, 12},
    {"tensor", Align::kLeft, 13}, {"shape", Align::kLeft, 18}, {"l2 norm", Align::kRight, 10},
    {"mean", Align::kRight, 10},  {"std", Align::kRight, 10},  {"min..max", Align::kLeft, 0}};

std::string range_text(const v1::TensorStats& stats) {
  std::string text = absl::StrCat(number(stats.min()), "..", number(stats.max()));
  if (stats.nans() > 0) absl::StrAppend(&text, "  ", stats.nans(), " nan");
  if (stats.infs() > 0) absl::StrAppend(&text, "  ", stats.infs(), " inf");
  return text;
}

void print_header(const Session& session) {
  std::vector<std::string> headers;
  for (const auto& column : kEventColumns) headers.push_back(column.header);
  session.out() << session.console.paint(Colour::kBold, table_row(kEventColumns, headers)) << '\n';
}

void print_event(const Session& session, const v1::HookEvent& event) {
  for (const auto& tensor : event.tensors()) {
    std::vector<std::string> cells{absl::StrCat(event.step()), event.path().empty() ? "(root)" : event.path(),
                                   kind_name(event.kind()), tensor.name()};
    if (tensor.none()) {
      cells.insert(cells.end(), {"none", "", "", "", ""});
    } else if (!tensor.has_stats()) {
      cells.insert(cells.end(), {shape_text_of(tensor.spec()), "", "", "", ""});
    } else {
      const auto& stats = tensor.stats();
      cells.insert(cells.end(), {shape_text_of(tensor.spec()), number(stats.l2_norm()), number(stats.mean()),
                                 number(stats.std()), range_text(stats)});
    }
    const std::string line = table_row(kEventColumns, cells);
    const bool bad = tensor.stats().nans() > 0 || tensor.stats().infs() > 0;
    session.out() << (bad ? session.console.paint(Colour::kRed, line) : line) << '\n';
  }
}

std::string drops_text(const v1::EventDrops& drops) {
  std::vector<std::string> reasons;
  if (drops.buffer_full() > 0) reasons.push_back(absl::StrCat(drops.buffer_full(), " as this watcher is slow"));
  if (drops.memory() > 0) reasons.push_back(absl::StrCat(drops.memory(), " for want of memory"));
  if (drops.too_large() > 0) reasons.push_back(absl::StrCat(drops.too_large(), " too large for a message"));
  return absl::StrJoin(reasons, ", ");
}

v1::EventDrops difference(const v1::EventDrops& now, const v1::EventDrops& before) {
  v1::EventDrops out;
  out.set_buffer_full(now.buffer_full() - before.buffer_full());
  out.set_memory(now.memory() - before.memory());
  out.set_too_large(now.too_large() - before.too_large());
  return out;
}

void print_events(const Session& session, const WatchArgs& args, HookWatcher& watcher) {
  v1::HookEvent last;
  for (int64_t seen = 0; args.count == 0 || seen < args.count; ++seen) {
    const auto event = from_server(watcher.next());
    if (!event) return;
    if (session.json) {
      session.print(to_json(*event));
    } else {
      if (seen == 0) print_header(session);
      print_event(session, *event);
      if (event->dropped() > last.dropped()) {
        session.console.err() << "tapewire: " << event->dropped() - last.dropped()
                              << " events dropped: " << drops_text(difference(event->drops(), last.drops())) << '\n';
      }
      last.set_dropped(event->dropped());
      *last.mutable_drops() = event->drops();
    }
    session.out().flush();
  }
}

void watch(const Session& session, const WatchArgs& args) {
  v1::WatchHooksRequest request;
  request.set_model(args.model);
  for (const auto& id : args.hooks) request.add_hook_ids(id);
  request.set_buffer_events(args.buffer);
  request.set_slow_watcher(kSlow.at(args.slow));
  const Client client = session.connect();
  HookWatcher watcher = client.watch_hooks(request);
  run_interruptible([&watcher] { watcher.cancel(); }, [&] { print_events(session, args, watcher); });
}

void remove(const Session& session, const std::string& model, const std::vector<std::string>& ids) {
  const Client client = session.connect();
  for (const auto& id : ids) {
    from_server(client.remove_hook(model, id));
    if (session.json) {
      session.print({{"removed", id}});
    } else {
      session.out() << "removed " << id << '\n';
    }
  }
}

}  // namespace

void add_hooks_command(CLI::App& app, Session& session) {
  CLI::App& hooks = *app.add_subcommand("hooks", "Observe what flows through a model's modules");
  hooks.require_subcommand(1);

  CLI::App& adding = *hooks.add_subcommand("add", "Register a hook that observes; prints its id");
  const auto args = std::make_shared<AddArgs>();
  adding.add_option("MODEL", args->model, "The model")->required();
  adding.add_option("TARGET", args->target, "Module path or glob of them; of a tensor hook, a parameter")->required();
  adding.add_option("--kind", args->kind, "When it fires")
      ->check(CLI::IsMember(names_of(kKinds)))
      ->capture_default_str();
  adding.add_option("--histogram", args->histogram_bins, "Also a histogram of this many bins")
      ->check(whole(1, 4096));
  adding.add_flag("--tensor", args->tensor, "Also the whole tensors (seen with watch --json)");
  adding.add_option("--max-tensor-bytes", args->max_tensor_bytes, "Larger tensors come without their data")
      ->check(count_for(args->max_tensor_bytes));
  adding.add_option("--every", args->every, "Every n-th step")->check(count_for(args->every))->capture_default_str();
  adding.add_flag("--prepend", args->prepend, "Before the hooks that are there");
  adding.add_option("--lease", args->lease, "Seconds until it ends by itself (default: until removed)")
      ->check(above_zero_up_to(TimeUtil::kDurationMaxSeconds));
  adding.callback([&session, args] { session.command = [&session, args] { add(session, *args); }; });

  CLI::App& listing = *hooks.add_subcommand("list", "The hooks of a model");
  const auto model = std::make_shared<std::string>();
  listing.add_option("MODEL", *model, "The model")->required();
  listing.callback([&session, model] { session.command = [&session, model] { list(session, *model); }; });

  CLI::App& watching = *hooks.add_subcommand("watch", "Print events as they come, one line a tensor");
  const auto watched = std::make_shared<WatchArgs>();
  watching.add_option("MODEL", watched->model, "The model")->required();
  watching.add_option("--hook", watched->hooks, "Only this hook id, may be repeated (default: all of the model)")
      ->allow_extra_args(false);
  watching.add_option("--count", watched->count, "Stop after this many events")->check(count_for(watched->count));
  watching.add_option("--buffer", watched->buffer, "Events that the server keeps for a slow watcher")
      ->check(whole(1, 65536));
  watching.add_option("--slow", watched->slow, "What a slow watcher meets: drop the oldest events, fail")
      ->check(CLI::IsMember(names_of(kSlow)))
      ->capture_default_str();
  watching.callback([&session, watched] { session.command = [&session, watched] { watch(session, *watched); }; });

  CLI::App& removing = *hooks.add_subcommand("remove", "Remove hooks");
  const auto ids = std::make_shared<std::vector<std::string>>();
  removing.add_option("MODEL", *model, "The model")->required();
  removing.add_option("HOOK", *ids, "Hook ids")->required();
  removing.callback(
      [&session, model, ids] { session.command = [&session, model, ids] { remove(session, *model, *ids); }; });
}

}  // namespace tapewire::client
