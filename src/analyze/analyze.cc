#include "analyze/analyze.h"

#include <algorithm>
#include <array>
#include <map>
#include <unordered_map>

#include "analyze/address_names.h"
#include "analyze/cause.h"
#include "analyze/core_image.h"
#include "analyze/data_files.h"
#include "analyze/environment.h"
#include "analyze/first_fault.h"
#include "analyze/fold.h"
#include "analyze/instruction.h"
#include "analyze/module_files.h"
#include "analyze/modules.h"
#include "analyze/packages.h"
#include "analyze/registers.h"
#include "analyze/symbolizer.h"
#include "analyze/unwinder.h"
#include "base/clock.h"
#include "crash/fingerprint.h"
#include "crash/runtime_frames.h"
#include "store/recover.h"

namespace obit {
namespace {

constexpr std::size_t kFramesOfStack = 512;  // that a report keeps of one stack, from the innermost on
constexpr std::size_t kFramesOfReport = 20'000;
constexpr int kSendersMax = 16;  // threads that may have sent the signal, of which each is unwound
constexpr std::uint64_t kMemoryBefore = 64, kMemoryBytes = 256;  // around an address
/// After that no more names are looked up: what there is, is worth more than a deadline that takes all. Some
/// 20 seconds, but counted (Symbolizer::work): a report does not depend on what else the machine does.
constexpr std::uint64_t kNamingWork = 4'000'000'000;

std::string AccessOf(std::uint32_t flags) {
  return {(flags & 4) != 0 ? 'r' : '-', (flags & 2) != 0 ? 'w' : '-', (flags & 1) != 0 ? 'x' : '-'};
}

/// The record of an event was made before there was any core.
void TakeSignal(const CoreNotes& notes, CrashRecord& record) {
  if (record.capture.outcome != CrashOutcome::kEvent || !notes.signal || notes.signal->number == 0) return;
  record.signal = {.number = notes.signal->number,
                   .code = notes.signal->code,
                   .address = notes.signal->address,
                   .sender_pid = notes.signal->sender_pid,
                   .sender_uid = notes.signal->sender_uid};
}

}  // namespace

struct Analysis::State {
  AnalysisJob job;
  std::optional<CoreImage> image;
  std::vector<ModuleFiles> files;
  std::vector<DataFile> data_files;
  std::int64_t begun = MonotonicNow();
};

Analysis::Analysis(std::unique_ptr<State> state) : state_(std::move(state)) {}
Analysis::Analysis(Analysis&&) noexcept = default;
Analysis::~Analysis() = default;

Result<Analysis> Analysis::Prepare(AnalysisJob job) {
  auto state = std::make_unique<State>();
  state->job = std::move(job);
  OBIT_TRY(CheckNotShifted(state->job.record.capture));
  state->image = OBIT_TRY_IN(CoreImage::Open(std::move(state->job.core)), "read the core");
  TakeSignal(state->image->notes(), state->job.record);
  state->files = FindModuleFiles(*state->image, state->job);
  FindPackages(state->files);
  state->data_files = FindDataFiles(*state->image, state->job.record);
  return Analysis(std::move(state));
}

namespace {

/// Makes one report.
class Reporter {
 public:
  Reporter(CoreImage& image, std::vector<ModuleFiles>& files, const std::vector<DataFile>& data_files,
           const AnalysisJob& job, std::int64_t begun)
      : image_(image),
        files_(files),
        data_files_(data_files),
        job_(job),
        record_(job.record),
        begun_(begun),
        modules_(files, image),
        unwinder_(image, modules_),
        symbolizer_(modules_),
        names_(image, modules_) {}

  Report Make() {
    report_.id = record_.id;
    report_.time = RealtimeNow();
    report_.threads = image_.notes().threads.size();
    if (image_.notes().threads.empty()) {
      report_.failure = "the core has no registers: it ends too early";
    } else {
      UnwindThreads();
      DescribeCrashed();
    }
    if (const auto& why = image_.unreadable(); why && report_.failure.empty())
      report_.failure = "core.zst: " + why->what;
    for (const ModuleFiles& one : files_) report_.modules.push_back(DescribedModule(one));
    if (!report_.stacks.empty()) {
      const auto& frames = report_.stacks.front().frames;
      const std::size_t cause_frame = CauseFrame(frames);
      if (cause_frame < frames.size()) report_.cause_frame = static_cast<std::uint32_t>(cause_frame);
      const bool gave_up = !first_fault_ && IsSentByItself(record_);
      const std::size_t own = FindOwnFrame(frames, report_.modules, cause_frame, gave_up);
      if (own < frames.size()) report_.own_frame = static_cast<std::uint32_t>(own);
    }
    report_.fingerprint = FindFingerprint(report_, record_);
    report_.environment = FindEnvironment(image_, job_.environment);
    ListMappings();
    report_.seconds = static_cast<double>(MonotonicNow() - begun_) / 1e9;
    return std::move(report_);
  }

