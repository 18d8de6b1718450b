#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "app/cli/exit_code.h"

namespace muster {

// A line that the server did not take.
struct Reject {
  std::uint64_t line = 0;
  std::string code = {};
  std::string detail = {};
  std::string text = {};  // the line as it stood in the input
};

// {"line":17,"code":"…","detail":"…","text":"…"} and a line feed. Bytes of `text` that are not UTF-8 become U+FFFD.
std::string RejectJson(const Reject& reject);

// The reject file: JSON Lines, mode 0600 (it holds personal data), in the order of the input. Without a path everything
// is dropped.
class RejectFile {
 public:
  // Goes on behind the first `size` bytes, which must be there, and cuts off what follows them.
  static Outcome<RejectFile> Open(const std::string& path, std::uint64_t size);
  RejectFile(RejectFile&& other) noexcept;
  RejectFile& operator=(RejectFile&&) = delete;
  ~RejectFile();

  Outcome<void> Append(const Reject& reject);
  // Everything appended is durable after it.
  Outcome<void> Sync();
  std::uint64_t size() const { return size_; }

 private:
  RejectFile(std::string path, int file_descriptor, std::uint64_t size)
      : path_(std::move(path)), file_descriptor_(file_descriptor), size_(size) {}

  std::string path_;
  int file_descriptor_;  // below zero: none
  std::uint64_t size_;
  bool is_dirty_ = false;
};

}  // namespace muster
