#include "server/rpc/reflection_service.h"

#include <set>
#include <utility>

#include "core/base/strings.h"
#include "core/base/suggest.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"
#include "grpc/reflection/v1/reflection.pb.h"
#include "grpc/reflection/v1alpha/reflection.pb.h"
#include "grpcpp/support/status_code_enum.h"

namespace tapewire::rpc {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;

// Far above any name of a file, symbol or host.
constexpr size_t kMaxNameBytes = 1024;

const DescriptorPool& pool() { return *DescriptorPool::generated_pool(); }

absl::Status name_fault(std::string_view field, const std::string& name) {
  if (name.size() <= kMaxNameBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(
      str_cat(field, ": expects at most ", kMaxNameBytes, " bytes, got ", name.size(), " bytes"));
}

// `file` and all that it imports, each once.
template <class Files>
void add_files(const FileDescriptor& file, std::set<const FileDescriptor*>& seen, Files& out) {
  if (!seen.insert(&file).second) return;
  google::protobuf::FileDescriptorProto proto;
  file.CopyTo(&proto);
  out.add_file_descriptor_proto(proto.SerializeAsString());
  for (int i = 0; i < file.dependency_count(); ++i) add_files(*file.dependency(i), seen, out);
}

template <class Response>
void not_found(std::string_view what, const std::string& name, Response& response) {
  response.mutable_error_response()->set_error_code(static_cast<int>(grpc::StatusCode::NOT_FOUND));
  response.mutable_error_response()->set_error_message(str_cat("no ", what, " ", quoted(name)));
}

template <class Response>
void answer_file(const FileDescriptor* file, std::string_view what, const std::string& name, Response& response) {
  if (file == nullptr) return not_found(what, name, response);
  std::set<const FileDescriptor*> seen;
  add_files(*file, seen, *response.mutable_file_descriptor_response());
}

// The messages of v1 and v1alpha have the same fields.
template <class Request, class Response>
class ReflectionStream final : public BidiHandler<Request, Response> {
 public:
  explicit ReflectionStream(const std::vector<std::string>& services) : services_(services) {}

  void message(Request request, Answer<Response> answer) override {
    for (const absl::Status& fault :
         {name_fault("host", request.host()), name_fault("file_by_filename", request.file_by_filename()),
          name_fault("file_containing_symbol", request.file_containing_symbol()),
          name_fault("file_containing_extension.containing_type",
                     request.file_containing_extension().containing_type()),
          name_fault("all_extension_numbers_of_type", request.all_extension_numbers_of_type()),
          name_fault("list_services", request.list_services())}) {
      if (!fault.ok()) return answer(fault);
    }
    Response response;
    respond(request, response);
    response.set_valid_host(request.host());
    *response.mutable_original_request() = std::move(request);
    answer(std::move(response));
  }

 private:
  void respond(const Request& request, Response& response) const {
    switch (request.message_request_case()) {
      case Request::kFileByFilename:
        return answer_file(pool().FindFileByName(request.file_by_filename()), "file", request.file_by_filename(),
                           response);
      case Request::kFileContainingSymbol:
        return answer_file(pool().FindFileContainingSymbol(request.file_containing_symbol()), "symbol",
                           request.file_containing_symbol(), response);
      case Request::kFileContainingExtension:
        return answer_extension(request.file_containing_extension(), response);
      case Request::kAllExtensionNumbersOfType:
        return answer_numbers(request.all_extension_numbers_of_type(), response);
      case Request::kListServices:
        for (const std::string& name : services_)
          response.mutable_list_services_response()->add_service()->set_name(name);
        return;
      case Request::MESSAGE_REQUEST_NOT_SET:
        break;
    }
    response.mutable_error_response()->set_error_code(static_cast<int>(grpc::StatusCode::INVALID_ARGUMENT));
    response.mutable_error_response()->set_error_message("message_request: is not set, or of a kind that is not known");
  }

  template <class Extension>
  static void answer_extension(const Extension& wanted, Response& response) {
    const Descriptor* type = pool().FindMessageTypeByName(wanted.containing_type());
    const FieldDescriptor* extension =
        type == nullptr ? nullptr : pool().FindExtensionByNumber(type, wanted.extension_number());
    answer_file(extension == nullptr ? nullptr : extension->file(),
                str_cat("extension ", wanted.extension_number(), " of"), wanted.containing_type(), response);
  }

  static void answer_numbers(const std::string& name, Response& response) {
    const Descriptor* type = pool().FindMessageTypeByName(name);
    if (type == nullptr) return not_found("message", name, response);
    std::vector<const FieldDescriptor*> extensions;
    pool().FindAllExtensions(type, &extensions);
    response.mutable_all_extension_numbers_response()->set_base_type_name(name);
    for (const FieldDescriptor* extension : extensions) {
      response.mutable_all_extension_numbers_response()->add_extension_number(extension->number());
    }
  }

  const std::vector<std::string>& services_;
};

template <class Request, class Response>
class ReflectionService final : public RawService {
 public:
  ReflectionService(const Environment& environment, const std::string& name, std::vector<std::string> services)
      : RawService(environment, name), services_(std::move(services)) {
    bidi<Request, Response>(
        "ServerReflectionInfo",
        [this](const Context&) { return std::make_unique<ReflectionStream<Request, Response>>(services_); },
        /*background=*/true);
  }

 private:
  const std::vector<std::string> services_;
};

}  // namespace

std::vector<std::unique_ptr<RawService>> make_reflection_services(const Environment& environment,
                                                                  std::vector<std::string> services) {
  namespace v1 = ::grpc::reflection::v1;
  namespace v1alpha = ::grpc::reflection::v1alpha;
  const std::string name = "grpc.reflection.v1.ServerReflection";
  const std::string alpha_name = "grpc.reflection.v1alpha.ServerReflection";
  services.insert(services.end(), {name, alpha_name});
  std::vector<std::unique_ptr<RawService>> out;
  out.push_back(std::make_unique<ReflectionService<v1::ServerReflectionRequest, v1::ServerReflectionResponse>>(
      environment, name, services));
  out.push_back(
      std::make_unique<ReflectionService<v1alpha::ServerReflectionRequest, v1alpha::ServerReflectionResponse>>(
          environment, alpha_name, services));
  return out;
}

}  // namespace tapewire::rpc
