#include "core/kernels/onednn.h"

#include <algorithm>
#include <dnnl.hpp>
#include <list>
#include <memory>
#include <optional>
#include <unordered_map>

#include "core/base/error.h"
#include "core/base/mutex.h"
#include "core/base/parallel_for.h"
#include "core/tensor/tensor.h"

extern "C" void omp_set_num_threads(int);

namespace tapewire::kernels::onednn {
namespace {

using dnnl::memory;

enum class Pass { kForward, kForwardBias, kBackwardInput, kBackwardWeight };

// A convolution primitive with the layouts it wants and the reorders to and from the plain ones.
struct Plan {
  dnnl::primitive primitive;
  memory::desc x, w, out, scratch;
  memory::desc plain_x, plain_w, plain_out;
  std::optional<dnnl::reorder> pack_x, pack_w, pack_out, unpack_x, unpack_w, unpack_out;
};

const dnnl::engine& cpu() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

// OpenMP's thread count is a property of the calling thread: each one that gets here is told to work alone.
dnnl::stream& thread_stream() {
  thread_local dnnl::stream stream = [] {
    omp_set_num_threads(1);
    return dnnl::stream(cpu());
  }();
  return stream;
}

memory::dims spatial(const std::array<int64_t, 3>& all, int64_t rank, int64_t less = 0) {
  memory::dims dims;
  for (int64_t d = 3 - rank; d < 3; ++d) dims.push_back(all[static_cast<size_t>(d)] - less);
  return dims;
}

memory::desc plain_desc(memory::dims lead, const std::array<int64_t, 3>& space, int64_t rank) {
  for (const int64_t size : spatial(space, rank)) lead.push_back(size);
  memory::dims strides(lead.size());
  int64_t step = 1;
  for (size_t d = lead.size(); d-- > 0;) {
    strides[d] = step;
    step *= lead[d];
  }
  return {lead, memory::data_type::f32, strides};
}

std::optional<dnnl::reorder> reorder_between(const memory::desc& from, const memory::desc& to) {
  if (from == to) return std::nullopt;
  return dnnl::reorder(dnnl::reorder::primitive_desc(cpu(), from, cpu(), to));
}

std::shared_ptr<const Plan> make_plan(Pass pass, const ConvShape& s) {
  auto plan = std::make_shared<Plan>();
  const int64_t rank = s.rank;
  plan->plain_x = plain_desc({s.batch, s.in_channels}, s.in, rank);
  plan->plain_out = plain_desc({s.batch, s.out_channels}, s.out, rank);
  plan->plain_w = s.groups == 1 ? plain_desc({s.out_channels, s.in_channels}, s.kernel, rank)
                                : plain_desc({s.groups, s.group_out(), s.group_in()}, s.kernel, rank);
  const auto any = [](const memory::desc& plain) {
    return memory::desc(plain.dims(), memory::data_type::f32, memory::format_tag::any);
  };
  const memory::desc x = any(plan->plain_x);
  const memory::desc w = any(plan->plain_w);
  const memory::desc out = any(plan->plain_out);
  const memory::desc bias = pass == Pass::kForwardBias
                                ? memory::desc({s.out_channels}, memory::data_type::f32, memory::format_tag::x)
                                : memory::desc();
  const memory::dims stride = spatial(s.stride, rank);
  const memory::dims dilation = spatial(s.dilation, rank, 1);
  const memory::dims padding = spatial(s.padding, rank);
  constexpr auto kAlgorithm = dnnl::algorithm::convolution_direct;
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);  // the library's own would not be thread-safe
  const dnnl::convolution_forward::desc forward_desc(dnnl::prop_kind::forward_training, kAlgorithm, x, w, bias, out,
                                                     stride, dilation, padding, padding);
  const dnnl::convolution_forward::primitive_desc forward(forward_desc, attr, cpu());
  if (pass == Pass::kForward || pass == Pass::kForwardBias) {
    plan->primitive = dnnl::convolution_forward(forward);
    plan->x = forward.src_desc();
    plan->w = forward.weights_desc();
    plan->out = forward.dst_desc();
    plan->scratch = forward.scratchpad_desc();
  } else if (pass == Pass::kBackwardInput) {
    const dnnl::convolution_backward_data::desc desc(kAlgorithm, x, w, out, stride, dilation, padding, padding);
    const dnnl::convolution_backward_data::primitive_desc backward(desc, attr, cpu(), forward);
    plan->primitive = dnnl::convolution_backward_data(backward);
    plan->x = backward.diff_src_desc();
    plan->w = backward.weights_desc();
    plan->out = backward.diff_dst_desc();
    plan->scratch = backward.scratchpad_desc();
  } else {
    const dnnl::convolution_backward_weights::desc desc(kAlgorithm, x, w, out, stride, dilation, padding, padding);
    const dnnl::convolution_backward_weights::primitive_desc backward(desc, attr, cpu(), forward);
    plan->primitive = dnnl::convolution_backward_weights(backward);
    plan->x = backward.src_desc();
    plan->w = backward.diff_weights_desc();
    plan->out = backward.diff_dst_desc();
    plan->scratch = backward.scratchpad_desc();
  }
  plan->pack_x = reorder_between(plan->plain_x, plan->x);
  plan->pack_w = reorder_between(plan->plain_w, plan->w);
  plan->pack_out = reorder_between(plan->plain_out, plan->out);
  plan->unpack_x = reorder_between(plan->x, plan->plain_x);
  plan->unpack_w = reorder_between(plan->w, plan->plain_w);
  plan->unpack_out = reorder_between(plan->out, plan->plain_out);
  return plan;
}

struct Key {
  Pass pass;
  ConvShape shape;
  friend bool operator==(const Key&, const Key&) = default;
};

struct KeyHash {
  size_t operator()(const Key& key) const {
    uint64_t hash = static_cast<uint64_t>(key.pass);
    const auto mix = [&hash](int64_t value) {
      hash = (hash ^ static_cast<uint64_t>(value)) * 0x9e3779b97f4a7c15u;
      hash ^= hash >> 29;
    };
    const ConvShape& s = key.shape;
    for (const int64_t v : {s.batch, s.in_channels, s.out_channels, s.groups, s.rank}) mix(v);
    for (const auto* list : {&s.in, &s.out, &s.kernel, &s.stride, &s.padding, &s.dilation}) {
      for (const int64_t v : *list) mix(v);
    }
    return static_cast<size_t>(hash);
  }
};

// The plans used last. A null plan says that oneDNN has none for the key.
class PlanCache {
 public:
  std::shared_ptr<const Plan> find(const Key& key) TW_EXCLUDES(mutex_) {
    {
      MutexLock lock(mutex_);
      const auto it = index_.find(key);
      if (it != index_.end()) {
        recent_.splice(recent_.begin(), recent_, it->second);
        return it->second->second;
      }
    }
    // Made outside the lock: it may take milliseconds. Two threads may both make one; the later is dropped.
    std::shared_ptr<const Plan> plan;
    try {
      plan = make_plan(key.pass, key.shape);
    } catch (const dnnl::error& error) {
      if (error.status != dnnl_unimplemented && error.status != dnnl_invalid_arguments) {
        fail_internal("oneDNN: ", error.what());
      }
    }
    MutexLock lock(mutex_);
    const auto it = index_.find(key);
    if (it != index_.end()) return it->second->second;
    recent_.emplace_front(key, plan);
    index_.emplace(key, recent_.begin());
    if (recent_.size() > kCapacity) {
      index_.erase(recent_.back().first);
      recent_.pop_back();
    }
    return plan;
  }

