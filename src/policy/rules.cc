#include "policy/rules.h"

#include <algorithm>

#include "base/glob.h"
#include "crash/identity.h"

namespace obit {
namespace {

bool FitsOne(const std::vector<std::string>& globs, std::string_view text) {
  return globs.empty() || (!text.empty() && std::ranges::any_of(globs, [text](const std::string& glob) {
           return FitsGlob(glob, text);
         }));
}

bool FitsOne(const std::vector<std::string>& globs, const std::vector<std::string>& texts) {
  return globs.empty() ||
         std::ranges::any_of(texts, [&](const std::string& text) { return FitsOne(globs, text); });
}

template <class T>
void Replace(T& value, const std::optional<T>& by) {
  if (by) value = *by;
}

}  // namespace

void RuleFacts::SetCgroup(std::string_view cgroup) {
  HostPlace place = HostPlaceOf(cgroup);
  unit = std::move(place.unit);
  slices = std::move(place.slices);
  Identity identity = IdentityOf(cgroup);
  container = std::move(identity.container);
  pod = std::move(identity.pod);
}

RuleFacts FactsOf(const CrashRecord& record) {
  const CrashRecord::Process& process = record.process;
  RuleFacts facts{.exe = process.exe,
                  .name = process.comm,
                  .uid = process.uid,
                  .resident = process.resident_bytes,
                  .root_only = record.capture.root_only};
  if (record.signal.number != 0) facts.signal = record.signal.number;
  facts.SetCgroup(process.cgroup);
  return facts;
}

std::string_view KeyAgainst(const Rule& rule, const RuleFacts& facts) {
  const auto is_user = [&](const Rule::User& user) { return user.uid && user.uid == facts.uid; };
  if (!FitsOne(rule.exe, facts.exe)) return "exe";
  if (!FitsOne(rule.name, facts.name)) return "name";
  if (!FitsOne(rule.unit, facts.unit)) return "unit";
  if (!FitsOne(rule.slice, facts.slices)) return "slice";
  if (!FitsOne(rule.container, facts.container)) return "container";
  if (!FitsOne(rule.pod, facts.pod)) return "pod";
  if (!rule.users.empty() && std::ranges::none_of(rule.users, is_user)) return "user";
  if (!rule.signals.empty() &&
      (!facts.signal || std::ranges::find(rule.signals, *facts.signal) == rule.signals.end()))
    return "signal";
  if (rule.larger_than && (!facts.resident || *facts.resident <= *rule.larger_than)) return "larger_than";
  if (rule.smaller_than && (!facts.resident || *facts.resident >= *rule.smaller_than)) return "smaller_than";
  if (rule.root_only && rule.root_only != facts.root_only) return "dump_mode";
  return "";
}

std::optional<std::size_t> FirstMatch(std::span<const Rule> rules, const RuleFacts& facts) {
  const auto match =
      std::ranges::find_if(rules, [&](const Rule& rule) { return KeyAgainst(rule, facts).empty(); });
  if (match == rules.end()) return std::nullopt;
  return static_cast<std::size_t>(match - rules.begin());
}

Config Under(const Rule& rule, Config config) {
  config.rules.clear();
  if (rule.detail) {
    config.detail = *rule.detail;
    config.no_core_limit = Detail::kFull;  // as of any other process
  }
  Replace(config.loop_cores, rule.cores);
  Replace(config.loop_events, rule.events);
  Replace(config.loop_bytes, rule.bytes);
  Replace(config.early_release, rule.early_release);
  Replace(config.analyze, rule.analyze);
  return config;
}

CrashHandling HandlingBy(const Rule& rule) {
  return {.environment = rule.environment,
          .analyze = rule.analyze,
          .hooks = rule.hooks,
          .retention = rule.retention.value_or(RetentionClass::kNormal)};
}

}  // namespace obit
