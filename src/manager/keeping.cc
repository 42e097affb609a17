#include "manager/keeping.h"

namespace obit {
namespace {

constexpr const char* kStopping = "obitd was stopping";

bool Counts(const Sitter& worker) { return worker.may_keep || worker.keeps; }

}  // namespace

KeepRefusal Keeping::Judge(const OpenCrash& crash) const {
  if (!state_.ConfigOf(crash).early_release) return KeepRefusal::kConfigured;
  std::size_t all = 0, of_user = 0;
  seats_.ForEach([&](const Sitter& sitter) {
    if (!Counts(sitter)) return;
    ++all;
    if (sitter.user == crash.user()) ++of_user;
  });
  const std::size_t most = state_.limits().kept_at_once;
  return all >= most || of_user >= ShareOf(most) ? KeepRefusal::kTooMany : KeepRefusal::kNone;
}

std::uint64_t Keeping::BytesPromised() const {
  std::uint64_t bytes = 0;
  seats_.ForEach([&](const Sitter& sitter) {
    if (Counts(sitter)) bytes += ResidentOf(sitter);
  });
  return bytes;
}

/// 0: its crash went on without it.
std::uint64_t Keeping::ResidentOf(const Sitter& worker) const {
  const auto crash = state_.crashes.find(worker.crash);
  return crash == state_.crashes.end() ? 0 : crash->second.resident;
}

void Keeping::Begin(Sitter& worker) {
  if (worker.state != Sitter::State::kBusy) return;
  worker.keeps = true;
  worker.kept_since = state_.now;
  if (state_.stopping) return seats_.Kill(worker, kStopping);
  seats_.StepAside(worker);
}

bool Keeping::EndsLate(const Sitter& worker) const {
  const auto most = state_.limits().keep + state_.limits().die;
  return worker.keeps && state_.now >= worker.kept_since + most.count();
}

bool Keeping::IsOf(const Sitter& worker, std::string_view id) const {
  const auto crash = state_.crashes.find(worker.crash);
  return worker.keeps && crash != state_.crashes.end() && crash->second.id == id;
}

bool Keeping::Keeps(std::string_view id) const {
  bool keeps = false;
  seats_.ForEach([&](const Sitter& worker) { keeps = keeps || IsOf(worker, id); });
  return keeps;
}

void Keeping::LetGo(std::string_view id) {
  seats_.ForEach([&](Sitter& worker) {
    if (IsOf(worker, id)) seats_.Kill(worker, "its memory was asked for (obit release)");
  });
}

void Keeping::LetAllGo() {
  seats_.ForEach([&](Sitter& worker) {
    if (worker.keeps) seats_.Kill(worker, kStopping);
  });
}

Manager::Kept Keeping::Now() const {
  Manager::Kept kept;
  seats_.ForEach([&](const Sitter& worker) {
    if (!worker.keeps) return;
    ++kept.processes;
    kept.bytes += ResidentOf(worker);
  });
  return kept;
}

}  // namespace obit
