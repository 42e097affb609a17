// The command obit: reads the command line and calls a verb.

#include <csignal>
#include <sstream>

#include <CLI/CLI.hpp>

#include "base/log.h"
#include "base/nearest.h"
#include "common.h"
#include "config/defaults.h"
#include "config/usage.h"
#include "verbs.h"

namespace obit {
namespace {

constexpr const char* kAbout = R"(obit shows the crashes that obitd recorded, and opens their cores.

A crash is selected (SEL) by the beginning of its id, its pid, the name of its
program (the newest one of it), or @1 for the newest, @2 for the one before;
without any, it is the newest.)";

constexpr const char* kExamples = R"(Examples:
  obit list --since 2h              what crashed in the last two hours
  obit show                         what killed the program that crashed last
  obit groups --since 7d            what crashed for one reason, and how often
  obit gdb imgproxy                 opens the newest core of imgproxy in gdb
  obit gdb 3f9c -- -batch -ex bt    a stack trace of crash 3f9c..., for a script
  obit dump @2 -o core              the plain core of the crash before the newest
  obit analyze --all                what killed the processes of all cores not read yet
  obit import core.4711.zst         takes a core file into the store
  obit rm --user ann --before 7d    removes her crashes of more than a week ago
  sudo obit enable                  sends cores to obitd; obit disable undoes it
  sudo obit doctor --crash          tries it all with a real crash

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no crash matches, 4 several crashes match.
Every verb has its own --help. See also obit(1) and obitd(8).)";

/// The first argument that is neither an option nor the value of --store.
std::string VerbOf(const std::vector<std::string>& arguments) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--store")
      ++i;
    else if (!arguments[i].starts_with('-'))
      return arguments[i];
  }
  return "";
}

constexpr std::uint64_t kLastMax = 1'000'000;

/// The command line, read: which verb, and its options.
class CommandLine {
 public:
  CommandLine() {
    app_.set_version_flag("--version", "obit " OBIT_VERSION);
    app_.add_option("--store", store_, "The store, a folder; else that of obit.toml, server.store")
        ->type_name("DIR");
    app_.footer(kExamples);
    app_.get_formatter()->label("SUBCOMMAND", "VERB");
    app_.get_formatter()->label("Subcommands", "Verbs");
    app_.require_subcommand(1);
    app_.fallthrough();  // --store may stand behind the verb
    AddReaders();
    AddDebuggers();
    AddWriters();
    AddSystem();
  }

  /// `debugger_arguments` are what stands behind "--".
  ExitCode Run(std::vector<std::string> arguments, std::vector<std::string> debugger_arguments) {
    debug_.arguments = std::move(debugger_arguments);
    const std::string verb = VerbOf(arguments);
    if (const auto verbs = Verbs(); !verb.empty() && std::ranges::find(verbs, verb) == verbs.end())
      return WrongUsage(fmt::format(R"(there is no verb "{}"{})", verb, DidYouMean(verb, verbs)));
    std::ranges::reverse(arguments);  // CLI11 takes them from the end
    try {
      app_.parse(std::move(arguments));
    } catch (const CLI::Success& asked) {  // --help, --version
      std::ostringstream out;
      app_.exit(asked, out, out);
      Print(out.str());
      return ExitCode::kDone;
    } catch (const CLI::ParseError& wrong) {
      return WrongUsage(verb.empty() && dynamic_cast<const CLI::RequiredError*>(&wrong) != nullptr
                            ? "what is to be done? Give a verb, such as list or show"
                            : DescribeUsage(app_, wrong));
    }
    return verb_();
  }

 private:
  [[nodiscard]] std::vector<std::string_view> Verbs() const {
    std::vector<std::string_view> verbs;
    for (const CLI::App* verb : app_.get_subcommands([](const CLI::App*) { return true; }))
      verbs.push_back(verb->get_name());
    return verbs;
  }
  [[nodiscard]] static ExitCode WrongUsage(const std::string& what) {
    Log(Severity::kError, "{} (obit --help)", what);
    return ExitCode::kUsage;
  }

  CLI::App* AddVerb(const std::string& name, const std::string& about, std::function<ExitCode()> run) {
    CLI::App* verb = app_.add_subcommand(name, about);
    if (run) verb->callback([this, run = std::move(run)] { verb_ = run; });
    return verb;
  }
  /// What a verb reads: only a verb that does so looks for it.
  [[nodiscard]] const std::string& StorePath() const { return store_.empty() ? DefaultStore() : store_; }
  static void AddSelector(CLI::App* verb, std::string& selector) {
    verb->add_option("SEL", selector, "Which crash: an id, a pid, a program, @N")
        ->capture_default_str()
        ->type_name("");
  }

