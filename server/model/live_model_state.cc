// The state dict of a live model, read and written by clients.

#include "core/base/cancel.h"
#include "core/base/limit_error.h"
#include "server/model/glob.h"
#include "server/model/live_model.h"

namespace tapewire {
namespace {

// A partial load answers with the keys that did not fit. That answer must be one that can be sent.
void check_keys(const StateDict& own, const LoadStateArgs& args) {
  constexpr size_t kEach = 16;  // what a key has besides its text
  if (!args.allow_partial || args.max_answer_bytes == 0) return;
  size_t bytes = 0;
  for (const auto* state : {&own, &args.state}) {
    for (const NamedTensor& t : *state) bytes += kEach + t.name.size();
  }
  if (bytes > static_cast<size_t>(args.max_answer_bytes)) {
    fail_limit("max_message_bytes", "the names of the ", args.state.size(), " tensors that came have ", bytes,
               " bytes with the model's; --max_message_bytes=", args.max_answer_bytes,
               " is the most; nothing was changed");
  }
}

}  // namespace

StateDict LiveModel::read_state(const std::vector<std::string>& globs) const {
  StateDict out = select_by_globs(globs, parts_.root->state_dict(), "keys", "key");
  for (NamedTensor& t : out) t.tensor = frozen(t.tensor);
  return out;
}

LoadStateResult LiveModel::load_state(const LoadStateArgs& args) {
  const StateDict own = parts_.root->state_dict();
  check_keys(own, args);
  // Bytes that readers share are copied before they are written: all of them now, so that a lack of memory is met
  // while nothing has changed. What follows fails before its first write or not at all.
  for (const NamedTensor& t : own) t.tensor.mutable_raw_data();
  check_cancelled();
  LoadStateResult out;
  out.keys = parts_.root->load_state_dict(args.state, !args.allow_partial);
  if (out.keys.missing_keys.size() < own.size()) {
    ++parameter_version_;
    changed_ = true;
  }
  out.parameter_version = parameter_version_;
  return out;
}

}  // namespace tapewire
