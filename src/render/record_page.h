#pragma once

#include <cstdint>
#include <string>

#include "crash/record.h"
#include "render/terminal.h"

namespace obit {

/// What a page says beside the record itself.
struct PageContext {
  std::int64_t now = 0;  ///< ns since 1970
  Terminal terminal;
  std::string folder;            ///< the crash directory
  std::string command = "obit";  ///< how to call obit on this store
  /// Of this host's first process: namespaces like these go without saying. Empty where they are not known or
  /// where the crash is of another boot.
  std::string pid_namespace, mount_namespace, network_namespace, user_namespace;
};

/// All that is known of a crash, as a page of text. What is not known has no line.
[[nodiscard]] std::string RenderRecordPage(const CrashRecord& record, const PageContext& context);

}  // namespace obit
