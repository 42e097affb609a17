#include "manager/seat.h"

#include "base/enum_names.h"

namespace obit {
namespace {

constexpr EnumNames<Role, 6> kNames{{{Role::kSupervisor, "supervisor"},
                                     {Role::kManager, "manager"},
                                     {Role::kInspector, "inspector"},
                                     {Role::kWorker, "worker"},
                                     {Role::kPump, "pump"},
                                     {Role::kClerk, "clerk"}}};

}  // namespace

std::string_view NameOf(Role role) { return NameIn(kNames, role); }

}  // namespace obit
