#include "core/kernels/onednn.h"

#include <algorithm>
#include <dnnl.hpp>
#include <list>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "core/base/cancel.h"
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

// A plain loop, a hundred times slower than a kernel made for the shape: ours are better.
bool is_reference(const dnnl::primitive& primitive) {
  const char* name = nullptr;
  const auto status =
      dnnl_primitive_desc_query(primitive.get_primitive_desc(), dnnl_query_impl_info_str, 0, static_cast<void*>(&name));
  return status == dnnl_success && name != nullptr && std::string_view(name).starts_with("ref");
}

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
      if (is_reference(plan->primitive)) plan = nullptr;
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
// The most that a primitive does before the cancel token is checked again: some twenty milliseconds. What would need
// more even in its smallest pieces is left to our own kernels beyond the second limit.
constexpr int64_t kPieceProducts = 512 << 20;
constexpr int64_t kMostProducts = 1 << 30;

int64_t quotient_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Into how many parts work of so many products is cut: up to `most` for the threads, more for the token.
int64_t parts_of(int64_t products, int64_t most) {
  return std::max(std::clamp<int64_t>(products / kTaskProducts, 1, most), quotient_up(products, kPieceProducts));
}

// How a shape is cut along its channels: whole groups, or blocks of the output channels (of the input channels for
// their gradient), whole register blocks each.
struct ChannelCut {
  ChannelCut(Pass p, const ConvShape& s, int64_t parts) : pass(p), shape(s) {
    constexpr int64_t kBlock = 32;
    const int64_t block = s.groups > 1 ? 1 : kBlock;
    total = s.groups > 1 ? s.groups : pass == Pass::kBackwardInput ? s.in_channels : s.out_channels;
    grain = std::min(total, quotient_up(quotient_up(total, parts), block) * block);
  }

  int64_t parts() const { return quotient_up(total, grain); }
  int64_t count(int64_t part) const { return std::min(grain, total - part * grain); }
  ConvShape shape_of(int64_t units, int64_t batch) const {
    ConvShape s = shape;
    s.batch = batch;
    if (s.groups > 1) {
      s.groups = units;
      s.in_channels = units * shape.group_in();
      s.out_channels = units * shape.group_out();
    } else {
      (pass == Pass::kBackwardInput ? s.in_channels : s.out_channels) = units;
    }
    return s;
  }

  Pass pass;
  ConvShape shape;
  int64_t total;
  int64_t grain;
};

// Runs a pass with the batch cut into parts; the weights are packed once.
bool run_batches(Pass pass, const ConvShape& s, const float* x, const float* w, const float* bias, const float* out) {
  const int64_t parts = std::min(s.batch, parts_of(s.products(), std::min<int64_t>(s.batch, 8)));
  const int64_t grain = quotient_up(s.batch, parts);
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

// Runs a pass image by image, each cut along its channels.
bool run_images(Pass pass, const ConvShape& s, const float* x, const float* w, const float* bias, const float* out) {
  const int64_t image = s.products() / s.batch;
  const ChannelCut cut(pass, s, parts_of(image, s.groups > 1 ? 1 : 8));
  if (image / cut.total * cut.grain > kMostProducts) return false;
  const auto full_plan = cache().find({pass, cut.shape_of(cut.grain, 1)});
  const auto last_plan = cache().find({pass, cut.shape_of(cut.count(cut.parts() - 1), 1)});
  if (full_plan == nullptr || last_plan == nullptr) return false;
  const int64_t filter = s.group_in() * s.kernel_plane();
  parallel_for(s.batch * cut.parts(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t item = begin; item < end; ++item) {
      const int64_t n = item / cut.parts();
      const int64_t count = cut.count(item % cut.parts());
      const int64_t first = item % cut.parts() * cut.grain;
      const float* image_x = x + n * s.in_channels * s.in_plane();
      const float* image_out = out + n * s.out_channels * s.out_plane();
      const Plan& plan = count == cut.grain ? *full_plan : *last_plan;
      if (s.groups > 1) {
        const int64_t o = first * s.group_out();
        run_part(plan, pass, image_x + first * s.group_in() * s.in_plane(), w + o * filter,
                 bias != nullptr ? bias + o : nullptr, image_out + o * s.out_plane(), nullptr);
      } else if (pass != Pass::kBackwardInput) {
        run_part(plan, pass, image_x, w + first * filter, bias != nullptr ? bias + first : nullptr,
                 image_out + first * s.out_plane(), nullptr);
      } else {
        // The filters' part for these input channels.
        const int64_t part = count * s.kernel_plane();
        const Tensor filters = Tensor::empty({s.out_channels * part});
        float* to = filters.mutable_data<float>();
        for (int64_t o = 0; o < s.out_channels; ++o) {
          std::copy_n(w + o * filter + first * s.kernel_plane(), part, to + o * part);
        }
        run_part(plan, pass, image_x + first * s.in_plane(), to, nullptr, image_out, nullptr);
      }
    }
  });
  return true;
}