  void AddReaders() {
    CLI::App* list =
        AddVerb("list", "Lists crashes, the newest last", [this] { return List(StorePath(), list_); });
    list->add_option("SEL", list_.selectors, "Lists only crashes that fit: ids, pids, programs")
        ->type_name("");
    list->add_option(
            "--since", list_.since,
            "Lists only crashes from then on: 30min, 2h, 3d, today, 2026-11-22, \"2026-11-22 14:02\"")
        ->type_name("WHEN");
    list->add_option("--group", list_.group, "Lists only crashes of this group (obit groups)")
        ->type_name("GROUP");
    list->add_option("--last", list_.last, "Lists only the newest N, 1 to 1000000")
        ->type_name("N")
        ->check(WholeNumber(1, kLastMax));
    list->add_flag("--all", list_.all, "Gives each crash of a crash loop a line");
    list->add_flag("--json", list_.json, "Prints an array of whole records");
    CLI::App* show = AddVerb("show", "Shows what killed a process, and where",
                             [this] { return Show(StorePath(), show_); });
    show->add_option("SEL", show_.selector, "Which crash: an id, a pid, a program, @N; or a group")
        ->capture_default_str()
        ->type_name("");
    show->add_flag("--all-threads", show_.sections.all_threads, "Adds the whole stacks of all threads");
    show->add_flag("--registers", show_.sections.registers,
                   "Adds registers of the crashed thread, and memory around");
    show->add_flag("--modules", show_.sections.modules, "Adds programs and libraries that were mapped");
    show->add_flag("--maps", show_.sections.mappings, "Adds all mappings");
    show->add_flag("--env", show_.sections.environment, "Adds the environment, as far as it was kept");
    show->add_flag("--record", show_.sections.record, "Adds all that was recorded at the crash itself");
    show->add_flag("--json", show_.json, "Prints record and report as they are stored");
    show->add_flag("--no-pager", show_.no_pager, "Never uses $PAGER or less");
    CLI::App* groups = AddVerb("groups", "Lists groups of crashes with the same cause",
                               [this] { return Groups(StorePath(), groups_); });
    groups->add_option("--since", groups_.since, "Counts only crashes from then on, as for list")
        ->type_name("WHEN");
    groups->add_flag("--json", groups_.json, "Prints an array with an object for each group");
    CLI::App* dump =
        AddVerb("dump", "Writes the plain core of a crash", [this] { return Dump(StorePath(), dump_); });
    AddSelector(dump, dump_.selector);
    dump->add_option("-o,--output", dump_.output, "Writes to this file, which appears when it is complete")
        ->type_name("FILE");
    dump->add_flag("--minimal", dump_.minimal, "Only what debuggers need for the stacks of all threads");
  }

  void AddDebuggers() {
    for (const auto& [name, debugger] : {std::pair{"gdb", Debugger::kGdb}, {"lldb", Debugger::kLldb}}) {
      CLI::App* verb =
          AddVerb(name, fmt::format("Opens a core in {}, with the right program", name), [this, debugger] {
            debug_.debugger = debugger;
            return Debug(StorePath(), debug_);
          });
      AddSelector(verb, debug_.selector);
      verb->footer(fmt::format("What stands behind -- is for {0}: obit {0} SEL -- {1}", name,
                               debugger == Debugger::kGdb ? "-batch -ex bt" : "--batch -o bt"));
    }
  }

  void AddSelectors(CLI::App* verb) {
    verb->add_option("SEL", chosen_, "Which: ids, pids, programs that crashed once, @N")
        ->required()
        ->type_name("");
  }

  void AddWriters() {
    CLI::App* analyze = AddVerb("analyze", "Finds anew what killed a process, from its core",
                                [this] { return Analyze(StorePath(), analyze_); });
    AddSelector(analyze, analyze_.selector);
    analyze
        ->add_option("--debug-directory", analyze_.debug_directories,
                     "Also looks there for debug information, in .build-id")
        ->type_name("DIR")
        ->allow_extra_args(false);
    analyze->add_flag("--debuginfod", analyze_.fetch,
                      "Fetches debug information that is missing, from the servers in DEBUGINFOD_URLS");
    analyze
        ->add_option("--environment", analyze_.environment,
                     "Keeps so much of it: none, allow-list or all; else as its rule says, or the allow-list")
        ->type_name("WHICH")
        ->check(OneOf({"none", "allow-list", "all"}));
    analyze
        ->add_flag("--all", analyze_.all, "Reads every core without a report, or with one of an older obit")
        ->excludes("SEL");
    CLI::App* import = AddVerb("import", "Takes core files into the store: plain, zst, lz4, xz, gz",
                               [this] { return Import(StorePath(), import_); });
    import->add_option("FILE", import_, "Core files")->required()->type_name("");
    AddRemovers();
    for (const bool pinned : {true, false})
      AddSelectors(
          AddVerb(pinned ? "pin" : "unpin",
                  pinned ? "Keeps crashes from rm without --force" : "Lets rm have pinned crashes again",
                  [this, pinned] { return Pin(StorePath(), chosen_, pinned); }));
    AddVerb("reindex", "Makes the index of the store anew", [this] { return Reindex(StorePath()); });
  }

