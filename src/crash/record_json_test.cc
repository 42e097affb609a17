#include "crash/record_json.h"

#include <functional>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "base/test_support.h"
#include "base/text.h"
#include "crash/test_support.h"

namespace obit {
namespace {

using testing::FailsWith;
using testing::Succeeds;
using Json = nlohmann::ordered_json;

/// Fills records with anything that a field can hold, the same for each seed.
class Generator : testing::RandomValues {
 public:
  using RandomValues::RandomValues;

  CrashRecord Record() {
    CrashRecord record;
    record.id = fmt::format("{:016x}", random_());
    record.number = Number<std::uint64_t>();
    record.time = Time();
    record.host = {Text(), Text(), Text()};
    auto& process = record.process;
    process.pid = Number<pid_t>();
    Fill(process.own_pid);
    Fill(process.parent);
    process.comm = Text();
    process.exe = Text();
    process.exe_deleted = Coin();
    process.exe_build_id = Text();
    if (Coin()) process.exe_file = {Number<std::uint64_t>(), Number<std::uint64_t>(), Number<std::int64_t>()};
    process.too_long.resize(random_() % 3);
    for (std::string& name : process.too_long) name = Text();
    process.cmdline.resize(random_() % 4);
    for (std::string& argument : process.cmdline) argument = Text();
    process.cmdline_truncated = Coin();
    for (std::string* text : {&process.cwd, &process.root, &process.cgroup, &process.pid_namespace,
                              &process.mount_namespace, &process.network_namespace, &process.user_namespace})
      *text = Text();
    Fill(process.uid);
    Fill(process.euid);
    Fill(process.gid);
    Fill(process.egid);
    if (Coin()) process.privileged = Coin();
    Fill(process.threads);
    Fill(process.virtual_bytes);
    Fill(process.resident_bytes);
    Fill(process.core_limit);
    if (Coin()) process.started = Time();
    record.capture.rule = Text();
    if (Coin()) record.capture.root_only = Coin();
    CrashHandling& handling = record.capture.handling;
    if (Coin()) handling.environment = EnvironmentKept::kNone;
    if (Coin()) handling.analyze = Coin();
    if (Coin()) handling.hooks = Coin();
    if (Coin()) handling.retention = Coin() ? RetentionClass::kShort : RetentionClass::kKeep;
    record.thread.tid = Number<pid_t>();
    record.thread.comm = Text();
    Fill(record.thread.pc);
    Fill(record.thread.sp);
    for (std::uint64_t left = random_() % 3; left > 0; --left)
      record.thread_names[static_cast<pid_t>(random_() >> 33)] = Text();
    record.signal.number = Number<int>();
    Fill(record.signal.code);
    Fill(record.signal.address);
    Fill(record.signal.sender_pid);
    Fill(record.signal.sender_uid);
    auto& capture = record.capture;
    capture.transport = Coin() ? "pipe" : "socket-request";
    capture.method = static_cast<CaptureMethod>(random_() % 4);
    capture.detail = static_cast<Detail>(random_() % 4);
    capture.outcome = static_cast<CrashOutcome>(random_() % 5);
    capture.reason = Text();
    capture.lowered = static_cast<Shortage>(random_() % kShortages);
    capture.lowered_reason = Text();
    capture.core_bytes = Number<std::uint64_t>();
    Fill(capture.promised_bytes);
    Fill(capture.core_max);
    capture.stored_bytes = Number<std::uint64_t>();
    capture.omitted_bytes = Number<std::uint64_t>();
    capture.held_seconds = static_cast<double>(random_() % 1'000'000'007) / 1e6;
    capture.synced = Coin();
    capture.stream_reason = Text();
    capture.exe_reason = Text();
    capture.verify_reason = Text();
    if (Coin()) {
      capture.unread = Ranges();
      capture.unread_bytes = 1 + random_() % 1000;
    }
    if (Coin()) capture.verified = {Number<std::uint64_t>(), Ranges(), Number<std::uint64_t>()};
    record.files = {Coin() ? "core.zst" : "", Coin() ? "exe.zst" : ""};
    return record;
  }

 private:
  std::string Text() {
    static constexpr std::string_view kPieces[] = {
        "\\", "\\x41",   "\\\\x", "\xff", "\xc3\xa4", "\xe2\x80\xae",
        "\n", "\x1b[2J", "\"",    "a",    "/usr/bin", "\xed\xa0\x80"};
    std::string text;
    for (std::uint64_t n = random_() % 6; n > 0; --n) {
      text += kPieces[random_() % std::size(kPieces)];
      text += static_cast<char>(random_());  // NUL too
    }
    return text;
  }
  std::vector<NamedMemory> Ranges() {
    std::vector<NamedMemory> ranges(random_() % 3);
    for (auto& range : ranges) range = {Number<std::uint64_t>(), Number<std::uint64_t>(), Text()};
    return ranges;
  }
  template <class T>
  T Number() {
    constexpr T kEdges[] = {std::numeric_limits<T>::min(), std::numeric_limits<T>::max(), 0, 1};
    return Coin() ? kEdges[random_() % 4] : static_cast<T>(random_());
  }
  template <class T>
  void Fill(std::optional<T>& value) {
    if (Coin()) value = Number<T>();
  }

  std::mt19937_64 random_;
};

/// Every field, for comparison. Bytes are kept as they are; JSON is not involved.
std::string Dump(const CrashRecord& record) {
  const auto optional = [](const auto& value) { return value ? fmt::format("{}", *value) : "-"; };
  const auto& p = record.process;
  const auto& s = record.signal;
  const auto& c = record.capture;
  std::string cmdline;
  for (const std::string& argument : p.cmdline) cmdline += fmt::format("{}:{},", argument.size(), argument);
  const auto ranges = [](const auto& parts) {
    std::string text;
    for (const auto& part : parts)
      text += fmt::format("{} {} {}:{},", part.address, part.bytes, part.name.size(), part.name);
    return text;
  };
  return fmt::format("{}|{}|{}|{}|{}|{}|{}|{}\n", c.verify_reason, optional(c.core_max), c.synced,
                     c.stream_reason, c.exe_reason, ranges(c.unread), c.unread_bytes,
                     c.verified ? fmt::format("{} {} {}", c.verified->bytes, ranges(c.verified->differences),
                                              c.verified->different_bytes)
                                : "-") +
         fmt::format("{} {} {}|{}|{}\n", record.id, record.time, record.host.name, record.host.kernel,
                     record.host.boot_id) +
         fmt::format("{} {} {} {}|{}|{} {}|{}{} {}|{}|{}\n", p.pid, optional(p.own_pid), optional(p.parent),
                     p.comm, p.exe, p.exe_deleted, p.exe_build_id, cmdline, p.cmdline_truncated, p.cwd,
                     p.root, p.cgroup) +
         fmt::format("{} {}\n",
                     p.exe_file
                         ? fmt::format("{} {} {}", p.exe_file->inode, p.exe_file->bytes, p.exe_file->modified)
                         : "-",
                     fmt::join(p.too_long, "|")) +
         fmt::format("{} {} {} {} {} {} {} {} {} {}\n", optional(p.uid), optional(p.euid), optional(p.gid),
                     optional(p.egid), optional(p.privileged), optional(p.threads), optional(p.virtual_bytes),
                     optional(p.resident_bytes), optional(p.core_limit), optional(p.started)) +
         fmt::format("{}|{}|{}|{}\n", p.pid_namespace, p.mount_namespace, p.network_namespace,
                     p.user_namespace) +
         fmt::format("{} {}|{} {}\n", record.thread.tid, record.thread.comm, optional(record.thread.pc),
                     optional(record.thread.sp)) +
         fmt::format("{}\n", fmt::join(record.thread_names, "|")) +
         fmt::format("{} {} {} {} {}\n", s.number, optional(s.code), optional(s.address),
                     optional(s.sender_pid), optional(s.sender_uid)) +
         fmt::format("{} {} {} {} {}|{} {} {} {} {}\n", c.transport, NameOf(c.method), NameOf(c.detail),
                     NameOf(c.outcome), c.reason, c.core_bytes, optional(c.promised_bytes), c.stored_bytes,
                     c.omitted_bytes, c.held_seconds) +
         fmt::format("{} {}", record.files.core, record.files.exe);
}

/// A record with every field set, as JSON to be spoiled.
Json Whole() {
  CrashRecord record;
  record.id = "3f9c2a71b04d6e58";
  record.host = {"host", "6.18.44", "boot"};
  auto& p = record.process;
  p.own_pid = p.parent = 2;
  p.comm = p.exe = p.exe_build_id = p.cwd = p.root = p.cgroup = "x";
  p.pid_namespace = p.mount_namespace = p.network_namespace = p.user_namespace = "x";
  p.exe_deleted = p.cmdline_truncated = true;
  p.cmdline = {"x", "y"};
  p.exe_file = {13, 14, -15};
  p.too_long = {"x"};
  p.uid = p.euid = p.gid = p.egid = 3;
  p.privileged = true;
  p.threads = p.virtual_bytes = p.resident_bytes = p.core_limit = 4;
  p.started = 5;
  record.thread = {6, "x", 7, 8};
  record.thread_names = {{6, "x"}};
  record.signal = {11, 1, 9, 10, 11};
  record.capture.transport = record.capture.reason = "x";
  record.capture.promised_bytes = 12;
  record.files = {"core.zst", "exe.zst"};
  return Json::parse(RecordToJson(record));
}

Result<CrashRecord> Read(const Json& json) { return RecordFromJson(json.dump()); }

/// Calls `test` with a pointer to each member of `json` and of the objects in it.
void ForEachMember(const Json& json, const Json::json_pointer& at,
                   const std::function<void(const Json::json_pointer&)>& test) {
  for (const auto& [key, value] : json.items()) {
    test(at / key);
    if (value.is_object()) ForEachMember(value, at / key, test);
  }
}

/// Members that only people read.
bool IsComment(const Json::json_pointer& at) { return at.back() == "name" || at.back() == "code_name"; }

TEST(RecordJson, EveryFieldWithAnyBytesComesBack) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    const CrashRecord record = Generator(seed).Record();
    const auto read = RecordFromJson(RecordToJson(record));
    ASSERT_THAT(read, Succeeds()) << "seed " << seed;
    ASSERT_EQ(Dump(*read), Dump(record)) << "seed " << seed;
  }
}

TEST(RecordJson, AnEmptyRecordComesBack) {
  CrashRecord record;
  record.id = "0000000000000000";
  const auto read = RecordFromJson(RecordToJson(record));
  ASSERT_THAT(read, Succeeds());
  EXPECT_EQ(Dump(*read), Dump(record));
}

TEST(RecordJson, IsUtf8TextThatEndsWithANewline) {
  const std::string text = RecordToJson(Generator(1).Record());
  EXPECT_EQ(text.back(), '\n');
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t length = Utf8Length(rest);
    ASSERT_NE(length, 0u);
    rest.remove_prefix(length);
  }
}

