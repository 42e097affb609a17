// Forbids itself uname(2), by a filter that kills or by one that sends SIGSYS, as the first argument says.

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "cause.h"

static void Forbid(unsigned number, unsigned action) {
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, action),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) Fail("prctl PR_SET_NO_NEW_PRIVS");
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) Fail("prctl PR_SET_SECCOMP");
}

FUNCTION long ask_name(void) {
  const int kill = strcmp(arguments[0], "kill") == 0;
  Forbid(SYS_uname, kill ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_TRAP);
  char buffer[512];
  const long result = syscall(SYS_uname, buffer);  // dies here
  STAY();
  return result;
}

DIES_IN(ask_name)
