#include "server/rpc/autograd_service.h"

#include <exception>

#include "core/base/error.h"
#include "server/codec/chunks.h"
#include "server/rpc/message.h"
#include "server/rpc/training_calls.h"
#include "tapewire/v1/autograd_service.pb.h"

namespace tapewire::rpc {
namespace {

ForwardArgs decode(v1::ForwardRequest&& request, const Backend& backend) {
  ForwardArgs args;
  args.max_answer_bytes = backend.max_answer_bytes;
  args.inputs = codec::decode_tensors(std::move(*request.mutable_inputs()), "inputs", backend.tensors);
  if (request.has_training()) args.training = request.training();
  args.keep_tape = request.keep_tape();
  if (request.has_lease()) {
    args.lease = std::chrono::ceil<std::chrono::seconds>(decode_duration(request.lease(), "lease"));
    if (!args.keep_tape) fail("lease: only of use with keep_tape");
  }
  args.inputs_require_grad = strings(request.inputs_require_grad());
  if (!args.inputs_require_grad.empty() && !args.keep_tape) fail("inputs_require_grad: only of use with keep_tape");
  args.capture = strings(request.capture());
  if (request.has_seed()) args.seed = static_cast<uint64_t>(request.seed());
  args.detect_anomaly = request.detect_anomaly();
  return args;
}

// A tape that another call let go meanwhile is not told.
template <class Response>
void add_tape(const std::string& id, const TapeStore& tapes, Response& out) {
  if (const std::optional<TapeInfo> info = tapes.find(id)) *out.mutable_tape() = encode_tape(*info);
}

v1::ForwardResponse encode(const ForwardResult& result, const TapeStore& tapes) {
  v1::ForwardResponse out;
  codec::encode_tensors(result.outputs, *out.mutable_outputs());
  codec::encode_tensors(result.captured, *out.mutable_captured());
  if (result.tape) add_tape(result.tape->id, tapes, out);
  out.set_parameter_version(result.parameter_version);
  return out;
}

BackwardArgs decode(v1::BackwardRequest&& request, const Backend& backend) {
  refuse_field(request.create_graph(), "create_graph");
  BackwardArgs args;
  args.max_answer_bytes = backend.max_answer_bytes;
  args.output_grads =
      codec::decode_tensors(std::move(*request.mutable_output_grads()), "output_grads", backend.tensors);
  if (request.has_loss()) args.loss = request.loss();
  args.targets = codec::decode_tensors(std::move(*request.mutable_targets()), "targets", backend.tensors);
  args.retain_tape = request.retain_tape();
  args.return_input_grads = request.return_input_grads();
  args.capture_grads = strings(request.capture_grads());
  args.detect_anomaly = request.detect_anomaly();
  if (request.has_expected_version()) args.expected_version = request.expected_version();
  return args;
}

v1::BackwardResponse encode(const BackwardResult& result) {
  v1::BackwardResponse out;
  codec::encode_tensors(result.input_grads, *out.mutable_input_grads());
  codec::encode_tensors(result.captured_grads, *out.mutable_captured_grads());
  for (const auto& [name, norm] : result.gradient_norms) {
    v1::NamedScalar* scalar = out.add_gradient_norms();
    scalar->set_name(name);
    scalar->set_value(norm);
  }
  *out.mutable_info() = encode_step(result.info);
  return out;
}

GradArgs decode(v1::GradRequest&& request, const Backend& backend) {
  GradArgs args;
  args.max_answer_bytes = backend.max_answer_bytes;
  args.output_grads =
      codec::decode_tensors(std::move(*request.mutable_output_grads()), "output_grads", backend.tensors);
  args.outputs = strings(request.outputs());
  args.wrt = strings(request.wrt());
  args.retain_tape = request.retain_tape();
  args.create_graph = request.create_graph();
  args.allow_unused = request.allow_unused();
  return args;
}

v1::GradResponse encode(const GradResult& result, const TapeStore& tapes) {
  v1::GradResponse out;
  codec::encode_tensors(result.grads, *out.mutable_grads());
  if (result.tape) add_tape(result.tape->id, tapes, out);
  return out;
}

}  // namespace

AutogradService::AutogradService(const Environment& environment, const Backend& backend)
    : RawService(environment, "tapewire.v1.AutogradService"), backend_(backend) {
  bind_tapes();
  bind_gradients();
  bind_steps();
}

void AutogradService::bind_tapes() {
  unary<v1::ForwardRequest, v1::ForwardResponse>(
      "Forward", [this](const Context& call, auto request, const auto& answer) {
        const auto model = model_of(call, backend_.models, request.model());
        ChangeId id = decode_call_id(request.call_id());
        ForwardArgs args = decode(std::move(request), backend_);
        if (!model->reads_snapshot(args)) {
          model->submit(
              call->cancel(),
              [args = std::move(args), id = std::move(id)](ModelState& m) {
                return once<v1::ForwardResponse>(m, id, [&] { return encode(m.forward(args), m.tapes()); });
              },
              answer);
          return;
        }
        model->take_snapshot(call->cancel(),
                             [model, cancel = call->cancel(), args = std::move(args), answer](auto snapshot) {
                               if (!snapshot.ok()) return answer(snapshot.status());
                               model->read(
                                   cancel, *std::move(snapshot),
                                   [model = model.get(), args](SnapshotReader& reader) {
                                     return encode(model->forward(reader, args), model->tapes());
                                   },
                                   answer);
                             });
      });
  unary<v1::BackwardRequest, v1::BackwardResponse>(
      "Backward", [this](const Context& call, auto request, const auto& answer) {
        const auto model = model_of(call, backend_.models, request.model());
        ChangeId id = decode_call_id(request.call_id());
        // Pinned from now on, so that its lease does not run out while the call waits. A call that was made before may
        // come again after its tape went: then only its answer is wanted.
        std::shared_ptr<Tape> tape;
        std::exception_ptr no_tape;
        try {
          tape = model->tapes().pin(request.tape_id());
        } catch (const Error&) {
          if (id.sequence == 0) throw;
          no_tape = std::current_exception();
        }
        BackwardArgs args = decode(std::move(request), backend_);
        args.tape = std::move(tape);
        model->submit(
            call->cancel(),
            [args = std::move(args), no_tape, id = std::move(id)](ModelState& m) {
              return once<v1::BackwardResponse>(m, id, [&] {
                if (no_tape) std::rethrow_exception(no_tape);
                return encode(m.backward(args));
              });
            },
            answer);
      });
  unary<v1::GradRequest, v1::GradResponse>("Grad", [this](const Context& call, auto request, const auto& answer) {
    const auto model = model_of(call, backend_.models, request.model());
    std::shared_ptr<Tape> tape = model->tapes().pin(request.tape_id());
    GradArgs args = decode(std::move(request), backend_);
    args.tape = std::move(tape);
    model->submit(
        call->cancel(), [args = std::move(args)](ModelState& m) { return encode(m.grad(args), m.tapes()); }, answer);
  });
  unary<v1::ListTapesRequest, v1::ListTapesResponse>(
      "ListTapes", [this](const Context& call, const auto& request, const auto& answer) {
        const auto model = model_of(call, backend_.models, request.model());
        const TapeStore& tapes = model->tapes();
        const AdoptedCount memory = answer_memory(tapes.listed_bytes());
        v1::ListTapesResponse out;
        for (const TapeInfo& info : tapes.list()) *out.add_tapes() = encode_tape(info);
        answer(std::move(out));
      });
  unary<v1::ReleaseTapeRequest, v1::ReleaseTapeResponse>(
      "ReleaseTape", [this](const Context& call, const auto& request, const auto& answer) {
        const auto model = model_of(call, backend_.models, request.model());
        model->submit_light(
            call->cancel(),
            [id = request.tape_id()](ModelState& m) {
              m.tapes().release(id);
              return v1::ReleaseTapeResponse();
            },
            answer);
      });
}

void AutogradService::bind_gradients() {
  server_stream<v1::ReadGradientsRequest, v1::ReadGradientsResponse>(
      "ReadGradients", [this](const Context& call, const auto& request, const auto& answer) {
        const int64_t chunk_bytes = codec::decode_chunk_bytes(request.chunk_bytes());
        model_of(call, backend_.models, request.model())
            ->submit_light(
                call->cancel(),
                [globs = strings(request.parameters()), chunk_bytes](ModelState& m) {
                  return chunk_source<v1::ReadGradientsResponse>(m.read_gradients(globs), chunk_bytes);
                },
                answer);
      });
  unary<v1::ZeroGradRequest, v1::ZeroGradResponse>(
      "ZeroGrad", [this](const Context& call, const auto& request, const auto& answer) {
        model_of(call, backend_.models, request.model())
            ->submit_light(
                call->cancel(),
                [id = decode_call_id(request.call_id())](ModelState& m) {
                  return once<v1::ZeroGradResponse>(m, id, [&] {
                    m.zero_grad();
                    return v1::ZeroGradResponse();
                  });
                },
                answer);
      });
}

void AutogradService::bind_steps() {
  unary<v1::StepRequest, v1::StepResponse>(
      "Step", [this](const Context& call, const auto& request, const auto& answer) {
        const auto model = model_of(call, backend_.models, request.model());
        model->submit(
            call->cancel(),
            [args = decode_step(request), id = decode_call_id(request.call_id())](ModelState& m) {
              return once<v1::StepResponse>(m, id, [&] {
                v1::StepResponse out;
                *out.mutable_info() = encode_step(m.step(args));
                return out;
              });
            },
            answer);
      });
  unary<v1::TrainStepRequest, v1::TrainStepResponse>(
      "TrainStep", [this](const Context& call, auto request, const auto& answer) {
        const auto model = model_of(call, backend_.models, request.model());
        submit_train_step(model, call->cancel(), std::move(request), backend_, answer);
      });
  bidi<v1::TrainRequest, v1::TrainResponse>("Train",
                                            [this](const Context& call) { return make_train_handler(backend_, call); });
  client_stream<v1::EvaluateRequest, v1::EvaluateResponse>(
      "Evaluate", [this](const Context& call) { return make_evaluate_handler(backend_, call); });
}

}  // namespace tapewire::rpc
