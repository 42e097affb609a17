#include "server/inspector.h"

#include <utility>

#include "base/log.h"
#include "config/config.h"
#include "kernel/bag.h"
#include "policy/early_release.h"
#include "server/crash_site.h"
#include "server/doorkeeper.h"
#include "server/facts_record.h"
#include "server/message_bytes.h"
#include "server/messages.h"
#include "server/patient_messages.h"

namespace obit {
namespace {

/// What the manager knows of the process, for ProcessInspector.
PidfdInfo KnownOf(const Question& question) {
  PidfdInfo known{.pid = question.pid,
                  .coredump_known = true,
                  .coredumped = true,
                  .dump_mode = question.root_only != 0 ? DumpMode::kRoot : DumpMode::kUser};
  if (question.signal != 0) known.signal = question.signal;
  if (question.has_code != 0) known.code = question.code;
  if (question.has_uid != 0) known.uid = question.uid;
  known.one_identity = question.one_identity != 0;
  known.cgroup = question.cgroup;
  return known;
}

Result<void> Tell(const Fd& manager, const Findings& findings, std::string_view text = {}) {
  std::string bytes(reinterpret_cast<const char*>(&findings), sizeof findings);
  bytes += text;
  return SendPatiently(manager, std::as_bytes(std::span(bytes)));
}

Findings Answer(const Question& question, Findings::Kind kind) {
  return {.crash = question.crash, .kind = kind};
}

/// No rule of a text that has none wins, and it counts as told: it would be told again and again.
void HearRules(const Question& question, std::string_view text, RulesTold* told) {
  if (told == nullptr) return;
  auto config = ParseConfig(text, "the rules");
  if (!config) Log(Severity::kError, "an inspector cannot take the rules: {}", config.error().what);
  *told = {config ? std::move(config->rules) : std::vector<Rule>(), question.rules};
}

void FindRule(const PidfdInfo& known, const CrashPlace& place, const RulesTold* told, Findings& findings) {
  if (told == nullptr || told->rules.empty()) return;
  if (const auto rule = FirstMatch(told->rules, RuleFactsOf(known, place)))
    findings.rule = static_cast<std::uint16_t>(*rule + 1);
}

Result<void> TellSite(const Fd& manager, const Question& question, const InspectorMeans& means) {
  Findings findings = Answer(question, Findings::Kind::kSite);
  if (means.rules != nullptr) findings.rules = means.rules->number;
  SetMemory(means.inspector.MemoryNow(), findings);
  const PidfdInfo known = KnownOf(question);
  if (const auto place = means.inspector.PlaceOf(known)) {
    FindRule(known, *place, means.rules, findings);
    if (means.door != nullptr && place->glance) findings.glance = means.door->HashOf(*place->glance);
    SetText(findings.comm, place->facts.comm);
    findings.resident = place->resident;
    if (const auto site = SiteOf(known, *place)) {
      findings.known = 1;
      findings.privileged = site->privileged ? 1 : 0;
      findings.program = site->program;
      findings.module_inode = site->module_inode;
      findings.offset = site->offset;
      findings.callers = site->callers;
      findings.uid = site->uid;
      findings.signal = site->signal;
      findings.wants_core = site->wants_core ? 1 : 0;
      findings.service_of_system = site->service_of_system ? 1 : 0;
      findings.container = site->container;
      SetText(findings.service, site->service);
    }
  }
  return Tell(manager, findings);
}

Result<void> TellActivity(const Fd& manager, const Question& question, const Subject& subject,
                          ProcessInspector& inspector) {
  Findings findings = Answer(question, Findings::Kind::kActivity);
  if (const auto activity = inspector.ActivityOf(subject)) {
    findings.known = 1;
    findings.runs = activity->runs ? 1 : 0;
    findings.cpu_ticks = activity->cpu_ticks;
    SetText(findings.comm, activity->comm);
  }
  return Tell(manager, findings);
}

/// Facts and what they come to. Without them: that it is privileged, as nothing tells whose it was.
Result<void> TellFound(const Fd& manager, const Question& question, const Subject& subject,
                       Findings::Kind kind, const std::optional<ProcessFacts>& facts,
                       const MemoryLoad& memory) {
  Findings findings = Answer(question, kind);
  SetMemory(memory, findings);
  if (!facts) return Tell(manager, findings);
  findings.known = 1;
  findings.privileged = IsPrivileged(subject.info, *facts) ? 1 : 0;
  findings.has_core_limit = facts->core_limit ? 1 : 0;
  findings.core_limit = facts->core_limit.value_or(0);
  findings.resident = facts->resident_bytes.value_or(0);
  SetText(findings.comm, facts->comm);
  return Tell(manager, findings, FactsText(*facts, findings.privileged != 0));
}

/// Memory first: it waits for nothing, and the capture needs it most.
void FillMemory(const Question& question, const Subject& subject, ProcessInspector& inspector,
                BagSender& bag) {
  if (question.wants_memory == 0) return;
  if (const auto memory = inspector.Memory(subject))
    bag.PutMemory(*memory);
  else
    bag.PutNote(memory.error().what);
}

Result<void> TellFacts(const Fd& manager, const Question& question, const Subject& subject,
                       ProcessInspector& inspector, Fd memory_bag, Fd mapped_bag) {
  std::optional<ProcessFacts> facts;
  if (auto safe = inspector.SafeFacts(subject)) facts = std::move(*safe);
  OBIT_TRY(TellFound(manager, question, subject, Findings::Kind::kSafe, facts, inspector.MemoryNow()));
  if (question.only_safe != 0) return {};
  {
    BagSender bag(std::move(memory_bag));
    if (question.has_bag != 0) {
      FillMemory(question, subject, inspector, bag);
      if (facts && facts->resident_bytes.value_or(0) >= kKeptMin)
        if (const auto outlook = inspector.Outlook(subject, facts->parent)) bag.PutOutlook(*outlook);
      if (facts && facts->threads.value_or(2) > 1)
        if (const auto names = inspector.Threads(subject, facts->comm)) bag.PutThreads(*names);
    }
    if (facts)
      if (auto all = inspector.RiskyFacts(subject, *facts)) facts = std::move(*all);
    if (question.has_bag != 0) {
      if (const auto program = inspector.Program(subject)) bag.PutProgram(*program);
      bag.End();
    }
  }
  if (question.wants_mapped != 0) {
    BagSender bag(std::move(mapped_bag));
    if (const auto files = inspector.MappedFiles(subject)) bag.PutMapped(*files);
    bag.End();
  }
  return TellFound(manager, question, subject, Findings::Kind::kAll, facts, inspector.MemoryNow());
}

Result<void> StandAtDoor(const Fd& manager, std::vector<Fd> fds, const InspectorMeans& means) {
  if (means.door != nullptr && fds.size() == 2) {
    const DoorPost post{std::move(fds[0]), std::move(fds[1])};
    KeepDoor(post, manager, *means.door, means.identifier, means.inspector);
  }
  return Tell(manager, {.kind = Findings::Kind::kDoorLeft});
}

}  // namespace

Result<void> AnswerQuestion(const Fd& manager, Message message, const InspectorMeans& means) {
  const auto read = HeadOf<Question>(message);
  if (!read) return {};
  const Question& question = *read;
  const std::string_view text = TextBehind<Question>(message);
  if (question.kind == Question::Kind::kRules) return HearRules(question, text, means.rules), Result<void>();
  if (!text.empty()) return {};
  if (question.kind == Question::Kind::kKeepDoor) return StandAtDoor(manager, std::move(message.fds), means);
  if (question.pid <= 0) return {};
  if (question.kind == Question::Kind::kSite) return TellSite(manager, question, means);
  if (message.fds.empty()) return {};
  ProcessInspector& inspector = means.inspector;
  const Fd pidfd = std::move(message.fds[0]);
  const Subject subject = inspector.SubjectOf(pidfd, KnownOf(question));
  switch (question.kind) {
    case Question::Kind::kSite:
    case Question::Kind::kKeepDoor:
    case Question::Kind::kLeaveDoor:
    case Question::Kind::kRules:
      break;
    case Question::Kind::kActivity:
      return TellActivity(manager, question, subject, inspector);
    case Question::Kind::kFacts: {
      message.fds.resize(3);
      return TellFacts(manager, question, subject, inspector, std::move(message.fds[1]),
                       std::move(message.fds[2]));
    }
  }
  return {};
}

void AnswerQuestions(const Fd& manager, InspectorMeans means) {
  RulesTold told;
  means.rules = &told;
  for (;;) {
    auto message = ReceivePatiently(manager, sizeof(Question) + kConfigTextMax);
    if (!message && message.error().code == EMSGSIZE) continue;
    if (!message || (message->bytes.empty() && message->fds.empty())) return;
    if (!AnswerQuestion(manager, std::move(*message), means)) return;
  }
}

}  // namespace obit
