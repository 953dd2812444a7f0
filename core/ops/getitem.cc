#include <algorithm>
#include <optional>

#include "core/base/error.h"
#include "core/ops/call_support.h"
#include "core/ops/indexing.h"
#include "core/ops/registry.h"
#include "core/ops/slicing.h"
#include "core/ops/view_ops.h"

namespace tapewire {
namespace {

bool is_ellipsis(const Value& v) { return v.is_string() && v.string() == "..."; }

[[noreturn]] void refuse(const Value& v) {
  fail(
      "getitem: only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices (got ",
      v.describe(), ")");
}

// A list of integers or of bools, nested as deep as it has dimensions.
class NumberList {
 public:
  explicit NumberList(const Value& list) {
    shape(list);
    collect(list, 0);
  }
  Tensor tensor() const {
    const bool mask = all_bools_ && !numbers_.empty();
    const Tensor out = Tensor::empty(sizes_, mask ? DType::kBool : DType::kInt64);
    if (mask) {
      std::ranges::transform(numbers_, out.mutable_data<bool>(), [](int64_t v) { return v != 0; });
    } else {
      std::ranges::copy(numbers_, out.mutable_data<int64_t>());
    }
    return out;
  }

 private:
  void shape(const Value& list) {
    sizes_.push_back(static_cast<int64_t>(list.tuple().size()));
    if (static_cast<int64_t>(sizes_.size()) > kMaxDims) fail("getitem: a list nested deeper than ", kMaxDims);
    if (!list.tuple().empty() && list.tuple()[0].is_tuple()) shape(list.tuple()[0]);
  }
  void collect(const Value& value, size_t depth) {
    if (depth == sizes_.size()) {
      all_bools_ = all_bools_ && value.is_bool();
      if (value.is_bool()) {
        numbers_.push_back(value.boolean() ? 1 : 0);
      } else if (value.is_int()) {
        numbers_.push_back(value.integer());
      } else {
        refuse(value);
      }
      return;
    }
    if (!value.is_tuple()) refuse(value);
    if (static_cast<int64_t>(value.tuple().size()) != sizes_[depth]) {
      fail("getitem: expected sequence of length ", sizes_[depth], " at dim ", depth, " (got ", value.tuple().size(),
           ")");
    }
    for (const Value& item : value.tuple()) collect(item, depth + 1);
  }

  Shape sizes_;
  std::vector<int64_t> numbers_;
  bool all_bools_ = true;
};

// Goes through an index from left to right: what gives a view is done at once, index tensors are kept for the end.
class Indexer {
 public:
  Indexer(const Tensor& x, const Tuple& items) : x_(x), original_(x) {
    std::vector<Value> parts;
    for (const Value& item : items) parts.push_back(item.is_tuple() ? Value(NumberList(item).tensor()) : item);
    int64_t named = 0;
    for (const Value& part : parts) named += dims_of(part);
    if (named > x.dim()) {
      if (x.dim() == 0 && parts.size() == 1 && parts[0].is_int()) {
        fail(
            "getitem: invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` in C++ to "
            "convert a 0-dim tensor to a number");
      }
      fail("getitem: too many indices for tensor of dimension ", x.dim());
    }
    for (const Value& part : parts) apply(part, x.dim() - named);
  }

  Tensor result() const {
    if (!indices_.empty()) return index(x_, indices_);
    return x_.is_same(original_) ? view_as_self(x_) : x_;
  }

 private:
  // How many of the tensor's dimensions a part of the index stands for.
  static int64_t dims_of(const Value& part) {
    if (part.is_tensor() && is_mask(part.tensor().dtype())) return part.tensor().dim();
    return part.is_none() || part.is_bool() || is_ellipsis(part) ? 0 : 1;
  }

  void apply(const Value& part, int64_t left) {
    if (part.is_int()) {
      pick(part.integer());
    } else if (part.is_slice()) {
      cut(part.slice());
    } else if (part.is_none()) {
      x_ = unsqueeze(x_, dim_++);
      ++added_;
    } else if (is_ellipsis(part)) {
      dim_ += left;
    } else if (part.is_bool()) {
      whole(part.boolean());
    } else if (part.is_tensor()) {
      take(part.tensor());
    } else {
      refuse(part);
    }
  }

