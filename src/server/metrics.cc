#include "server/metrics.h"

#include <map>
#include <string_view>

#include <fmt/format.h>

#include "kernel/core_pattern.h"

namespace obit {
namespace {

/// One family: its lines of explanation, then its values.
class Family {
 public:
  Family(std::string& text, std::string_view name, std::string_view type, std::string_view help)
      : text_(text), name_(name) {
    text_ += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, type);
  }
  template <class Value>
  void Add(Value value) {
    text_ += fmt::format("{} {}\n", name_, value);
  }
  template <class Label, class Value>
  void Add(std::string_view label, const Label& of, Value value) {
    text_ += fmt::format("{}{{{}=\"{}\"}} {}\n", name_, label, of, value);
  }

 private:
  std::string& text_;
  std::string_view name_;
};

/// Those that are not 0, by name.
template <class Enum, std::size_t N>
std::map<std::string_view, std::uint64_t> Named(const std::array<std::uint64_t, N>& counts) {
  std::map<std::string_view, std::uint64_t> named;
  for (std::size_t i = 0; i < N; ++i)
    if (counts[i] > 0) named[NameOf(static_cast<Enum>(i))] = counts[i];
  return named;
}

template <class Enum, std::size_t N>
void Count(std::array<std::uint64_t, N>& counts, Enum what) {
  if (const auto index = static_cast<std::size_t>(what); index < N) ++counts[index];
}

}  // namespace

void Metrics::CountCrash(const CrashRecord& record) {
  ++total.crashes;
  Count(total.outcomes, record.capture.outcome);
  Count(total.details, record.capture.detail);
  Count(total.methods, record.capture.method);
  if (const auto transport = TransportNamed(record.capture.transport)) Count(total.transports, *transport);
  if (record.capture.lowered != Shortage::kNone) Count(total.lowered, record.capture.lowered);
  total.held_seconds += record.capture.held_seconds;
  total.core_bytes += record.capture.core_bytes;
  total.stored_bytes += record.capture.stored_bytes;
}

std::string Metrics::Render() const {
  std::string text;
  const auto counter = [&](std::string_view name, std::string_view help) {
    return Family(text, name, "counter", help);
  };
  const auto labelled = [&](std::string_view name, std::string_view help, std::string_view label,
                            const auto& counts) {
    Family family = counter(name, help);
    for (const auto& [of, count] : counts) family.Add(label, of, count);
  };
  counter("obit_crashes_total", "Crashes that were recorded.").Add(total.crashes);
  labelled("obit_crash_outcomes_total", "Crashes, by what became of their core.", "outcome",
           Named<CrashOutcome>(total.outcomes));
  labelled("obit_crash_details_total", "Crashes, by how much of them was wanted.", "detail",
           Named<Detail>(total.details));
  labelled("obit_crash_methods_total", "Crashes, by the way their core was got.", "method",
           Named<CaptureMethod>(total.methods));
  labelled("obit_crash_transports_total", "Crashes, by the way the kernel told.", "transport",
           Named<Transport>(total.transports));
  labelled("obit_crashes_lowered_total", "Crashes of which less was kept, by what was short.", "why",
           Named<Shortage>(total.lowered));
  counter("obit_crashes_rejected_total", "Crashes that were only counted, as the configuration says.")
      .Add(total.rejected());
  counter("obit_crashes_repeated_total", "Crashes of crash loops, which were only counted.")
      .Add(total.repeated());
  counter("obit_crashes_over_budget_total",
          "Crashes that were only counted, since their user or unit has had its crashes.")
      .Add(total.over_budget());
  counter("obit_crashes_without_room_total",
          "Crashes that were only counted, since the disk took no more records.")
      .Add(total.no_room());
  counter("obit_crashes_lost_total", "Crashes of which not even a record could be written.")
      .Add(total.all_lost());
  counter("obit_refused_peers_total", "Connections of others than the kernel.").Add(total.refused.total());
  counter("obit_core_bytes_total", "Bytes of cores.").Add(total.core_bytes);
  counter("obit_stored_bytes_total", "Bytes of cores as they were stored.").Add(total.stored_bytes);
  Family held(text, "obit_held_seconds", "summary", "Seconds that crashed processes were held.");
  text += fmt::format("obit_held_seconds_sum {:.6f}\nobit_held_seconds_count {}\n", total.held_seconds,
                      total.crashes);
  counter("obit_analyses_total", "Cores of which a report was made.").Add(total.analysed);
  counter("obit_analyses_failed_total", "Analyses that came to nothing.").Add(total.not_analysed);
  counter("obit_analyses_dropped_total", "Cores without a report, since too many waited.")
      .Add(total.analyses_dropped.total());
  counter("obit_hook_runs_total", "Hooks that were run.").Add(total.hook_runs.total());
  counter("obit_hook_failures_total", "Hooks that failed, or took too long.")
      .Add(total.hook_failures.total());
  counter("obit_hook_events_dropped_total", "Crashes and reports that no hook was told of.")
      .Add(total.hook_events_dropped.total());
  if (pattern_ours)
    Family(text, "obit_core_pattern_ours", "gauge",
           "1 if the core pattern leads here, 0 if crashes go elsewhere.")
        .Add(*pattern_ours ? 1 : 0);
  Family(text, "obit_store_crashes", "gauge", "Crashes in the store.").Add(store.crashes);
  Family(text, "obit_store_bytes", "gauge", "Bytes of the cores in the store.").Add(store.stored_bytes);
  Family(text, "obit_store_free_bytes", "gauge", "Bytes that are free where the store lies.")
      .Add(store_free_bytes);
  if (store_limit_bytes)
    Family(text, "obit_store_limit_bytes", "gauge", "Bytes that retention lets the store hold.")
        .Add(*store_limit_bytes);
  labelled("obit_retention_cores_total", "Cores that retention removed; their records stay.", "why",
           Named<RetentionReason>(total.removed_cores));
  labelled("obit_retention_crashes_total", "Crashes that retention removed, with their records.", "why",
           Named<RetentionReason>(total.removed_crashes));
  counter("obit_retention_bytes_total", "Bytes that retention freed.").Add(total.removed_bytes);
  Family(text, "obit_queue_length", "gauge", "Crashes that wait for a capture.").Add(queued);
  Family(text, "obit_captures_running", "gauge", "Captures that run.").Add(captures);
  Family(text, "obit_kept_processes", "gauge", "Processes that are gone while their memory is copied.")
      .Add(kept);
  Family(text, "obit_kept_bytes", "gauge", "Bytes of their memory.").Add(kept_bytes);
  counter("obit_processes_replaced_total", "Processes of obitd that died or hung, and were replaced.")
      .Add(total.replaced.total());
  Family(text, "obit_processes_left_behind", "gauge", "Replaced processes of obitd that do not die.")
      .Add(left_behind);
  counter("obit_log_lines_dropped_total", "Lines of the log that its reader was too slow for.")
      .Add(total.log_dropped.total());
  return text;
}

}  // namespace obit