  void AddRemovers() {
    CLI::App* remove =
        AddVerb("rm", "Removes crashes for good", [this] { return obit::Remove(StorePath(), remove_); });
    remove->add_option("SEL", remove_.selectors, "Which: ids, pids, programs that crashed once, @N")
        ->type_name("");
    const auto all_of = [&](const char* name, std::string& value, const char* about, const char* type) {
      remove->add_option(name, value, about)->type_name(type)->excludes("SEL");
    };
    all_of("--program", remove_.program, "Removes all crashes of this program, by name or path", "NAME");
    all_of("--group", remove_.group, "Removes all crashes of this group (obit groups)", "GROUP");
    all_of("--unit", remove_.unit, "Removes all crashes of this systemd unit, container or pod", "UNIT");
    all_of("--user", remove_.user, "Removes all crashes of this user, by name or uid", "USER");
    all_of("--before", remove_.before, "Removes all crashes before then: 30d, 2026-11-22", "WHEN");
    all_of("--since", remove_.since, "Removes all crashes from then on, as for list", "WHEN");
    remove->add_flag("--dry-run", remove_.dry_run, "Only says what would be removed");
    remove->add_flag("--force", remove_.force, "Removes also those that are pinned");
    remove->add_flag("--yes", remove_.yes, "Removes without asking");
    remove->footer("Several such options must all fit. On a terminal, rm asks before it does that.");
    CLI::App* vacuum = AddVerb("vacuum", "Removes old cores until the store is within its limits",
                               [this] { return Vacuum(StorePath(), vacuum_); });
    vacuum->add_flag("--dry-run", vacuum_.dry_run, "Only says what would be removed");
    vacuum->add_option("--size", vacuum_.size, "The store takes no more: 20G, or 10% of the disk")
        ->type_name("SIZE");
    vacuum->add_option("--free", vacuum_.free, "So much of the disk is free: 10G, or 15%")->type_name("SIZE");
    vacuum->add_option("--age", vacuum_.age, "Removes older cores: 30d, 12h, 2026-11-22")->type_name("AGE");
    vacuum->footer("Without limits those of obit.toml hold, [retention]. Records outlive their cores.");
  }

  void AddRule() {
    CLI::App* rule = AddVerb("rule", "Says which rule of the configuration wins", {});
    rule->require_subcommand(1);
    CLI::App* test =
        rule->add_subcommand("test", "Tries the rules on a stored crash, or on one that may come");
    test->callback([this] { verb_ = [this] { return TestRules(StorePath(), rule_); }; });
    AddSelector(test, rule_.selector);
    test->add_option("--config", rule_.config, "Reads this file and its drop-ins, instead of the system's")
        ->type_name("FILE");
    const auto fact = [&](const char* name, std::string& value, const char* about, const char* type) {
      return test->add_option(name, value, about)->type_name(type)->excludes("SEL");
    };
    fact("--exe", rule_.exe, "As of the program at this path", "PATH");
    fact("--name", rule_.name, "As of a process of this name (comm)", "NAME");
    fact("--unit", rule_.unit, "As of this unit of the system", "UNIT");
    fact("--slice", rule_.slice, "As of this slice of the system", "SLICE");
    fact("--container", rule_.container, "As of this container", "ID");
    fact("--pod", rule_.pod, "As of the Kubernetes pod with this uid", "UID");
    fact("--cgroup", rule_.cgroup, "As of this cgroup, which tells unit, slice, container and pod", "PATH");
    fact("--user", rule_.user, "As of this user, by name or uid", "USER");
    fact("--signal", rule_.signal, "By this signal: SIGSEGV, 11", "SIGNAL");
    fact("--size", rule_.size, "As of a process with so much memory: 1.5G", "SIZE");
    fact("--dump-mode", rule_.dump_mode, "As of a process with this dump mode: user or root", "MODE")
        ->check(OneOf({"user", "root"}));
    test->footer("What is not given is not known, and matches no key.");
  }

