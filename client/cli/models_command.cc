#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/checks.h"
#include "client/cli/exit.h"
#include "client/cli/format.h"
#include "client/cli/session.h"
#include "client/cpp/definition.h"
#include "client/cpp/tensor.h"

namespace tapewire::client {
namespace {

struct CreateArgs {
  std::string name;
  std::string file;
  int64_t seed = 0;
  bool validate_only = false;
};

void create(const Session& session, const CreateArgs& args) {
  const v1::ModelSpec spec = from_file(read_definition(args.file));
  const Client client = session.connect();
  const v1::Model model =
      from_server(client.create_model(args.name, spec, {.seed = args.seed, .validate_only = args.validate_only}));
  if (session.json) {
    Json json = to_json(model);
    json.erase("spec");
    session.print(json);
    return;
  }
  session.out() << (args.validate_only ? "valid " : "created ") << session.console.paint(Colour::kBold, args.name)
                << ": " << with_thousands(model.parameter_count()) << " parameters ("
                << bytes_text(model.parameter_bytes()) << ")\n";
}

void list(const Session& session) {
  const auto models = from_server(session.connect().list_models());
  if (session.json) {
    for (const auto& model : models) {
      Json json = to_json(model);
      json.erase("spec");
      session.print(json);
    }
    return;
  }
  if (models.empty()) {
    session.out() << "no models\n";
    return;
  }
  Table table({{"model"},
               {"mode"},
               {"step", Align::kRight},
               {"parameters", Align::kRight},
               {"size", Align::kRight},
               {"created (UTC)"}});
  for (const auto& model : models) {
    table.add({model.name(), model.training() ? "train" : "eval", with_thousands(model.step()),
               with_thousands(model.parameter_count()), bytes_text(model.parameter_bytes()),
               model.has_create_time() ? time_text(model.create_time().seconds()) : "-"});
  }
  table.print(session.console);
}

void show(const Session& session, const std::string& name, bool definition) {
  const Client client = session.connect();
  const v1::Model model = from_server(client.get_model(name));
  if (definition) {
    session.out() << (session.json ? definition_json(model.spec()) + "\n" : definition_text(model.spec()));
    return;
  }
  const v1::DescribeModelResponse description = from_server(client.describe_model(name));
  if (session.json) {
    session.print({{"model", to_json(model)}, {"description", to_json(description)}});
    return;
  }
  session.out() << session.console.paint(Colour::kBold, model.name()) << "  " << (model.training() ? "train" : "eval")
                << " mode, step " << with_thousands(model.step()) << ", " << with_thousands(model.parameter_count())
                << " parameters (" << bytes_text(model.parameter_bytes()) << ")\n\n"
                << printable(description.text(), true) << "\n\n";
  Table table({{"parameter"}, {"shape"}, {"dtype"}, {"trained"}});
  for (const auto& parameter : description.parameters()) {
    table.add({parameter.path(), shape_text_of(parameter.spec()), dtype_name(parameter.spec().dtype()),
               parameter.requires_grad() ? "yes" : "frozen"});
  }
  table.print(session.console);
  if (description.buffers().empty()) return;
  session.out() << '\n';
  Table buffers({{"buffer"}, {"shape"}, {"dtype"}, {"saved"}});
  for (const auto& buffer : description.buffers()) {
    buffers.add({buffer.path(), shape_text_of(buffer.spec()), dtype_name(buffer.spec().dtype()),
                 buffer.persistent() ? "yes" : "no"});
  }
  buffers.print(session.console);
}

void remove(const Session& session, const std::vector<std::string>& names) {
  const Client client = session.connect();
  for (const auto& name : names) {
    from_server(client.delete_model(name));
    if (session.json) {
      session.print({{"deleted", name}});
    } else {
      session.out() << "deleted " << name << '\n';
    }
  }
}

}  // namespace

void add_models_command(CLI::App& app, Session& session) {
  CLI::App& models = *app.add_subcommand("models", "Create, list, show and delete models");
  models.require_subcommand(1);

  CLI::App& creating = *models.add_subcommand("create", "Build a model from a definition file");
  const auto args = std::make_shared<CreateArgs>();
  creating.add_option("NAME", args->name, "Name of the model: [a-z0-9][a-z0-9_.-]*")->required();
  creating.add_option("-f,--file", args->file, "Definition: protobuf text (.txtpb) or JSON of a ModelSpec")->required();
  creating.add_option("--seed", args->seed, "Of the parameters' and the model's random numbers")
      ->check(whole(std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()).name("NUMBER"))
      ->capture_default_str();
  creating.add_flag("--validate-only", args->validate_only, "Check the definition, build nothing");
  creating.callback([&session, args] { session.command = [&session, args] { create(session, *args); }; });

  CLI::App& listing = *models.add_subcommand("list", "One line a model");
  listing.callback([&session] { session.command = [&session] { list(session); }; });

  CLI::App& showing = *models.add_subcommand("show", "Modules, parameters and state of a model");
  const auto name = std::make_shared<std::string>();
  const auto definition = std::make_shared<bool>(false);
  showing.add_option("NAME", *name, "The model")->required();
  showing.add_flag("--definition", *definition, "Print its definition, as 'models create -f' reads it");
  showing.callback([&session, name, definition] {
    session.command = [&session, name, definition] { show(session, *name, *definition); };
  });

  CLI::App& deleting = *models.add_subcommand("delete", "Delete models");
  const auto names = std::make_shared<std::vector<std::string>>();
  deleting.add_option("NAME", *names, "The models")->required();
  deleting.callback([&session, names] { session.command = [&session, names] { remove(session, *names); }; });
}

}  // namespace tapewire::client
