#include <algorithm>
#include <cstring>

#include "core/base/parallel_for.h"
#include "core/kernels/elementwise_impl.h"

namespace tapewire::kernels {
namespace {

// Below this inner length rows are gathered many at a time: a call a row would cost more than the copy.
constexpr int64_t kShortRow = 128;

template <class Word>
void gather_words(const Word* from, int64_t stride, int64_t n, Word* to) {
  if (stride == 0) {
    std::fill_n(to, n, *from);
  } else {
    for (int64_t i = 0; i < n; ++i) to[i] = from[i * stride];
  }
}

template <class Word>
void scatter_words(const Word* from, int64_t n, Word* to, int64_t stride) {
  for (int64_t i = 0; i < n; ++i) to[i * stride] = from[i];
}

// One operand of a walk.
struct Operand {
  std::byte* data = nullptr;
  size_t itemsize = 0;
  const Shape* strides = nullptr;
  bool dense = false;     // its elements lie in the order of the walk, without gaps
  bool constant = false;  // one element serves all

  int64_t stride(size_t dim) const { return (*strides)[dim]; }
  std::byte* at(int64_t element) const { return data + element * static_cast<int64_t>(itemsize); }
};

// A position in the walk, kept for each operand.
class Odometer {
 public:
  Odometer(const LoopNest& nest, std::span<const Operand> operands, int64_t begin)
      : nest_(nest), operands_(operands), index_(nest.dims()) {
    for (size_t d = nest.dims(); d-- > 0;) {
      index_[d] = begin % nest.sizes[d];
      begin /= nest.sizes[d];
      for (size_t o = 0; o < operands.size(); ++o) offset_[o] += index_[d] * operands[o].stride(d);
    }
  }

  int64_t left_in_row() const { return nest_.sizes.back() - index_.back(); }
  int64_t offset(size_t operand) const { return offset_[operand]; }

  // REQUIRES: count <= left_in_row().
  void advance(int64_t count) {
    size_t d = nest_.dims() - 1;
    index_[d] += count;
    for (size_t o = 0; o < operands_.size(); ++o) offset_[o] += count * operands_[o].stride(d);
    while (index_[d] == nest_.sizes[d] && d > 0) {
      for (size_t o = 0; o < operands_.size(); ++o) {
        offset_[o] += operands_[o].stride(d - 1) - nest_.sizes[d] * operands_[o].stride(d);
      }
      index_[d] = 0;
      ++index_[--d];
    }
  }

 private:
  const LoopNest& nest_;
  std::span<const Operand> operands_;
  Shape index_;
  std::array<int64_t, kMaxOperands> offset_{};
};

class Walk {
 public:
  Walk(const LoopNest& nest, std::span<const Operand> operands, size_t outputs, bool updates, RunFn fn)
      : nest_(nest), operands_(operands), outputs_(outputs), first_read_(updates ? 0 : outputs), fn_(fn) {}

  void run(int64_t begin, int64_t end) const {
    alignas(64) std::byte scratch[kMaxOperands][kChunk * 8];
    void* pointers[kMaxOperands];
    bool all_dense = true;
    for (size_t o = 0; o < operands_.size(); ++o) {
      const Operand& operand = operands_[o];
      all_dense = all_dense && operand.dense;
      if (operand.constant) {
        gather_strided(operand.data, 0, operand.itemsize, std::min(kChunk, end - begin), scratch[o]);
        pointers[o] = scratch[o];
      }
    }
    if (all_dense) {
      for (size_t o = 0; o < operands_.size(); ++o) pointers[o] = operands_[o].at(begin);
      fn_(end - begin, pointers);
    } else if (nest_.sizes.back() >= kShortRow) {
      run_rows(begin, end, scratch, pointers);
    } else {
      run_chunks(begin, end, scratch, pointers);
    }
  }

 private:
  using Scratch = std::byte[kChunk * 8];

  // Long inner rows: an operand with unit stride is used where it lies.
  void run_rows(int64_t begin, int64_t end, Scratch* scratch, void** pointers) const {
    const size_t inner = nest_.dims() - 1;
    bool direct = true;
    for (const Operand& operand : operands_) direct = direct && operand.stride(inner) == 1;
    Odometer at(nest_, operands_, begin);
    for (int64_t i = begin; i < end;) {
      int64_t n = std::min(end - i, at.left_in_row());
      if (!direct) n = std::min(n, kChunk);
      for (size_t o = 0; o < operands_.size(); ++o) {
        const Operand& operand = operands_[o];
        if (operand.constant) continue;
        if (operand.stride(inner) == 1) {
          pointers[o] = operand.at(at.offset(o));
        } else {
          pointers[o] = scratch[o];
          if (o >= first_read_) {
            gather_strided(operand.at(at.offset(o)), operand.stride(inner), operand.itemsize, n, scratch[o]);
          }
        }
      }
      fn_(n, pointers);
      for (size_t o = 0; o < outputs_; ++o) {
        const Operand& operand = operands_[o];
        if (operand.stride(inner) != 1) {
          scatter_strided(scratch[o], n, operand.itemsize, operand.at(at.offset(o)), operand.stride(inner));
        }
      }
      at.advance(n);
      i += n;
    }
  }

