#include "base/capabilities.h"

#include <cerrno>

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace obit {
namespace {

constexpr unsigned kWords = _LINUX_CAPABILITY_U32S_3;

struct CapabilityData {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct words[kWords]{};
};

Result<CapabilityData> ReadCapabilities() {
  CapabilityData data;
  if (::syscall(SYS_capget, &data.header, data.words) < 0) return Fail(errno, "read the capabilities");
  return data;
}

/// With what is left of `kept`, of which `effective` are in effect.
Result<void> SetCapabilities(Capabilities kept, Capabilities effective) {
  CapabilityData data = OBIT_TRY(ReadCapabilities());
  for (unsigned i = 0; i < kWords; ++i) {
    data.words[i].permitted &= static_cast<std::uint32_t>(kept >> (32 * i));
    data.words[i].effective = data.words[i].permitted & static_cast<std::uint32_t>(effective >> (32 * i));
    data.words[i].inheritable = 0;  // and so none is ambient
  }
  if (::syscall(SYS_capset, &data.header, data.words) < 0) return Fail(errno, "drop capabilities");
  return {};
}

}  // namespace

Result<Capabilities> EffectiveCapabilities() {
  const CapabilityData data = OBIT_TRY(ReadCapabilities());
  Capabilities effective = 0;
  for (unsigned i = 0; i < kWords; ++i) effective |= Capabilities{data.words[i].effective} << (32 * i);
  return effective;
}

Result<void> KeepCapabilities(Capabilities kept) { return SetCapabilities(kept, kept); }
Result<void> LayDownCapabilities(Capabilities kept) { return SetCapabilities(kept, 0); }

Result<void> ForbidNewPrivileges() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return Fail(errno, "set no_new_privs");
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  for (unsigned long capability = 0; capability < 64; ++capability)
    ::prctl(PR_CAPBSET_DROP, capability);  // fails without CAP_SETPCAP: no_new_privs holds all the same
  return {};
}

}  // namespace obit
