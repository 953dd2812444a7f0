#include <map>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/exit.h"
#include "client/cli/format.h"
#include "client/cli/session.h"
#include "client/cpp/tensor.h"

namespace tapewire::client {
namespace {

const std::map<std::string, v1::OperatorKind> kKinds{
    {"op", v1::OPERATOR_KIND_OP},
    {"module", v1::OPERATOR_KIND_MODULE},
    {"loss", v1::OPERATOR_KIND_LOSS},
    {"optimizer", v1::OPERATOR_KIND_OPTIMIZER},
    {"scheduler", v1::OPERATOR_KIND_SCHEDULER},
    {"init", v1::OPERATOR_KIND_INIT},
};

std::string kind_name(v1::OperatorKind kind) {
  for (const auto& [name, value] : kKinds) {
    if (value == kind) return name;
  }
  return "?";
}

std::string literal_text(const v1::Literal& literal) {
  switch (literal.kind_case()) {
    case v1::Literal::kBoolValue:
      return literal.bool_value() ? "true" : "false";
    case v1::Literal::kIntValue:
      return absl::StrCat(literal.int_value());
    case v1::Literal::kDoubleValue:
      return number(literal.double_value(), 6);
    case v1::Literal::kStringValue:
      return absl::StrCat("\"", literal.string_value(), "\"");
    case v1::Literal::kInts:
      return absl::StrCat("[", absl::StrJoin(literal.ints().values(), ", "), "]");
    case v1::Literal::kDoubles:
      return absl::StrCat("[", absl::StrJoin(literal.doubles().values(), ", "), "]");
    case v1::Literal::kTensor:
      return absl::StrCat("tensor", shape_text_of(literal.tensor()));
    case v1::Literal::kDtype:
      return dtype_name(literal.dtype());
    case v1::Literal::kList:
      return absl::StrCat("[",
                          absl::StrJoin(literal.list().items(), ", ",
                                        [](std::string* out, const auto& item) { out->append(literal_text(item)); }),
                          "]");
    case v1::Literal::kSymbol:
    case v1::Literal::KIND_NOT_SET:
      return "none";
  }
  return "none";
}

/// "conv2d(input, weight, [bias], stride=1)".
std::string signature(const v1::Operator& op) {
  std::vector<std::string> parts;
  for (const auto& input : op.inputs()) {
    const std::string name = input.list() ? absl::StrCat(input.name(), "...") : input.name();
    parts.push_back(input.optional() ? absl::StrCat("[", name, "]") : name);
  }
  for (const auto& attribute : op.attributes()) {
    parts.push_back(attribute.required()
                        ? attribute.name()
                        : absl::StrCat(attribute.name(), "=", literal_text(attribute.default_value())));
  }
  return absl::StrCat(op.name(), "(", absl::StrJoin(parts, ", "), ")");
}

void print_details(const Session& session, const v1::Operator& op) {
  session.out() << session.console.paint(Colour::kBold, printable(signature(op))) << "  " << kind_name(op.kind())
                << (op.kind() == v1::OPERATOR_KIND_OP && !op.differentiable() ? ", not differentiable" : "") << "\n"
                << printable(op.doc(), true) << "\n";
  if (op.attributes().empty()) return;
  session.out() << '\n';
  Table table({{"attribute"}, {"type"}, {"default"}, {"meaning"}});
  for (const auto& attribute : op.attributes()) {
    table.add({attribute.name(), attribute.type(),
               attribute.required() ? "required" : literal_text(attribute.default_value()), attribute.doc()});
  }
  table.print(session.console);
}

void ops(const Session& session, const std::string& pattern, const std::string& kind) {
  const auto wanted = kind.empty() ? v1::OPERATOR_KIND_UNSPECIFIED : kKinds.at(kind);
  const auto operators = from_server(session.connect().list_operators(wanted, pattern));
  if (session.json) {
    for (const auto& op : operators) session.print(to_json(op));
    return;
  }
  bool exact = false;
  for (const auto& op : operators) {
    if (op.name() != pattern) continue;
    if (exact) session.out() << '\n';
    print_details(session, op);
    exact = true;
  }
  if (exact) return;
  if (operators.empty()) {
    throw Exit(ExitCode::kFailed, absl::StatusCode::kNotFound,
               absl::StrCat("nothing in the catalogue has \"", pattern, "\" in its name"));
  }
  Table table({{"name"}, {"kind"}, {"what it computes"}});
  for (const auto& op : operators)
    table.add({op.name(), kind_name(op.kind()), op.doc().substr(0, op.doc().find('\n'))});
  table.print(session.console);
}

}  // namespace

void add_ops_command(CLI::App& app, Session& session) {
  CLI::App& command = *app.add_subcommand(
      "ops", "The catalogue of ops, modules, losses, optimizers and schedulers that the server has");
  const auto pattern = std::make_shared<std::string>();
  const auto kind = std::make_shared<std::string>();
  command.add_option("PATTERN", *pattern, "Part of a name; a whole name shows its attributes");
  std::vector<std::string> kinds;
  for (const auto& [name, value] : kKinds) kinds.push_back(name);
  command.add_option("--kind", *kind, "Only these")->check(CLI::IsMember(kinds));
  command.callback(
      [&session, pattern, kind] { session.command = [&session, pattern, kind] { ops(session, *pattern, *kind); }; });
}

}  // namespace tapewire::client
