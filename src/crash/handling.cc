#include "crash/handling.h"

#include "base/enum_names.h"

namespace obit {
namespace {

constexpr EnumNames<RetentionClass, 3> kClasses{{{RetentionClass::kNormal, "normal"},
                                                 {RetentionClass::kShort, "short"},
                                                 {RetentionClass::kKeep, "keep"}}};

}  // namespace

std::string_view NameOf(RetentionClass retention) { return NameIn(kClasses, retention); }
std::optional<RetentionClass> RetentionClassNamed(std::string_view name) { return ValueIn(kClasses, name); }

}  // namespace obit
