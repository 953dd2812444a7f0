#include "core/ops/einsum.h"

#include <algorithm>
#include <map>
#include <optional>
#include <vector>

#include "core/base/error.h"
#include "core/ops/arithmetic.h"
#include "core/ops/op.h"
#include "core/ops/product.h"
#include "core/ops/reduction.h"
#include "core/ops/registry.h"
#include "core/ops/shape_ops.h"
#include "core/ops/slicing.h"

namespace tapewire {
namespace {

// A dimension of the whole sum: letters are 0 to 51, upper case first; the i-th last one of an ellipsis is 52 + i.
using Label = int;
using Labels = std::vector<Label>;
constexpr Label kLetters = 52;
constexpr Label kEllipsis = -1;  // in a parsed term: stands for as many dimensions as there are

std::optional<Label> letter_label(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  return std::nullopt;
}

std::string name_of_label(Label label) {
  if (label >= kLetters) return "of the ellipsis";
  return std::string(1, static_cast<char>(label < 26 ? 'A' + label : 'a' + label - 26));
}

// The subscripts of one term: letters and at most one kEllipsis. `whose` is how errors call it.
Labels parse_term(std::string_view equation, size_t begin, size_t end, const std::string& whose) {
  Labels out;
  for (size_t i = begin; i < end; ++i) {
    const char c = equation[i];
    if (c == ' ') continue;
    if (c == '.') {
      if (std::ranges::find(out, kEllipsis) != out.end()) {
        fail("einsum(): found '.' for ", whose, " for which an ellipsis was already found");
      }
      if (i + 2 >= end || equation[i + 1] != '.' || equation[i + 2] != '.') {
        fail("einsum(): found '.' for ", whose, " that is not part of any ellipsis");
      }
      i += 2;
      out.push_back(kEllipsis);
      continue;
    }
    const auto label = letter_label(c);
    if (!label) {
      fail("einsum(): invalid subscript given at index ", i, " in the equation string, subscripts must be in [a-zA-Z]");
    }
    out.push_back(*label);
  }
  return out;
}

struct Equation {
  std::vector<Labels> operands;
  std::optional<Labels> output;
};

Equation parse(std::string_view equation, size_t operand_count) {
  Equation out;
  const size_t arrow = equation.find("->");
  const size_t end = std::min(arrow, equation.size());
  size_t begin = 0;
  while (true) {
    const size_t comma = std::min(equation.find(',', begin), end);
    if (out.operands.size() == operand_count) {
      fail("einsum(): fewer operands were provided than specified in the equation");
    }
    out.operands.push_back(parse_term(equation, begin, comma, str_cat("operand ", out.operands.size())));
    if (comma == end) break;
    begin = comma + 1;
  }
  if (out.operands.size() < operand_count) {
    fail("einsum(): more operands were provided than specified in the equation");
  }
  if (arrow != std::string_view::npos) out.output = parse_term(equation, arrow + 2, equation.size(), "output");
  return out;
}

// Each ellipsis replaced by labels for the dimensions it stands for, the same from the last on in all terms.
Labels spelled_out(const Labels& term, size_t dims) {
  Labels out;
  for (const Label label : term) {
    if (label != kEllipsis) {
      out.push_back(label);
      continue;
    }
    for (size_t i = dims; i-- > 0;) out.push_back(kLetters + static_cast<Label>(i));
  }
  return out;
}

struct Term {
  Tensor tensor;
  Labels labels;  // of its dimensions

