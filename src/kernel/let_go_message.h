#pragma once

// What `obit release` tells obitd, by the socket of obit-pipe: one SOCK_SEQPACKET message, answered as a
// crash is (AnswerHandOver) if there was something to let go, and else by the end of the connection.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/result.h"

namespace obit {

/// Lets go of the memory that is kept of a crash.
struct LetGoMessage {
  static constexpr std::uint32_t kKind = 0x6f67'746c;  ///< "ltgo": no version of PipeMessage
  std::uint32_t kind = kKind;
  char id[16] = {};  ///< of the crash
};
static_assert(sizeof(LetGoMessage) == 20 && std::has_unique_object_representations_v<LetGoMessage>);

/// The id. Nothing: it is no such message. `bytes` are untrusted.
[[nodiscard]] std::optional<std::string> DecodeLetGoMessage(std::span<const std::byte> bytes);

/// Asks who listens at `socket_path`. False: there is nothing that could be let go of that crash. Fails if
/// nobody listens (ECONNREFUSED, ENOENT), who listens may not be asked (EACCES), or does not answer
/// (ETIMEDOUT).
[[nodiscard]] Result<bool> AskToLetGo(const std::string& socket_path, std::string_view id);

}  // namespace obit