  // Short inner rows: whatever is not dense is gathered across rows.
  void run_chunks(int64_t begin, int64_t end, Scratch* scratch, void** pointers) const {
    const size_t inner = nest_.dims() - 1;
    bool strided_output = false;
    for (size_t o = 0; o < outputs_; ++o) strided_output = strided_output || !operands_[o].dense;
    Odometer in(nest_, operands_, begin);
    Odometer out = in;
    for (int64_t i = begin; i < end; i += kChunk) {
      const int64_t n = std::min(end - i, kChunk);
      for (size_t o = 0; o < operands_.size(); ++o) {
        if (!operands_[o].constant) pointers[o] = operands_[o].dense ? operands_[o].at(i) : scratch[o];
      }
      for (int64_t done = 0; done < n;) {
        const int64_t row = std::min(n - done, in.left_in_row());
        for (size_t o = first_read_; o < operands_.size(); ++o) {
          const Operand& operand = operands_[o];
          if (operand.dense || operand.constant) continue;
          gather_strided(operand.at(in.offset(o)), operand.stride(inner), operand.itemsize, row,
                         scratch[o] + done * static_cast<int64_t>(operand.itemsize));
        }
        in.advance(row);
        done += row;
      }
      fn_(n, pointers);
      for (int64_t done = 0; strided_output && done < n;) {
        const int64_t row = std::min(n - done, out.left_in_row());
        for (size_t o = 0; o < outputs_; ++o) {
          const Operand& operand = operands_[o];
          if (operand.dense) continue;
          scatter_strided(scratch[o] + done * static_cast<int64_t>(operand.itemsize), row, operand.itemsize,
                          operand.at(out.offset(o)), operand.stride(inner));
        }
        out.advance(row);
        done += row;
      }
    }
  }