 private:
  static constexpr size_t kCapacity = 512;
  using Entry = std::pair<Key, std::shared_ptr<const Plan>>;

  Mutex mutex_;
  std::list<Entry> recent_ TW_GUARDED_BY(mutex_);
  std::unordered_map<Key, std::list<Entry>::iterator, KeyHash> index_ TW_GUARDED_BY(mutex_);
};

PlanCache& cache() {
  static PlanCache plans;
  return plans;
}

// Memory of tensors: aligned, pooled, counted.
class Scratch {
 public:
  explicit Scratch(const memory::desc& desc)
      : tensor_(Tensor::empty({static_cast<int64_t>(desc.get_size() + 3) / 4})),
        memory_(desc, cpu(), tensor_.mutable_data<float>()) {}
  memory& get() { return memory_; }

 private:
  Tensor tensor_;
  memory memory_;
};

memory wrap(const memory::desc& desc, const float* data) { return {desc, cpu(), const_cast<float*>(data)}; }

// An argument in the primitive's layout: the plain array itself, or room to reorder from or to.
class Argument {
 public:
  Argument(const memory::desc& plain, const memory::desc& wanted, const float* data) : plain_(wrap(plain, data)) {
    if (plain != wanted) room_.emplace(wanted);
  }
  void pack(const std::optional<dnnl::reorder>& reorder) {
    if (reorder) reorder->execute(thread_stream(), plain_, get());
  }
  void unpack(const std::optional<dnnl::reorder>& reorder) {
    if (reorder) reorder->execute(thread_stream(), get(), plain_);
  }
  memory& get() { return room_ ? room_->get() : plain_; }