  bool has(Label label) const { return std::ranges::find(labels, label) != labels.end(); }
  int64_t size(Label label) const {
    const auto at = std::ranges::find(labels, label) - labels.begin();
    return tensor.sizes()[static_cast<size_t>(at)];
  }
};

// Repeated labels become one: the diagonal of their dimensions, which stands last.
Term without_repeats(Term term, size_t operand) {
  Labels& labels = term.labels;
  for (size_t first = 0; first < labels.size();) {
    const Label label = labels[first];
    const auto second = static_cast<size_t>(
        std::find(labels.begin() + static_cast<std::ptrdiff_t>(first) + 1, labels.end(), label) - labels.begin());
    if (second == labels.size()) {
      ++first;
      continue;
    }
    const Shape& sizes = term.tensor.sizes();
    if (sizes[first] != sizes[second]) {
      fail("einsum(): subscript ", name_of_label(label), " is repeated for operand ", operand,
           " but the sizes don't match, ", sizes[second], " != ", sizes[first]);
    }
    const auto at = [](size_t d) { return static_cast<int64_t>(d); };
    term.tensor = diagonal(term.tensor, {.offset = 0, .dim1 = at(first), .dim2 = at(second)});
    labels.erase(labels.begin() + at(second));
    labels.erase(labels.begin() + at(first));
    labels.push_back(label);
  }
  return term;
}

// Without the dimensions whose labels `drop` says; they are one long, or else are summed over.
template <class Drop>
Term reduced(const Term& term, const Drop& drop) {
  Shape dims;
  Labels labels;
  for (size_t d = 0; d < term.labels.size(); ++d) {
    if (drop(term.labels[d])) {
      dims.push_back(static_cast<int64_t>(d));
    } else {
      labels.push_back(term.labels[d]);
    }
  }
  if (dims.empty()) return term;
  const bool long_ones =
      std::ranges::any_of(dims, [&](int64_t d) { return term.tensor.sizes()[static_cast<size_t>(d)] != 1; });
  if (!long_ones) return {reshape(term.tensor, reduced_sizes(term.tensor.sizes(), dims, false)), labels};
  return {sum(term.tensor, {.dim = dims, .dtype = term.tensor.dtype()}), labels};
}

// Its dimensions in the order of `labels`, all of which it has.
Tensor permuted(const Term& term, const Labels& labels) {
  Shape order;
  for (const Label label : labels) order.push_back(std::ranges::find(term.labels, label) - term.labels.begin());
  return permute(term.tensor, order);
}

// The product of two terms, summed over labels that both have and nobody needs later (`kept` says who is needed).
template <class Kept>
Term contracted(Term a, Term b, const Kept& kept) {
  a = reduced(a, [&](Label l) { return !b.has(l) && !kept(l); });
  b = reduced(b, [&](Label l) { return !a.has(l) && !kept(l); });
  Labels shared;
  Labels summed;
  Labels only_a;
  Labels only_b;
  for (const Label l : a.labels) (!b.has(l) ? only_a : kept(l) ? shared : summed).push_back(l);
  for (const Label l : b.labels) {
    if (!a.has(l)) only_b.push_back(l);
  }
  Shape sizes;
  const auto extent = [](const Term& term, const Labels& labels, Shape* out) {
    int64_t count = 1;
    for (const Label l : labels) {
      count *= term.size(l);
      if (out != nullptr) out->push_back(term.size(l));
    }
    return count;
  };
  const int64_t batch = extent(a, shared, &sizes);
  const int64_t rows = extent(a, only_a, &sizes);
  const int64_t cols = extent(b, only_b, &sizes);
  const int64_t terms = extent(a, summed, nullptr);
  const auto joined = [](std::initializer_list<const Labels*> parts) {
    Labels out;
    for (const Labels* part : parts) out.insert(out.end(), part->begin(), part->end());
    return out;
  };
  const Tensor left = reshape(permuted(a, joined({&shared, &only_a, &summed})), {batch, rows, terms});
  const Tensor right = reshape(permuted(b, joined({&shared, &summed, &only_b})), {batch, terms, cols});
  const Tensor product = summed.empty() ? mul(left, right) : bmm(left, right);
  return {reshape(product, sizes), joined({&shared, &only_a, &only_b})};
}

struct Einsum {
  using Attrs = EinsumAttrs;
  static constexpr auto name = "einsum";
  static constexpr auto doc = "sums of products of the operands' elements, said by subscripts";
  static constexpr std::array inputs{list_input("operands")};
  static constexpr std::array<std::string_view, 2> order{"equation", "operands"};

