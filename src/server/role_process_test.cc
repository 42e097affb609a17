#include "server/role_process.h"

#include <array>
#include <cerrno>

#include <sys/wait.h>
#include <unistd.h>

#include "base/test_support.h"
#include "base/unix_socket.h"

namespace obit {
namespace {

constexpr int kPassRights = 83;  // SO_PASSRIGHTS

/// The errno of a child of this role that sends a message with a descriptor; 0: it was sent.
int ErrorOfSending(Role role) {
  const auto process = ForkRole(role, [](Fd socket) {
    const std::array<std::byte, 1> byte{};
    const std::array fds{STDERR_FILENO};
    const auto sent = SendMessage(socket, byte, fds);
    if (!SendMessage(socket, byte, {})) ::_exit(255);
    ::_exit(sent ? 0 : sent.error().code);
  });
  EXPECT_THAT(process, testing::Succeeds());
  int status = 0;
  EXPECT_EQ(::waitpid(process->pid, &status, 0), process->pid);
  EXPECT_TRUE(WIFEXITED(status));
  const auto message = ReceiveMessage(process->socket, 1, 0);
  EXPECT_THAT(message, testing::Succeeds());
  EXPECT_EQ(message->fds.size(), WEXITSTATUS(status) == 0 ? 1U : 0U);
  return WEXITSTATUS(status);
}

TEST(RoleProcess, OnlyTheManagerCanSendDescriptors) {
  const SocketPair pair = *MakeSocketPair(SOCK_SEQPACKET);
  int passes = 0;
  socklen_t length = sizeof passes;
  if (::getsockopt(pair.first.get(), SOL_SOCKET, kPassRights, &passes, &length) < 0)
    GTEST_SKIP() << "the kernel is older than 6.16";
  EXPECT_EQ(ErrorOfSending(Role::kManager), 0);
  for (const Role role : {Role::kInspector, Role::kWorker, Role::kPump, Role::kClerk})
    EXPECT_EQ(ErrorOfSending(role), EPERM) << NameOf(role);
}

}  // namespace
}  // namespace obit