 private:
  memory plain_;
  std::optional<Scratch> room_;
};

// Runs a pass over one part; the pointers are to its first elements. `packed_w` replaces w when given.
void run_part(const Plan& plan, Pass pass, const float* x, const float* w, const float* bias, const float* out,
              const memory* packed_w) {
  dnnl::stream& stream = thread_stream();
  Argument ax(plan.plain_x, plan.x, x);
  Argument ao(plan.plain_out, plan.out, out);
  Scratch scratch(plan.scratch);
  std::optional<Argument> aw;
  if (packed_w == nullptr) aw.emplace(plan.plain_w, plan.w, w);
  if (pass != Pass::kBackwardInput) ax.pack(plan.pack_x);
  if (pass != Pass::kBackwardWeight && aw) aw->pack(plan.pack_w);
  if (pass == Pass::kBackwardInput || pass == Pass::kBackwardWeight) ao.pack(plan.pack_out);
  const memory& weights = packed_w != nullptr ? *packed_w : aw->get();
  std::unordered_map<int, memory> args{{DNNL_ARG_SCRATCHPAD, scratch.get()}};
  switch (pass) {
    case Pass::kForwardBias:
      args.emplace(DNNL_ARG_BIAS, wrap({{plan.out.dims()[1]}, memory::data_type::f32, memory::format_tag::x}, bias));
      [[fallthrough]];
    case Pass::kForward:
      args.emplace(DNNL_ARG_SRC, ax.get());
      args.emplace(DNNL_ARG_WEIGHTS, weights);
      args.emplace(DNNL_ARG_DST, ao.get());
      break;
    case Pass::kBackwardInput:
      args.emplace(DNNL_ARG_DIFF_SRC, ax.get());
      args.emplace(DNNL_ARG_WEIGHTS, weights);
      args.emplace(DNNL_ARG_DIFF_DST, ao.get());
      break;
    case Pass::kBackwardWeight:
      args.emplace(DNNL_ARG_SRC, ax.get());
      args.emplace(DNNL_ARG_DIFF_WEIGHTS, weights);
      args.emplace(DNNL_ARG_DIFF_DST, ao.get());
      break;
  }
  plan.primitive.execute(stream, args);
  if (pass == Pass::kBackwardInput) {
    ax.unpack(plan.unpack_x);
  } else if (pass == Pass::kBackwardWeight) {
    aw->unpack(plan.unpack_w);
  } else {
    ao.unpack(plan.unpack_out);
  }
  stream.wait();
}

// Multiplications that make a task worth a thread.
constexpr int64_t kTaskProducts = 8 << 20;

int64_t parts_of(const ConvShape& s, int64_t most) {
  return std::clamp<int64_t>(s.products() / kTaskProducts, 1, most);
}

// Runs a pass with the batch cut into parts; the weights are packed once.
bool run_batches(Pass pass, const ConvShape& s, const float* x, const float* w, const float* bias, const float* out) {
  const int64_t parts = parts_of(s, std::min<int64_t>(s.batch, 8));
  const int64_t grain = (s.batch + parts - 1) / parts;
  ConvShape full = s;
  full.batch = grain;
  ConvShape last = s;
  last.batch = s.batch - (s.batch - 1) / grain * grain;
  const auto full_plan = cache().find({pass, full});
  const auto last_plan = cache().find({pass, last});
  if (full_plan == nullptr || last_plan == nullptr) return false;
  Argument packed(full_plan->plain_w, full_plan->w, w);
  packed.pack(full_plan->pack_w);
  thread_stream().wait();
  const bool shares = last_plan->w == full_plan->w;
  parallel_for(s.batch, grain, [&](int64_t begin, int64_t end) {
    const bool is_full = end - begin == grain;
    const Plan& plan = is_full ? *full_plan : *last_plan;
    run_part(plan, pass, x + begin * s.in_channels * s.in_plane(), w, bias,
             out + begin * s.out_channels * s.out_plane(), is_full || shares ? &packed.get() : nullptr);
  });
  return true;
}

// Runs a pass of one group with the output channels cut into parts of whole register blocks. The arrays of the outputs
// must lie channel by channel: a batch of one, or (for the weights' gradient) a strided copy.
template <class Run>
bool run_channels(Pass pass, const ConvShape& s, int64_t parts, const Run& run) {
  constexpr int64_t kBlock = 32;
  const int64_t even = (s.out_channels + parts - 1) / parts;
  const int64_t grain = std::min(s.out_channels, (even + kBlock - 1) / kBlock * kBlock);
  ConvShape full = s;
  full.out_channels = grain;
  ConvShape last = s;
  last.out_channels = s.out_channels - (s.out_channels - 1) / grain * grain;
  const auto full_plan = cache().find({pass, full});
  const auto last_plan = cache().find({pass, last});
  if (full_plan == nullptr || last_plan == nullptr) return false;
  parallel_for(s.out_channels, grain, [&](int64_t begin, int64_t end) {
    run(end - begin == grain ? *full_plan : *last_plan, begin, end - begin);
  });
  return true;
}

template <class F>
bool guarded(const F& f) {
  try {
    return f();
  } catch (const dnnl::error& error) {
    fail_internal("oneDNN: ", error.what());
  }
}

}  // namespace

