#include "crash/report_json.h"

#include "crash/json_object.h"
#include "crash/record.h"

namespace obit {
namespace {

// Writing.

std::string ToHex(std::string_view bytes) {
  std::string hex;
  hex.reserve(bytes.size() * 2);
  for (const unsigned char byte : bytes) hex += fmt::format("{:02x}", byte);
  return hex;
}

Json CauseJson(const Cause& cause, const std::string& sentence) {
  Json out = Json::object();
  out["kind"] = NameOf(cause.kind);
  Put(out, "sentence", sentence.empty() ? cause.old_sentence : sentence);
  Put(out, "guess", cause.guess);
  if (cause.access != MemoryAccess::kUnknown) out["access"] = NameOf(cause.access);
  if (cause.transfer != Transfer::kNone) out["transfer"] = NameOf(cause.transfer);
  PutAddress(out, "address", cause.address);
  Put(out, "place", cause.place);
  Put(out, "register", cause.reg);
  Put(out, "instruction", cause.instruction);
  if (cause.alignment != 0) out["alignment"] = cause.alignment;
  if (cause.recursion) {
    Json item = Json::object();
    item["functions"] = Json::array();
    for (const std::string& function : cause.recursion->functions)
      item["functions"].push_back(BytesToUtf8(function));
    item["times"] = cause.recursion->times;
    Put(item, "irregular", cause.recursion->irregular);
    Put(item, "at_least", cause.recursion->at_least);
    out["recursion"] = std::move(item);
  }
  Put(out, "function", cause.function);
  Put(out, "expression", cause.expression);
  Put(out, "type", cause.type);
  Put(out, "message", cause.message);
  Put(out, "message_guess", cause.message_guess);
  Put(out, "runtime", cause.runtime);
  Put(out, "what", cause.what);
  Put(out, "system_call", cause.system_call);
  if (cause.sender) {
    Json item = Json::object();
    item["kind"] = NameOf(cause.sender->kind);
    Put(item, "pid", cause.sender->pid);
    Put(item, "uid", cause.sender->uid);
    Put(item, "in_handler", cause.sender->in_handler);
    out["sender"] = std::move(item);
  }
  if (cause.first_fault) {
    Json item = Json::object();
    item["signal"] = cause.first_fault->signal;
    item["code"] = cause.first_fault->code;
    PutAddress(item, "address", cause.first_fault->address);
    out["first_fault"] = std::move(item);
  }
  return out;
}

Json FrameJson(const Frame& frame) {
  Json out = Json::object();
  PutAddress(out, "pc", frame.pc);
  Put(out, "function", frame.function);
  Put(out, "symbol", frame.symbol);
  Put(out, "linked_as", frame.linked_as);
  Put(out, "offset", frame.offset);
  Put(out, "file", frame.file);
  if (frame.line != 0) out["line"] = frame.line;
  Put(out, "inlined", frame.inlined);
  Put(out, "interrupted", frame.interrupted);
  out["found"] = NameOf(frame.origin);
  Put(out, "module", frame.module);
  if (frame.module) PutAddress(out, "module_offset", frame.module_offset);
  return out;
}

Json StackJson(const Stack& stack) {
  Json out = Json::object();
  out["tids"] = stack.tids;
  out["frames"] = Json::array();
  for (const Frame& frame : stack.frames) out["frames"].push_back(FrameJson(frame));
  for (const Stack::Fold& fold : stack.folds)
    out["folds"].push_back({{"first", fold.first}, {"count", fold.count}, {"times", fold.times}});
  Put(out, "end", stack.end);
  return out;
}

Json ModuleJson(const Module& module) {
  Json out = Json::object();
  out["path"] = BytesToUtf8(module.path);
  Put(out, "build_id", module.build_id);
  PutAddress(out, "begin", module.begin);
  PutAddress(out, "end", module.end);
  Put(out, "package", module.package);
  Put(out, "symbols", module.symbols);
  Put(out, "lines", module.lines);
  Put(out, "problem", module.problem);
  return out;
}

Json CrashedThreadJson(const Report& report) {
  Json out = Json::object();
  if (report.instruction) {
    Json instruction = Json::object();
    PutAddress(instruction, "address", report.instruction->address);
    Put(instruction, "bytes", report.instruction->bytes);
    Put(instruction, "text", report.instruction->text);
    out["instruction"] = std::move(instruction);
  }
  out["registers"] = Json::array();
  for (const auto& reg : report.registers) {
    Json item = Json::object();
    item["name"] = BytesToUtf8(reg.name);
    PutAddress(item, "value", reg.value);
    Put(item, "about", reg.about);
    out["registers"].push_back(std::move(item));
  }
  out["memory"] = Json::array();
  for (const auto& memory : report.memory) {
    Json item = Json::object();
    item["label"] = BytesToUtf8(memory.label);
    PutAddress(item, "address", memory.address);
    item["bytes"] = ToHex(memory.bytes);
    out["memory"].push_back(std::move(item));
  }
  return out;
}

Json MappingsJson(const std::vector<Report::Mapping>& mappings) {
  Json out = Json::array();
  for (const auto& mapping : mappings) {
    Json item = Json::object();
    PutAddress(item, "begin", mapping.begin);
    PutAddress(item, "end", mapping.end);
    item["access"] = BytesToUtf8(mapping.access);
    Put(item, "name", mapping.name);
    out.push_back(std::move(item));
  }
  return out;
}

// Reading.

std::uint64_t AddressOf(ObjectReader& in, const char* key) {
  std::optional<std::uint64_t> address;
  in.GetAddress(key, address);
  return address.value_or(0);
}

std::string BytesOf(ObjectReader& in, const char* key) {
  std::string hex, bytes;
  in.Get(key, hex);
  if (hex.size() % 2 != 0) in.Wrong(key, "pairs of hex digits");
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    const auto byte = ParseUnsigned(std::string_view(hex).substr(i, 2), 16);
    if (!byte) {
      in.Wrong(key, "pairs of hex digits");
      return {};
    }
    bytes += static_cast<char>(*byte);
  }
  return bytes;
}

Frame ReadFrame(ObjectReader in, std::size_t modules) {
  Frame frame;
  frame.pc = AddressOf(in, "pc");
  in.Get("function", frame.function);
  in.Get("symbol", frame.symbol);
  in.Get("linked_as", frame.linked_as);
  in.Get("offset", frame.offset);
  in.Get("file", frame.file);
  in.Get("line", frame.line);
  in.Get("inlined", frame.inlined);
  in.Get("interrupted", frame.interrupted);
  in.GetEnum("found", OriginNamed, frame.origin);
  in.Get("module", frame.module);
  if (frame.module && *frame.module >= modules) in.Wrong("module", "the index of a module");
  frame.module_offset = AddressOf(in, "module_offset");
  return frame;
}

Stack ReadStack(ObjectReader in, std::size_t modules) {
  Stack stack;
  in.Get("tids", stack.tids);
  in.ForEach("frames",
             [&](ObjectReader item) { stack.frames.push_back(ReadFrame(std::move(item), modules)); });
  std::uint64_t folded = 0;  // frames up to here are in folds already
  in.ForEach("folds", [&](ObjectReader item) {
    Stack::Fold fold;
    item.Get("first", fold.first);
    item.Get("count", fold.count);
    item.Get("times", fold.times);
    const std::uint64_t behind = std::uint64_t{fold.first} + fold.count;
    if (fold.count == 0 || behind > stack.frames.size()) item.Wrong("first", "the index of a frame");
    if (fold.first < folded) item.Wrong("first", "behind the fold before");
    folded = behind;
    stack.folds.push_back(fold);
  });
  in.Get("end", stack.end);
  return stack;
}

Module ReadModule(ObjectReader in) {
  Module module;
  in.Get("path", module.path);
  in.Get("build_id", module.build_id);
  module.begin = AddressOf(in, "begin");
  module.end = AddressOf(in, "end");
  in.Get("package", module.package);
  in.Get("symbols", module.symbols);
  in.Get("lines", module.lines);
  in.Get("problem", module.problem);
  return module;
}

void ReadCrashedThread(ObjectReader in, Report& report) {
  if (in.Find("instruction") != nullptr) {
    ObjectReader item = in.Object("instruction");
    report.instruction.emplace();
    report.instruction->address = AddressOf(item, "address");
    item.Get("bytes", report.instruction->bytes);
    item.Get("text", report.instruction->text);
  }
  in.ForEach("registers", [&](ObjectReader item) {
    Report::Register& reg = report.registers.emplace_back();
    item.Get("name", reg.name);
    reg.value = AddressOf(item, "value");
    item.Get("about", reg.about);
  });
  in.ForEach("memory", [&](ObjectReader item) {
    Report::Memory& memory = report.memory.emplace_back();
    item.Get("label", memory.label);
    memory.address = AddressOf(item, "address");
    memory.bytes = BytesOf(item, "bytes");
  });
}

void ReadCause(ObjectReader in, Cause& cause) {
  std::string kind;
  in.Get("kind", kind);
  cause.kind = CauseNamed(kind).value_or(CauseKind::kUnknown);  // a later obit may know more of them
  in.Get("sentence", cause.old_sentence);
  in.Get("guess", cause.guess);
  if (in.Find("access") != nullptr) in.GetEnum("access", AccessNamed, cause.access);
  if (in.Find("transfer") != nullptr) in.GetEnum("transfer", TransferNamed, cause.transfer);
  in.GetAddress("address", cause.address);
  in.Get("place", cause.place);
  in.Get("register", cause.reg);
  in.Get("instruction", cause.instruction);
  in.Get("alignment", cause.alignment);
  if (in.Find("recursion") != nullptr) {
    ObjectReader item = in.Object("recursion");
    cause.recursion.emplace();
    item.Get("functions", cause.recursion->functions);
    item.Get("times", cause.recursion->times);
    item.Get("irregular", cause.recursion->irregular);
    item.Get("at_least", cause.recursion->at_least);
  }
  in.Get("function", cause.function);
  in.Get("expression", cause.expression);
  in.Get("type", cause.type);
  in.Get("message", cause.message);
  in.Get("message_guess", cause.message_guess);
  in.Get("runtime", cause.runtime);
  in.Get("what", cause.what);
  in.Get("system_call", cause.system_call);
  if (in.Find("sender") != nullptr) {
    ObjectReader item = in.Object("sender");
    cause.sender.emplace();
    item.GetEnum("kind", SenderNamed, cause.sender->kind);
    item.Get("pid", cause.sender->pid);
    item.Get("uid", cause.sender->uid);
    item.Get("in_handler", cause.sender->in_handler);
  }
  if (in.Find("first_fault") != nullptr) {
    ObjectReader item = in.Object("first_fault");
    cause.first_fault.emplace();
    item.Get("signal", cause.first_fault->signal);
    item.Get("code", cause.first_fault->code);
    item.GetAddress("address", cause.first_fault->address);
  }
}

void ReadFingerprint(ObjectReader in, Report::Fingerprint& fingerprint) {
  in.Get("version", fingerprint.version);
  in.Get("value", fingerprint.value);
  in.Get("frames", fingerprint.frames);
  if (!fingerprint.value.empty() && !IsCrashId(fingerprint.value)) in.Wrong("value", "16 hex digits");
}

void ReadReport(ObjectReader& in, Report& report) {
  std::optional<std::int64_t> time;
  in.Get("schema", report.schema);
  in.GetTime("time", time);
  report.time = time.value_or(0);
  in.Get("seconds", report.seconds);
  if (report.seconds < 0) in.Wrong("seconds", "a time of 0 or more");
  in.Get("failure", report.failure);
  ReadCause(in.Object("cause"), report.cause);
  ReadFingerprint(in.Object("fingerprint"), report.fingerprint);
  in.ForEach("modules", [&](ObjectReader item) { report.modules.push_back(ReadModule(std::move(item))); });
  ReadCrashedThread(in.Object("crashed"), report);
  in.Get("threads", report.threads);
  in.ForEach("stacks", [&](ObjectReader item) {
    report.stacks.push_back(ReadStack(std::move(item), report.modules.size()));
  });
  in.Get("environment", report.environment);
  const std::size_t frames = report.stacks.empty() ? 0 : report.stacks.front().frames.size();
  const std::pair<const char*, std::optional<std::uint32_t>*> indexes[] = {
      {"cause_frame", &report.cause_frame}, {"own_frame", &report.own_frame}};
  for (const auto& [key, index] : indexes) {
    in.Get(key, *index);
    if (*index && **index >= frames) in.Wrong(key, "the index of a frame of the first stack");
  }
  in.ForEach("mappings", [&](ObjectReader item) {
    Report::Mapping& mapping = report.mappings.emplace_back();
    mapping.begin = AddressOf(item, "begin");
    mapping.end = AddressOf(item, "end");
    item.Get("access", mapping.access);
    item.Get("name", mapping.name);
  });
  in.Get("mappings_total", report.mappings_total);
}

}  // namespace

