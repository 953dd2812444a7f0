#include "client/cpp/tensor_assembler.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cpp/tensor.h"

namespace tapewire::client {

absl::Status TensorAssembler::check_current() const {
  const auto found = tensors_.find(current_);
  if (found == tensors_.end()) return absl::OkStatus();
  const absl::Status status = check_tensor(found->second);
  return status.ok() ? status : absl::DataLossError(absl::StrCat(current_, ": ", std::string(status.message())));
}

absl::Status TensorAssembler::add(v1::TensorChunk chunk) {
  auto [found, is_new] = tensors_.try_emplace(chunk.name());
  v1::Tensor& tensor = found->second;
  if (is_new) {
    if (auto status = check_current(); !status.ok()) return status;
    tensor.set_dtype(chunk.dtype());
    *tensor.mutable_shape() = chunk.shape();
    current_ = chunk.name();
  } else if (chunk.name() != current_) {
    return absl::DataLossError(absl::StrCat(chunk.name(), ": its pieces do not follow each other"));
  }
  const auto received = static_cast<int64_t>(tensor.data().size());
  if (chunk.offset() != received) {
    return absl::DataLossError(absl::StrCat(chunk.name(), ": piece at byte ", chunk.offset(), " after ", received));
  }
  const auto count = element_count({tensor.shape().data(), static_cast<size_t>(tensor.shape_size())});
  if (!count.ok()) return absl::DataLossError(absl::StrCat(chunk.name(), ": ", std::string(count.status().message())));
  const size_t item = std::max<size_t>(dtype_size(tensor.dtype()), 1);
  if ((tensor.data().size() + chunk.data().size()) / item > static_cast<size_t>(*count)) {
    return absl::DataLossError(absl::StrCat(chunk.name(), ": more bytes than its shape ", shape_text_of(tensor)));
  }
  if (is_new) {
    tensor.set_data(std::move(*chunk.mutable_data()));
  } else {
    tensor.mutable_data()->append(chunk.data());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::map<std::string, v1::Tensor>> TensorAssembler::take() && {
  if (auto status = check_current(); !status.ok()) return status;
  return std::move(tensors_);
}

}  // namespace tapewire::client
