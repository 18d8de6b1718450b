#include "search/index_record.h"

#include <cstdint>
#include <limits>

namespace muster {
namespace {

// Little-endian base 128, as in protobuf.
void PutNumber(std::string& out, std::uint64_t number) {
  for (; number >= 128; number >>= 7) out.push_back(static_cast<char>(number | 128));
  out.push_back(static_cast<char>(number));
}

void PutText(std::string& out, std::string_view text) {
  PutNumber(out, text.size());
  out.append(text);
}

// Reads what those wrote; remembers whether something was missing.
class RecordReader {
 public:
  explicit RecordReader(std::string_view record) : rest_(record) {}

  std::uint64_t Number() {
    std::uint64_t number = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) break;
      const auto byte = static_cast<std::uint8_t>(rest_[0]);
      rest_.remove_prefix(1);
      number |= static_cast<std::uint64_t>(byte & 127) << shift;
      if (byte < 128) return number;
    }
    is_sound_ = false;
    return 0;
  }
  std::string Text() {
    const std::uint64_t size = Number();
    if (size > rest_.size()) {
      is_sound_ = false;
      return {};
    }
    std::string text(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return text;
  }
  // How many elements follow: each takes a byte at least.
  std::size_t Count() {
    const std::uint64_t count = Number();
    if (count <= rest_.size()) return count;
    is_sound_ = false;
    return 0;
  }
  bool EndedWell() const { return is_sound_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool is_sound_ = true;
};

void PutPairs(std::string& out, const std::vector<std::pair<std::string, std::string>>& pairs) {
  PutNumber(out, pairs.size());
  for (const auto& [first, second] : pairs) {
    PutText(out, first);
    PutText(out, second);
  }
}

void ReadPairs(RecordReader& reader, std::vector<std::pair<std::string, std::string>>& pairs) {
  pairs.resize(reader.Count());
  for (auto& [first, second] : pairs) {
    first = reader.Text();
    second = reader.Text();
  }
}

}  // namespace

void EncodeDocument(const SearchDocument& document, std::string& record) {
  record.clear();
  record.push_back(static_cast<char>(document.state));
  record.push_back(static_cast<char>(document.gender));
  PutNumber(record, static_cast<std::uint64_t>(document.merged_into.value()));
  PutText(record, document.display_name);
  PutText(record, document.city);
  PutText(record, document.tier);
  PutNumber(record, document.tags.size());
  for (const std::string& tag : document.tags) PutText(record, tag);
  PutPairs(record, document.attributes);
  PutPairs(record, document.identities);
}

Result<void> DecodeDocument(std::string_view record, SearchDocument& document) {
  RecordReader reader(record);
  document.state = static_cast<MemberState>(reader.Number());
  document.gender = static_cast<Gender>(reader.Number());
  document.merged_into = MemberId(static_cast<std::int64_t>(reader.Number()));
  document.display_name = reader.Text();
  document.city = reader.Text();
  document.tier = reader.Text();
  document.tags.resize(reader.Count());
  for (std::string& tag : document.tags) tag = reader.Text();
  ReadPairs(reader, document.attributes);
  ReadPairs(reader, document.identities);
  if (reader.EndedWell()) return {};
  return Fail(Reason::kInternal, "the search index has a record that is none");
}

}  // namespace muster
