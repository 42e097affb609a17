// Signals that somebody sent, and faults that a handler caught first.
#define _GNU_SOURCE
#include <assert.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <setjmp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "death.h"

static void fault(void) { *(volatile int*)HIDE((int*)0x18) = 1; }
static int zero;

DEATH aborts(void) { abort(); }
DEATH raises(void) { raise(SIGABRT); }
DEATH kills_itself(void) { kill(getpid(), SIGABRT); }
DEATH kills_itself_segv(void) { kill(getpid(), SIGSEGV); }
DEATH raises_fpe(void) { raise(SIGFPE); }
DEATH raises_trap(void) { raise(SIGTRAP); }
DEATH queues(void) {
  sigqueue(getpid(), SIGABRT, (union sigval){.sival_int = 42});
  pause();
}
static pthread_t main_thread;
static void* kill_main(void* nothing) {
  pthread_kill(main_thread, SIGABRT);
  return nothing;
}
DEATH by_thread(void) {
  main_thread = pthread_self();
  pthread_t other;
  pthread_create(&other, NULL, kill_main, NULL);
  for (;;) pause();
}
static void* abort_in_thread(void* nothing) {
  abort();
  return nothing;
}
DEATH aborts_in_thread(void) {
  pthread_t other;
  pthread_create(&other, NULL, abort_in_thread, NULL);
  pthread_join(other, NULL);
}
DEATH by_child(void) {
  const pid_t parent = getpid();
  if (fork() == 0) {
    kill(parent, SIGABRT);
    _exit(0);
  }
  for (;;) pause();
}
static void arm(int number) {
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = number};
  timer_t timer;
  must(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0, "timer_create");
  const struct itimerspec soon = {.it_value = {.tv_nsec = 1000000}};
  timer_settime(timer, 0, &soon, NULL);
}
DEATH by_timer(void) {
  arm(SIGABRT);
  for (;;) pause();
}
DEATH by_timer_segv(void) {
  arm(SIGSEGV);
  for (;;) pause();
}
DEATH watchdog(void) {
  arm(SIGABRT);
  for (volatile long i = 0;; ++i) continue;
}
DEATH parent_dies(void) {
  if (fork() != 0) {
    int status;
    wait(&status);
    exit(0);
  }
  if (fork() != 0) _exit(0);
  prctl(PR_SET_PDEATHSIG, SIGQUIT);
  pause();
}
DEATH cpu_limit(void) {
  const struct rlimit limit = {.rlim_cur = 0, .rlim_max = 10};
  setrlimit(RLIMIT_CPU, &limit);
  for (volatile long i = 0;; ++i) continue;
}
DEATH file_size_limit(void) {
  const struct rlimit limit = {.rlim_cur = 10, .rlim_max = 10};
  setrlimit(RLIMIT_FSIZE, &limit);
  FILE* file = tmpfile();
  for (int i = 0; i < 100000; ++i) fputs("more than fits", file);
}
DEATH forbidden_call(void) {
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const struct sock_fprog program = {.len = 4, .filter = filter};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0, "seccomp");
  syscall(SYS_getppid);
}
DEATH trapped_call(void) {
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sysinfo, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const struct sock_fprog program = {.len = 4, .filter = filter};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0, "seccomp");
  syscall(SYS_sysinfo, NULL);
}

// Handlers.

