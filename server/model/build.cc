#include "server/model/build.h"

#include <algorithm>
#include <map>
#include <unordered_set>

#include "core/base/cancel.h"
#include "core/base/limit_error.h"
#include "core/base/suggest.h"
#include "core/graph/graph_module.h"
#include "core/nn/init.h"
#include "core/nn/registry.h"
#include "server/model/glob.h"

namespace tapewire {
namespace {

// How a module's fault begins: its path, or "model" for the root, whose path is empty.
std::string place(const std::string& path) { return path.empty() ? "model" : shortened(path); }

// In place of a module that could not be made, so that later faults show, too: it takes children and whatever calls it.
class StandIn final : public Module {
 public:
  std::string_view type() const override { return "Graph"; }
  Value forward(const Args&) override { fail_internal("a module that could not be made was called"); }
};

class TreeBuilder {
 public:
  TreeBuilder(const v1::ModelSpec& spec, const DefinitionLimits& limits, Faults& faults)
      : spec_(spec), limits_(limits), faults_(faults) {}

  std::shared_ptr<Module> build() {
    if (spec_.functions_size() > 0) {
      fail_with(absl::StatusCode::kUnimplemented, "functions[0]: custom Functions are not served by this version");
    }
    if (spec_.modules_size() == 0) {
      faults_.add("modules: a model needs at least its root, whose path is \"\"");
      return nullptr;
    }
    for (int i = 0; i < spec_.modules_size() && !faults_.full(); ++i) {
      check_cancelled();
      add(spec_.modules(i), i);
    }
    const auto root = modules_.find("");
    if (root == modules_.end() || faults_.full() || !join()) return nullptr;
    root->second->name_tree();
    for (const auto& [path, graph] : graphs_) {
      if (faults_.full()) break;
      check_cancelled();
      std::vector<std::string> own;
      graph->compile(own);
      faults_.add_all(str_cat(place(path), ": forward."), own);
    }
    return root->second;
  }

 private:
  void add(const v1::ModuleSpec& m, int index) {
    const std::string where = str_cat("modules[", index, "]");
    const std::string& path = m.path();
    const auto segments = 1 + std::ranges::count(path, '.');
    if (segments > limits_.max_path_segments) {
      faults_.add(
          str_cat(where, ".path ", quoted(path, 40), ": ", segments, " segments; at most ", limits_.max_path_segments));
      return;
    }
    if (path.empty() != (index == 0)) {
      faults_.add(str_cat(where, ": the first module, and only it, is the root with path \"\", got ", quoted(path)));
      if (index != 0) return;
    }
    if (modules_.contains(path)) {
      faults_.add(str_cat(place(path), ": ", where, ": path is given twice"));
      return;
    }
    Module* parent = nullptr;
    if (index != 0 && !find_parent(path, where, parent)) return;
    std::shared_ptr<Module> module = m.same_as().empty() ? make(m) : shared(m, where);
    if (!module) module = std::make_shared<StandIn>();
    modules_[path] = module;
    nodes_.try_emplace(module.get());
    if (parent == nullptr) return;
    nodes_[parent].children.push_back({path, module});
    ++nodes_[module.get()].parents;
    order_.push_back(parent);
  }