TEST(RecordJson, LeavesOutWhatIsNotKnown) {
  CrashRecord record;
  record.id = "0000000000000000";
  const Json json = Json::parse(RecordToJson(record));
  EXPECT_FALSE(json["process"].contains("uid"));
  EXPECT_FALSE(json["thread"].contains("pc"));
  EXPECT_FALSE(json["signal"].contains("address"));
}

TEST(RecordJson, EveryMemberOfAWrongTypeIsRefused) {
  const Json whole = Whole();
  ASSERT_THAT(Read(whole), Succeeds());
  int tested = 0;
  ForEachMember(whole, Json::json_pointer(), [&](const Json::json_pointer& at) {
    if (IsComment(at) && at.to_string().starts_with("/signal")) return;
    for (const Json& wrong :
         {Json("\x01 no such word"), Json(1.5), Json(true), Json::array({1}), Json::object()}) {
      if (wrong.type() == whole[at].type()) continue;
      if (at.back() == "core_limit" && wrong.is_string()) continue;  // see the next test
      if (at.back() == "held_seconds" && wrong.is_number()) continue;
      Json spoiled = whole;
      spoiled[at] = wrong;
      EXPECT_THAT(Read(spoiled), FailsWith(EBADMSG)) << at << " " << wrong;
      ++tested;
    }
  });
  EXPECT_GT(tested, 200);
}

