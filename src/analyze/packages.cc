#include "analyze/packages.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "base/io.h"
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

/// The lines of a file, a piece of it at a time: most of the time would go into fresh pages for all of it. A
/// line that is longer than `kLineMax` is none.
class Lines {
 public:
  static constexpr std::size_t kLineMax = 64 << 10;
  using Room = std::unique_ptr<std::array<char, kLineMax>>;
  static Room MakeRoom() { return std::make_unique_for_overwrite<Room::element_type>(); }

  /// At most `max` bytes of it. `room` is for one file at a time.
  Lines(const Fd& file, Room& room, std::size_t max) : file_(file), room_(*room), left_(max) {}

  std::optional<std::string_view> Next() {
    for (;;) {
      const std::string_view unread(room_.data() + at_, end_ - at_);
      if (const std::size_t newline = unread.find('\n'); newline != std::string_view::npos) {
        at_ += newline + 1;
        return unread.substr(0, newline);
      }
      if (!Fill()) return std::nullopt;
    }
  }

 private:
  bool Fill() {
    std::memmove(room_.data(), room_.data() + at_, end_ - at_);
    end_ -= at_;
    at_ = 0;
    // A file ends where a read(2) is short: for most lists one is enough.
    const std::size_t wanted = std::min(room_.size() - end_, left_);
    if (has_ended_ || wanted == 0) return false;
    const ssize_t got = ::read(file_.get(), room_.data() + end_, wanted);
    if (got <= 0) return false;
    end_ += static_cast<std::size_t>(got);
    left_ -= static_cast<std::size_t>(got);
    has_ended_ = static_cast<std::size_t>(got) < wanted;
    return true;
  }

  const Fd& file_;
  std::array<char, kLineMax>& room_;
  std::size_t left_, at_ = 0, end_ = 0;
  bool has_ended_ = false;
};

using Owners = std::unordered_map<std::string_view, std::vector<ModuleFiles*>>;  // by path without "/usr"

/// Which package has which of the files.
std::map<std::string, std::vector<ModuleFiles*>> FindOwners(const Owners& wanted) {
  std::map<std::string, std::vector<ModuleFiles*>> found;
  const auto info = Open(std::string(kDpkg) + "/info", O_RDONLY | O_DIRECTORY);
  const auto names = info ? ListDirectory(*info) : Result<std::vector<std::string>>();
  if (!names) return found;
  std::size_t left = wanted.size();
  auto room = Lines::MakeRoom();
  for (const std::string& name : *names) {
    if (left == 0) break;
    if (!name.ends_with(".list")) continue;
    const auto file = OpenAt(*info, name, O_RDONLY | O_NONBLOCK);
    if (!file) continue;
    Lines lines(*file, room, kListMax);
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
  auto room = Lines::MakeRoom();
  Lines lines(*status, room, kStatusMax);
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
