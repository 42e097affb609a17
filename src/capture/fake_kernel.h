#pragma once

// For tests: a crashing process and the kernel behind it, at the other end of a socket pair.

#include <csignal>
#include <functional>
#include <span>
#include <thread>
#include <vector>

#include <elf.h>
#include <fcntl.h>

#include "base/unix_socket.h"
#include "dump/coredump_client.h"
#include "elf/core_builder.h"

namespace obit {

/// A core of this machine with one thread and `memory_bytes` of memory, byte i being i * 7 + i / 4096.
inline std::vector<std::byte> SmallCore(std::size_t memory_bytes) {
  CoreBuilder builder(EM_X86_64);
  std::vector<std::byte> status(336);
  status[12] = std::byte{11};                                  // pr_cursig: SIGSEGV
  status[32] = std::byte{0x39}, status[33] = std::byte{0x30};  // pr_pid: 12345
  builder.AddNote("CORE", NT_PRSTATUS, status);
  std::vector<std::byte> memory(memory_bytes);
  for (std::size_t i = 0; i < memory.size(); ++i) memory[i] = static_cast<std::byte>(i * 7 + i / 4096);
  builder.AddSegment(0x400000, PF_R, memory, memory.size());
  return builder.Build();
}

/// Runs `crash` on one end of a socket pair in a thread of its own. `server()` is the other end,
/// non-blocking. The thread is done when `crash` returns, which closes its end; the destructor waits for
/// that.
class FakeKernel {
 public:
  explicit FakeKernel(std::function<void(Fd& server)> crash) {
    ::signal(SIGPIPE, SIG_IGN);  // the server may be gone at any time
    SocketPair pair = *MakeSocketPair(SOCK_STREAM);
    ::fcntl(pair.first.get(), F_SETFL, O_NONBLOCK);
    server_ = std::move(pair.first);
    thread_ =
        std::jthread([crash = std::move(crash), end = std::move(pair.second)]() mutable { crash(end); });
  }
  [[nodiscard]] Fd TakeServer() { return std::move(server_); }

 private:
  Fd server_;
  std::jthread thread_;
};

}  // namespace obit
