#include "store/kept_memory_list.h"

#include "base/io.h"
#include "crash/record_json.h"
#include "store/test_support.h"

namespace obit {
namespace {

using testing::Succeeds;
using testing::TemporaryFolder;

class KeptMemoryListTest : public ::testing::Test {
 protected:
  void Put(const char* id, const char* file, const char* because) {
    CrashRecord record;
    record.id = id;
    record.capture.kept_because = because;
    incoming_.push_back(*store_.Begin(id));
    ASSERT_THAT(WriteFileAtomically(incoming_.back().dir, file, RecordToJson(record), 0600), Succeeds());
  }
  [[nodiscard]] std::vector<std::string> Ids() const {
    std::vector<std::string> ids;
    const auto kept = ListKeptMemory(store_);
    EXPECT_THAT(kept, Succeeds());
    for (const CrashRecord& record : *kept) ids.push_back(record.id);
    return ids;
  }
  TemporaryFolder folder_;
  Store store_ = *Store::Create(folder_ / "store");
  std::vector<IncomingCrash> incoming_;
};

TEST_F(KeptMemoryListTest, HasThoseThatSaySo) {
  Put("0123456789abcdef", kBegunFile, "there is room");
  Put("1123456789abcdef", kBegunFile, "");
  Put("2123456789abcdef", kRecordFile, "there was room");
  EXPECT_THAT(Ids(), ::testing::ElementsAre("0123456789abcdef"));
  incoming_.clear();
  EXPECT_THAT(Ids(), ::testing::IsEmpty()) << "who had it is dead";
}

}  // namespace
}  // namespace obit