  // Registers the children, in the order of the definition. A module may be shared, so the tree is a graph: nothing is
  // registered if it has a cycle, or if a walk that visits each path would be long.
  bool join() {
    std::vector<const Module*> ready;
    for (const auto& [module, node] : nodes_) {
      if (node.parents == 0) ready.push_back(module);
    }
    std::vector<const Module*> sorted;  // parents first
    while (!ready.empty()) {
      const Module* module = ready.back();
      ready.pop_back();
      sorted.push_back(module);
      for (const Child& child : nodes_[module].children) {
        if (--nodes_[child.module.get()].parents == 0) ready.push_back(child.module.get());
      }
    }
    if (sorted.size() < nodes_.size()) {
      faults_.add(str_cat(place(on_a_cycle()), ": same_as makes a module its own descendant"));
      return false;
    }
    for (size_t i = sorted.size(); i-- > 0;) {
      Node& node = nodes_[sorted[i]];
      for (const Child& child : node.children) {
        const Node& below = nodes_[child.module.get()];
        const auto segment = static_cast<int64_t>(child.path.size() - (child.path.rfind('.') + 1));
        node.paths = std::min(node.paths + below.paths, int64_t{limits_.max_paths} + 1);
        node.depth = std::max(node.depth, below.depth + 1);
        node.bytes = std::max(node.bytes, segment + 1 + below.bytes);
      }
      if (node.paths > limits_.max_paths) {
        faults_.add(
            str_cat("modules: with those that same_as repeats, there are more than ", limits_.max_paths, " paths"));
        return false;
      }
      if (node.depth > limits_.max_path_segments + 1) {
        faults_.add(str_cat("modules: with those that same_as repeats, a path has more than ",
                            limits_.max_path_segments, " segments"));
        return false;
      }
      if (node.bytes > limits_.max_path_bytes + 1) {
        faults_.add(str_cat("modules: with those that same_as repeats, a path has more than ", limits_.max_path_bytes,
                            " bytes"));
        return false;
      }
    }
    std::map<const Module*, size_t> next;
    for (Module* parent : order_) {
      check_cancelled();
      if (faults_.full()) return false;
      const Child& child = nodes_[parent].children[next[parent]++];
      try {
        parent->register_module(child.path.substr(child.path.rfind('.') + 1), child.module);
      } catch (const Error& error) {
        faults_.add(str_cat(place(child.path), ": ", error.message()));
      }
    }
    return true;
  }

  std::string on_a_cycle() const {
    for (const auto& [path, module] : modules_) {
      if (nodes_.at(module.get()).parents > 0) return path;
    }
    return "";
  }

  bool find_parent(const std::string& path, const std::string& where, Module*& parent) {
    const size_t dot = path.rfind('.');
    const std::string parent_path = dot == std::string::npos ? "" : path.substr(0, dot);
    const auto found = modules_.find(parent_path);
    if (found == modules_.end()) {
      faults_.add(str_cat(where, " ", quoted(path), ": its parent ", quoted(parent_path), " is not listed before it"));
      return false;
    }
    const std::string_view type = found->second->type();
    const ModuleDef* def = find_module(type);
    if (type != "Graph" && (def == nullptr || !def->container)) {
      faults_.add(str_cat(place(path), ": its parent is a ", type, ", which takes no children"));
      return false;
    }
    parent = found->second.get();
    return true;
  }

  std::shared_ptr<Module> shared(const v1::ModuleSpec& m, const std::string& where) {
    if (!m.type().empty() || m.attributes_size() > 0 || m.parameters_size() > 0 || m.buffers_size() > 0 ||
        m.has_forward()) {
      faults_.add(
          str_cat(place(m.path()), ": ", where, ": same_as stands alone; type, attributes and the rest stay empty"));
    }
    const auto found = modules_.find(m.same_as());
    if (found == modules_.end()) {
      faults_.add(str_cat(place(m.path()), ": same_as ", quoted(m.same_as()), " names no earlier module"));
      return nullptr;
    }
    return found->second;
  }

  std::shared_ptr<Module> make(const v1::ModuleSpec& m) {
    const std::string at = place(m.path());
    const size_t before = faults_.size();
    const AttributeMap attributes = to_attributes(m.attributes(), limits_, at, faults_);
    if (m.type() == "Graph") return make_graph(m, attributes);
    if (m.parameters_size() > 0 || m.buffers_size() > 0 || m.has_forward()) {
      faults_.add(str_cat(at, ": parameters, buffers and forward are of a Graph only, this is a ", quoted(m.type())));
    }
    try {
      const ModuleDef* known = find_module(m.type());
      const ModuleDef& def = known != nullptr ? *known : require_module(m.type(), ModuleKind::kModule);
      if (faults_.size() > before) return nullptr;
      std::vector<std::string> own;
      std::shared_ptr<Module> module = def.make(attributes, own);
      faults_.add_all(str_cat(at, ": ", def.name, ": "), own);
      return module;
    } catch (const Error& error) {
      if (error.code() != absl::StatusCode::kInvalidArgument) throw_within(error, at);
      faults_.add(str_cat(at, ": ", error.message()));
      return nullptr;
    }
  }

