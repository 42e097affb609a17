#include "analyze/unit_functions.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>

#include <dwarf.h>

namespace obit {
namespace {

constexpr std::uint64_t kVisitedMax = 16 << 20;
constexpr int kDepthMax = 256;
constexpr std::size_t kNameMax = 1024;

/// What may have functions in it, and has no address of its own.
bool IsScope(int tag) {
  switch (tag) {
    case DW_TAG_namespace:
    case DW_TAG_module:
    case DW_TAG_class_type:
    case DW_TAG_structure_type:
    case DW_TAG_union_type:
    case DW_TAG_enumeration_type:  // Rust's enums have methods
      return true;
    default:
      return false;
  }
}

/// The call of the innermost block around `address` that is a child of `die`, and those around it.
void AddInlined(Dwarf_Die die, Dwarf_Addr address, int depth, std::uint64_t& visited,
                std::vector<Dwarf_Die>& outward) {
  Dwarf_Die child;
  if (depth > kDepthMax || ::dwarf_child(&die, &child) != 0) return;
  do {
    if (++visited > kVisitedMax) return;
    const int tag = ::dwarf_tag(&child);
    const bool is_call = tag == DW_TAG_inlined_subroutine;
    if (!is_call && tag != DW_TAG_lexical_block && tag != DW_TAG_try_block && tag != DW_TAG_catch_block)
      continue;
    if (::dwarf_haspc(&child, address) != 1) continue;
    AddInlined(child, address, depth + 1, visited, outward);
    if (is_call) outward.push_back(child);
    return;
  } while (::dwarf_siblingof(&child, &child) == 0);
}

/// The entry that `die` is an instance of: where its name and its place in the source are.
Dwarf_Die OriginOf(Dwarf_Die die) {
  for (int i = 0; i < kDepthMax; ++i) {
    Dwarf_Attribute memory;
    Dwarf_Attribute* origin = ::dwarf_attr(&die, DW_AT_abstract_origin, &memory);
    if (origin == nullptr) origin = ::dwarf_attr(&die, DW_AT_specification, &memory);
    Dwarf_Die next;
    if (origin == nullptr || ::dwarf_formref_die(origin, &next) == nullptr) break;
    die = next;
  }
  return die;
}

}  // namespace

UnitFunctions::UnitFunctions(Dwarf_Die unit) {
  Collect(unit, 0);
  std::ranges::stable_sort(ranges_, {}, &Range::begin);
}

void UnitFunctions::Collect(Dwarf_Die die, int depth) {
  Dwarf_Die child;
  if (depth > kDepthMax || ::dwarf_child(&die, &child) != 0) return;
  do {
    if (++visited_ > kVisitedMax) return;
    const int tag = ::dwarf_tag(&child);
    if (tag == DW_TAG_subprogram) {
      Dwarf_Addr base = 0, begin = 0, end = 0;
      for (std::ptrdiff_t at = 0; (at = ::dwarf_ranges(&child, at, &base, &begin, &end)) > 0;)
        ranges_.push_back({begin, end, child});
    }
    // A function may hold others: Ada, Fortran, and Rust's functions in functions.
    if (IsScope(tag) || tag == DW_TAG_subprogram) Collect(child, depth + 1);
  } while (::dwarf_siblingof(&child, &child) == 0);
}

std::vector<Dwarf_Die> UnitFunctions::At(Dwarf_Addr address) {
  std::vector<Dwarf_Die> outward;
  auto after = std::ranges::upper_bound(ranges_, address, {}, &Range::begin);
  if (after == ranges_.begin() || address >= (--after)->end) return outward;
  std::uint64_t visited = 0;
  AddInlined(after->function, address, 0, visited, outward);
  outward.push_back(after->function);
  visited_by_at_ += visited;
  return outward;
}

std::string QualifiedName(Dwarf_Die* die) {
  Dwarf_Die origin = OriginOf(*die);
  const char* own = ::dwarf_diename(&origin);
  if (own == nullptr) return {};
  std::string name(own, ::strnlen(own, kNameMax));
  Dwarf_Die* found = nullptr;
  const int count = ::dwarf_getscopes_die(&origin, &found);
  const std::unique_ptr<Dwarf_Die, void (*)(void*)> scopes(found, std::free);
  const auto prepend = [&](const char* outer) {
    name.insert(0, std::string(outer, ::strnlen(outer, kNameMax)) + "::");
  };
  bool in_lambda = false;
  for (int i = 1; i < count && name.size() <= kNameMax * 4; ++i) {
    const int tag = ::dwarf_tag(&found[i]);
    const char* outer = ::dwarf_diename(&found[i]);
    if (in_lambda && tag == DW_TAG_subprogram && outer != nullptr) {
      prepend(outer);
      in_lambda = false;
    }
    if (!IsScope(tag)) continue;
    // A class without a name that has functions is a lambda's.
    const bool is_lambda = outer == nullptr && (tag == DW_TAG_structure_type || tag == DW_TAG_class_type);
    in_lambda = in_lambda || is_lambda;
    prepend(outer != nullptr ? outer : is_lambda ? "{lambda}" : "(anonymous namespace)");
  }
  return name;
}

}  // namespace obit
