#include "api/field_path.h"

#include <vector>

#include "base/options.h"

namespace muster {

namespace {

constexpr std::size_t kShownNameBytesMax = 32;

bool IsWordCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool LooksLikeField(std::string_view name) {
  if (name.empty() || name.size() > kShownNameBytesMax || (name[0] >= '0' && name[0] <= '9')) return false;
  for (char c : name) {
    if (!IsWordCharacter(c)) return false;
  }
  return true;
}

}  // namespace

std::string FieldPath::Text() const {
  if (parent == nullptr) return std::string(name);
  std::string text = parent->Text();
  if (name.empty()) return text + "[" + std::to_string(index) + "]";
  if (!text.empty()) text += '.';
  return text.append(name);
}

std::string ShownName(std::string_view name) {
  return LooksLikeField(name) ? std::string(name) : "(a name that is no field's)";
}

std::string DescribeUnknownName(std::string_view name, std::span<const std::string_view> known) {
  if (known.empty()) return "is not known here; nothing is expected";
  const std::vector<std::string> words(known.begin(), known.end());
  std::string nearest = LooksLikeField(name) ? NearestWord(name, words) : "";
  if (!nearest.empty()) return "is not known here; did you mean \"" + nearest + "\"?";
  std::string text = "is not known here; known are ";
  for (std::size_t i = 0; i < words.size(); ++i) text.append(i == 0 ? "" : ", ").append(words[i]);
  return text;
}

}  // namespace muster