  std::shared_ptr<Module> make_graph(const v1::ModuleSpec& m, const AttributeMap& attributes) {
    const std::string at = place(m.path());
    if (!attributes.empty())
      faults_.add(str_cat(at, ": a Graph has no attributes, got ", quoted(attributes.begin()->first)));
    if (!m.has_forward()) faults_.add(str_cat(at, ": a Graph needs a forward"));
    auto graph = std::make_shared<GraphModule>(to_graph(m.forward(), limits_, str_cat(at, ": forward"), faults_));
    for (int i = 0; i < m.parameters_size() && !faults_.full(); ++i) {
      check_cancelled();
      add_parameter(*graph, m.path(), m.parameters(i));
    }
    for (int i = 0; i < m.buffers_size() && !faults_.full(); ++i) {
      check_cancelled();
      add_buffer(*graph, m.path(), m.buffers(i));
    }
    graphs_.emplace_back(m.path(), graph);
    return graph;
  }

  void add_parameter(Module& module, const std::string& path, const v1::ParameterSpec& p) {
    const std::string full = path.empty() ? p.name() : str_cat(path, ".", p.name());
    try {
      Tensor tensor;
      if (!p.same_as().empty()) {
        if (p.dtype() != v1::DATA_TYPE_UNSPECIFIED || p.shape_size() > 0 || p.has_init() || p.frozen()) {
          fail("same_as stands alone; dtype, shape, init and frozen stay empty");
        }
        tensor = earlier_parameter(p.same_as());
        if (!tensor.defined()) fail("same_as ", quoted(p.same_as()), " names no earlier parameter");
        module.register_parameter(p.name(), tensor, tensor.requires_grad());
      } else {
        tensor = initial(p.dtype(), p.shape(), p.has_init() ? &p.init() : nullptr, full);
        if (!is_floating(tensor.dtype())) fail("a parameter must be float32 or float64, got ", name_of(tensor.dtype()));
        module.register_parameter(p.name(), tensor, !p.frozen());
      }
      parameters_[full] = tensor;
    } catch (const Error& error) {
      if (error.code() != absl::StatusCode::kInvalidArgument) throw_within(error, full);
      faults_.add(str_cat(place(full), ": ", error.message()));
    }
  }

  Tensor earlier_parameter(const std::string& path) const {
    if (const auto found = parameters_.find(path); found != parameters_.end()) return found->second;
    const size_t dot = path.rfind('.');
    const auto owner = modules_.find(dot == std::string::npos ? "" : path.substr(0, dot));
    if (owner == modules_.end()) return {};
    for (const NamedTensor& p : owner->second->own_parameters()) {
      if (p.name == path.substr(dot + 1)) return p.tensor;
    }
    return {};
  }

  void add_buffer(Module& module, const std::string& path, const v1::BufferSpec& b) {
    const std::string full = path.empty() ? b.name() : str_cat(path, ".", b.name());
    try {
      module.register_buffer(b.name(), initial(b.dtype(), b.shape(), b.has_init() ? &b.init() : nullptr, full),
                             !b.transient());
    } catch (const Error& error) {
      if (error.code() != absl::StatusCode::kInvalidArgument) throw_within(error, full);
      faults_.add(str_cat(place(full), ": ", error.message()));
    }
  }