  void AddSystem() {
    CLI::App* enable =
        AddVerb("enable", "Makes the kernel send cores to obitd", [this] { return Enable(enable_); });
    enable->add_option("--transport", enable_.transport, "Takes this way: auto, request, socket or pipe")
        ->type_name("NAME")
        ->capture_default_str()
        ->check(OneOf({"auto", "request", "socket", "pipe"}));
    enable->add_option("--socket", enable_.socket, "obitd listens there for the kernel")
        ->type_name("PATH")
        ->capture_default_str();
    enable->add_option("--pipe-socket", enable_.pipe_socket, "obitd listens there for obit-pipe")
        ->type_name("PATH")
        ->capture_default_str();
    enable->add_flag("--force", enable_.force, "Does it even if nobody listens there yet");
    CLI::App* disable = AddVerb("disable", "Puts back the core_pattern that was there before",
                                [this] { return Disable(disable_if_ours_); });
    disable->add_flag("--if-ours", disable_if_ours_,
                      "Takes another's pattern that is there by now for no failure");
    CLI::App* config =
        AddVerb("config", "Prints the configuration of obitd that is in force, and where it comes from",
                [this] { return ShowConfig(config_, config_json_); });
    config->add_option("--config", config_, "Reads this file and its drop-ins, instead of the system's")
        ->type_name("FILE");
    config->add_flag("--json", config_json_, "Prints an array with an object for each key");
    AddRule();
    CLI::App* release = AddVerb("release", "Lets go of the memory of processes that are gone",
                                [this] { return Release(StorePath(), release_); });
    release->add_option("ID", release_.id, "The crash, by the beginning of its id; else all of them")
        ->type_name("");
    release->add_option("--pipe-socket", release_.pipe_socket, "The socket that obitd has for obit-pipe")
        ->default_val(kDefaultPipeSocket)
        ->type_name("PATH");
    CLI::App* status = AddVerb("status", "Says where cores go, and what is stored",
                               [this] { return Status(StorePath(), status_json_); });
    status->add_flag("--json", status_json_, "Prints an object, with what obitd counted");
    CLI::App* doctor =
        AddVerb("doctor", "Checks all that obit needs", [this] { return Doctor(StorePath(), doctor_); });
    doctor->add_flag("--crash", doctor_.crash, "Also makes a process crash, and looks what becomes of it");
  }

  CLI::App app_{kAbout, "obit"};
  std::string store_;  // empty: DefaultStore()
  ListOptions list_;
  ShowOptions show_;
  DumpOptions dump_;
  GroupsOptions groups_;
  DebugOptions debug_;
  AnalyzeOptions analyze_;
  std::vector<std::string> import_, chosen_;
  RemoveOptions remove_;
  VacuumOptions vacuum_;
  ReleaseOptions release_;
  std::string config_;
  bool config_json_ = false, status_json_ = false, disable_if_ours_ = false;
  EnableOptions enable_{.socket = kDefaultSocket, .pipe_socket = kDefaultPipeSocket};
  DoctorOptions doctor_;
  RuleTestOptions rule_;
  std::function<ExitCode()> verb_;
};

/// Cuts off what is for the debugger: CLI11 would give the first of it to SEL.
std::vector<std::string> TakeDebuggerArguments(std::vector<std::string>& arguments) {
  const std::string verb = VerbOf(arguments);
  const auto dashes = std::ranges::find(arguments, "--");
  if ((verb != "gdb" && verb != "lldb") || dashes == arguments.end()) return {};
  std::vector<std::string> rest(dashes + 1, arguments.end());
  arguments.erase(dashes, arguments.end());
  return rest;
}

}  // namespace
}  // namespace obit

int main(int argc, char** argv) {
  obit::SetLogName("obit");
  std::vector<std::string> arguments(argv + 1, argv + argc);
  auto debugger_arguments = obit::TakeDebuggerArguments(arguments);
  ::signal(SIGXFSZ, SIG_IGN);  // a limit on the size of files is an error to report, not a death
  auto code = obit::ExitCode::kFailed;
  try {
    code = obit::CommandLine().Run(std::move(arguments), std::move(debugger_arguments));
  } catch (const std::bad_alloc&) {  // a damaged core may want any amount of memory
    obit::Log(obit::Severity::kError, "it takes more memory than there is");
  }
  // What was printed may not have arrived: a full disk behind ">".
  if (auto flushed = obit::FlushOutput(); !flushed && code == obit::ExitCode::kDone)
    code = obit::Failed(std::move(flushed).error().In("standard output"));
  return static_cast<int>(code);
}