std::string ReportToJson(const Report& report, const std::string& sentence) {
  Json out = Json::object();
  out["schema"] = report.schema;
  out["id"] = report.id;
  out["time"] = FormatTimestamp(report.time);
  out["seconds"] = report.seconds;
  Put(out, "failure", report.failure);
  out["cause"] = CauseJson(report.cause, sentence);
  Json fingerprint = Json::object();
  fingerprint["version"] = report.fingerprint.version;
  Put(fingerprint, "value", report.fingerprint.value);
  fingerprint["frames"] = Json::array();
  for (const std::string& frame : report.fingerprint.frames)
    fingerprint["frames"].push_back(BytesToUtf8(frame));
  out["fingerprint"] = std::move(fingerprint);
  out["crashed"] = CrashedThreadJson(report);
  out["threads"] = report.threads;
  out["stacks"] = Json::array();
  for (const Stack& stack : report.stacks) out["stacks"].push_back(StackJson(stack));
  Put(out, "cause_frame", report.cause_frame);
  Put(out, "own_frame", report.own_frame);
  out["modules"] = Json::array();
  for (const Module& module : report.modules) out["modules"].push_back(ModuleJson(module));
  if (!report.environment.empty()) {
    out["environment"] = Json::array();
    for (const std::string& variable : report.environment)
      out["environment"].push_back(BytesToUtf8(variable));
  }
  out["mappings"] = MappingsJson(report.mappings);
  out["mappings_total"] = report.mappings_total;
  return out.dump(1) + "\n";
}

Result<Report> ReportFromJson(std::string_view text) {
  return ReadCrashFile<Report>("report", text, kReportJsonMax, ReadReport);
}

Result<Report> ReportHeadFromJson(std::string_view beginning) {
  // A line of its own begins each member of the outermost object, and no string has a newline in it.
  const std::size_t end = beginning.find(",\n \"crashed\":");
  if (end == std::string_view::npos) return Refuse(EBADMSG, "report: its head does not end");
  return ReportFromJson(std::string(beginning.substr(0, end)) + "\n}\n");
}

}  // namespace obit