  // A tensor of that dtype and shape, initialised: by value, by type, or zeros.
  Tensor initial(v1::DataType type, const google::protobuf::RepeatedField<int64_t>& shape, const v1::InitSpec* init,
                 const std::string& at) {
    Faults own;
    const DType dtype = type == v1::DATA_TYPE_UNSPECIFIED ? DType::kFloat32 : dtype_of(type, "dtype", own);
    own.throw_if_any();
    const Shape sizes(shape.begin(), shape.end());
    if (numel_of(sizes) > limits_.max_tensor_bytes / static_cast<int64_t>(size_of(dtype))) {
      fail_limit("max_tensor_bytes", at, ": ", name_of(dtype), to_string(sizes), " is over the limit of ",
                 limits_.max_tensor_bytes, " bytes a tensor (--max_tensor_bytes)");
    }
    if (init != nullptr && init->has_value()) {
      if (!init->type().empty() || init->attributes_size() > 0) fail("init: a rule or a tensor, not both");
      v1::Literal literal;
      *literal.mutable_tensor() = init->value();
      const Value value = to_value(literal, limits_, "init.value", own);
      own.throw_if_any();
      if (value.tensor().sizes() != sizes || value.tensor().dtype() != dtype) {
        fail("init.value: expected ", name_of(dtype), to_string(sizes), ", got ", to_string(value.tensor().spec()));
      }
      return value.tensor();
    }
    Tensor tensor = Tensor::zeros(sizes, dtype);
    if (init != nullptr) {
      const AttributeMap attributes = to_attributes(init->attributes(), limits_, "init", own);
      own.throw_if_any();
      std::vector<std::string> wrong;
      require_init(init->type()).apply(attributes, tensor, wrong);
      faults_.add_all(str_cat(place(at), ": init ", quoted(init->type()), ": "), wrong);
    }
    return tensor;
  }

  struct Child {
    std::string path;
    std::shared_ptr<Module> module;
  };
  // A module among those that hold it and that it holds.
  struct Node {
    std::vector<Child> children;
    int parents = 0;
    int64_t paths = 1;  // of it and all below it
    int64_t depth = 1;  // modules on the longest of them
    int64_t bytes = 0;  // of the longest of them, each segment with a dot
  };

  const v1::ModelSpec& spec_;
  const DefinitionLimits& limits_;
  Faults& faults_;
  std::map<const Module*, Node> nodes_;
  std::vector<Module*> order_;  // the parent of each child, in the order of the definition
  std::map<std::string, std::shared_ptr<Module>, std::less<>> modules_;
  std::map<std::string, Tensor, std::less<>> parameters_;
  std::vector<std::pair<std::string, std::shared_ptr<GraphModule>>> graphs_;
};

std::vector<PortSpec> read_ports(const google::protobuf::RepeatedPtrField<v1::TensorSpec>& specs,
                                 const std::string& what, Faults& faults) {
  std::vector<PortSpec> out;
  std::unordered_set<std::string> names;
  for (int i = 0; i < specs.size() && !faults.full(); ++i) {
    const std::string at = str_cat(what, "s[", i, "]");
    PortSpec port{specs[i].name(), {}, Shape(specs[i].shape().begin(), specs[i].shape().end())};
    if (port.name.empty()) port.name = i == 0 ? what : str_cat(what, "_", i);
    if (!names.insert(port.name).second) {
      faults.add(str_cat(at, ": name ", quoted(port.name), " is given twice"));
    }
    if (specs[i].dtype() != v1::DATA_TYPE_UNSPECIFIED) {
      port.dtype = dtype_of(specs[i].dtype(), str_cat(at, ".dtype"), faults);
    }
    if (static_cast<int64_t>(port.shape.size()) > kMaxDims)
      faults.add(str_cat(at, ": ", port.shape.size(), " dimensions; at most ", kMaxDims));
    for (const int64_t size : port.shape) {
      if (size < -1) faults.add(str_cat(at, ": size ", size, " in its shape; -1 stands for any"));
    }
    out.push_back(std::move(port));
  }
  return out;
}

// The groups of an optimizer, whose parameters are given by name or by glob.
class GroupReader {
 public:
  GroupReader(const std::vector<NamedTensor>& all, const DefinitionLimits& limits, Faults& faults)
      : all_(all), limits_(limits), faults_(faults), matcher_(all), taken_(all.size()) {}

