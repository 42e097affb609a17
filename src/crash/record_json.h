#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "crash/record.h"

namespace obit {

/// A crash.json larger than this is not read, bytes.
inline constexpr std::size_t kRecordJsonMax = 1 << 20;

/// The record as JSON, indented, with a newline at its end. Strings go through BytesToUtf8 (base/text.h).
[[nodiscard]] std::string RecordToJson(const CrashRecord& record);

/// Reads untrusted text. EBADMSG: not JSON, a field of the wrong type or out of range, no valid id.
/// EPROTONOSUPPORT: a schema version that this obit does not know. Unknown fields are ignored: newer versions
/// may add some.
[[nodiscard]] Result<CrashRecord> RecordFromJson(std::string_view text);

}  // namespace obit