TEST(RecordJson, ACoreLimitIsANumberOrUnlimited) {
  Json json = Whole();
  json["process"]["core_limit"] = "unlimited";
  const auto read = Read(json);
  ASSERT_THAT(read, Succeeds());
  EXPECT_EQ(read->process.core_limit, UINT64_MAX);
  json["process"]["core_limit"] = "much";
  EXPECT_THAT(Read(json), FailsWith(EBADMSG));
}

TEST(RecordJson, NumbersOutOfRangeAreRefused) {
  const auto expect_refused = [](const char* at, const Json& value) {
    Json json = Whole();
    json[Json::json_pointer(at)] = value;
    EXPECT_THAT(Read(json), FailsWith(EBADMSG)) << at << " " << value;
  };
  for (const char* at :
       {"/process/pid", "/process/parent", "/thread/tid", "/signal/number", "/signal/code"}) {
    expect_refused(at, 2147483648LL);
    expect_refused(at, -2147483649LL);
    expect_refused(at, UINT64_MAX);
  }
  for (const char* at : {"/process/uid", "/process/egid", "/signal/sender_uid"}) {
    expect_refused(at, -1);
    expect_refused(at, 4294967296LL);
  }
  for (const char* at : {"/process/threads", "/capture/core_bytes", "/capture/promised_bytes"}) {
    expect_refused(at, -1);
    expect_refused(at, 1e30);
  }
}