  std::vector<ParameterGroupSpec> read(const v1::OptimizerSpec& spec) {
    std::vector<ParameterGroupSpec> groups;
    for (int i = 0; i < spec.groups_size() && !faults_.full(); ++i) {
      check_cancelled();
      const std::string at = str_cat("optimizer.groups[", i, "]");
      ParameterGroupSpec group;
      group.overrides = to_attributes(spec.groups(i).attributes(), limits_, at, faults_);
      for (const std::string& pattern : spec.groups(i).parameters()) {
        if (faults_.full()) break;
        add(pattern, at, group);
      }
      groups.push_back(std::move(group));
    }
    ParameterGroupSpec rest;
    for (size_t i = 0; i < all_.size(); ++i) {
      if (!taken_[i]) rest.parameters.push_back(all_[i]);
    }
    if (!rest.parameters.empty() || groups.empty()) groups.insert(groups.begin(), std::move(rest));
    return groups;
  }

 private:
  void add(const std::string& pattern, const std::string& at, ParameterGroupSpec& group) {
    if (is_glob(pattern) && ++globs_ > kMaxGlobs) {
      fail("optimizer.groups: more than ", kMaxGlobs, " globs; name parameters, or use fewer");
    }
    bool matched = false;
    matcher_.match(pattern, [&](size_t i) {
      matched = true;
      if (!taken_[i]) {
        taken_[i] = true;
        group.parameters.push_back(all_[i]);
      } else if (!faults_.full()) {
        faults_.add(str_cat(at, ": parameter ", quoted(all_[i].name), " appears in more than one parameter group"));
      }
    });
    if (!matched) faults_.add(str_cat(at, ": ", quoted(pattern), " matches no parameter"));
  }

  const std::vector<NamedTensor>& all_;
  const DefinitionLimits& limits_;
  Faults& faults_;
  GlobMatcher matcher_;
  std::vector<bool> taken_;
  int globs_ = 0;
};

void build_optimizer(const v1::OptimizerSpec& spec, const DefinitionLimits& limits, ModelParts& parts, Faults& faults) {
  const std::vector<NamedTensor> all = parts.root->named_parameters();
  std::vector<ParameterGroupSpec> groups = GroupReader(all, limits, faults).read(spec);
  if (faults.full()) return;
  const AttributeMap defaults = to_attributes(spec.attributes(), limits, "optimizer", faults);
  const OptimizerDef& def = require_optimizer(spec.type());
  std::vector<std::string> own;
  parts.optimizer = def.make(std::move(groups), defaults, own);
  faults.add_all(str_cat("optimizer: ", def.name, ": "), own);
}

// For a tree that has faults: those of the optimizer's type and attributes, by a parameter of its own.
void check_optimizer(const v1::OptimizerSpec& spec, const DefinitionLimits& limits, Faults& faults) {
  const AttributeMap defaults = to_attributes(spec.attributes(), limits, "optimizer", faults);
  const OptimizerDef& def = require_optimizer(spec.type());
  std::vector<std::string> own;
  def.make({{.parameters = {{"", Tensor::zeros({1})}}}}, defaults, own);
  faults.add_all(str_cat("optimizer: ", def.name, ": "), own);
}

SchedulerSpec read_scheduler(const v1::SchedulerSpec& spec, const DefinitionLimits& limits, const std::string& path,
                             Faults& faults) {
  SchedulerSpec out{spec.type(), to_attributes(spec.attributes(), limits, path, faults), {}};
  for (int i = 0; i < spec.schedulers_size() && !faults.full(); ++i) {
    check_cancelled();
    const std::string at = str_cat(path, ".schedulers[", i, "]");
    if (spec.schedulers(i).by_epoch()) faults.add(str_cat(at, ".by_epoch: belongs to the outermost schedule"));
    out.schedulers.push_back(read_scheduler(spec.schedulers(i), limits, at, faults));
  }
  return out;
}

// Adds what `build` throws as a fault, behind `at` if that is not empty, if the definition is to blame.
template <class Build>
void collecting(const std::string& at, Faults& faults, Build&& build) {
  try {
    build();
  } catch (const Error& error) {
    if (error.code() != absl::StatusCode::kInvalidArgument) {
      if (at.empty()) throw;
      throw_within(error, at);
    }
    faults.add(at.empty() ? error.message() : str_cat(at, ": ", error.message()));
  }
}

void build_scheduler(const v1::SchedulerSpec& spec, const DefinitionLimits& limits, ModelParts& parts, Faults& faults) {
  const size_t before = faults.size();
  const SchedulerSpec read = read_scheduler(spec, limits, "scheduler", faults);
  if (!parts.optimizer) {  // it has faults of its own; those of the schedule's options wait for it
    collecting("scheduler", faults, [&] { require_scheduler(spec.type()); });
  } else if (faults.size() == before) {
    std::vector<std::string> own;
    parts.scheduler = make_scheduler(*parts.optimizer, read, "scheduler", own);
    faults.add_all("", own);
  }
}

}  // namespace

bool PortSpec::fits(const Tensor& x) const {
  if ((dtype && *dtype != x.dtype()) || shape.size() != x.sizes().size()) return false;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] != -1 && shape[d] != x.sizes()[d]) return false;
  }
  return true;
}

