#include "server/rpc/model_service.h"

#include "core/base/error.h"
#include "server/rpc/message.h"
#include "server/rpc/state_calls.h"
#include "tapewire/v1/model_service.pb.h"

namespace tapewire::rpc {
namespace {

constexpr int kDefaultPage = 100;
constexpr int kMostPage = 1000;

v1::DescribeModelResponse encode(const ModelDescription& description) {
  v1::DescribeModelResponse out;
  const ModelDescription::Tree& tree = *description.tree;
  for (size_t i = 0; i < tree.modules.size(); ++i) {
    v1::ModuleInfo* info = out.add_modules();
    info->set_path(tree.modules[i].path);
    info->set_type(tree.modules[i].type);
    info->set_text(tree.modules[i].text);
    info->set_training((*description.training)[i]);
  }
  for (const ModelDescription::BufferRow& b : tree.buffers) {
    v1::BufferInfo* info = out.add_buffers();
    info->set_path(b.path);
    codec::encode_spec(b.path, b.spec, *info->mutable_spec());
    info->set_persistent(b.persistent);
  }
  for (const ModelDescription::ParameterRow& p : tree.parameters) {
    v1::ParameterInfo* info = out.add_parameters();
    info->set_path(p.path);
    codec::encode_spec(p.path, p.spec, *info->mutable_spec());
    info->set_requires_grad(p.requires_grad);
  }
  out.set_text(tree.text);
  return out;
}

}  // namespace

ModelService::ModelService(const Environment& environment, const Backend& backend)
    : RawService(environment, "tapewire.v1.ModelService"), backend_(backend) {
  unary<v1::CreateModelRequest, v1::CreateModelResponse>(
      "CreateModel", [this](const Context& call, auto request, const auto& answer) {
        CreateArgs args{.seed = static_cast<uint64_t>(request.seed()),
                        .validate_only = request.validate_only(),
                        .id = decode_call_id(request.call_id())};
        args.name = std::move(*request.mutable_name());
        args.spec = std::move(*request.mutable_spec());
        call->note("model", args.name);
        const auto waiting = std::make_shared<AdoptedCount>();  // the parsed definition counts until the model is built
        waiting->add(args.spec.SpaceUsedLong());
        args.made = [call] { call->announce("model created"); };
        backend_.models.create(std::move(args), call->cancel(),
                               [call, waiting, answer](absl::StatusOr<std::shared_ptr<LiveModel>> model) {
                                 if (!model.ok()) return answer(model.status());
                                 v1::CreateModelResponse out;
                                 *out.mutable_model() = encode_model(**model, false);  // the client has the definition
                                 call->note("parameters", out.model().parameter_count());
                                 answer(std::move(out));
                               });
      });
  unary<v1::GetModelRequest, v1::GetModelResponse>(
      "GetModel", [this](const Context& call, const auto& request, const auto& answer) {
        const auto model = model_of(call, backend_.models, request.name());
        const AdoptedCount memory = answer_memory(2 * model->spec_bytes());
        v1::GetModelResponse out;
        *out.mutable_model() = encode_model(*model, true);
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
      "DeleteModel", [this](const Context& call, const auto& request, const auto& answer) {
        call->note("model", request.name());
        backend_.models.remove(request.name(), decode_call_id(request.call_id()), [call, answer](bool now) {
          if (now) call->announce("model deleted");
          answer(v1::DeleteModelResponse());
        });
      });
  unary<v1::DescribeModelRequest, v1::DescribeModelResponse>(
      "DescribeModel", [this](const Context& call, const auto& request, const auto& answer) {
        answer(encode(model_of(call, backend_.models, request.name())->description()));
      });
  unary<v1::SetTrainingRequest, v1::SetTrainingResponse>(
      "SetTraining", [this](const Context& call, const auto& request, const auto& answer) {
        const auto model = model_of(call, backend_.models, request.name());
        model->submit_light(
            call->cancel(),
            [request, id = decode_call_id(request.call_id())](ModelState& m) {
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
        model_of(call, backend_.models, request.name())
            ->submit_light(
                call->cancel(),
                [keys = strings(request.keys()), chunk_bytes](ModelState& m) {
                  return chunk_source<v1::ReadStateResponse>(m.read_state(keys), chunk_bytes);
                },
                answer);
      });
  client_stream<v1::WriteStateRequest, v1::WriteStateResponse>(
      "WriteState", [this](const Context& call) { return make_write_state_handler(backend_, call); });
}

}  // namespace tapewire::rpc
