#include <cerrno>
#include <optional>

#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "checks.h"
#include "kernel/core_pattern.h"
#include "listener.h"
#include "pattern_owner.h"
#include "process/privileges.h"

namespace obit {
namespace {

using enum Finding::Verdict;

/// Whose the pattern is.
struct Pattern {
  std::string text;
  std::optional<SavedPattern> saved;
  bool ours = false;
  bool knowable = true;  ///< false: only root can read what obit enable saved, and it matters
};

Result<Pattern> FindPattern() {
  Pattern pattern{.text = OBIT_TRY(ReadCorePattern())};
  auto saved = LoadSavedPattern();
  if (saved) pattern.saved = std::move(*saved);
  pattern.ours = IsObits(pattern.text, pattern.saved);
  const Transport transport = TransportOf(pattern.text);
  const bool is_socket = transport == Transport::kSocket || transport == Transport::kSocketRequest;
  pattern.knowable = pattern.ours || saved || saved.error().code != EACCES || !is_socket;
  return pattern;
}

Finding CheckListener(const Endpoint& endpoint, const Result<Listener>& listener) {
  if (listener) {
    const std::string who =
        listener->pid == 0 ? "somebody" : fmt::format("{} {}", listener->comm, listener->pid);
    return MakeFinding("server", who + " listening", kOk, "");
  }
  if (listener.error().code == EACCES) return MakeFailure("server", endpoint.path, listener.error());
  return MakeFinding("server", endpoint.path, kFailure, "nobody listens: start obitd, or obit disable");
}

/// What obitd can do in all; it says the same when it starts.
Finding CheckRights(const Listener& listener) {
  constexpr const char* kWhat = "rights of obitd";
  if (listener.pid == 0) return MakeFinding(kWhat, "", kWarning, "not visible from this pid namespace");
  const std::string found = NamesOf(listener.capabilities), missing = MissingRights(listener.capabilities);
  if (missing.empty()) return MakeFinding(kWhat, found, kOk, "");
  return MakeFinding(kWhat, found.empty() ? "none" : found, kWarning, missing);
}

Finding CheckHelper(const std::string& helper) {
  struct stat status{};
  if (::stat(helper.c_str(), &status) < 0)
    return errno == ENOENT ? MakeFinding("helper", helper, kFailure, "it is not there: obit enable again")
                           : MakeFailure("helper", helper, Fail(errno, "look at it").error());
  // The kernel starts it as root.
  const bool runs = S_ISREG(status.st_mode) && (status.st_mode & 0111) != 0;
  return MakeFinding("helper", helper, runs ? kOk : kFailure,
                     runs ? "" : "it is no program: obit enable again");
}

Finding CheckSocket(const std::string& pattern, const std::string& path) {
  auto rules = CheckSocketPath(path);
  if (const auto text = SocketCorePattern(TransportOf(pattern), path); !text)
    rules = std::unexpected(text.error());
  return rules ? MakeFinding("socket", path, kOk, "") : MakeFailure("socket", path, rules.error());
}

}  // namespace

Finding CheckPattern() {
  const auto pattern = FindPattern();
  if (!pattern) return MakeFailure("core_pattern", "", pattern.error());
  if (pattern->ours) return MakeFinding("core_pattern", pattern->text, kOk, "ours");
  if (!pattern->knowable)
    return MakeFinding("core_pattern", pattern->text, kUnknown, "whose that is: only root can tell");
  return MakeFinding(
      "core_pattern", pattern->text, kFailure,
      fmt::format("cores go to {}: obit enable changes that", OwnerOf(pattern->text, pattern->saved)));
}

std::vector<Finding> CheckServer() {
  const auto pattern = FindPattern();
  if (!pattern || !pattern->ours) return {};
  const auto endpoint = EndpointOf(pattern->text);
  if (!endpoint)
    return {MakeFinding("server", "", kFailure, "core_pattern names no socket: obit enable again")};

  std::vector<Finding> findings;
  const bool pipe = TransportOf(pattern->text) == Transport::kPipe;
  findings.push_back(pipe ? CheckHelper(TargetOf(pattern->text).value_or(""))
                          : CheckSocket(pattern->text, endpoint->path));
  const auto listener = FindListener(*endpoint);
  findings.push_back(CheckListener(*endpoint, listener));
  if (listener) findings.push_back(CheckRights(*listener));
  if (const auto limit = ReadCorePipeLimit(); pipe && limit && *limit != 0)
    findings.push_back(MakeFinding("core_pipe_limit", std::to_string(*limit), kWarning,
                                   "the kernel drops crashes beyond it: obit enable sets it to 0"));
  return findings;
}

}  // namespace obit
