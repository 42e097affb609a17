#include "kernel/pipe_message.h"

#include <cstring>
#include <optional>

#include "base/text.h"
#include "kernel/core_pattern.h"

namespace obit {

Result<std::string> PipeCorePattern(std::string_view helper, std::string_view socket) {
  for (const std::string_view path : {helper, socket})
    if (!path.starts_with('/') || path.find_first_of(" \t\n%") != std::string_view::npos)
      return Refuse(EINVAL, "\"{}\" cannot stand in a core pattern: an absolute path without space or % can",
                    path);
  std::string pattern = fmt::format("|{} {} F%F P%P I%I s%s t%t d%d c%c U%u", helper, socket);
  if (pattern.size() > kCorePatternMax)
    return Refuse(ENAMETOOLONG, "core pattern \"{}\" has {} bytes; the kernel takes {}: use shorter paths",
                  pattern, pattern.size(), kCorePatternMax);
  return pattern;
}

Result<PipeMessage> ParsePipeArguments(int count, const char* const* arguments) {
  PipeMessage message;
  for (int i = 0; i < count; ++i) {
    const std::string_view argument = arguments[i];
    if (argument.empty()) continue;
    const auto value = ParseUnsigned(argument.substr(1));
    const auto small = [&] { return value && *value <= INT32_MAX ? static_cast<std::int32_t>(*value) : 0; };
    switch (argument[0]) {
      case 'F':
        message.has_pidfd = value == 3 ? 1 : 0;
        break;  // the kernel's fixed number; empty before 6.16
      case 'P':
        message.pid = small();
        break;
      case 'I':
        message.tid = small();
        break;
      case 's':
        message.signal = small();
        break;
      case 'd':
        message.dump_mode = small();
        break;
      case 't':
        message.time = value.value_or(0);
        break;
      case 'U':
        message.has_uid = value && *value <= UINT32_MAX ? 1 : 0;
        message.uid = message.has_uid != 0 ? static_cast<std::uint32_t>(*value) : 0;
        break;
      case 'c':
        message.core_limit = value.value_or(UINT64_MAX);
        break;
      default:
        break;
    }
  }
  if (message.pid <= 0) return Refuse(EINVAL, "no pid (P%P) among the arguments");
  return message;
}

Result<PipeMessage> DecodePipeMessage(std::span<const std::byte> bytes, std::size_t descriptors) {
  PipeMessage message;
  if (bytes.size() != sizeof message || descriptors < 1 || descriptors > 2)
    return Refuse(EBADMSG, "a message that is not of obit-pipe");
  std::memcpy(&message, bytes.data(), sizeof message);
  if (message.version != PipeMessage::kVersion || message.pid <= 0 ||
      (message.has_pidfd != 0) != (descriptors == 2))
    return Refuse(EPROTO, "obit-pipe is of another version than obitd");
  return message;
}

}  // namespace obit
