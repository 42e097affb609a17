// bare-server discard|reject SOCKET: the fastest possible coredump servers, which keep nothing. Both accept
// and read the request. One asks for the core, reads it into one buffer and closes; the other rejects the
// crash unseen. What obitd adds to this is its own cost. Prints "ready", then runs until it is killed.

#include <cstdio>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>

#include "base/io.h"
#include "base/log.h"
#include "base/unix_socket.h"
#include "kernel/handshake.h"

namespace obit {
namespace {

Result<void> Exchange(const Fd& connection, CoredumpWish wish) {
  Handshake handshake;
  std::vector<std::byte> bytes(kCoredumpRequestMax);
  while (handshake.state() == Handshake::State::kRequest || handshake.state() == Handshake::State::kMark) {
    const auto part = std::span(bytes).first(handshake.wanted());
    if (OBIT_TRY(ReadFull(connection, part)) != part.size()) return Refuse(EPIPE, "the kernel hung up");
    OBIT_TRY(handshake.Receive(part));
    if (handshake.state() != Handshake::State::kAnswer) continue;
    const CoredumpAck ack = OBIT_TRY(handshake.Answer(wish));
    OBIT_TRY(WriteAll(connection, std::as_bytes(std::span(&ack, 1)).first(ack.size)));
  }
  return {};
}

Result<void> Serve(const std::string& path, CoredumpWish wish) {
  const Fd listener = OBIT_TRY(ListenUnix(path, SOCK_STREAM, 4096));
  ::fcntl(listener.get(), F_SETFL, 0);
  std::puts("ready");
  std::fflush(stdout);
  std::vector<std::byte> buffer(1 << 20);
  for (;;) {
    const Fd connection(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!connection) return Fail(errno, "accept");
    if (const auto done = Exchange(connection, wish); !done) {
      Log(Severity::kError, "{}", done.error().what);
      continue;
    }
    if (wish != CoredumpWish::kCore) continue;
    while (::read(connection.get(), buffer.data(), buffer.size()) > 0) {
    }
  }
}

}  // namespace
}  // namespace obit

int main(int argc, char** argv) {
  using obit::CoredumpWish;
  obit::SetLogName("bare-server");
  const std::string_view mode = argc == 3 ? argv[1] : "";
  if (mode != "discard" && mode != "reject") {
    std::fputs("usage: bare-server discard|reject SOCKET\n", stderr);
    return 2;
  }
  const auto served = obit::Serve(argv[2], mode == "discard" ? CoredumpWish::kCore : CoredumpWish::kReject);
  obit::Log(obit::Severity::kError, "{}", served.error().what);
  return 1;
}