static char alternate[64 << 10];
static void handle(int number, void (*handler)(int, siginfo_t*, void*), int flags) {
  const stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
  sigaltstack(&stack, NULL);
  struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};
  sigaction(number, &action, NULL);
}
static void give_up(int number, siginfo_t* info, void* context) {
  (void)number, (void)info, (void)context;
  fputs("a bug\n", stderr);
  abort();
}
static void raise_again(int number, siginfo_t* info, void* context) {
  (void)info, (void)context;
  signal(number, SIG_DFL);
  raise(number);
}
static void kill_again(int number, siginfo_t* info, void* context) {
  (void)info, (void)context;
  signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  kill(getpid(), number);
}
static void come_back(int number, siginfo_t* info, void* context) {
  (void)info, (void)context;
  signal(number, SIG_DFL);
}
static void fault_too(int number, siginfo_t* info, void* context) {
  (void)number, (void)info, (void)context;
  abort();
}
static sigjmp_buf back;
static void jump(int number, siginfo_t* info, void* context) {
  (void)info, (void)context;
  siglongjmp(back, number);
}
DEATH handler_aborts(void) {
  handle(SIGSEGV, give_up, 0);
  fault();
}
DEATH handler_aborts_on_its_stack(void) {
  handle(SIGSEGV, give_up, SA_ONSTACK);
  fault();
}
DEATH handler_raises(void) {
  handle(SIGSEGV, raise_again, 0);
  fault();
}
DEATH handler_raises_on_its_stack(void) {
  handle(SIGSEGV, raise_again, SA_ONSTACK);
  fault();
}
DEATH handler_kills(void) {
  handle(SIGSEGV, kill_again, SA_ONSTACK);
  fault();
}
DEATH handler_returns(void) {
  handle(SIGSEGV, come_back, 0);
  fault();
}
DEATH handler_of_division(void) {
  handle(SIGFPE, give_up, 0);
  printf("%d", HIDE(7) / HIDE(zero));
}
DEATH handler_of_illegal(void) {
  handle(SIGILL, raise_again, SA_ONSTACK);
  __builtin_trap();
}
DEATH handler_of_bus(void) {
  handle(SIGBUS, give_up, SA_ONSTACK);
  FILE* file = tmpfile();
  volatile char* page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fileno(file), 0);
  printf("%d", page[0]);
}
DEATH handlers_in_a_row(void) {
  handle(SIGABRT, raise_again, SA_ONSTACK);
  handle(SIGSEGV, fault_too, SA_ONSTACK);
  fault();
}
DEATH after_a_jump(void) {
  handle(SIGSEGV, jump, 0);
  if (sigsetjmp(back, 1) == 0) fault();
  abort();
}
DEATH handler_of_an_abort(void) {
  handle(SIGABRT, raise_again, 0);
  abort();
}
static void* fault_in_thread(void* nothing) {
  fault();
  return nothing;
}
DEATH handler_in_thread(void) {
  handle(SIGSEGV, give_up, 0);
  pthread_t other;
  pthread_create(&other, NULL, fault_in_thread, NULL);
  pthread_join(other, NULL);
}
DEATH alarm_aborts(void) {
  handle(SIGALRM, give_up, 0);
  arm(SIGALRM);
  for (volatile long i = 0;; ++i) continue;
}
static void check_time(int number) {
  (void)number;
  assert(!"the deadline has passed");
}
DEATH plain_alarm_asserts(void) {
  signal(SIGALRM, check_time);
  arm(SIGALRM);
  for (;;) pause();
}
static void abort_again(int number) { raise(number); }
DEATH abort_in_alarm_caught(void) {
  handle(SIGALRM, give_up, 0);
  struct sigaction action = {.sa_handler = abort_again, .sa_flags = SA_RESETHAND};
  sigaction(SIGABRT, &action, NULL);
  arm(SIGALRM);
  for (;;) pause();
}
DEATH child_aborts(void) {
  handle(SIGCHLD, give_up, SA_ONSTACK);
  if (fork() == 0) _exit(1);
  for (;;) pause();
}
static void die(int number) {
  (void)number;
  abort();
}
DEATH alarm_dies(void) {
  signal(SIGALRM, die);
  arm(SIGALRM);
  for (;;) pause();
}
DEATH handler_of_its_own_signal(void) {
  handle(SIGUSR1, give_up, 0);
  raise(SIGUSR1);
}
DEATH handler_of_its_own_kill(void) {
  signal(SIGUSR2, die);
  kill(getpid(), SIGUSR2);
}
DEATH handler_forwards(void) {
  struct sigaction action = {.sa_sigaction = kill_again, .sa_flags = SA_SIGINFO | SA_RESETHAND | SA_NODEFER};
  sigaction(SIGSEGV, &action, NULL);
  fault();
}

static const struct way ways[] = {
    {"aborts", aborts},
    {"raises", raises},
    {"kills-itself", kills_itself},
    {"kills-itself-segv", kills_itself_segv},
    {"raises-fpe", raises_fpe},
    {"raises-trap", raises_trap},
    {"queues", queues},
    {"by-thread", by_thread},
    {"aborts-in-thread", aborts_in_thread},
    {"by-child", by_child},
    {"by-timer", by_timer},
    {"by-timer-segv", by_timer_segv},
    {"watchdog", watchdog},
    {"parent-dies", parent_dies},
    {"cpu-limit", cpu_limit},
    {"file-size-limit", file_size_limit},
    {"forbidden-call", forbidden_call},
    {"trapped-call", trapped_call},
    {"handler-aborts", handler_aborts},
    {"handler-aborts-on-its-stack", handler_aborts_on_its_stack},
    {"handler-raises", handler_raises},
    {"handler-raises-on-its-stack", handler_raises_on_its_stack},
    {"handler-kills", handler_kills},
    {"handler-returns", handler_returns},
    {"handler-of-division", handler_of_division},
    {"handler-of-illegal", handler_of_illegal},
    {"handler-of-bus", handler_of_bus},
    {"handlers-in-a-row", handlers_in_a_row},
    {"after-a-jump", after_a_jump},
    {"handler-of-an-abort", handler_of_an_abort},
    {"handler-in-thread", handler_in_thread},
    {"handler-forwards", handler_forwards},
    {"alarm-aborts", alarm_aborts},
    {"plain-alarm-asserts", plain_alarm_asserts},
    {"abort-in-alarm-caught", abort_in_alarm_caught},
    {"child-aborts", child_aborts},
    {"alarm-dies", alarm_dies},
    {"handler-of-its-own-signal", handler_of_its_own_signal},
    {"handler-of-its-own-kill", handler_of_its_own_kill},
};
DIES_BY(ways)
