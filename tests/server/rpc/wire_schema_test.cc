#include "server/rpc/wire_schema.h"

#include <set>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "google/protobuf/message.h"
#include "server/codec/field_limits.h"
#include "tapewire/v1/autograd_service.pb.h"
#include "tapewire/v1/hook_service.pb.h"
#include "tapewire/v1/model_service.pb.h"
#include "tapewire/v1/server_service.pb.h"

namespace tapewire::rpc {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

std::vector<const Descriptor*> requests() {
  std::vector<const Descriptor*> out;
  for (const auto* file : {v1::ModelSpec::descriptor()->file(), v1::CreateModelRequest::descriptor()->file(),
                           v1::ForwardRequest::descriptor()->file(), v1::RegisterHookRequest::descriptor()->file(),
                           v1::GetServerInfoRequest::descriptor()->file()}) {
    for (int s = 0; s < file->service_count(); ++s) {
      for (int m = 0; m < file->service(s)->method_count(); ++m)
        out.push_back(file->service(s)->method(m)->input_type());
    }
  }
  return out;
}

// Messages that stand for nothing but numbers.
bool is_bounded(const Descriptor& type) {
  return type.full_name() == "google.protobuf.Timestamp" || type.full_name() == "google.protobuf.Duration";
}

class Walk {
 public:
  void visit(const Descriptor& type) {
    if (!seen_.insert(&type).second || is_bounded(type)) return;
    around_.push_back(&type);
    for (int i = 0; i < type.field_count(); ++i) check(*type.field(i));
    around_.pop_back();
  }
  std::vector<std::string> missing;

 private:
  void check(const FieldDescriptor& field) {
    const v1::FieldLimits& limits = codec::limits_of(field);
    const auto expect = [&](int32_t limit, const char* what) {
      if (limit <= 0) missing.push_back(field.full_name() + ": " + what);
    };
    const bool key = field.containing_type()->options().map_entry();
    if (field.is_repeated()) expect(limits.max_items(), "max_items");
    if (field.is_map()) expect(limits.max_bytes(), "max_bytes");
    if (field.type() == FieldDescriptor::TYPE_STRING && !key) expect(limits.max_bytes(), "max_bytes");
    if (field.type() != FieldDescriptor::TYPE_MESSAGE) return;
    const Descriptor& type = *field.message_type();
    const bool foreign = type.file()->package() != "tapewire.v1" && !is_bounded(type);
    if (foreign) {
      expect(limits.max_bytes(), "max_bytes");
      return;
    }
    for (const Descriptor* outer : around_) {
      if (outer == &type) expect(limits.max_depth(), "max_depth");
    }
    visit(type);
  }

  std::set<const Descriptor*> seen_;
  std::vector<const Descriptor*> around_;
};

TEST(WireSchemaTest, EveryTextListAndMapOfARequestHasALimit) {
  Walk walk;
  ASSERT_GT(requests().size(), 30u);
  for (const Descriptor* request : requests()) walk.visit(*request);
  EXPECT_THAT(walk.missing, testing::IsEmpty());
}

TEST(WireSchemaTest, KnowsFieldsByNumber) {
  const WireSchema& schema = wire_schema(*v1::ModelSpec::descriptor());
  ASSERT_NE(schema.find(1), nullptr);
  EXPECT_EQ(schema.find(1)->descriptor->name(), "modules");
  EXPECT_EQ(schema.find(1)->max_items, 20'000);
  EXPECT_EQ(schema.find(1)->message, &wire_schema(*v1::ModuleSpec::descriptor()));
  EXPECT_EQ(schema.find(0), nullptr);
  EXPECT_EQ(schema.find(1000), nullptr);
}

}  // namespace
}  // namespace tapewire::rpc