bool conv_forward(const ConvShape& s, const float* x, const float* w, const float* bias, float* out) {
  const Pass pass = bias != nullptr ? Pass::kForwardBias : Pass::kForward;
  return guarded([&] {
    if (s.batch > 1 || s.groups > 1) return run_batches(pass, s, x, w, bias, out);
    const int64_t filter = s.in_channels * s.kernel_plane();
    return run_channels(pass, s, parts_of(s, 8), [&](const Plan& plan, int64_t begin, int64_t) {
      run_part(plan, pass, x, w + begin * filter, bias != nullptr ? bias + begin : nullptr, out + begin * s.out_plane(),
               nullptr);
    });
  });
}

bool conv_backward_input(const ConvShape& s, const float* grad, const float* w, float* grad_x) {
  return guarded([&] { return run_batches(Pass::kBackwardInput, s, grad_x, w, nullptr, grad); });
}

bool conv_backward_weight(const ConvShape& s, const float* grad, const float* x, float* grad_w) {
  return guarded([&] {
    const int64_t filter = s.group_in() * s.kernel_plane();
    const int64_t parts = s.groups > 1 ? 1 : parts_of(s, 4);
    return run_channels(Pass::kBackwardWeight, s, parts, [&](const Plan& plan, int64_t begin, int64_t count) {
      const float* part = grad + begin * s.out_plane();
      Tensor copy;
      if (count != s.out_channels && s.batch > 1) {
        const int64_t size = count * s.out_plane();
        copy = Tensor::empty({s.batch * size});
        float* to = copy.mutable_data<float>();
        for (int64_t n = 0; n < s.batch; ++n) {
          std::copy_n(part + n * s.out_channels * s.out_plane(), size, to + n * size);
        }
        part = to;
      }
      run_part(plan, Pass::kBackwardWeight, x, grad_w + begin * filter, nullptr, part, nullptr);
    });
  });
}

}  // namespace tapewire::kernels::onednn
