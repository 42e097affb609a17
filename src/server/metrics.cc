#include "server/metrics.h"

#include <fmt/format.h>

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

}  // namespace

void Metrics::CountCrash(const CrashRecord& record) {
  ++crashes_;
  ++outcomes_[NameOf(record.capture.outcome)];
  ++details_[NameOf(record.capture.detail)];
  ++methods_[NameOf(record.capture.method)];
  ++transports_[record.capture.transport];  // a word of obit's own
  held_seconds_ += record.capture.held_seconds;
  core_bytes_ += record.capture.core_bytes;
  stored_bytes_ += record.capture.stored_bytes;
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
  counter("obit_crashes_total", "Crashes that were recorded.").Add(crashes_);
  labelled("obit_crash_outcomes_total", "Crashes, by what became of their core.", "outcome", outcomes_);
  labelled("obit_crash_details_total", "Crashes, by how much of them was wanted.", "detail", details_);
  labelled("obit_crash_methods_total", "Crashes, by the way their core was got.", "method", methods_);
  labelled("obit_crash_transports_total", "Crashes, by the way the kernel told.", "transport", transports_);
  counter("obit_crashes_rejected_total", "Crashes that were only counted, as the configuration says.")
      .Add(rejected);
  counter("obit_crashes_repeated_total", "Crashes of crash loops, which were only counted.").Add(repeated);
  counter("obit_crashes_lost_total", "Crashes of which not even a record could be written.").Add(lost);
  counter("obit_refused_peers_total", "Connections of others than the kernel.").Add(refused);
  counter("obit_core_bytes_total", "Bytes of cores.").Add(core_bytes_);
  counter("obit_stored_bytes_total", "Bytes of cores as they were stored.").Add(stored_bytes_);
  Family held(text, "obit_held_seconds", "summary", "Seconds that crashed processes were held.");
  text += fmt::format("obit_held_seconds_sum {:.6f}\nobit_held_seconds_count {}\n", held_seconds_, crashes_);
  counter("obit_analyses_total", "Cores of which a report was made.").Add(analysed_);
  counter("obit_analyses_failed_total", "Analyses that came to nothing.").Add(not_analysed_);
  counter("obit_analyses_dropped_total", "Cores without a report, since too many waited.")
      .Add(analyses_dropped);
  counter("obit_hook_runs_total", "Hooks that were run.").Add(hooks.runs);
  counter("obit_hook_failures_total", "Hooks that failed, or took too long.").Add(hooks.failures);
  counter("obit_hook_events_dropped_total", "Crashes and reports that no hook was told of.")
      .Add(hooks.dropped);
  if (pattern_ours)
    Family(text, "obit_core_pattern_ours", "gauge",
           "1 if the core pattern leads here, 0 if crashes go elsewhere.")
        .Add(*pattern_ours ? 1 : 0);
  Family(text, "obit_store_crashes", "gauge", "Crashes in the store.").Add(store.crashes);
  Family(text, "obit_store_bytes", "gauge", "Bytes of the cores in the store.").Add(store.stored_bytes);
  Family(text, "obit_store_free_bytes", "gauge", "Bytes that are free where the store lies.")
      .Add(store_free_bytes);
  Family(text, "obit_queue_length", "gauge", "Crashes that wait for a capture.").Add(queued);
  Family(text, "obit_captures_running", "gauge", "Captures that run.").Add(captures);
  return text;
}

}  // namespace obit
