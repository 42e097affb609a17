// obitd: the coredump server. See docs/life-of-a-crash.md.

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <optional>

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/unix_socket.h"
#include "kernel/core_pattern.h"
#include "options.h"
#include "policy/config_files.h"
#include "server/command.h"
#include "server/confine.h"
#include "server/helper.h"
#include "server/hook_queue.h"
#include "server/pattern_watch.h"
#include "server/privileges.h"
#include "server/server.h"
#include "service_status.h"
#include "store/ownership.h"

namespace obit {
namespace {

constexpr int kBacklog = 4096;  // crashes that the kernel may queue; net.core.somaxconn's default

/// Each waiting crash holds some descriptors: take what the hard limit gives.
void RaiseDescriptorLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

Result<LoadedConfig> LoadConfigOf(const ServerOptions& options) {
  return LoadConfig(options.config.empty() ? SystemConfig() : ConfigOf(options.config));
}

Result<Config> ReadConfig(const ServerOptions& options) {
  const auto loaded = OBIT_TRY(LoadConfigOf(options));
  for (const std::string& folder : loaded.closed)
    Log(Severity::kWarning, "what {} says is not taken: permission denied", folder);
  return loaded.config;
}

/// Once obitd is who it will be. Hooks are no root's, and one that crashes must not be told of itself.
void ForbidHarmfulHooks(Config& config) {
  rlimit limit{};
  if (config.hooks.empty()) return;
  if (::geteuid() == 0)
    Log(Severity::kWarning, "no hook is run: obitd is root");
  else if (::getrlimit(RLIMIT_CORE, &limit) < 0 || limit.rlim_cur != kHookCoreLimit)
    Log(Severity::kWarning, "no hook is run: RLIMIT_CORE cannot be {}, so it would be told of its own crash",
        kHookCoreLimit);
  else
    return;
  config.hooks.clear();
}

/// Sockets bound here are removed at the end; inherited ones belong to the service manager.
class BoundSocket {
 public:
  BoundSocket() = default;
  explicit BoundSocket(std::string path) : path_(std::move(path)) {}
  BoundSocket(BoundSocket&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  BoundSocket& operator=(BoundSocket&& other) noexcept {
    std::swap(path_, other.path_);
    return *this;
  }
  ~BoundSocket() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }

 private:
  std::string path_;
};

struct Sockets {
  Intake::Listeners listeners;
  BoundSocket coredump, pipe;
};

/// Listens at `path` in a folder that only its owner enters: nobody else can pose as the kernel.
Result<Fd> Bind(const std::string& path, int type, BoundSocket& bound) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  if (!folder.empty()) OBIT_TRY(MakeDirectories(folder, 0700));
  Fd socket = OBIT_TRY(ListenUnix(path, type, kBacklog));
  bound = BoundSocket(path);
  return socket;
}

Result<Sockets> OpenSockets(const ServerOptions& options) {
  Sockets sockets;
  const int inherited = sd_listen_fds(1);
  sockets.listeners.inherited = inherited > 0;
  for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + inherited; ++fd) {
    Fd socket(fd);
    ::fcntl(fd, F_SETFL, O_NONBLOCK);
    // Once more: who asks by SO_PEERCRED who listens here (obit status) means the server.
    ::listen(fd, kBacklog);
    if (sd_is_socket(fd, AF_UNIX, SOCK_STREAM, 1) > 0)
      sockets.listeners.coredump = std::move(socket);
    else if (sd_is_socket(fd, AF_UNIX, SOCK_SEQPACKET, 1) > 0)
      sockets.listeners.pipe = std::move(socket);
    else
      return Refuse(EINVAL, "inherited descriptor {} is not a listening AF_UNIX socket", fd);
  }
  if (!sockets.listeners.coredump)
    sockets.listeners.coredump = OBIT_TRY(Bind(options.socket, SOCK_STREAM, sockets.coredump));
  if (!sockets.listeners.pipe && !options.pipe_socket.empty())
    sockets.listeners.pipe = OBIT_TRY(Bind(options.pipe_socket, SOCK_SEQPACKET, sockets.pipe));
  return sockets;
}

/// What is wrong with the configuration that was to be taken; empty if it was.
std::string Reconfigure(Server& server, const ServerOptions& options) {
  auto config = ReadConfig(options);
  if (!config) return "the old configuration stays: " + config.error().what;
  ForbidHarmfulHooks(*config);
  if (const auto taken = server.Reconfigure(*config); !taken) return taken.error().what;
  if (!options.store.empty() || config->store == server.store().path()) return "";
  return fmt::format("server.store = {} is taken after a restart: until then crashes go to {}", config->store,
                     server.store().path());
}

void Reload(Server& server, const ServerOptions& options, ServiceStatus& status) {
  sd_notify(0, fmt::format("RELOADING=1\nMONOTONIC_USEC={}", MonotonicNow() / 1000).c_str());
  const std::string wrong = Reconfigure(server, options);
  if (wrong.empty())
    Log(Severity::kNotice, "configuration read again");
  else
    Log(Severity::kError, "{}", wrong);
  status.SetConfiguration(wrong);
  sd_notify(0, "READY=1");
}

/// The paths by which a core pattern leads to these sockets.
std::vector<std::string> PathsOf(const Intake::Listeners& listeners) {
  std::vector<std::string> paths;
  for (const Fd* socket : {&listeners.coredump, &listeners.pipe}) {
    const auto bound = *socket ? PathOf(*socket) : Fail(EBADF, "no socket");
    std::error_code unknown;
    if (!bound) continue;
    const auto real = std::filesystem::weakly_canonical(*bound, unknown);
    paths.push_back(unknown ? *bound : real.string());
  }
  return paths;
}

