#include "analyze/packages.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <unordered_map>

#include <fcntl.h>
#include <nlohmann/json.hpp>

#include "base/io.h"
#include "base/line_reader.h"
#include "base/text.h"
#include "elf/section.h"

namespace obit {
namespace {

constexpr const char* kDpkg = "/var/lib/dpkg";
constexpr std::size_t kListMax = 4 << 20, kStatusMax = 64 << 20;

/// "NAME VERSION" from the JSON in .note.package; empty if it is odd.
std::string FromNote(const std::string& text) {
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return {};
  const auto member = [&](const char* key) {
    const auto found = json.find(key);
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  const std::string name = member("name");
  return name.empty() ? "" : std::string(Trim(name + " " + member("version")));
}

/// Packages list /lib where programs are mapped from /usr/lib: one is a link to the other.
std::string_view WithoutUsr(std::string_view path) {
  constexpr std::string_view kUsr = "/usr";
  return path.starts_with("/usr/") ? path.substr(kUsr.size()) : path;
}

using Owners = std::unordered_map<std::string_view, std::vector<ModuleFiles*>>;  // by path without "/usr"

/// Which package has which of the files.
std::map<std::string, std::vector<ModuleFiles*>> FindOwners(const Owners& wanted) {
  std::map<std::string, std::vector<ModuleFiles*>> found;
  const auto info = Open(std::string(kDpkg) + "/info", O_RDONLY | O_DIRECTORY);
  const auto names = info ? ListDirectory(*info) : Result<std::vector<std::string>>();
  if (!names) return found;
  std::size_t left = wanted.size();
  const auto room =
      LineReader::MakeRoom();  // for thousands of lists: fresh pages would take most of the time
  for (const std::string& name : *names) {
    if (left == 0) break;
    if (!name.ends_with(".list")) continue;
    const auto file = OpenAt(*info, name, O_RDONLY | O_NONBLOCK);
    if (!file) continue;
    LineReader lines(*file, *room, kListMax);
    while (const auto line = lines.Next()) {
      const auto owner = wanted.find(WithoutUsr(*line));
      if (owner == wanted.end()) continue;
      const std::string package = name.substr(0, name.size() - std::string_view(".list").size());
      auto& modules = found[package.substr(0, package.find(':'))];  // "libc6:amd64"
      modules.insert(modules.end(), owner->second.begin(), owner->second.end());
      --left;
    }
  }
  return found;
}

void FillVersions(const std::map<std::string, std::vector<ModuleFiles*>>& owners) {
  const auto status = Open(std::string(kDpkg) + "/status", O_RDONLY | O_NONBLOCK);
  if (!status) return;
  const auto room = LineReader::MakeRoom();
  LineReader lines(*status, *room, kStatusMax);
  const std::vector<ModuleFiles*>* modules = nullptr;
  while (const auto line = lines.Next()) {
    constexpr std::string_view kPackage = "Package: ", kVersion = "Version: ";
    if (line->starts_with(kPackage)) {
      const auto owner = owners.find(std::string(line->substr(kPackage.size())));
      modules = owner == owners.end() ? nullptr : &owner->second;
    } else if (modules != nullptr && line->starts_with(kVersion)) {
      for (ModuleFiles* module : *modules) {
        module->module.package += ' ';
        module->module.package += line->substr(kVersion.size());
      }
      modules = nullptr;
    }
  }
}

}  // namespace

void FindPackages(std::vector<ModuleFiles>& modules) {
  Owners wanted;
  for (ModuleFiles& module : modules) {
    if (!module.file) continue;
    if (const auto sections = ReadDebugSections(module.file); sections && !sections->package.empty())
      module.module.package = FromNote(sections->package);
    if (module.module.package.empty() && module.module.path.starts_with('/'))
      wanted[WithoutUsr(module.module.path)].push_back(&module);
  }
  if (wanted.empty()) return;
  const auto owners = FindOwners(wanted);
  for (const auto& [package, owned] : owners)
    for (ModuleFiles* module : owned) module->module.package = package;
  FillVersions(owners);
}

}  // namespace obit
