#include "crash/record_json.h"

#include <limits>

#include "base/clock.h"
#include "base/text.h"
#include "crash/json_object.h"

namespace obit {
namespace {

constexpr const char *kForUser = "user", *kRootOnly = "root";  // dump modes

Json ProcessJson(const CrashRecord::Process& process) {
  Json out = Json::object();
  out["pid"] = process.pid;
  Put(out, "own_pid", process.own_pid);
  Put(out, "parent", process.parent);
  out["comm"] = BytesToUtf8(process.comm);
  out["exe"] = BytesToUtf8(process.exe);
  Put(out, "exe_deleted", process.exe_deleted);
  Put(out, "exe_build_id", process.exe_build_id);
  if (process.exe_file)
    out["exe_file"] = {{"inode", process.exe_file->inode},
                       {"bytes", process.exe_file->bytes},
                       {"modified", process.exe_file->modified}};
  out["cmdline"] = Json::array();
  for (const std::string& argument : process.cmdline) out["cmdline"].push_back(BytesToUtf8(argument));
  Put(out, "cmdline_truncated", process.cmdline_truncated);
  Put(out, "cwd", process.cwd);
  Put(out, "root", process.root);
  Put(out, "cgroup", process.cgroup);
  for (const std::string& name : process.too_long) out["too_long"].push_back(BytesToUtf8(name));
  Put(out, "uid", process.uid);
  Put(out, "euid", process.euid);
  Put(out, "gid", process.gid);
  Put(out, "egid", process.egid);
  Put(out, "privileged", process.privileged);
  Put(out, "threads", process.threads);
  Put(out, "virtual_bytes", process.virtual_bytes);
  Put(out, "resident_bytes", process.resident_bytes);
  if (process.core_limit == std::numeric_limits<std::uint64_t>::max())
    out["core_limit"] = "unlimited";
  else
    Put(out, "core_limit", process.core_limit);
  if (process.started) out["started"] = FormatTimestamp(*process.started);
  Json spaces = Json::object();
  Put(spaces, "pid", process.pid_namespace);
  Put(spaces, "mount", process.mount_namespace);
  Put(spaces, "network", process.network_namespace);
  Put(spaces, "user", process.user_namespace);
  if (!spaces.empty()) out["namespaces"] = std::move(spaces);
  return out;
}

Json SignalJson(const CrashRecord::Signal& signal) {
  Json out = Json::object();
  out["number"] = signal.number;
  out["name"] = signal.number == 0 ? "" : SignalName(signal.number);
  Put(out, "code", signal.code);
  if (signal.code) out["code_name"] = SignalCodeName(signal.number, *signal.code);
  PutAddress(out, "address", signal.address);
  Put(out, "sender_pid", signal.sender_pid);
  Put(out, "sender_uid", signal.sender_uid);
  return out;
}

Json UnreadJson(const std::vector<NamedMemory>& ranges) {
  Json out = Json::array();
  for (const auto& range : ranges) {
    Json item = Json::object();
    PutAddress(item, "address", range.address);
    item["bytes"] = range.bytes;
    Put(item, "name", range.name);
    out.push_back(std::move(item));
  }
  return out;
}

Json HandlingJson(const CrashHandling& handling) {
  Json out = Json::object();
  if (handling.environment) out["environment"] = NameOf(*handling.environment);
  if (handling.analyze) out["analysis"] = *handling.analyze;
  if (handling.hooks) out["hooks"] = *handling.hooks;
  if (handling.retention != RetentionClass::kNormal) out["retention"] = NameOf(handling.retention);
  return out;
}

Json CaptureJson(const CrashRecord::Capture& capture) {
  Json out = Json::object();
  out["transport"] = capture.transport;
  Put(out, "rule", capture.rule);
  if (capture.root_only) out["dump_mode"] = *capture.root_only ? kRootOnly : kForUser;
  if (capture.handling != CrashHandling()) out["handling"] = HandlingJson(capture.handling);
  out["method"] = NameOf(capture.method);
  out["detail"] = NameOf(capture.detail);
  out["outcome"] = NameOf(capture.outcome);
  Put(out, "reason", capture.reason);
  if (capture.lowered != Shortage::kNone) out["lowered"] = NameOf(capture.lowered);
  Put(out, "lowered_reason", capture.lowered_reason);
  out["core_bytes"] = capture.core_bytes;
  Put(out, "promised_bytes", capture.promised_bytes);
  Put(out, "full_bytes", capture.full_bytes);
  Put(out, "core_max", capture.core_max);
  out["stored_bytes"] = capture.stored_bytes;
  if (capture.omitted_bytes > 0) out["omitted_bytes"] = capture.omitted_bytes;
  out["held_seconds"] = capture.held_seconds;
  if (capture.copied_seconds) out["copied_seconds"] = *capture.copied_seconds;
  Put(out, "kept_because", capture.kept_because);
  Put(out, "held_because", capture.held_because);
  if (!capture.synced) out["synced"] = false;
  Put(out, "stream_reason", capture.stream_reason);
  Put(out, "exe_reason", capture.exe_reason);
  if (capture.unread_bytes > 0) {
    out["unread"] = UnreadJson(capture.unread);
    out["unread_bytes"] = capture.unread_bytes;
  }
  if (capture.verified) {
    Json verified = Json::object();
    verified["bytes"] = capture.verified->bytes;
    verified["different_bytes"] = capture.verified->different_bytes;
    verified["differences"] = UnreadJson(capture.verified->differences);
    out["verified"] = std::move(verified);
  }
  Put(out, "verify_reason", capture.verify_reason);
  return out;
}

void ReadProcess(ObjectReader in, CrashRecord::Process& process) {
  in.Get("pid", process.pid);
  in.Get("own_pid", process.own_pid);
  in.Get("parent", process.parent);
  in.Get("comm", process.comm);
  in.Get("exe", process.exe);
  in.Get("exe_deleted", process.exe_deleted);
  in.Get("exe_build_id", process.exe_build_id);
  if (in.Find("exe_file") != nullptr) {
    ObjectReader file = in.Object("exe_file");
    process.exe_file.emplace();
    file.Get("inode", process.exe_file->inode);
    file.Get("bytes", process.exe_file->bytes);
    file.Get("modified", process.exe_file->modified);
  }
  in.Get("cmdline", process.cmdline);
  in.Get("cmdline_truncated", process.cmdline_truncated);
  in.Get("cwd", process.cwd);
  in.Get("root", process.root);
  in.Get("cgroup", process.cgroup);
  in.Get("too_long", process.too_long);
  in.Get("uid", process.uid);
  in.Get("euid", process.euid);
  in.Get("gid", process.gid);
  in.Get("egid", process.egid);
  in.Get("privileged", process.privileged);
  in.Get("threads", process.threads);
  in.Get("virtual_bytes", process.virtual_bytes);
  in.Get("resident_bytes", process.resident_bytes);
  if (const Json* limit = in.Find("core_limit"); limit != nullptr && *limit == "unlimited")
    process.core_limit = std::numeric_limits<std::uint64_t>::max();
  else
    in.Get("core_limit", process.core_limit);
  in.GetTime("started", process.started);
  ObjectReader spaces = in.Object("namespaces");
  spaces.Get("pid", process.pid_namespace);
  spaces.Get("mount", process.mount_namespace);
  spaces.Get("network", process.network_namespace);
  spaces.Get("user", process.user_namespace);
}

void ReadSignal(ObjectReader in, CrashRecord::Signal& signal) {
  in.Get("number", signal.number);
  in.Get("code", signal.code);
  in.GetAddress("address", signal.address);
  in.Get("sender_pid", signal.sender_pid);
  in.Get("sender_uid", signal.sender_uid);
}

void ReadUnread(ObjectReader& in, const char* key, std::vector<NamedMemory>& ranges) {
  in.ForEach(key, [&](ObjectReader item) {
    std::optional<std::uint64_t> address;
    item.GetAddress("address", address);
    NamedMemory range{.address = address.value_or(0)};
    item.Get("bytes", range.bytes);
    item.Get("name", range.name);
    ranges.push_back(std::move(range));
  });
}

void ReadHandling(ObjectReader in, CrashHandling& handling) {
  if (in.Find("environment") != nullptr)
    in.GetEnum("environment", EnvironmentKeptNamed, handling.environment.emplace());
  in.Get("analysis", handling.analyze);
  in.Get("hooks", handling.hooks);
  if (in.Find("retention") != nullptr) in.GetEnum("retention", RetentionClassNamed, handling.retention);
}

void ReadCapture(ObjectReader in, CrashRecord::Capture& capture) {
  in.Get("transport", capture.transport);
  in.Get("rule", capture.rule);
  // A mode of a kernel to come is none that rules know.
  std::string dump_mode;
  in.Get("dump_mode", dump_mode);
  if (dump_mode == kRootOnly || dump_mode == kForUser) capture.root_only = dump_mode == kRootOnly;
  ReadHandling(in.Object("handling"), capture.handling);
  in.GetEnum("method", MethodNamed, capture.method);
  in.GetEnum("detail", DetailNamed, capture.detail);
  in.GetEnum("outcome", OutcomeNamed, capture.outcome);
  in.Get("reason", capture.reason);
  std::string lowered;
  in.Get("lowered", lowered);
  capture.lowered = ShortageNamed(lowered).value_or(Shortage::kNone);  // a later obit may know more of them
  in.Get("lowered_reason", capture.lowered_reason);
  in.Get("core_bytes", capture.core_bytes);
  in.Get("promised_bytes", capture.promised_bytes);
  in.Get("full_bytes", capture.full_bytes);
  in.Get("core_max", capture.core_max);
  in.Get("stored_bytes", capture.stored_bytes);
  in.Get("omitted_bytes", capture.omitted_bytes);
  in.Get("held_seconds", capture.held_seconds);
  in.Get("copied_seconds", capture.copied_seconds);
  in.Get("kept_because", capture.kept_because);
  in.Get("held_because", capture.held_because);
  in.Get("synced", capture.synced);
  in.Get("stream_reason", capture.stream_reason);
  in.Get("exe_reason", capture.exe_reason);
  ReadUnread(in, "unread", capture.unread);
  in.Get("unread_bytes", capture.unread_bytes);
  if (in.Find("verified") != nullptr) {
    ObjectReader verified = in.Object("verified");
    capture.verified.emplace();
    verified.Get("bytes", capture.verified->bytes);
    verified.Get("different_bytes", capture.verified->different_bytes);
    ReadUnread(verified, "differences", capture.verified->differences);
  }
  in.Get("verify_reason", capture.verify_reason);
  if (capture.held_seconds < 0) in.Wrong("held_seconds", "a time of 0 or more");
  if (capture.copied_seconds.value_or(0) < 0) in.Wrong("copied_seconds", "a time of 0 or more");
}

void ReadThreadNames(ObjectReader& in, std::map<pid_t, std::string>& names) {
  constexpr const char* kKey = "thread_names";
  const Json* object = in.Find(kKey);
  if (object == nullptr) return;
  if (!object->is_object()) return in.Wrong(kKey, "an object");
  for (const auto& [tid, name] : object->items()) {
    const auto number = ParseUnsigned(tid);
    if (!number || *number > std::numeric_limits<pid_t>::max()) return in.Wrong(kKey, "by thread ids");
    if (!name.is_string()) return in.Wrong(kKey, "of strings");
    names.emplace(static_cast<pid_t>(*number), Utf8ToBytes(name.get_ref<const std::string&>()));
  }
}

void ReadRecord(ObjectReader& in, CrashRecord& record) {
  // Only an order: whatever else stands there, the crash is worth more.
  if (const Json* number = in.Find("number"); number != nullptr && number->is_number_unsigned())
    record.number = number->get<std::uint64_t>();
  std::optional<std::int64_t> time;
  in.GetTime("time", time);
  if (!time) in.Wrong("time", "there");
  record.time = time.value_or(0);
  ObjectReader host = in.Object("host");
  host.Get("name", record.host.name);
  host.Get("kernel", record.host.kernel);
  host.Get("boot_id", record.host.boot_id);
  ReadProcess(in.Object("process"), record.process);
  ObjectReader thread = in.Object("thread");
  thread.Get("tid", record.thread.tid);
  thread.Get("comm", record.thread.comm);
  thread.GetAddress("pc", record.thread.pc);
  thread.GetAddress("sp", record.thread.sp);
  ReadThreadNames(in, record.thread_names);
  ReadSignal(in.Object("signal"), record.signal);
  ReadCapture(in.Object("capture"), record.capture);
  ObjectReader files = in.Object("files");
  files.Get("core", record.files.core);
  files.Get("exe", record.files.exe);
  // These become file names: nothing but the names that obit gives may stand there.
  if (!record.files.core.empty() && record.files.core != "core.zst") in.Wrong("files.core", "\"core.zst\"");
  if (!record.files.exe.empty() && record.files.exe != "exe.zst") in.Wrong("files.exe", "\"exe.zst\"");
}

}  // namespace

std::string RecordToJson(const CrashRecord& record) {
  Json out = Json::object();
  out["schema"] = CrashRecord::kSchema;
  out["id"] = record.id;
  if (record.number != 0) out["number"] = record.number;
  out["time"] = FormatTimestamp(record.time);
  Json host = Json::object();
  Put(host, "name", record.host.name);
  Put(host, "kernel", record.host.kernel);
  Put(host, "boot_id", record.host.boot_id);
  out["host"] = std::move(host);
  out["process"] = ProcessJson(record.process);
  Json thread = Json::object();
  if (record.thread.tid != 0) thread["tid"] = record.thread.tid;
  Put(thread, "comm", record.thread.comm);
  PutAddress(thread, "pc", record.thread.pc);
  PutAddress(thread, "sp", record.thread.sp);
  out["thread"] = std::move(thread);
  for (const auto& [tid, name] : record.thread_names)
    out["thread_names"][std::to_string(tid)] = BytesToUtf8(name);
  out["signal"] = SignalJson(record.signal);
  out["capture"] = CaptureJson(record.capture);
  Json files = Json::object();
  Put(files, "core", record.files.core);
  Put(files, "exe", record.files.exe);
  out["files"] = std::move(files);
  return out.dump(2) + "\n";
}

Result<CrashRecord> RecordFromJson(std::string_view text) {
  return ReadCrashFile<CrashRecord>("record", text, kRecordJsonMax, ReadRecord);
}

}  // namespace obit