 private:
  /// Threads with the same pcs are one stack. The first thread of the core, the one that crashed, has its
  /// own.
  void UnwindThreads() {
    std::map<std::vector<std::uint64_t>, std::size_t> alike;
    const auto& threads = image_.notes().threads;
    crashed_thread_ = FindSendingThread();
    for (std::size_t i = 0; i < threads.size(); ++i) {
      // The one that crashed comes first.
      const CoreNotes::Thread& thread = threads[i == 0 ? crashed_thread_ : i <= crashed_thread_ ? i - 1 : i];
      RawStack raw = unwinder_.Unwind(Registers(image_.arch(), thread.registers));
      const bool crashed = report_.stacks.empty();
      if (crashed) first_fault_ = FindFirstFault(image_, unwinder_, record_, thread.registers, raw);
      std::vector<std::uint64_t> pcs = PcsOf(raw);
      if (!crashed) {
        const auto [known, is_new] = alike.try_emplace(std::move(pcs), report_.stacks.size());
        if (!is_new) {
          report_.stacks[known->second].tids.push_back(thread.tid);
          continue;
        }
        pcs = known->first;
      }
      Stack stack = NameStack(raw, pcs);
      stack.tids.push_back(thread.tid);
      report_.stacks.push_back(std::move(stack));
      if (crashed) {
        crashed_ = std::move(raw);
        CutToFault();
      }
    }
    // Most first, behind the one that crashed.
    std::ranges::stable_sort(report_.stacks.begin() + 1, report_.stacks.end(), std::ranges::greater(),
                             [](const Stack& stack) { return stack.tids.size(); });
  }

  /// A handler that sends the signal to its process, and not to its thread, may kill another one. The index
  /// of the thread with that handler; 0, that of the one which died, where there is none.
  std::size_t FindSendingThread() {
    const auto& threads = image_.notes().threads;
    const int signal = record_.signal.number;
    if (!IsSentByItself(record_) || IsInSendingCall(threads.front().registers, signal)) return 0;
    int left = kSendersMax;
    for (std::size_t i = 1; i < threads.size() && left > 0; ++i) {
      const auto& registers = threads[i].registers;
      if (!IsInSendingCall(registers, signal)) continue;
      --left;
      RawStack raw = unwinder_.Unwind(Registers(image_.arch(), registers));
      if (FindFirstFault(image_, unwinder_, record_, registers, raw)) return i;
    }
    return 0;
  }

  /// The stack of the moment of the first fault, if there was one. Named before all other threads take their
  /// share of names.
  void CutToFault() {
    if (!first_fault_) return;
    fault_ = crashed_;
    const auto outer = fault_.frames.begin() + static_cast<std::ptrdiff_t>(first_fault_->interrupted);
    fault_.frames.erase(fault_.frames.begin(), std::min(outer, fault_.frames.end()));
    const auto kept = std::min(first_fault_->interrupted, fault_.registers.size());
    fault_.registers.erase(fault_.registers.begin(),
                           fault_.registers.begin() + static_cast<std::ptrdiff_t>(kept));
    fault_stack_ = NameStack(fault_, PcsOf(fault_));
  }

  static std::vector<std::uint64_t> PcsOf(const RawStack& raw) {
    std::vector<std::uint64_t> pcs;
    pcs.reserve(raw.frames.size());
    for (const RawFrame& frame : raw.frames) pcs.push_back(frame.pc);
    return pcs;
  }

  /// Where a handler was called for a fault, what is the handler's is not looked at.
  std::size_t CauseFrame(const std::vector<Frame>& frames) const {
    if (!first_fault_) return IsSentByItself(record_) ? FrameThatGaveUp(frames, crashed_, image_.arch()) : 0;
    if (first_fault_->interrupted == 0) return 0;
    auto left = std::ranges::count(std::span(crashed_.frames).first(first_fault_->interrupted), true,
                                   &RawFrame::trampoline);
    std::size_t from = 0;
    while (from < frames.size() && (!frames[from].interrupted || --left > 0)) ++from;
    return from;
  }

  Stack NameStack(const RawStack& raw, const std::vector<std::uint64_t>& pcs) {
    Stack stack;
    stack.end = raw.end;
    std::size_t left = kFramesOfStack;
    for (const StackPart& part : FoldRecursion(pcs, kFramesOfStack)) {
      const auto first = static_cast<std::uint32_t>(stack.frames.size());
      std::size_t named = 0;
      for (; named < part.count && left > 0; ++named, --left) Name(raw, part.first + named, stack);
      const auto count = static_cast<std::uint32_t>(stack.frames.size()) - first;
      if (part.times > 1 && count > 0) stack.folds.push_back({first, count, part.times});
      if (left == 0) {
        const std::size_t shown = part.first + named * part.times;
        if (shown < raw.frames.size())
          stack.end = fmt::format("{} more frames are left out", raw.frames.size() - shown);
        break;
      }
    }
    return stack;
  }