  const LoopNest& nest_;
  std::span<const Operand> operands_;
  size_t outputs_;
  size_t first_read_;  // operands from here on are read
  RunFn fn_;
};

// Few elements, each operand either plain or one number: no walk to set up.
bool run_small(std::span<const Tensor* const> outputs, std::span<const Tensor* const> inputs, RunFn fn) {
  const int64_t total = outputs[0]->numel();
  if (total > kChunk || outputs.size() != 1 || !outputs[0]->is_contiguous()) return false;
  for (const Tensor* input : inputs) {
    if (input->numel() != 1 && !(input->numel() == total && input->is_contiguous())) return false;
  }
  alignas(64) std::byte scratch[kMaxOperands][kChunk * 8];
  void* pointers[kMaxOperands];
  pointers[0] = outputs[0]->mutable_raw_data();
  for (size_t o = 0; o < inputs.size(); ++o) {
    const Tensor& input = *inputs[o];
    pointers[o + 1] = const_cast<void*>(input.raw_data());
    if (input.numel() != total) {
      gather_strided(input.raw_data(), 0, input.itemsize(), total, scratch[o]);
      pointers[o + 1] = scratch[o];
    }
  }
  fn(total, pointers);
  return true;
}

}  // namespace

void gather_strided(const void* from, int64_t stride, size_t itemsize, int64_t n, void* to) {
  if (stride == 1) {
    std::memcpy(to, from, static_cast<size_t>(n) * itemsize);
    return;
  }
  switch (itemsize) {
    case 1:
      return gather_words(static_cast<const uint8_t*>(from), stride, n, static_cast<uint8_t*>(to));
    case 4:
      return gather_words(static_cast<const uint32_t*>(from), stride, n, static_cast<uint32_t*>(to));
    default:
      return gather_words(static_cast<const uint64_t*>(from), stride, n, static_cast<uint64_t*>(to));
  }
}

void scatter_strided(const void* from, int64_t n, size_t itemsize, void* to, int64_t stride) {
  if (stride == 1) {
    std::memcpy(to, from, static_cast<size_t>(n) * itemsize);
    return;
  }
  switch (itemsize) {
    case 1:
      return scatter_words(static_cast<const uint8_t*>(from), n, static_cast<uint8_t*>(to), stride);
    case 4:
      return scatter_words(static_cast<const uint32_t*>(from), n, static_cast<uint32_t*>(to), stride);
    default:
      return scatter_words(static_cast<const uint64_t*>(from), n, static_cast<uint64_t*>(to), stride);
  }
}

Shape broadcast_strides(const Tensor& tensor, Ints sizes) {
  const Shape& own = tensor.sizes();
  if (own.size() > sizes.size()) {
    fail_internal("a kernel cannot broadcast ", to_string(own), " to ", to_string(sizes));
  }
  const size_t lead = sizes.size() - own.size();
  Shape strides(sizes.size(), 0);
  for (size_t d = 0; d < own.size(); ++d) {
    if (own[d] == sizes[lead + d]) {
      strides[lead + d] = own[d] == 1 ? 0 : tensor.strides()[d];
    } else if (own[d] != 1) {
      fail_internal("a kernel cannot broadcast ", to_string(own), " to ", to_string(sizes));
    }
  }
  return strides;
}

LoopNest make_nest(Ints sizes, std::span<const Shape> strides, bool reorder) {
  absl::InlinedVector<size_t, 6> order;
  for (size_t d = 0; d < sizes.size(); ++d) {
    if (sizes[d] != 1) order.push_back(d);
  }
  if (reorder) {
    // Insertion sort: short, stable, and no allocation.
    for (size_t i = 1; i < order.size(); ++i) {
      for (size_t j = i; j > 0 && strides[0][order[j - 1]] < strides[0][order[j]]; --j) {
        std::swap(order[j - 1], order[j]);
      }
    }
  }
  LoopNest nest;
  const auto push = [&](int64_t size, size_t dim) {
    nest.sizes.push_back(size);
    for (size_t o = 0; o < strides.size(); ++o) nest.strides[o].push_back(strides[o][dim]);
  };
  for (const size_t d : order) {
    bool merges = !nest.sizes.empty();
    for (size_t o = 0; merges && o < strides.size(); ++o) {
      merges = nest.strides[o].back() == strides[o][d] * sizes[d];
    }
    if (merges) {
      nest.sizes.back() *= sizes[d];
      for (size_t o = 0; o < strides.size(); ++o) nest.strides[o].back() = strides[o][d];
    } else {
      push(sizes[d], d);
    }
  }
  if (nest.sizes.empty()) {
    nest.sizes.push_back(1);
    for (size_t o = 0; o < strides.size(); ++o) nest.strides[o].push_back(1);
  }
  return nest;
}

void for_each_run(std::span<const Tensor* const> outputs, std::span<const Tensor* const> inputs, int64_t grain,
                  RunFn fn, bool updates) {
  const Shape& sizes = outputs[0]->sizes();
  const int64_t total = outputs[0]->numel();
  if (total == 0) return;
  const size_t count = outputs.size() + inputs.size();
  if (count > kMaxOperands) fail_internal("an elementwise kernel takes at most ", kMaxOperands, " operands");
  if (run_small(outputs, inputs, fn)) return;
  std::array<Shape, kMaxOperands> strides;
  std::array<Operand, kMaxOperands> operands;
  // Outputs first: a shared buffer is detached, and an input that is the same tensor must be read from its own copy.
  for (size_t o = 0; o < outputs.size(); ++o) {
    if (outputs[o]->sizes() != sizes) fail_internal("outputs of an elementwise kernel differ in shape");
    operands[o].data = static_cast<std::byte*>(outputs[o]->mutable_raw_data());
  }
  for (size_t o = 0; o < count; ++o) {
    const Tensor& tensor = o < outputs.size() ? *outputs[o] : *inputs[o - outputs.size()];
    strides[o] = broadcast_strides(tensor, sizes);
    operands[o].itemsize = tensor.itemsize();
    if (o >= outputs.size()) {
      operands[o].data = const_cast<std::byte*>(static_cast<const std::byte*>(tensor.raw_data()));
    }
  }
  const LoopNest nest = make_nest(sizes, std::span(strides.data(), count), /*reorder=*/true);
  for (size_t o = 0; o < count; ++o) {
    Operand& operand = operands[o];
    operand.strides = &nest.strides[o];
    operand.dense = is_contiguous(nest.sizes, nest.strides[o]);
    operand.constant = total > 1 && std::ranges::all_of(nest.strides[o], [](int64_t s) { return s == 0; });
    if (operand.constant) operand.dense = false;
  }
  const Walk walk(nest, std::span(operands.data(), count), outputs.size(), updates, fn);
  parallel_for(total, grain, [&](int64_t begin, int64_t end) { walk.run(begin, end); });
}

}  // namespace tapewire::kernels
