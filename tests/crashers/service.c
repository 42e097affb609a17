// A service that dies, and its supervisor: "service MIB stop". The service takes MIB of memory and listens on
// a port; the supervisor stops itself. Once it goes on the service dies of SIGSEGV, and the supervisor starts
// it again, as soon as it has its status. It exits when the next one serves: for who measures how long that
// takes.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void Fail(const char* what) {
  perror(what);
  exit(2);
}

static void TakeMemory(size_t bytes) {
  uint64_t* memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) Fail("mmap");
  for (size_t i = 0; i < bytes / sizeof *memory; i += 64) memory[i] = i * 0x9e3779b97f4a7c15u;
}

/// Nobody else may have the port; 0: any. Returns which it is.
static uint16_t Listen(uint16_t port) {
  const int server = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  if (server < 0 || bind(server, (struct sockaddr*)&address, size) < 0 || listen(server, 1) < 0 ||
      getsockname(server, (struct sockaddr*)&address, &size) < 0)
    Fail("listen");
  return ntohs(address.sin_port);
}

/// Returns when it serves.
static pid_t Start(size_t bytes, uint16_t* port) {
  int ready[2];
  if (pipe(ready) < 0) Fail("pipe");
  const pid_t service = fork();
  if (service < 0) Fail("fork");
  if (service == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    TakeMemory(bytes);
    const uint16_t listening = Listen(*port);
    if (write(ready[1], &listening, sizeof listening) != sizeof listening) Fail("write");
    for (;;) pause();
  }
  close(ready[1]);
  if (read(ready[0], port, sizeof *port) != sizeof *port) exit(3);
  close(ready[0]);
  return service;
}

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const size_t bytes = (size_t)strtol(argv[1], NULL, 10) << 20;
  uint16_t port = 0;
  pid_t service = Start(bytes, &port);
  if (strcmp(argv[argc - 1], "stop") == 0) raise(SIGSTOP);
  kill(service, SIGSEGV);
  int status = 0;
  if (waitpid(service, &status, 0) < 0) Fail("waitpid");
  service = Start(bytes, &port);
  kill(service, SIGKILL);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV ? 0 : 4;
}
