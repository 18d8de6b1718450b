#include "domain/search_order.h"

#include <algorithm>
#include <vector>

#include "base/check.h"

namespace muster {
namespace {

std::vector<std::string_view> Split(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t end = std::min(text.find_first_of(separators), text.size());
    parts.push_back(text.substr(0, end));
    if (end == text.size()) return parts;
    text.remove_prefix(end + 1);
  }
}

struct Part {
  std::string_view name;
  bool descending = false;
};

// "updateTime desc"
Result<Part> ParsePart(std::string_view text) {
  std::vector<std::string_view> words = Split(text, " \t\r\n");
  std::erase(words, std::string_view());
  if (words.empty()) return FailField("orderBy", "names no field before or after a comma: updateTime desc, id");
  Part part{.name = words[0]};
  if (words.size() > 2 || (words.size() == 2 && words[1] != "desc" && words[1] != "asc")) {
    return FailField("orderBy", "after a field stands asc, desc or nothing: updateTime desc, id");
  }
  part.descending = words.size() == 2 && words[1] == "desc";
  return part;
}

Result<SearchOrder> OrderOf(const Part& part) {
  for (const SearchField field :
       {SearchField::kId, SearchField::kCreateTime, SearchField::kUpdateTime, SearchField::kBirthDate}) {
    if (Describe(field).name == part.name) return SearchOrder{field, part.descending};
  }
  return FailField("orderBy", "members are ordered by id, createTime, updateTime or birthDate");
}

}  // namespace

Result<SearchOrder> ParseSearchOrder(std::string_view text) {
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) return SearchOrder{};
  const std::vector<std::string_view> parts = Split(text, ",");
  if (parts.size() > 2) return FailField("orderBy", "takes one field and then id: updateTime desc, id");
  MUSTER_ASSIGN(const Part first, ParsePart(parts[0]));
  MUSTER_ASSIGN(const SearchOrder order, OrderOf(first));
  if (parts.size() == 1) return order;
  MUSTER_ASSIGN(const Part second, ParsePart(parts[1]));
  if (second.name != "id" || order.field == SearchField::kId) {
    return FailField("orderBy", "takes one field and then id: updateTime desc, id");
  }
  if (second.descending != order.descending) return order;
  return FailField("orderBy", "the index has no such order; write " + PrintSearchOrder(order));
}

std::string PrintSearchOrder(const SearchOrder& order) {
  std::string text(Describe(order.field).name);
  if (order.descending) text += " desc";
  if (order.field != SearchField::kId) text += order.descending ? ", id" : ", id desc";
  return text;
}

std::int64_t SearchValueOf(SearchField field, const SearchDocument& document) {
  switch (field) {
    case SearchField::kId:
      return document.id.value();
    case SearchField::kCreateTime:
      return document.create_time.time_since_epoch().count();
    case SearchField::kUpdateTime:
      return document.update_time.time_since_epoch().count();
    case SearchField::kBirthDate:
      return document.birth_day;
    default:
      MUSTER_UNREACHABLE("a field without an order");
  }
}

bool ComesBefore(const SearchOrder& order, const SearchKey& a, const SearchKey& b) {
  if (a.value != b.value) return (a.value < b.value) != order.descending;
  // Of the id itself the values are equal only for one member.
  return a.id != b.id && (a.id < b.id) == order.descending;
}

}  // namespace muster