std::string PortSpec::to_string() const {
  return str_cat(dtype ? name_of(*dtype) : "any type", tapewire::to_string(shape));
}

std::shared_ptr<Module> build_modules(const v1::ModelSpec& spec, const DefinitionLimits& limits) {
  Faults faults;
  std::shared_ptr<Module> root = TreeBuilder(spec, limits, faults).build();
  faults.throw_if_any();
  return root;
}

ModelParts build_model(const v1::ModelSpec& spec, const DefinitionLimits& limits) {
  ModelParts parts;
  Faults faults;
  parts.root = TreeBuilder(spec, limits, faults).build();
  parts.inputs = read_ports(spec.inputs(), "input", faults);
  parts.outputs = read_ports(spec.outputs(), "output", faults);
  if (spec.has_loss()) {
    collecting("", faults, [&] { parts.loss = build_loss(spec.loss(), limits, "loss"); });
  }
  if (spec.has_optimizer()) {
    const bool whole = parts.root && faults.empty();
    collecting("optimizer", faults, [&] {
      whole ? build_optimizer(spec.optimizer(), limits, parts, faults)
            : check_optimizer(spec.optimizer(), limits, faults);
    });
  }
  if (spec.has_scheduler()) {
    if (!spec.has_optimizer()) faults.add("scheduler: needs an optimizer");
    parts.scheduler_by_epoch = spec.scheduler().by_epoch();
    build_scheduler(spec.scheduler(), limits, parts, faults);
  }
  const v1::RuntimeSpec& runtime = spec.runtime();
  parts.compute_threads = runtime.compute_threads();
  if (parts.compute_threads < 0 || parts.compute_threads > 1024) {
    faults.add(str_cat("runtime.compute_threads: must be between 0 (the server's default) and 1024, got ",
                       parts.compute_threads));
  }
  if (runtime.on_nonfinite() != v1::NON_FINITE_UNSPECIFIED) parts.on_nonfinite = runtime.on_nonfinite();
  if (!v1::NonFinite_IsValid(parts.on_nonfinite)) faults.add("runtime.on_nonfinite: unknown value");
  faults.throw_if_any();
  return parts;
}

}  // namespace tapewire
