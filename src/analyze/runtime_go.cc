// Go (runtime/panic.go, runtime2.go): the panics of the goroutine that died, and the text of a throw. The
// layouts are those of Go 1.19 and of 1.27: the goroutine's list of panics, and the fault that began it.

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>

#include "analyze/runtime_words.h"
#include "base/signal_name.h"
#include "base/text.h"

namespace obit {
namespace {

constexpr std::size_t kFsBase = 21;               // in struct user_regs_struct
constexpr std::uint64_t kG = 0xfffffffffffffff8;  // of a goroutine's pointer, from fs_base on: the TLS slot
constexpr std::uint64_t kPanic = 32, kM = 48;     // in g
constexpr std::uint64_t kKindString = 24, kKindMask = 31;

struct Layout {
  std::uint64_t curg;              ///< in m
  std::uint64_t sig;               ///< in g: u32; behind it sigcode0, sigcode1, sigpc, in words
  std::uint64_t type, data, link;  ///< in _panic
};
constexpr Layout kNew{184, 224, 0, 8, 16}, kOld{192, 240, 8, 16, 24};

class GoFinder {
 public:
  explicit GoFinder(RuntimeScene& scene) : scene_(scene), image_(scene.image()) {}

  std::optional<Cause> Find() {
    Cause cause{.kind = CauseKind::kGoPanic};
    cause.runtime = "Go";
    const std::string thrown = Thrown();
    if (const auto g = Goroutine()) {
      cause.message = Panics(*g);
      TakeFault(*g, cause);
    }
    if (cause.message.empty() && !thrown.empty()) {
      cause.message = thrown;
      cause.what = "fatal error";
    }
    return cause;
  }

 private:
  /// The goroutine that runs, or ran when a signal came, or called the scheduler.
  std::optional<std::uint64_t> Goroutine() {
    const auto& registers = scene_.crash().registers;
    if (registers.size() <= kFsBase) return std::nullopt;
    const auto g = image_.ReadWord(registers[kFsBase] + kG);
    const auto m = g ? image_.ReadWord(*g + kM) : std::nullopt;
    if (!m || *m == 0) return std::nullopt;
    for (const Layout& layout : {kOld, kNew}) {
      const auto current = image_.ReadWord(*m + layout.curg);
      if (!current || *current == 0 || image_.ReadWord(*current + kM) != *m) continue;
      const auto low = image_.ReadWord(*current), high = image_.ReadWord(*current + 8);
      if (!low || !high || *low >= *high) continue;
      layout_ = layout;
      return current;
    }
    return std::nullopt;
  }

  /// An interface's value, where it is a string: what the runtime makes of errors before it dies.
  std::string Value(std::uint64_t type, std::uint64_t data) {
    std::array<std::uint8_t, 24> head{};
    if (image_.Read(type, std::as_writable_bytes(std::span(head))) != head.size()) return {};
    const unsigned kind = head[23] & kKindMask;
    const auto first = image_.ReadWord(data);
    if (!first) return {};
    if (kind == kKindString) {
      const auto length = image_.ReadWord(data + 8);
      if (!length || *length == 0 || *length > RuntimeScene::kTextMax) return {};
      std::string text = scene_.Bytes({*first, *first + *length});
      return text.size() == *length && IsReadable(text) ? text : "";
    }
    if (kind == 2 || kind == 6) return std::to_string(static_cast<std::int64_t>(*first));  // int, int64
    return {};
  }

  /// The first panic: a second one comes of a deferred function, and is told behind it.
  std::string Panics(std::uint64_t g) {
    auto panic = image_.ReadWord(g + kPanic);
    std::string text;
    for (int i = 0; panic && *panic != 0 && i < 16; ++i) {
      const auto type = image_.ReadWord(*panic + layout_.type), data = image_.ReadWord(*panic + layout_.data);
      const std::string value = type && data ? Value(*type, *data) : "";
      if (value.empty()) break;
      text = text.empty() ? value : value + "; then: " + text;
      panic = image_.ReadWord(*panic + layout_.link);
    }
    return text;
  }