// The weights' gradient: cut along the channels, and for each part over so many images at once that a piece stays
// small, added up in order.
bool run_weights(const ConvShape& s, const float* x, const float* grad_w, const float* grad) {
  constexpr Pass kPass = Pass::kBackwardWeight;
  const int64_t image = s.products() / s.batch;
  const int64_t parts = s.groups > 1 ? 1 : std::clamp<int64_t>(s.products() / kTaskProducts, 1, 4);
  const ChannelCut cut(kPass, s, std::max(parts, quotient_up(image, kPieceProducts)));
  const int64_t piece = image / cut.total * cut.grain;  // of one image
  if (piece > kMostProducts) return false;
  int64_t images = std::clamp<int64_t>(kPieceProducts / std::max<int64_t>(1, piece), 1, s.batch);
  if (s.groups > 1 && (images < s.batch || cut.parts() > 1)) images = 1;  // x is not cut otherwise
  const int64_t rest = s.batch - (s.batch - 1) / images * images;
  const auto plan_of = [&](int64_t count, int64_t batch) { return cache().find({kPass, cut.shape_of(count, batch)}); };
  const int64_t last = cut.count(cut.parts() - 1);
  for (const int64_t count : {cut.grain, last}) {
    if (plan_of(count, images) == nullptr || plan_of(count, rest) == nullptr) return false;
  }
  const int64_t filter = s.group_in() * s.kernel_plane();
  parallel_for(cut.parts(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      const int64_t count = cut.count(part);
      const int64_t first = part * cut.grain;
      const int64_t channels = s.groups > 1 ? count * s.group_out() : count;
      const int64_t channel = s.groups > 1 ? first * s.group_out() : first;
      const int64_t x_offset = s.groups > 1 ? first * s.group_in() * s.in_plane() : 0;
      const int64_t size = channels * s.out_plane();
      float* to = const_cast<float*>(grad_w) + channel * filter;
      Tensor sum_holder;
      Tensor copy_holder;
      for (int64_t n = 0; n < s.batch; n += images) {
        check_cancelled();
        const int64_t batch = std::min(images, s.batch - n);
        const float* from = grad + (n * s.out_channels + channel) * s.out_plane();
        if (channels != s.out_channels && batch > 1) {
          if (!copy_holder.defined()) copy_holder = Tensor::empty({images * size});
          float* copy = copy_holder.mutable_data<float>();
          for (int64_t i = 0; i < batch; ++i)
            std::copy_n(from + i * s.out_channels * s.out_plane(), size, copy + i * size);
          from = copy;
        }
        if (n > 0 && !sum_holder.defined()) sum_holder = Tensor::empty({channels * filter});
        float* sum = n > 0 ? sum_holder.mutable_data<float>() : to;
        run_part(*plan_of(count, batch), kPass, x + n * s.in_channels * s.in_plane() + x_offset, sum, nullptr, from,
                 nullptr);
        in_pieces(n > 0 ? channels * filter : 0, [&](int64_t low, int64_t high) {
          for (int64_t i = low; i < high; ++i) to[i] += sum[i];
        });
      }
    }
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

bool suits(const ConvShape& s) {
  constexpr int64_t kMost = 64;
  // Of an image and of the filters: what is reordered in one go.
  constexpr int64_t kMostElements = 64 << 20;
  for (size_t d = 0; d < 3; ++d) {
    const int64_t reach = s.dilation[d] * (s.kernel[d] - 1) + 1;
    if (s.kernel[d] > kMost || s.stride[d] > kMost || s.dilation[d] > kMost) return false;
    if (s.padding[d] > kMost || s.padding[d] >= reach) return false;
    if ((s.in[d] + 2 * s.padding[d] - reach) / s.stride[d] + 1 != s.out[d]) return false;
  }
  return s.in_channels * s.in_plane() <= kMostElements && s.out_channels * s.out_plane() <= kMostElements &&
         s.weight_count() <= kMostElements;
}

bool conv_forward(const ConvShape& s, const float* x, const float* w, const float* bias, float* out) {
  if (!suits(s)) return false;
  const Pass pass = bias != nullptr ? Pass::kForwardBias : Pass::kForward;
  return guarded([&] {
    const bool whole_images = (s.batch > 1 || s.groups > 1) && s.products() / s.batch <= kPieceProducts;
    return whole_images ? run_batches(pass, s, x, w, bias, out) : run_images(pass, s, x, w, bias, out);
  });
}

bool conv_backward_input(const ConvShape& s, const float* grad, const float* w, float* grad_x) {
  if (!suits(s)) return false;
  constexpr Pass kPass = Pass::kBackwardInput;
  return guarded([&] {
    const bool whole_images = s.products() / s.batch <= kPieceProducts;
    return whole_images ? run_batches(kPass, s, grad_x, w, nullptr, grad)
                        : run_images(kPass, s, grad_x, w, nullptr, grad);
  });
}

bool conv_backward_weight(const ConvShape& s, const float* grad, const float* x, float* grad_w) {
  return suits(s) && guarded([&] { return run_weights(s, x, grad_w, grad); });
}

}  // namespace tapewire::kernels::onednn
