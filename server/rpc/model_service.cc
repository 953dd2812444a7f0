#include "server/rpc/model_service.h"

#include "core/base/error.h"
#include "core/tensor/allocator.h"
#include "server/rpc/message.h"
#include "server/rpc/state_calls.h"
#include "tapewire/v1/model_service.pb.h"

namespace tapewire::rpc {
namespace {

constexpr int kDefaultPage = 100;
constexpr int kMostPage = 1000;

v1::DescribeModelResponse describe(LiveModel& model) {
  v1::DescribeModelResponse out;
  for (const NamedModule& m : model.modules()) {
    v1::ModuleInfo* info = out.add_modules();
    info->set_path(m.name);
    info->set_type(std::string(m.module->type()));
    info->set_text(str_cat(m.module->type(), "(", m.module->extra_repr(), ")"));
    info->set_training(m.module->training());
    for (const Module::Buffer& b : m.module->own_buffers()) {
      if (!b.tensor.defined()) continue;
      v1::BufferInfo* buffer = out.add_buffers();
      buffer->set_path(m.name.empty() ? b.name : str_cat(m.name, ".", b.name));
      codec::encode_spec(buffer->path(), b.tensor.spec(), *buffer->mutable_spec());
      buffer->set_persistent(b.persistent);
    }
  }
  for (const NamedTensor& p : model.root().named_parameters()) {
    v1::ParameterInfo* info = out.add_parameters();
    info->set_path(p.name);
    codec::encode_spec(p.name, p.tensor.spec(), *info->mutable_spec());
    info->set_requires_grad(p.tensor.requires_grad());
  }
  out.set_text(model.root().repr());
  return out;
}

}  // namespace

ModelService::ModelService(const Environment& environment, const Backend& backend)
    : RawService(environment, "tapewire.v1.ModelService"), backend_(backend) {
  unary<v1::CreateModelRequest, v1::CreateModelResponse>(
      "CreateModel", [this](const Context& call, auto request, const auto& answer) {
        const ChangeId id = decode_call_id(request.call_id());
        AdoptedCount waiting;  // the parsed definition counts until the model is built
        waiting.add(request.SpaceUsedLong());
        backend_.models.pool().submit(
            {.cancel = call->cancel()},
            [this, request = std::move(request), id, waiting = std::move(waiting)] {
              const auto model = backend_.models.create(
                  request.name(), request.spec(), static_cast<uint64_t>(request.seed()), request.validate_only(), id);
              v1::CreateModelResponse out;
              *out.mutable_model() = encode_model(*model, false);  // the client has the definition
              return out;
            },
            answer);
      });
  unary<v1::GetModelRequest, v1::GetModelResponse>(
      "GetModel", [this](const Context&, const auto& request, const auto& answer) {
        v1::GetModelResponse out;
        *out.mutable_model() = encode_model(*backend_.models.require(request.name()), true);
        answer(std::move(out));
      });
  unary<v1::ListModelsRequest, v1::ListModelsResponse>(
      "ListModels", [this](const Context&, const auto& request, const auto& answer) {
        if (request.page_size() < 0) fail("page_size: must not be negative, got ", request.page_size());
        const int page = std::min(request.page_size() == 0 ? kDefaultPage : request.page_size(), kMostPage);
        // A page's token is the last name on it: stable while models come and go.
        if (!request.page_token().empty() && !is_model_name(request.page_token())) {
          fail("page_token: ", quoted(request.page_token()), " is no token that a page came with");
        }
        const auto models = backend_.models.list(request.page_token(), static_cast<size_t>(page) + 1);
        v1::ListModelsResponse out;
        for (const auto& model : models) {
          if (out.models_size() == page) {
            out.set_next_page_token(out.models(page - 1).name());
            break;
          }
          *out.add_models() = encode_model(*model, false);
        }
        answer(std::move(out));
      });
  unary<v1::DeleteModelRequest, v1::DeleteModelResponse>(
      "DeleteModel", [this](const Context&, const auto& request, const auto& answer) {
        backend_.models.remove(request.name(), decode_call_id(request.call_id()),
                               [answer] { answer(v1::DeleteModelResponse()); });
      });
  unary<v1::DescribeModelRequest, v1::DescribeModelResponse>(
      "DescribeModel", [this](const Context& call, const auto& request, const auto& answer) {
        backend_.models.require(request.name())->submit(call->cancel(), &describe, answer);
      });
  unary<v1::SetTrainingRequest, v1::SetTrainingResponse>(
      "SetTraining", [this](const Context& call, const auto& request, const auto& answer) {
        const auto model = backend_.models.require(request.name());
        model->submit(
            call->cancel(),
            [request, id = decode_call_id(request.call_id())](LiveModel& m) {
              return once<v1::SetTrainingResponse>(m, id, [&] {
                m.set_training(request.training(), request.path());
                return v1::SetTrainingResponse();
              });
            },
            answer);
      });
  server_stream<v1::ReadStateRequest, v1::ReadStateResponse>(
      "ReadState", [this](const Context& call, const auto& request, const auto& answer) {
        const int64_t chunk_bytes = codec::decode_chunk_bytes(request.chunk_bytes());
        backend_.models.require(request.name())
            ->submit(
                call->cancel(),
                [keys = strings(request.keys()), chunk_bytes](LiveModel& m) {
                  return chunk_source<v1::ReadStateResponse>(m.read_state(keys), chunk_bytes);
                },
                answer);
      });
  client_stream<v1::WriteStateRequest, v1::WriteStateResponse>(
      "WriteState", [this](const Context& call) { return make_write_state_handler(backend_, call); });
}

}  // namespace tapewire::rpc