TEST(RecordJson, ASpanOfTimeIsNotNegative) {
  Json json = Whole();
  json["capture"]["held_seconds"] = -1.0;
  EXPECT_THAT(Read(json), FailsWith(EBADMSG));
}

TEST(RecordJson, AddressesAreHexText) {
  Json json = Whole();
  json["thread"]["pc"] = "0xffffffffffffffff";
  const auto read = Read(json);
  ASSERT_THAT(read, Succeeds());
  EXPECT_EQ(read->thread.pc, UINT64_MAX);
  for (const char* wrong : {"0x", "7f00", "0x1ffffffffffffffff", "0x7g", "-0x1", "0x 1"}) {
    json["thread"]["pc"] = wrong;
    EXPECT_THAT(Read(json), FailsWith(EBADMSG)) << wrong;
  }
}

TEST(RecordJson, TheIdMustBeOne) {
  Json json = Whole();
  for (const char* wrong : {"", "3F9C2A71B04D6E58", "../../../../etc/x", "3f9c"}) {
    json["id"] = wrong;
    EXPECT_THAT(Read(json), FailsWith(EBADMSG)) << wrong;
  }
}

TEST(RecordJson, FilesHaveNoOtherNames) {
  for (const char* key : {"core", "exe"}) {
    Json json = Whole();
    json["files"][key] = "../../../etc/shadow";
    EXPECT_THAT(Read(json), FailsWith(EBADMSG)) << key;
  }
}

TEST(RecordJson, NeedsSchemaIdTimeAndOutcome) {
  for (const char* at :
       {"/schema", "/id", "/time", "/capture", "/capture/outcome", "/capture/detail", "/capture/method"}) {
    const Json::json_pointer pointer(at);
    Json json = Whole();
    json[pointer.parent_pointer()].erase(pointer.back());
    EXPECT_FALSE(Read(json)) << at;
  }
}

TEST(RecordJson, AnotherSchemaIsTold) {
  for (const int schema : {-1, 0, 2, 1000}) {
    Json json = Whole();
    json["schema"] = schema;
    EXPECT_THAT(Read(json), FailsWith(EPROTONOSUPPORT)) << schema;
  }
}

TEST(RecordJson, FieldsOfNewerVersionsAreIgnored) {
  Json json = Whole();
  json["later"] = {{"x", 1}};
  json["process"]["later"] = 2;
  EXPECT_THAT(Read(json), Succeeds());
}

TEST(RecordJson, TheMessageNamesTheField) {
  Json json = Whole();
  json["process"]["namespaces"]["pid"] = 1;
  const auto read = Read(json);
  ASSERT_THAT(read, FailsWith(EBADMSG));
  EXPECT_EQ(read.error().what, "record: process.namespaces.pid is not a string");
}

TEST(RecordJson, EveryTruncationIsRefused) {
  const std::string text = Whole().dump(2);
  for (std::size_t n = 0; n < text.size(); ++n)
    EXPECT_THAT(RecordFromJson(std::string_view(text).substr(0, n)), FailsWith(EBADMSG)) << n;
}

TEST(RecordJson, HugeAndDeepTextIsRefused) {
  EXPECT_THAT(RecordFromJson(std::string(kRecordJsonMax + 1, ' ')), FailsWith(EBADMSG));
  EXPECT_THAT(RecordFromJson(std::string(kRecordJsonMax / 2, '[') + std::string(kRecordJsonMax / 2, ']')),
              FailsWith(EBADMSG));
}

}  // namespace
}  // namespace obit
