#include "analyze/module_files.h"

#include "analyze/test_support.h"

namespace obit {
namespace {

using namespace testing;

constexpr std::uint64_t kBase = 0x7f0000100000;

/// A core with files mapped in it, of which nothing is on this machine.
class MappedFiles {
 public:
  /// The beginning of a library whose read-only part is `pages` long; behind it as much code, at the file's
  /// offset that is said, and data.
  struct Layout {
    std::uint64_t pages = 4;
    bool with_header_in_code = false;  ///< as lld does: the code's first page is the file's first one again
  };
  MappedFiles& AddLibrary(std::uint64_t at, const Layout& layout) {
    const std::uint64_t bytes = layout.pages * kPageBytes;
    const std::uint64_t code = layout.with_header_in_code ? 0 : bytes;
    const Bytes head = Head(bytes, layout.with_header_in_code);
    Add(at, bytes, 0, PF_R, head);
    Add(at + bytes, bytes, code, PF_R | PF_X, layout.with_header_in_code ? head : Bytes());
    Add(at + 2 * bytes, kPageBytes, code + bytes, PF_R | PF_W, {});
    return *this;
  }
  /// The whole file, or its beginning, to read.
  MappedFiles& AddData(std::uint64_t at, std::uint64_t pages, std::uint64_t offset, const Layout& layout) {
    Add(at, pages * kPageBytes, offset, PF_R,
        offset == 0 ? Head(layout.pages * kPageBytes, layout.with_header_in_code) : Bytes());
    return *this;
  }

  [[nodiscard]] std::vector<ModuleFiles> Find() {
    std::ranges::sort(maps_, {}, &Map::begin);
    CoreBuilder builder(EM_X86_64);
    Bytes note;
    const auto add = [&](std::uint64_t word) {
      const auto raw = std::as_bytes(std::span(&word, 1));
      note.insert(note.end(), raw.begin(), raw.end());
    };
    add(maps_.size());
    add(kPageBytes);
    for (const Map& map : maps_) {
      add(map.begin);
      add(map.begin + map.bytes);
      add(map.offset / kPageBytes);
      builder.AddSegment(map.begin, map.flags, map.memory, map.bytes);
    }
    for (std::size_t i = 0; i < maps_.size(); ++i)
      for (const char c : std::string_view("/nowhere/liba.so\0", 17))
        note.push_back(static_cast<std::byte>(c));
    builder.AddNote("CORE", NT_FILE, note);
    auto image = CoreImage::Open(StoredFile(builder.Build()));
    EXPECT_THAT(image, Succeeds());
    AnalysisJob job;
    job.debug_directories.clear();
    return FindModuleFiles(*image, job);
  }

 private:
  struct Map {
    std::uint64_t begin, bytes, offset;
    std::uint32_t flags;
    Bytes memory;
  };
  void Add(std::uint64_t at, std::uint64_t bytes, std::uint64_t offset, std::uint32_t flags, Bytes memory) {
    maps_.push_back({at, bytes, offset, flags, std::move(memory)});
  }

  static Bytes Head(std::uint64_t bytes, bool with_header_in_code) {
    Elf64_Ehdr header{};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_phoff = sizeof header;
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = 3;
    const std::uint64_t code = with_header_in_code ? 0x40 : bytes;
    const Elf64_Phdr segments[] = {{.p_type = PT_LOAD, .p_flags = PF_R, .p_memsz = bytes},
                                   {.p_type = PT_LOAD,
                                    .p_flags = PF_R | PF_X,
                                    .p_offset = code,
                                    .p_vaddr = bytes + code % kPageBytes,
                                    .p_memsz = bytes - code % kPageBytes},
                                   {.p_type = PT_LOAD,
                                    .p_flags = PF_R | PF_W,
                                    .p_offset = code + bytes,
                                    .p_vaddr = 2 * bytes,
                                    .p_memsz = kPageBytes}};
    Bytes head(kPageBytes);
    std::memcpy(head.data(), &header, sizeof header);
    std::memcpy(head.data() + sizeof header, segments, sizeof segments);
    return head;
  }

  std::vector<Map> maps_;
};

void ExpectAtBase(const std::vector<ModuleFiles>& modules, const MappedFiles::Layout& layout) {
  ASSERT_EQ(modules.size(), 1u);
  EXPECT_EQ(modules[0].base, kBase);
  EXPECT_EQ(modules[0].module.begin, kBase);
  EXPECT_EQ(modules[0].module.end, kBase + (2 * layout.pages + 1) * kPageBytes);
}

TEST(FindModuleFiles, AFileThatIsAlsoReadByMmapIsWhereItsCodeIs) {
  for (const MappedFiles::Layout layout : {MappedFiles::Layout{}, {1}, {1, true}, {4, true}}) {
    const std::uint64_t size = (2 * layout.pages + 1) * kPageBytes;
    ExpectAtBase(MappedFiles().AddLibrary(kBase, layout).Find(), layout);
    for (const std::uint64_t gap : {std::uint64_t{0}, 16 * kPageBytes}) {
      // All of it, or its first page, below or above; and a piece of its middle.
      for (const std::uint64_t pages : {2 * layout.pages + 1, std::uint64_t{1}}) {
        const std::uint64_t below = kBase - pages * kPageBytes - gap;
        ExpectAtBase(MappedFiles().AddData(below, pages, 0, layout).AddLibrary(kBase, layout).Find(), layout);
        ExpectAtBase(
            MappedFiles().AddLibrary(kBase, layout).AddData(kBase + size + gap, pages, 0, layout).Find(),
            layout);
        ExpectAtBase(MappedFiles().AddData(below, pages, kPageBytes, layout).AddLibrary(kBase, layout).Find(),
                     layout);
        ExpectAtBase(MappedFiles()
                         .AddLibrary(kBase, layout)
                         .AddData(kBase + size + gap, pages, 16 * kPageBytes, layout)
                         .Find(),
                     layout);
      }
    }
  }
}

TEST(FindModuleFiles, AFileThatIsLoadedTwiceIsTwoModules) {
  const MappedFiles::Layout layout;
  const std::uint64_t size = (2 * layout.pages + 1) * kPageBytes;
  const auto modules = MappedFiles().AddLibrary(kBase, layout).AddLibrary(kBase + size, layout).Find();
  ASSERT_EQ(modules.size(), 2u);
  EXPECT_EQ(modules[0].base, kBase);
  EXPECT_EQ(modules[1].base, kBase + size);
}

}  // namespace
}  // namespace obit