  void Name(const RawStack& raw, std::size_t index, Stack& stack) {
    const RawFrame& frame = raw.frames[index];
    std::vector<Frame> frames;
    if (frames_ >= kFramesOfReport || symbolizer_.work() > kNamingWork) {
      frames.push_back({.pc = frame.pc, .origin = frame.origin, .module = modules_.Find(frame.lookup())});
      report_.failure = "there are too many frames to name them all";
    } else {
      frames = symbolizer_.Name(frame);
    }
    frames.front().interrupted = index > 0 && raw.frames[index - 1].trampoline;
    frames_ += frames.size();
    stack.frames.insert(stack.frames.end(), frames.begin(), frames.end());
  }

  /// The moment that killed: of the first fault, where a handler was called for one.
  void DescribeCrashed() {
    const std::vector<std::uint64_t>& at_death = image_.notes().threads[crashed_thread_].registers;
    if (at_death.size() != image_.arch().register_count) return;
    if (!first_fault_) return Describe(record_, at_death, crashed_, report_.stacks.front());
    const SignalFrame& frame = first_fault_->frame;
    Describe(first_fault_->RecordOf(record_), frame.registers, fault_, fault_stack_);
    report_.cause.guess = report_.cause.guess || first_fault_->guess;
    report_.cause.first_fault = {.signal = frame.signal, .code = frame.code, .address = frame.address};
  }

  void Describe(const CrashRecord& record, const std::vector<std::uint64_t>& registers, const RawStack& raw,
                const Stack& stack) {
    const Registers known(image_.arch(), registers);
    for (const Architecture::Register& one : image_.arch().registers) {
      const std::uint64_t value = registers[one.index];
      report_.registers.push_back(
          {std::string(one.name), value, one.is_pointer ? names_.Describe(value) : ""});
    }
    std::array<std::byte, 15> code{};
    const auto bytes = std::span(code).first(image_.Read(known.pc(), code));
    const std::optional<Instruction> instruction = Decode(image_.arch(), bytes, known.pc());
    // Where a signal was sent, the thread may have been anywhere.
    if (!bytes.empty() && !IsSent(record.signal)) {
      report_.instruction =
          FaultingInstruction{.address = known.pc(), .text = instruction ? instruction->text : ""};
      for (const std::byte byte : bytes.first(instruction ? instruction->size : bytes.size()))
        report_.instruction->bytes += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
    }
    AddMemory("pc", known.pc());
    AddMemory("sp", known.sp());
    if (record.signal.address) AddMemory("fault", *record.signal.address);
    CrashScene scene{image_, modules_, names_, record, registers, raw, stack, instruction, data_files_};
    report_.cause = FindCause(scene);
  }

  void AddMemory(const char* label, std::uint64_t address) {
    const std::uint64_t begin = address - std::min(address, kMemoryBefore);
    for (const std::uint64_t from : {begin, address}) {  // what lies before may not be there
      std::string bytes(kMemoryBytes, '\0');
      bytes.resize(image_.Read(from, std::as_writable_bytes(std::span(bytes))));
      if (bytes.empty()) continue;
      report_.memory.push_back({label, from, std::move(bytes)});
      return;
    }
  }

  Module DescribedModule(const ModuleFiles& files) {
    Module module = files.module;
    if (files.debug)
      module.symbols = "debug file";
    else if (files.module.path == "[vdso]")
      module.symbols = "memory";
    else if (files.file)
      module.symbols = "module";
    return module;
  }

  void ListMappings() {
    report_.mappings_total = image_.mappings().size();
    for (const CoreImage::Mapping& segment :
         image_.mappings().first(std::min(report_.mappings_total, Report::kMappingsMax)))
      report_.mappings.push_back(
          {segment.begin, segment.end, AccessOf(segment.flags), names_.MappingName(segment.begin)});
  }

  CoreImage& image_;
  std::vector<ModuleFiles>& files_;
  const std::vector<DataFile>& data_files_;
  const AnalysisJob& job_;
  const CrashRecord& record_;
  std::int64_t begun_;
  Modules modules_;
  Unwinder unwinder_;
  Symbolizer symbolizer_;
  AddressNames names_;
  Report report_;
  RawStack crashed_;
  std::size_t crashed_thread_ = 0;
  std::optional<FirstFault> first_fault_;
  RawStack fault_;  // from first_fault_ on
  Stack fault_stack_;
  std::size_t frames_ = 0;
};

}  // namespace

Report Analysis::Run() {
  return Reporter(*state_->image, state_->files, state_->data_files, state_->job, state_->begun).Make();
}

}  // namespace obit