  void pick(int64_t at) {
    const int64_t size = x_.size(dim_);
    if (at < -size || at >= size) {
      fail("getitem: index ", at, " is out of bounds for dimension ", dim_ + picked_ - added_, " with size ", size);
    }
    x_ = select(x_, dim_, at);
    ++picked_;
  }
  void cut(const Slice& s) {
    if (s.step && *s.step <= 0) fail("getitem: step must be greater than zero");
    x_ = slice(x_, {.dim = dim_++, .start = s.start, .end = s.stop, .step = s.step.value_or(1)});
  }
  // All of what is left, or none of it, in a new dimension.
  void whole(bool all) {
    x_ = unsqueeze(x_, dim_);
    ++added_;
    keep(Tensor::zeros({all ? 1 : 0}, DType::kInt64), 1);
  }
  void take(const Tensor& chosen) {
    const DType dtype = chosen.dtype();
    if (chosen.dim() == 0 && is_mask(dtype)) {
      whole(chosen.item<int64_t>() != 0);
    } else if (chosen.dim() == 0 && is_integral(dtype)) {
      pick(chosen.item<int64_t>());
    } else {
      keep(chosen, is_mask(dtype) ? chosen.dim() : 1);
    }
  }
  // An index tensor for the next dimensions. A mask takes one place in the list for all of its own.
  void keep(const Tensor& chosen, int64_t dims) {
    while (covered_ < dim_) {
      indices_.emplace_back();
      ++covered_;
    }
    indices_.push_back(chosen);
    dim_ += dims;
    covered_ = dim_;
  }

  Tensor x_;
  Tensor original_;
  std::vector<Tensor> indices_;
  int64_t dim_ = 0;      // the next one of x_
  int64_t covered_ = 0;  // dimensions of x_ that indices_ speaks of
  int64_t picked_ = 0;
  int64_t added_ = 0;
};

Value item_of(const Tuple& items, const Value& index) {
  const auto size = static_cast<int64_t>(items.size());
  if (index.is_int()) {
    const int64_t at = index.integer();
    if (at < -size || at >= size) fail("getitem: tuple index out of range: ", at, " of ", size);
    return items[static_cast<size_t>(at < 0 ? at + size : at)];
  }
  if (!index.is_slice()) fail("getitem: tuple indices must be integers or slices, not ", index.describe());
  const Slice& s = index.slice();
  const int64_t step = s.step.value_or(1);
  if (step <= 0) fail("getitem: step must be greater than zero");
  const auto clamped = [size](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + size : at, 0, size); };
  Tuple out;
  const int64_t end = clamped(s.stop.value_or(size));
  for (int64_t i = clamped(s.start.value_or(0)); i < end; i += std::min(step, size)) {
    out.push_back(items[static_cast<size_t>(i)]);
  }
  return out;
}

Value item_of(const Dict& items, const Value& index) {
  if (!index.is_string()) fail("getitem: dict keys are strings, got ", index.describe());
  for (const auto& [key, item] : items) {
    if (key == index.string()) return item;
  }
  fail("getitem: no item ", index.repr(), " in the dict");
}

struct Getitem {
  using Attrs = NoAttrs;
  static constexpr auto name = "getitem";
  static constexpr auto doc = "input[index] as in Python: ints, slices, none, '...', bools, index tensors, lists";
  static constexpr std::array inputs{input("input"), input("index")};
  static constexpr bool differentiable = true;
  static Value call(const AttributeMap& all) {
    const CallArguments arguments(name, all);
    return getitem(arguments.value("input"), arguments.value("index"));
  }
};

const OpFamily kFamily{op_def<Getitem>()};

}  // namespace

Tensor getitem(const Tensor& x, const Value& index) {
  // A tuple has an index for each dimension; a list is one index.
  if (index.is_tuple() && !index.is_list()) return Indexer(x, index.tuple()).result();
  return Indexer(x, Tuple{index}).result();
}

Value getitem(const Value& x, const Value& index) {
  if (x.is_tensor()) return getitem(x.tensor(), index);
  if (x.is_tuple()) return item_of(x.tuple(), index);
  if (x.is_dict()) return item_of(x.dict(), index);
  fail("getitem: expected a tensor, a tuple or a dict, got ", x.describe());
}

}  // namespace tapewire
