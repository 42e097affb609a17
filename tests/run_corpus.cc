// Stands in for libFuzzer: feeds the empty input and each file of the folder argv[1] to the fuzz target,
// once.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
    return 2;
  }
  std::vector<std::filesystem::path> files;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(argv[1], error), end; !error && entry != end;
       entry.increment(error))
    if (entry->is_regular_file()) files.push_back(entry->path());
  if (error || files.empty()) {
    std::fprintf(stderr, "%s: no corpus (%s)\n", argv[1],
                 error ? error.message().c_str() : "the folder is empty");
    return 1;
  }
  std::ranges::sort(files);

  LLVMFuzzerTestOneInput(nullptr, 0);
  for (const std::filesystem::path& file : files) {
    std::fprintf(stderr, "%s\n", file.c_str());  // before it runs: the last line names the one that crashed
    std::ifstream in(file, std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(in)), {});
    if (!in) {
      std::fprintf(stderr, "%s: not readable\n", file.c_str());
      return 1;
    }
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  }
  return 0;
}