  bool HasFault(std::uint64_t g) {
    const auto number = image_.ReadWord(g + layout_.sig);
    const std::uint64_t signal = number ? *number & UINT32_MAX : 0;
    return signal == SIGSEGV || signal == SIGBUS || signal == SIGFPE;
  }

  void TakeFault(std::uint64_t g, Cause& cause) {
    if (!HasFault(g)) return;
    // sig u32, then words: writebuf is a slice between them.
    const auto number = image_.ReadWord(g + layout_.sig);
    std::array<std::uint64_t, 6> words{};
    if (image_.Read(g + layout_.sig + 8, std::as_writable_bytes(std::span(words))) != sizeof words) return;
    const std::uint64_t code = words[3], address = words[4];
    if (code > 128) return;
    const bool has_address = (*number & UINT32_MAX) != SIGFPE;
    cause.first_fault = {.signal = static_cast<int>(*number & UINT32_MAX), .code = static_cast<int>(code)};
    if (!has_address) return;
    cause.first_fault->address = address;
    cause.address = address;
  }

  /// "fatal error: concurrent map writes": runtime.printBacklog is a ring of what was printed last.
  std::string Thrown() {
    const auto at = scene_.ProgramSymbol("runtime.printBacklog"),
               index_at = scene_.ProgramSymbol("runtime.printBacklogIndex");
    if (!at || !index_at) return {};
    std::string ring(512, '\0');
    ring.resize(image_.Read(*at, std::as_writable_bytes(std::span(ring))));
    const auto index = image_.ReadWord(*index_at);
    if (ring.size() != 512 || !index || *index >= ring.size()) return {};
    std::ranges::rotate(ring, ring.begin() + static_cast<std::ptrdiff_t>(*index));
    constexpr std::string_view kFatal = "fatal error: ";
    const std::size_t found = ring.find(kFatal);
    if (found == std::string::npos) return {};
    const std::size_t from = found + kFatal.size(),
                      end = ring.find_first_of(std::string_view("\n\0", 2), from);
    const std::string text = ring.substr(from, end == std::string::npos ? end : end - from);
    return IsReadable(text) ? text : "";
  }

  RuntimeScene& scene_;
  CoreImage& image_;
  Layout layout_ = kOld;
};

}  // namespace

std::optional<Cause> RecogniseGo(RuntimeScene& scene, std::size_t frame) {
  // Not the plain names: what follows the dot would look like the suffix of a clone.
  const bool dies = RuntimeScene::IsOneOf(
      scene.crash().stack.frames[frame].function,
      {"runtime.raise*", "runtime.dieFromSignal", "runtime.crash", "runtime.fatalpanic*",
       "runtime.fatalthrow*", "runtime.throw", "runtime.gopanic"});
  // What it called died, and not Go: a C function, of a deferred function even while a panic is on its way.
  const bool in_c =
      std::ranges::any_of(std::span(scene.crash().stack.frames).first(frame), [](const Frame& one) {
        return RuntimeScene::IsOneOf(one.function, {"runtime.cgocall*", "runtime.asmcgocall*"});
      });
  if (!dies || in_c) return std::nullopt;
  auto cause = GoFinder(scene).Find();
  const bool gave_up = std::ranges::any_of(scene.crash().stack.frames, [](const Frame& one) {
    return RuntimeScene::IsOneOf(one.function, {"runtime.fatalpanic*", "runtime.fatalthrow*", "runtime.throw",
                                                "runtime.gopanic", "runtime.sigpanic"});
  });
  if (gave_up || !cause || !cause->message.empty() || cause->first_fault) return cause;
  // The handler of a signal that somebody sent, of SIGQUIT say, ends so, too.
  Cause sent{.kind = CauseKind::kKilled, .what = SignalName(scene.crash().record.signal.number)};
  sent.sender = {.kind = SenderKind::kItself, .in_handler = true};
  sent.function = OwnFunction(scene.crash());
  return sent;
}

}  // namespace obit
