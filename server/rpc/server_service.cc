#include "server/rpc/server_service.h"

#include "core/base/strings.h"
#include "core/graph/catalogue.h"
#include "core/tensor/allocator.h"
#include "google/protobuf/util/time_util.h"
#include "server/model/definition.h"
#include "server/observe/version.h"
#include "server/rpc/fixed_limits.h"
#include "tapewire/v1/server_service.pb.h"

namespace tapewire::rpc {
namespace {

v1::GetServerInfoResponse server_info(const Backend& backend) {
  v1::GetServerInfoResponse info;
  const ServerFacts& facts = backend.facts;
  info.set_version(std::string(build_info().version));
  info.mutable_features()->Assign(facts.features.begin(), facts.features.end());
  for (const FixedLimit& limit : fixed_limits()) (*info.mutable_limits())[std::string(limit.name)] = limit.value;
  for (const auto& [flag, value] : facts.limits) (*info.mutable_limits())[flag] = value;
  *info.mutable_start_time() = google::protobuf::util::TimeUtil::NanosecondsToTimestamp(
      std::chrono::duration_cast<std::chrono::nanoseconds>(facts.start_time.time_since_epoch()).count());
  info.set_models(static_cast<int64_t>(backend.models.size()));
  info.set_tapes(static_cast<int64_t>(backend.models.tape_count()));
  info.set_tensor_bytes(tensor_allocator().stats().live);
  info.set_cpu(facts.cpu);
  info.set_compute_threads(facts.compute_threads);
  return info;
}

v1::OperatorKind to_proto(CatalogueKind kind) {
  switch (kind) {
    case CatalogueKind::kOp:
      return v1::OPERATOR_KIND_OP;
    case CatalogueKind::kModule:
      return v1::OPERATOR_KIND_MODULE;
    case CatalogueKind::kLoss:
      return v1::OPERATOR_KIND_LOSS;
    case CatalogueKind::kOptimizer:
      return v1::OPERATOR_KIND_OPTIMIZER;
    case CatalogueKind::kScheduler:
      return v1::OPERATOR_KIND_SCHEDULER;
    case CatalogueKind::kInit:
      return v1::OPERATOR_KIND_INIT;
  }
  return v1::OPERATOR_KIND_UNSPECIFIED;
}

void encode(const CatalogueEntry& entry, v1::Operator& proto) {
  proto.set_kind(to_proto(entry.kind));
  proto.set_name(std::string(entry.name));
  proto.set_doc(std::string(entry.doc));
  for (const CatalogueEntry::Input& input : entry.inputs) {
    v1::OperatorInput& to = *proto.add_inputs();
    to.set_name(std::string(input.name));
    to.set_optional(input.optional);
    to.set_list(input.list);
  }
  for (const AttributeInfo& attribute : entry.attributes) {
    v1::OperatorAttribute& to = *proto.add_attributes();
    to.set_name(std::string(attribute.name));
    to.set_type(std::string(attribute.type));
    if (!attribute.required && !attribute.default_value.is_none()) {
      *to.mutable_default_value() = to_literal(attribute.default_value);
    }
    to.set_required(attribute.required);
    to.set_doc(std::string(attribute.doc));
  }
  for (const std::string_view output : entry.outputs) proto.add_outputs(std::string(output));
  proto.set_differentiable(entry.differentiable);
}

absl::StatusOr<v1::ListOperatorsResponse> list_operators(const v1::ListOperatorsRequest& request) {
  if (!v1::OperatorKind_IsValid(request.kind())) {
    return absl::InvalidArgumentError(
        str_cat("kind: expects an OperatorKind, got the unknown number ", static_cast<int>(request.kind())));
  }
  v1::ListOperatorsResponse response;
  for (const CatalogueEntry& entry : catalogue()) {
    if (request.kind() != v1::OPERATOR_KIND_UNSPECIFIED && request.kind() != to_proto(entry.kind)) continue;
    if (entry.name.find(request.name_contains()) == std::string_view::npos) continue;
    encode(entry, *response.add_operators());
  }
  return response;
}

}  // namespace

ServerService::ServerService(const Environment& environment, const Backend& backend)
    : RawService(environment, "tapewire.v1.ServerService") {
  unary<v1::GetServerInfoRequest, v1::GetServerInfoResponse>(
      "GetServerInfo", [&backend](const Context&, const auto&, const auto& answer) { answer(server_info(backend)); });
  unary<v1::ListOperatorsRequest, v1::ListOperatorsResponse>(
      "ListOperators",
      [](const Context&, const auto& request, const auto& answer) { answer(list_operators(request)); });
}

}  // namespace tapewire::rpc
