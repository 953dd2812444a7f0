#include "core/nn/embedding.h"

#include "core/base/error.h"
#include "core/nn/init.h"
#include "core/nn/registry.h"
#include "core/tensor/views.h"

namespace tapewire {

Embedding::Embedding(const Options& options) : options_(options) {
  const int64_t rows = options.num_embeddings;
  if (rows < 0 || options.embedding_dim < 0) {
    fail(kName, ": num_embeddings and embedding_dim must not be negative, got ", rows, " and ", options.embedding_dim);
  }
  if (options.sparse) fail(kName, ": sparse gradients are not supported");
  if (options.padding_idx) {
    if (*options.padding_idx < -rows || *options.padding_idx >= rows) {
      fail(kName, ": Padding_idx must be within num_embeddings, got ", *options.padding_idx, " for ", rows);
    }
    if (*options.padding_idx < 0) *options_.padding_idx += rows;
  }
  weight_ = Tensor::empty({rows, options.embedding_dim});
  init::normal_(weight_);
  if (options_.padding_idx) {
    init::zeros_(weight_.alias(views::select(weight_.geometry(), 0, *options_.padding_idx)));
  }
  register_parameter("weight", weight_);
}

Tensor Embedding::forward(const Tensor& indices) { return embedding(indices, weight_, options_); }

std::string Embedding::extra_repr() const {
  const auto shown = [](const char* name, const Value& v) { return str_cat(", ", name, "=", v.repr()); };
  std::string out = str_cat(options_.num_embeddings, ", ", options_.embedding_dim);
  if (options_.padding_idx) out += shown("padding_idx", *options_.padding_idx);
  if (options_.max_norm) out += shown("max_norm", *options_.max_norm);
  if (options_.norm_type != 2) out += shown("norm_type", options_.norm_type);
  if (options_.scale_grad_by_freq) out += shown("scale_grad_by_freq", true);
  return out;
}

namespace {
const ModuleFamily kFamily{module_def<Embedding>()};
}  // namespace

}  // namespace tapewire
