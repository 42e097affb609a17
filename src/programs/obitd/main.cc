// obitd: the coredump server. See docs/life-of-a-crash.md.

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/capabilities.h"
#include "base/inside.h"
#include "base/io.h"
#include "base/limits.h"
#include "base/log.h"
#include "configuration.h"
#include "jobs/hook_queue.h"
#include "options.h"
#include "process/helper.h"
#include "process/privileges.h"
#include "server/confine.h"
#include "server/peer.h"
#include "server/process_inspector.h"
#include "service.h"
#include "sockets.h"
#include "store/ownership.h"
#include "store/store.h"
#include "user.h"

namespace obit {
namespace {

/// The hard limit of open files where nobody has chosen one (INR_OPEN_MAX of include/uapi/linux/fs.h), and
/// that of obitd.service: crashes of several users at once want more.
constexpr rlim_t kKernelsDescriptors = 4096, kDescriptors = 65536;

/// Each waiting crash holds some descriptors: take what the hard limit gives. While obitd may, more than what
/// comes by default; a limit that somebody set is respected.
void RaiseDescriptorLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
  const rlimit more{kDescriptors, kDescriptors};
  if (limit.rlim_max == kKernelsDescriptors && ::setrlimit(RLIMIT_NOFILE, &more) == 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

/// For supervisor and manager, while obitd may: what they have in memory stays there (LockMemory).
void RaiseLockLimit() {
  const rlimit none{RLIM_INFINITY, RLIM_INFINITY};
  ::setrlimit(RLIMIT_MEMLOCK, &none);
}

/// What obitd and what it starts write as that user.
Result<void> GiveFolders(const std::string& store, const Config& config, const User& user) {
  OBIT_TRY(GiveFolderTo(store, user.uid, user.gid));
  if (config.debuginfod_urls.empty()) return {};
  OBIT_TRY(MakeDirectories(config.debuginfod_cache, 0700));
  return GiveFolderTo(config.debuginfod_cache, user.uid, user.gid);
}

/// The programs that obitd starts. Without obit-analyze cores are only kept.
std::string FindPrograms(std::vector<std::string>& programs) {
  auto analyzer = FindHelper("obit-analyze");
  if (analyzer)
    programs.push_back(*analyzer);
  else
    Log(Severity::kWarning, "no core will be analysed: {}", analyzer.error().what);
  if (auto fetcher = FindHelper("obit-debuginfod")) programs.push_back(std::move(*fetcher));
  return analyzer ? std::move(*analyzer) : "";
}

/// Gives up all rights but those that a role needs.
Result<void> GiveUpRights(const std::optional<User>& user) {
  OBIT_TRY(DropPrivileges(user));
  if (const std::string missing = MissingRights(OBIT_TRY(EffectiveCapabilities())); !missing.empty())
    Log(Severity::kWarning, "{}", missing);
  return {};
}

/// As whom it will write from now on. A server that only seems to run would lose every crash; a full disk is
/// no reason, there may be room later.
Result<void> CheckWritable(const Store& store) {
  constexpr const char* kName = ".writable";
  for (const char* folder : {"incoming", "crashes"}) {
    const Fd dir =
        OBIT_TRY_IN(OpenInside(store.root(), folder, O_RDONLY | O_DIRECTORY), "store {}", store.path());
    const auto file = OpenInside(dir, kName, O_WRONLY | O_CREAT, 0600);
    const int code = file ? 0 : file.error().code;
    if (code == EROFS || code == EACCES || code == EPERM)
      return Fail(code, "write to {} of store {}", folder, store.path());
    ::unlinkat(dir.get(), kName, 0);
  }
  return {};
}

/// By its name, with the rights of a clerk, which opens it so: now, and whenever another takes its place.
Result<void> CheckReachable(const Store& store) {
  const auto root = Open(store.path(), O_PATH | O_DIRECTORY);
  if (root || root.error().code != EACCES) return {};
  return Refuse(
      EACCES,
      "store {}: a folder above it is closed to uid {}, as whom obitd writes: open it (chmod o+x), or "
      "give another --store",
      store.path(), ::geteuid());
}

/// In the runtime folder of the service, or beside the socket. As who obitd is when it starts: it need not be
/// able to make it later. Without one, what is open when obitd itself dies shows only in incoming/.
Result<Ledger> OpenLedger(const ServerOptions& options) {
  const char* runtime = std::getenv("RUNTIME_DIRECTORY");  // the first of them, with colons between
  const std::string folder = runtime != nullptr ? std::string(runtime) : "";
  const std::string path =
      folder.empty() ? options.socket + ".ledger" : folder.substr(0, folder.find(':')) + "/ledger";
  auto ledger = Ledger::Open(path);
  if (ledger && !OnTmpfs(path)) Log(Severity::kNotice, "{} is on a disk: crashes wait when that waits", path);
  if (ledger) return ledger;
  Log(Severity::kWarning, "crashes that are open when obitd is killed may have no record: {}",
      ledger.error().what);
  return Ledger::Open("");
}

Supervisor::Lives Lives() {
  return {.manager = RunManager,
          .inspector =
              [](InspectorSetup setup) {
                auto inspector = KernelInspector::Create();
                if (!inspector) {
                  Log(Severity::kError, "{}", inspector.error().what);
                  ::_exit(1);
                }
                setup.inspector = &*inspector;
                RunInspector(std::move(setup));
              },
          .worker = RunWorker,
          .pump = RunPump,
          .clerk = RunClerk};
}

void SayReady(const ServerOptions& options, const std::string& store, bool has_pipe, unsigned slots) {
  std::string line = fmt::format("obitd: ready: sockets @@ and @ on {}", options.socket);
  if (has_pipe) line += fmt::format(", pipe on {}", options.pipe_socket);
  line += fmt::format(", store {}, {} captures at once\n", store, slots);
  std::fputs(line.c_str(), stdout);
  std::fflush(stdout);
}

Result<void> Serve(const ServerOptions& options) {
  Config config = OBIT_TRY_IN(ReadConfig(options), "configuration");
  const auto user = OBIT_TRY(UserToBecome(options.user));
  const Store store = OBIT_TRY(Store::Create(options.store.empty() ? config.store : options.store));
  if (user) OBIT_TRY(GiveFolders(store.path(), config, *user));
  Sockets sockets = OBIT_TRY(OpenSockets(options));
  Supervisor::Setup setup{
      .identifier = KernelPeers(), .user_ranges = ReadUserRanges(), .ledger = OBIT_TRY(OpenLedger(options))};
  setup.analyzer = FindPrograms(setup.programs);
  setup.sockets = PathsOf(sockets.listeners);
  EventLoop loop = OBIT_TRY(EventLoop::Create());
  Service service(loop, options);
  RaiseLockLimit();
  RaiseDescriptorLimit();
  auto userfaults = Open("/dev/userfaultfd", O_RDONLY);  // root's, as a rule
  OBIT_TRY_IN(GiveUpRights(user), "give up rights");
  OBIT_TRY(CheckWritable(store));
  const Fd lock = OBIT_TRY(store.LockForServer());  // no other process has it: it goes with this one
  ForbidHarmfulHooks(config);
  OBIT_TRY_IN(ConfineSupervisor(), "give up rights");
  OBIT_TRY(CheckReachable(store));
  if (const auto locked = LockMemory(); !locked)
    Log(Severity::kNotice, "where memory is short crashes may wait for a disk: {}", locked.error().what);
  setup.listeners = std::move(sockets.listeners);
  setup.config = config;
  setup.limits = LimitsOf(config);
  setup.store = store.path();
  setup.incoming = OBIT_TRY(OpenInside(store.root(), "incoming", O_RDONLY | O_DIRECTORY));
  if (userfaults)
    setup.userfaults = *std::move(userfaults);
  else
    Log(Severity::kNotice, "processes are held until they are copied: {}", userfaults.error().what);
  setup.lives = Lives();
  const bool has_pipe = static_cast<bool>(setup.listeners.pipe);
  return service.Run(std::move(setup), [&] { SayReady(options, store.path(), has_pipe, config.slots); });
}

}  // namespace
}  // namespace obit

int main(int argc, char** argv) {
  obit::SetLogName("obitd");
  int status = 0;
  const auto options = obit::ParseServerOptions(argc, argv, status);
  if (!options) return status;
  if (options->check_config) return obit::CheckConfiguration(*options);
  const rlimit limit{obit::kHookCoreLimit, obit::kHookCoreLimit};
  ::setrlimit(RLIMIT_CORE, &limit);
  ::prctl(PR_SET_DUMPABLE, 0);  // its own crash must not make the kernel connect to it, and wait for ever
  ::umask(077);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
  obit::NeverWaitToLog();  // whoever reads it may not
  if (const auto served = obit::Serve(*options); !served) {
    obit::Log(obit::Severity::kError, "{}", served.error().what);
    return 1;
  }
  return 0;
}