  static Tensor compose(const Attrs& attrs, Inputs in) {
    const std::span<const Tensor> operands = in.list();
    if (operands.empty()) fail("einsum(): must provide at least one operand");
    const Equation equation = parse(attrs.equation, operands.size());
    const size_t ellipsis = ellipsis_dims(equation, operands);
    std::vector<Term> terms;
    for (size_t i = 0; i < operands.size(); ++i) terms.push_back(term_of(equation.operands[i], operands[i], i));
    check_broadcast(terms);
    const Labels output = output_labels(equation, terms, ellipsis);
    drop_broadcast(terms);

    Term result = std::move(terms[0]);
    for (size_t i = 1; i < terms.size(); ++i) {
      const auto kept = [&](Label l) {
        return std::ranges::find(output, l) != output.end() ||
               std::any_of(terms.begin() + static_cast<std::ptrdiff_t>(i) + 1, terms.end(),
                           [&](const Term& later) { return later.has(l); });
      };
      result = contracted(std::move(result), std::move(terms[i]), kept);
    }
    result = reduced(result, [&](Label l) { return std::ranges::find(output, l) == output.end(); });
    return permuted(result, output);
  }

 private:
  static size_t named_dims(const Labels& term) {
    return static_cast<size_t>(std::ranges::count_if(term, [](Label l) { return l != kEllipsis; }));
  }
  // How many dimensions the longest ellipsis stands for.
  static size_t ellipsis_dims(const Equation& equation, std::span<const Tensor> operands) {
    size_t most = 0;
    for (size_t i = 0; i < operands.size(); ++i) {
      const Labels& term = equation.operands[i];
      const auto dims = static_cast<size_t>(operands[i].dim());
      const size_t named = named_dims(term);
      const bool open = named != term.size();
      if (open ? named > dims : named != dims) {
        fail("einsum(): the number of subscripts in the equation (", named, ") ",
             named > dims ? "is more than" : "does not match", " the number of dimensions (", dims, ") for operand ", i,
             open ? "" : " and no ellipsis was given");
      }
      if (open) most = std::max(most, dims - named);
    }
    return most;
  }
  static Term term_of(const Labels& term, const Tensor& operand, size_t index) {
    const size_t own = static_cast<size_t>(operand.dim()) - named_dims(term);
    return without_repeats({operand, spelled_out(term, own)}, index);
  }
  // Refuses a label with two sizes of which neither is 1.
  static void check_broadcast(const std::vector<Term>& terms) {
    std::map<Label, int64_t> seen;
    for (size_t i = 0; i < terms.size(); ++i) {
      for (const Label l : terms[i].labels) {
        const int64_t size = terms[i].size(l);
        int64_t& known = seen.try_emplace(l, size).first->second;
        if (known != size && known != 1 && size != 1) {
          fail("einsum(): operands do not broadcast with remapped shapes: subscript ", name_of_label(l), " has size ",
               size, " for operand ", i, " which does not broadcast with previously seen size ", known);
        }
        if (known == 1) known = size;
      }
    }
  }
  // A dimension one long that another term has longer says nothing: the term goes without.
  static void drop_broadcast(std::vector<Term>& terms) {
    for (Term& term : terms) {
      term = reduced(term, [&](Label l) {
        if (term.size(l) != 1) return false;
        return std::ranges::any_of(terms, [&](const Term& other) { return other.has(l) && other.size(l) != 1; });
      });
    }
  }
  static Labels output_labels(const Equation& equation, const std::vector<Term>& terms, size_t ellipsis) {
    if (!equation.output) {
      // Letters that come once; a repeated one counts as often as it is written.
      std::map<Label, int> times;
      for (const Labels& operand : equation.operands) {
        for (const Label l : operand) ++times[l];
      }
      Labels out{kEllipsis};
      for (const auto& [label, count] : times) {
        if (label != kEllipsis && count == 1) out.push_back(label);
      }
      return spelled_out(out, ellipsis);
    }
    Labels seen;
    for (const Label l : *equation.output) {
      if (l == kEllipsis) continue;
      if (std::ranges::find(seen, l) != seen.end()) {
        fail("einsum(): output subscript ", name_of_label(l), " appears more than once in the output");
      }
      if (std::ranges::none_of(terms, [&](const Term& term) { return term.has(l); })) {
        fail("einsum(): output subscript ", name_of_label(l), " does not appear in the equation for any input operand");
      }
      seen.push_back(l);
    }
    return spelled_out(*equation.output, ellipsis);
  }
};

const OpFamily kFamily{op_def<Einsum>()};

}  // namespace

Tensor einsum(const std::string& equation, std::span<const Tensor> operands) {
  return apply_list<Einsum>({equation}, operands, operands.size())[0];
}

}  // namespace tapewire
