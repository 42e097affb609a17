#include "crash/identity.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "base/text.h"

namespace obit {
namespace {

/// Removes `prefix` from the beginning of `text`, if it is there.
bool TakePrefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

bool TakeSuffix(std::string_view& text, std::string_view suffix) {
  if (!text.ends_with(suffix)) return false;
  text.remove_suffix(suffix.size());
  return true;
}

/// The full ids of all runtimes: 64 hex digits; systemd-run and some tools shorten them to no less than 12.
bool IsContainerId(std::string_view text) {
  const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  return text.size() >= 12 && text.size() <= 64 && std::ranges::all_of(text, is_hex);
}

/// The name of a unit or slice as people know it: without systemd's escapes, and without the "_" that it puts
/// before names which the kernel could take for files of its own.
std::string UnitName(std::string_view component) {
  if (component.size() > 1) TakePrefix(component, "_");
  std::string name;
  while (!component.empty()) {
    if (component.starts_with("\\x") && component.size() >= 4) {
      if (const auto byte = ParseUnsigned(component.substr(2, 2), 16)) {
        name += static_cast<char>(*byte);
        component.remove_prefix(4);
        continue;
      }
    }
    name += component.front();
    component.remove_prefix(1);
  }
  return name;
}

bool IsUnit(std::string_view component) {
  constexpr std::string_view kKinds[] = {".service", ".scope", ".socket", ".mount", ".swap"};
  return std::ranges::any_of(kKinds, [&](std::string_view kind) {
    return component.size() > kind.size() && component.ends_with(kind);
  });
}

/// "pod<uid>", as the kubelet names it; in a slice the uid has "_" for "-".
std::string PodUid(std::string_view component) {
  constexpr std::size_t kUid = 36;  // "6f8d3c0e-5b1a-4c8e-9d2f-0a1b2c3d4e5f"
  TakeSuffix(component, ".slice");
  const std::size_t at = component.rfind("pod");
  if (at == std::string_view::npos || (at > 0 && component[at - 1] != '-')) return "";
  std::string uid(component.substr(at + 3));
  std::ranges::replace(uid, '_', '-');
  const auto is_uid = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == '-'; };
  const bool is_static = IsContainerId(uid);  // of a pod from a manifest file: a hash
  return (uid.size() == kUid || is_static) && std::ranges::all_of(uid, is_uid) ? uid : "";
}

struct Container {
  std::string runtime, name;
};

/// `component` with the one before it: "docker-<id>.scope", "docker/<id>", ...
std::optional<Container> ContainerOf(std::string_view before, std::string_view component) {
  constexpr std::pair<std::string_view, std::string_view> kPrefixes[] = {
      {"docker-", "docker"}, {"libpod-", "podman"}, {"cri-containerd-", "containerd"}, {"crio-", "cri-o"}};
  std::string_view name = component;
  const bool is_scope = TakeSuffix(name, ".scope");
  for (const auto& [prefix, runtime] : kPrefixes)
    if (std::string_view id = name; TakePrefix(id, prefix) && IsContainerId(id))
      return Container{std::string(runtime), std::string(id)};
  if (std::string_view machine = name;
      is_scope && before == "machine.slice" && TakePrefix(machine, "machine-"))
    return Container{"", UnitName(machine)};  // systemd-machined has virtual machines, too
  if (std::string_view machine = name;
      TakePrefix(machine, "systemd-nspawn@") && TakeSuffix(machine, ".service") && !machine.empty())
    return Container{"systemd-nspawn", UnitName(machine)};
  if (std::string_view payload = name; TakePrefix(payload, "lxc.payload.") && !payload.empty())
    return Container{"lxc", std::string(payload)};
  if ((before == "lxc" || before == "lxc.payload") && !is_scope) return Container{"lxc", std::string(name)};
  if (is_scope || !IsContainerId(name)) return std::nullopt;
  if (before == "docker") return Container{"docker", std::string(name)};
  if (!PodUid(before).empty()) return Container{"", std::string(name)};
  return std::nullopt;
}

}  // namespace

Identity IdentityOf(std::string_view cgroup) {
  Identity identity;
  TakeSuffix(cgroup, " (deleted)");
  std::string_view before;
  bool in_service = false;
  const auto note = [&](const std::string& name) {
    if (in_service || !identity.container.empty())
      identity.nested = true;
    else if (identity.outermost.empty())
      identity.outermost = name;
  };
  for (const std::string_view component : Split(cgroup, '/')) {
    if (component.empty()) continue;
    if (auto container = ContainerOf(before, component)) {
      note(container->name);
      // What comes below is the container's own; what is around it only runs containers.
      identity.unit.clear();
      identity.user_unit.clear();
      identity.runtime = std::move(container->runtime);
      identity.container = std::move(container->name);
    } else if (std::string pod = PodUid(component); !pod.empty()) {
      note(pod);
      identity.pod = std::move(pod);
    } else if (component.ends_with(".slice")) {
      identity.slice = UnitName(component);
    } else if (IsUnit(component)) {
      std::string& unit = identity.unit.starts_with("user@") ? identity.user_unit : identity.unit;
      unit = UnitName(component);
      if (!component.ends_with(".service")) continue;
      if (in_service && identity.container.empty() && identity.pod.empty()) identity.nested = true;
      in_service = true;
    }
    before = component;
  }
  return identity;
}

HostPlace HostPlaceOf(std::string_view cgroup) {
  HostPlace place;
  TakeSuffix(cgroup, " (deleted)");
  std::string_view before;
  for (const std::string_view component : Split(cgroup, '/')) {
    if (component.empty()) continue;
    const bool is_slice = component.ends_with(".slice");
    // Before a unit, systemd makes nothing but slices.
    if (ContainerOf(before, component) || (!is_slice && !IsUnit(component))) break;
    before = component;
    if (is_slice) {
      place.slices.push_back(UnitName(component));
      continue;
    }
    place.unit = UnitName(component);
    break;
  }
  return place;
}

}  // namespace obit