void OnPattern(Server& server, ServiceStatus& status, const PatternWatch::State& now) {
  server.NotePattern(now.ours);
  status.SetPattern(now.ours ? "" : now.text);
  if (now.news) Log(now.ours ? Severity::kNotice : Severity::kWarning, "{}", now.text);
}

/// For "systemctl reload", which cannot see what the server makes of a signal.
int CheckConfiguration(const ServerOptions& options) {
  const auto loaded = LoadConfigOf(options);
  if (loaded) return 0;
  Log(Severity::kError, "configuration: {}", loaded.error().what);
  // Some versions of systemd do not signal the server then: what it would say of itself is said here.
  ServiceStatus().SetConfiguration("the old configuration stays: " + loaded.error().what);
  constexpr std::uint64_t kPatience = 5'000'000;  // us; who has exited before it is read is nobody
  sd_notify_barrier(0, kPatience);
  return 1;
}

void SayReady(const ServerOptions& options, const std::string& store, bool has_pipe, const Config& config) {
  std::string line = fmt::format("obitd: ready: sockets @@ and @ on {}", options.socket);
  if (has_pipe) line += fmt::format(", pipe on {}", options.pipe_socket);
  line += fmt::format(", store {}, {} captures at once\n", store, config.slots);
  std::fputs(line.c_str(), stdout);
  std::fflush(stdout);
  sd_notify(0, "READY=1");
}

/// Whom obitd becomes; nobody else if it is not root.
Result<std::optional<User>> UserToBecome(const ServerOptions& options) {
  if (::geteuid() != 0) return std::nullopt;
  auto user = OBIT_TRY(FindUser(options.user));
  if (!user)
    Log(Severity::kWarning, "there is no user {}: obitd stays root, with few capabilities", options.user);
  return user;
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

/// Gives up all rights but those that the manager needs.
Result<void> GiveUpRights(const std::optional<User>& user, const std::vector<std::string>& programs) {
  OBIT_TRY(DropPrivileges(user));
  if (const std::string missing = MissingRights(OBIT_TRY(EffectiveCapabilities())); !missing.empty())
    Log(Severity::kWarning, "{}", missing);
  StartCommandsBy(OBIT_TRY(Spawner::Fork(programs)));
  RaiseDescriptorLimit();
  return ConfineManager();
}

/// As whom it will write from now on. A server that only seems to run would lose every crash; a full disk is
/// no reason, there may be room later.
Result<void> CheckWritable(const Store& store) {
  constexpr const char* kName = ".writable";
  for (const char* folder : {"incoming", "crashes"}) {
    const Fd dir =
        OBIT_TRY_IN(OpenAt(store.root(), folder, O_RDONLY | O_DIRECTORY), "store {}", store.path());
    const auto file = OpenAt(dir, kName, O_WRONLY | O_CREAT, 0600);
    const int code = file ? 0 : file.error().code;
    if (code == EROFS || code == EACCES || code == EPERM)
      return Fail(code, "write to {} of store {}", folder, store.path());
    ::unlinkat(dir.get(), kName, 0);
  }
  return {};
}

Result<void> Serve(const ServerOptions& options) {
  Config config = OBIT_TRY_IN(ReadConfig(options), "configuration");
  const auto user = OBIT_TRY(UserToBecome(options));
  Store store = OBIT_TRY(Store::Create(options.store.empty() ? config.store : options.store));
  if (user) OBIT_TRY(GiveFolders(store.path(), config, *user));
  Sockets sockets = OBIT_TRY(OpenSockets(options));
  KernelInspector inspector = OBIT_TRY(KernelInspector::Create());
  std::vector<std::string> programs;
  std::string analyzer = FindPrograms(programs);
  OBIT_TRY_IN(GiveUpRights(user, programs), "give up rights");
  OBIT_TRY(CheckWritable(store));
  ForbidHarmfulHooks(config);
  EventLoop loop = OBIT_TRY(EventLoop::Create());
  const auto paths = PathsOf(sockets.listeners);
  const bool has_pipe = static_cast<bool>(sockets.listeners.pipe);
  const auto server = OBIT_TRY(Server::Create(loop, std::move(store), std::move(sockets.listeners), config,
                                              inspector, std::move(analyzer)));
  ServiceStatus status;
  const auto stop = [&] {
    sd_notify(0, "STOPPING=1");
    server->Stop();
  };
  const EventSource term = OBIT_TRY(loop.OnSignal(SIGTERM, stop));
  const EventSource interrupt = OBIT_TRY(loop.OnSignal(SIGINT, stop));
  const EventSource hangup = OBIT_TRY(loop.OnSignal(SIGHUP, [&] { Reload(*server, options, status); }));
  PatternWatch watch(loop, paths, ReadCorePattern,
                     [&](const PatternWatch::State& now) { OnPattern(*server, status, now); });
  watch.Start();
  loop.UseWatchdog();
  SayReady(options, server->store().path(), has_pipe, config);
  OBIT_TRY(loop.Run());
  const auto& counters = server->counters();
  Log(Severity::kNotice, "stopped: {} recorded, {} only counted, {} lost, {} other connections closed",
      counters.committed, counters.rejected + counters.repeated, counters.lost,
      server->intake_counters().refused);
  return {};
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
  if (const auto served = obit::Serve(*options); !served) {
    obit::Log(obit::Severity::kError, "{}", served.error().what);
    return 1;
  }
  return 0;
}
