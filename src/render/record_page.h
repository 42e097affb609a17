#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "crash/record.h"
#include "crash/removed_core.h"
#include "crash/repeats.h"
#include "render/page.h"
#include "render/terminal.h"

namespace obit {

/// What a page says beside the record itself.
struct PageContext {
  std::int64_t now = 0;  ///< ns since 1970
  Terminal terminal;
  std::string folder;            ///< the crash directory
  bool has_report = false;       ///< there is a report.json in it
  std::string command = "obit";  ///< how to call obit on this store
  /// Those of this host's first process: namespaces like these go without saying. Empty where they are not
  /// known or where the crash is of another boot.
  std::string pid_namespace, mount_namespace, network_namespace, user_namespace;
  /// Why there is no report that can be shown, if there is none.
  std::string analysis;
  /// The place of the crash in its group, if it is in one.
  struct Standing {
    std::string group;                    ///< id, as it is shown
    std::size_t position = 1, total = 1;  ///< the crash is the position-th of so many, oldest first
    std::int64_t first_time = 0;          ///< of the oldest one
  };
  std::optional<Standing> standing;
  /// What a crash loop repeated after it.
  std::optional<Repeats> repeats;
  /// Its core was there and was removed: then the record that is given names no core.
  std::optional<RemovedCore> removed;
};

/// All that is known of a crash, as a page of text. What is not known has no line.
[[nodiscard]] std::string RenderRecordPage(const CrashRecord& record, const PageContext& context);

// Parts that other pages use, too. All fit for a terminal.

/// "imgproxy died of SIGSEGV today at 14:02:11, the 3rd time since Monday (group a71c09)".
[[nodiscard]] std::string FullHeadline(const CrashRecord& record, const PageContext& context);
/// One field for each thing that was recorded.
void AddRecordFields(Page& page, const CrashRecord& record, const PageContext& context);
/// The command line as a shell takes it.
[[nodiscard]] std::string CommandText(const CrashRecord::Process& process);
/// "31 more until today at 14:05:00 were counted, not kept (crash loop)"; empty if there were none.
[[nodiscard]] std::string RepeatsText(const PageContext& context);
/// Why less was kept than the configuration says; empty if the reason says it, as that of an event does.
[[nodiscard]] std::string LoweredText(const CrashRecord::Capture& capture);
/// "today at 14:05:00, 12 MiB: it was older than 30 days"; empty if the core was not removed.
[[nodiscard]] std::string RemovedText(const PageContext& context);
/// The folder of the crash and the files in it.
[[nodiscard]] std::string FilesText(const CrashRecord& record, const PageContext& context);

}  // namespace obit
