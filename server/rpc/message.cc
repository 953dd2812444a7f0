#include "server/rpc/message.h"

#include "core/base/error.h"

namespace tapewire::rpc {

google::protobuf::Timestamp encode_time(std::chrono::system_clock::time_point time) {
  using std::chrono::nanoseconds;
  using std::chrono::seconds;
  const auto since = time.time_since_epoch();
  const auto whole = std::chrono::floor<seconds>(since);
  google::protobuf::Timestamp out;
  out.set_seconds(whole.count());
  out.set_nanos(static_cast<int32_t>(std::chrono::duration_cast<nanoseconds>(since - whole).count()));
  return out;
}

std::chrono::milliseconds decode_duration(const google::protobuf::Duration& duration, std::string_view where) {
  constexpr int64_t kMostSeconds = int64_t{100} * 366 * 24 * 3600;  // a hundred years, however they are counted
  const bool sane = duration.seconds() >= 0 && duration.seconds() <= kMostSeconds && duration.nanos() >= 0 &&
                    duration.nanos() < 1'000'000'000 && (duration.seconds() > 0 || duration.nanos() > 0);
  if (!sane) {
    fail(where, ": must be a positive duration of at most 100 years, got ", duration.seconds(), " s ", duration.nanos(),
         " ns");
  }
  // Up to whole milliseconds.
  return std::chrono::milliseconds(duration.seconds() * 1000 + (duration.nanos() + 999'999) / 1'000'000);
}

std::shared_ptr<LiveModel> model_of(const Context& call, const ModelRegistry& models, const std::string& name) {
  call->note("model", name);
  return models.require(name);
}

v1::Model encode_model(const LiveModel& model, bool with_spec) {
  const ModelInfo info = model.info();
  v1::Model out;
  out.set_name(model.name());
  if (with_spec) *out.mutable_spec() = model.spec();
  out.set_training(info.training);
  out.set_step(info.step);
  out.set_parameter_version(info.parameter_version);
  out.set_parameter_count(info.parameter_count);
  out.set_parameter_bytes(info.parameter_bytes);
  *out.mutable_create_time() = encode_time(info.create_time);
  *out.mutable_update_time() = encode_time(info.update_time);
  return out;
}

v1::StepInfo encode_step(const StepResult& result) {
  v1::StepInfo out;
  out.set_step(result.step);
  out.set_parameter_version(result.parameter_version);
  if (result.loss) out.set_loss(*result.loss);
  if (result.grad_norm) out.set_grad_norm(*result.grad_norm);
  out.set_learning_rate(result.learning_rate);
  for (const auto& [name, value] : result.metrics) (*out.mutable_metrics())[name] = value;
  return out;
}

AdoptedCount answer_memory(size_t bytes) {
  constexpr size_t kLittle = size_t{1} << 20;
  AdoptedCount memory;
  if (bytes > kLittle) memory.add(bytes);
  return memory;
}

v1::Tape encode_tape(const TapeInfo& tape) {
  v1::Tape out;
  out.set_id(tape.id);
  out.set_bytes(tape.bytes);
  out.set_parameter_version(tape.parameter_version);
  *out.mutable_expire_time() = encode_time(tape.expire_time);
  for (const auto& [name, spec] : tape.tensors) codec::encode_spec(name, spec, *out.add_tensors());
  out.set_tensor_count(tape.tensor_count);
  return out;
}

std::vector<std::string> strings(const google::protobuf::RepeatedPtrField<std::string>& field) {
  return {field.begin(), field.end()};
}

void refuse_field(bool set, std::string_view path) {
  if (!set) return;
  const absl::Status status = unserved_field(path);
  throw Error(status.code(), std::string(status.message()));
}

ChangeId decode_call_id(const v1::CallId& id) {
  refuse_field(!id.wait_token().empty(), "call_id.wait_token");
  if (id.sequence() < 0) fail("call_id.sequence: counts from 1, got ", id.sequence());
  if (id.sequence() > 0 && id.client_id().empty()) fail("call_id.client_id: needed beside a sequence");
  return {id.client_id(), id.sequence()};
}

}  // namespace tapewire::rpc
