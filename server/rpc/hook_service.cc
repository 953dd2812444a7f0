#include "server/rpc/hook_service.h"

#include <algorithm>

#include "core/base/error.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/wire_format_lite.h"
#include "grpcpp/support/slice.h"
#include "server/rpc/message.h"
#include "tapewire/v1/hook_service.pb.h"

namespace tapewire::rpc {
namespace {

constexpr int kMostBins = 4096;
constexpr int kDefaultBuffer = 1024;
constexpr int kMostBuffer = 1 << 16;
constexpr int64_t kDefaultEventBytes = int64_t{4} << 20;  // what gRPC's clients take

v1::HookKind encode_kind(HookKind kind) {
  return static_cast<v1::HookKind>(static_cast<int>(kind) + v1::HOOK_KIND_FORWARD_PRE);
}

HookSpec decode_hook(const v1::Hook& hook, const std::string& client_id, const codec::Limits& limits) {
  if (hook.has_transform()) refuse_field(true, "hook.transform");
  if (hook.has_delegate()) refuse_field(true, "hook.delegate");
  if (!hook.id().empty() || hook.matched_size() > 0 || hook.has_expire_time() || !hook.client_id().empty()) {
    fail("hook: id, client_id, matched and expire_time are output only");
  }
  if (!hook.has_observe()) fail("hook.action: none is given; observe shows what passes");
  if (hook.kind() <= v1::HOOK_KIND_UNSPECIFIED || !v1::HookKind_IsValid(hook.kind())) {
    fail("hook.kind: none is given, or an unknown one (", static_cast<int>(hook.kind()), ")");
  }
  const v1::Observe& observe = hook.observe();
  if (observe.histogram_bins() < 0 || observe.histogram_bins() > kMostBins) {
    fail("hook.observe.histogram_bins: must be between 0 and ", kMostBins, ", got ", observe.histogram_bins());
  }
  if (observe.max_tensor_bytes() < 0)
    fail("hook.observe.max_tensor_bytes: must not be negative, got ", observe.max_tensor_bytes());
  if (hook.every_n_steps() < 0) fail("hook.every_n_steps: must not be negative, got ", hook.every_n_steps());
  HookSpec spec;
  spec.target = hook.target();
  spec.kind = static_cast<HookKind>(hook.kind() - v1::HOOK_KIND_FORWARD_PRE);
  spec.observe = {observe.stats(), observe.histogram_bins(), observe.tensor(),
                  observe.max_tensor_bytes() == 0 ? limits.max_tensor_bytes : observe.max_tensor_bytes()};
  spec.every_n_steps = hook.every_n_steps() == 0 ? 1 : hook.every_n_steps();
  spec.prepend = hook.prepend();
  if (hook.has_lease()) spec.lease = decode_duration(hook.lease(), "hook.lease");
  spec.client_id = client_id;
  return spec;
}

v1::Hook encode_hook(const HookInfo& info) {
  v1::Hook out;
  out.set_id(info.id);
  out.set_target(info.spec.target);
  out.set_kind(encode_kind(info.spec.kind));
  v1::Observe* observe = out.mutable_observe();
  observe->set_stats(info.spec.observe.stats);
  observe->set_histogram_bins(info.spec.observe.histogram_bins);
  observe->set_tensor(info.spec.observe.tensor);
  observe->set_max_tensor_bytes(info.spec.observe.max_tensor_bytes);
  out.set_every_n_steps(static_cast<int32_t>(info.spec.every_n_steps));
  out.set_prepend(info.spec.prepend);
  out.set_client_id(info.spec.client_id);
  if (info.spec.lease) {
    out.mutable_lease()->set_seconds(info.spec.lease->count() / 1000);
    out.mutable_lease()->set_nanos(static_cast<int32_t>(info.spec.lease->count() % 1000 * 1'000'000));
  }
  for (const std::string& path : info.matched) out.add_matched(path);
  if (info.expires) *out.mutable_expire_time() = encode_time(*info.expires);
  return out;
}

// Bytes that the event keeps. Each slice has a share of it, so nothing is copied.
grpc::Slice slice_of(const std::shared_ptr<const HookEvent>& event, std::string_view bytes) {
  return grpc::Slice(
      const_cast<char*>(bytes.data()), bytes.size(),
      [](void* share) { delete static_cast<std::shared_ptr<const HookEvent>*>(share); },
      new std::shared_ptr<const HookEvent>(event));
}

// A WatchHooksResponse: what all watchers of the event get alike, and this one's numbers behind.
grpc::ByteBuffer encode_event(const Watcher::Next& next) {
  v1::HookEvent numbers;
  numbers.set_sequence(next.sequence);
  numbers.set_dropped(next.drops.total());
  if (next.drops.total() > 0) {
    numbers.mutable_drops()->set_buffer_full(next.drops.buffer_full);
    numbers.mutable_drops()->set_memory(next.drops.memory);
    numbers.mutable_drops()->set_too_large(next.drops.too_large);
  }
  const std::string tail = numbers.SerializeAsString();
  const EventWire& wire = next.event->wire();
  std::string head;
  {
    google::protobuf::io::StringOutputStream stream(&head);
    google::protobuf::io::CodedOutputStream out(&stream);
    out.WriteTag(google::protobuf::internal::WireFormatLite::MakeTag(
        v1::WatchHooksResponse::kEventFieldNumber,
        google::protobuf::internal::WireFormatLite::WIRETYPE_LENGTH_DELIMITED));
    out.WriteVarint64(wire.size + tail.size());
  }
  std::vector<grpc::Slice> slices{grpc::Slice(head)};
  for (const std::string_view piece : wire.pieces) slices.push_back(slice_of(next.event, piece));
  slices.emplace_back(tail);
  return grpc::ByteBuffer(slices.data(), slices.size());
}

// Watches for as long as its stream keeps it.
class Watch {
 public:
  Watch(std::shared_ptr<ModelHooks> hooks, std::shared_ptr<Watcher> watcher)
      : hooks_(std::move(hooks)), watcher_(std::move(watcher)) {}
  ~Watch() { hooks_->unwatch(watcher_); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  Watcher& watcher() const { return *watcher_; }

 private:
  std::shared_ptr<ModelHooks> hooks_;
  std::shared_ptr<Watcher> watcher_;
};

Watcher::Options decode_watch(const v1::WatchHooksRequest& request, int64_t max_message_bytes) {
  refuse_field(request.slow_watcher() == v1::SLOW_WATCHER_BLOCK, "slow_watcher (SLOW_WATCHER_BLOCK)");
  refuse_field(request.has_block_timeout(), "block_timeout");
  if (!v1::SlowWatcher_IsValid(request.slow_watcher()))
    fail("slow_watcher: unknown value ", static_cast<int>(request.slow_watcher()));
  if (request.buffer_events() < 0 || request.buffer_events() > kMostBuffer) {
    fail("buffer_events: must be between 0 (the default, ", kDefaultBuffer, ") and ", kMostBuffer, ", got ",
         request.buffer_events());
  }
  if (request.max_event_bytes() < 0) {
    fail("max_event_bytes: must not be negative, got ", request.max_event_bytes());
  }
  Watcher::Options options;
  options.max_event_bytes = request.max_event_bytes() == 0 ? kDefaultEventBytes : request.max_event_bytes();
  options.max_event_bytes = std::min(options.max_event_bytes, max_message_bytes);
  options.hook_ids.insert(request.hook_ids().begin(), request.hook_ids().end());
  options.buffer_events = static_cast<size_t>(request.buffer_events() == 0 ? kDefaultBuffer : request.buffer_events());
  if (request.slow_watcher() == v1::SLOW_WATCHER_FAIL) options.slow = SlowWatcher::kFail;
  return options;
}

}  // namespace

HookService::HookService(const Environment& environment, const Backend& backend)
    : RawService(environment, "tapewire.v1.HookService"), backend_(backend) {
  unary<v1::RegisterHookRequest, v1::RegisterHookResponse>(
      "RegisterHook", [this](const Context& call, const auto& request, const auto& answer) {
        const auto model = model_of(call, backend_.models, request.model());
        model->submit_light(
            call->cancel(),
            [id = decode_call_id(request.call_id()),
             spec = decode_hook(request.hook(), request.call_id().client_id(), backend_.tensors)](ModelState& m) {
              return once<v1::RegisterHookResponse>(m, id, [&] {
                v1::RegisterHookResponse out;
                *out.mutable_hook() = encode_hook(m.hooks()->add(m.hook_targets(), spec));
                return out;
              });
            },
            answer);
      });
  unary<v1::ListHooksRequest, v1::ListHooksResponse>(
      "ListHooks", [this](const Context& call, const auto& request, const auto& answer) {
        v1::ListHooksResponse out;
        for (const HookInfo& info : model_of(call, backend_.models, request.model())->hooks().list())
          *out.add_hooks() = encode_hook(info);
        answer(std::move(out));
      });
  unary<v1::RemoveHookRequest, v1::RemoveHookResponse>(
      "RemoveHook", [this](const Context& call, const auto& request, const auto& answer) {
        const auto model = model_of(call, backend_.models, request.model());
        model->submit_light(
            call->cancel(),
            [id = request.hook_id()](ModelState& m) {
              m.hooks()->remove(id);
              return v1::RemoveHookResponse();
            },
            answer);
      });
  event_stream<v1::WatchHooksRequest, v1::WatchHooksResponse>(
      "WatchHooks", [this, most = environment.limits.max_message_bytes](const Context& call, const auto& request,
                                                                        const auto& stream) {
        const std::shared_ptr<ModelHooks> hooks = model_of(call, backend_.models, request.model())->hooks_handle();
        const auto watch = std::make_shared<Watch>(hooks, hooks->watch(decode_watch(request, most)));
        watch->watcher().attach({.send = [stream](const Watcher::Next& next) { stream.write(encode_event(next)); },
                                 .finish = [stream](const absl::Status& status) { stream.finish(status); }});
        stream.open([watch] { watch->watcher().ready(); });
      });
}

}  // namespace tapewire::rpc
