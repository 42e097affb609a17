#include "kernel/let_go_message.h"

#include <thread>

#include <poll.h>
#include <sys/socket.h>

#include "base/test_support.h"
#include "base/unix_socket.h"
#include "kernel/pipe_handover.h"
#include "kernel/pipe_message.h"

namespace obit {
namespace {

using testing::FailsWith;
using testing::Succeeds;
using testing::TemporaryFolder;

constexpr const char* kId = "0123456789abcdef";

TEST(LetGoMessage, IsNoMessageOfAHelper) {
  LetGoMessage message;
  std::ranges::copy(std::string_view(kId), message.id);
  const auto bytes = std::as_bytes(std::span(&message, 1));
  EXPECT_EQ(DecodeLetGoMessage(bytes), kId);
  EXPECT_FALSE(DecodePipeMessage(bytes, 1));
  const PipeMessage crash{.pid = 1};
  EXPECT_FALSE(DecodeLetGoMessage(std::as_bytes(std::span(&crash, 1))));
  EXPECT_FALSE(DecodeLetGoMessage(bytes.first(19)));
  message.kind = 1;
  EXPECT_FALSE(DecodeLetGoMessage(bytes));
}

/// What the other end takes it for, and what comes of it.
Result<bool> Ask(bool answers) {
  const TemporaryFolder folder;
  const std::string path = folder / "socket";
  const Fd listener = *ListenUnix(path, SOCK_SEQPACKET, 1);
  std::jthread server([&] {
    pollfd waiting{listener.get(), POLLIN, 0};
    ::poll(&waiting, 1, -1);
    const Fd peer(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    const auto message = ReceiveMessage(peer, 64, 0);
    EXPECT_EQ(DecodeLetGoMessage(message->bytes), kId);
    if (answers) AnswerHandOver(peer);
  });
  return AskToLetGo(path, kId);
}

TEST(AskToLetGo, TellsWhetherThereWasSomething) {
  EXPECT_EQ(Ask(true).value(), true);
  EXPECT_EQ(Ask(false).value(), false);
}

TEST(AskToLetGo, FailsWhereNobodyListens) {
  EXPECT_THAT(AskToLetGo("/nowhere/socket", kId), FailsWith(ENOENT));
}

}  // namespace
}  // namespace obit
