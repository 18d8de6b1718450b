#include "app/transfer/batch_reader.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <utility>

#include "app/files.h"

namespace muster {
namespace {

constexpr std::size_t kReadBytes = std::size_t{1} << 20;
constexpr std::string_view kMark = "\xEF\xBB\xBF";

}  // namespace

BatchReader::BatchReader(int file_descriptor, std::string name, Position start, const BatchLimits& limits)
    : file_descriptor_(file_descriptor),
      name_(std::move(name)),
      limits_(limits),
      offset_(start.offset),
      lines_(start.lines) {}

Outcome<bool> BatchReader::Fill() {
  if (at_end_) return false;
  buffer_.erase(0, std::exchange(begin_, 0));
  const std::size_t had = buffer_.size();
  buffer_.resize(had + kReadBytes);
  ssize_t size = 0;
  do {
    size = read(file_descriptor_, buffer_.data() + had, kReadBytes);
  } while (size < 0 && errno == EINTR);
  if (size < 0) {
    buffer_.resize(had);
    return Fails(ExitCode::kFailure, "cannot read " + name_ + ": " + SystemMessage(errno));
  }
  buffer_.resize(had + static_cast<std::size_t>(size));
  at_end_ = size == 0;
  return !at_end_;
}

Outcome<void> BatchReader::SkipMark() {
  while (buffer_.size() < kMark.size()) {
    MUSTER_ASSIGN(const bool more, Fill());
    if (!more) break;
  }
  if (buffer_.starts_with("\xFF\xFE") || buffer_.starts_with("\xFE\xFF")) {
    return Fails(ExitCode::kFailure, name_ + " is UTF-16; make it UTF-8 first: iconv -f UTF-16 -t UTF-8");
  }
  if (buffer_.starts_with(kMark)) begin_ = offset_ = kMark.size();
  return {};
}

LineBatch BatchReader::Take(std::size_t bytes, std::uint64_t lines) {
  LineBatch batch{
      .first_line = lines_ + 1, .lines = lines, .end_offset = offset_ + bytes, .text = buffer_.substr(begin_, bytes)};
  begin_ += bytes;
  offset_ += bytes;
  lines_ += lines;
  return batch;
}

Outcome<void> BatchReader::SkipLine() {
  while (true) {
    const std::size_t feed = buffer_.find('\n', begin_);
    const std::size_t end = feed == std::string::npos ? buffer_.size() : feed + 1;
    offset_ += end - begin_;
    begin_ = end;
    if (feed != std::string::npos) return {};
    MUSTER_ASSIGN(const bool more, Fill());
    if (!more) return {};
  }
}

Outcome<std::optional<LineBatch>> BatchReader::Next() {
  if (offset_ == 0) MUSTER_TRY(SkipMark());
  const std::uint64_t lines_max = std::min(limits_.lines, limits_.lines_a_range - lines_ % limits_.lines_a_range);
  std::uint64_t lines = 0;
  std::size_t bytes = 0;  // of whole lines, from begin_ on
  while (lines < lines_max) {
    const std::string_view left = std::string_view(buffer_).substr(begin_ + bytes);
    const std::size_t feed = left.find('\n');
    if (feed != std::string_view::npos) {
      const std::size_t size = feed + 1;
      if (lines > 0 && bytes + size > limits_.bytes) break;
      if (size - 1 > limits_.line_bytes_max) break;
      bytes += size;
      ++lines;
      if (bytes >= limits_.bytes) break;
      continue;
    }
    if (left.size() > limits_.line_bytes_max || (lines > 0 && bytes + left.size() > limits_.bytes)) break;
    MUSTER_ASSIGN(const bool more, Fill());
    if (more) continue;
    if (!left.empty()) {  // the last line, without a line feed
      bytes += left.size();
      ++lines;
    }
    break;
  }
  if (lines > 0) return Take(bytes, lines);
  if (buffer_.size() == begin_) return std::nullopt;
  // What stands first is a line that is too long.
  const std::size_t end = std::min(buffer_.find('\n', begin_), buffer_.size());
  const std::size_t shown = std::min(limits_.shown_bytes, end - begin_);
  LineBatch batch{.first_line = lines_ + 1, .lines = 1, .text = buffer_.substr(begin_, shown), .is_too_long = true};
  MUSTER_TRY(SkipLine());
  batch.end_offset = offset_;
  ++lines_;
  return batch;
}

}  // namespace muster
