#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace muster {

// Reads one JSON document strictly: every field is visited, so everything in it is either understood or refused, with
// line and column. Each value can be read once. `path` names the document in errors.
class StrictJson {
 public:
  struct Value;
  using FieldReader = std::function<Result<void>(std::string_view name, Value& value)>;
  using ElementReader = std::function<Result<void>(Value& element)>;
  // In the order in which they are to be given; those that start with '?' may be missing.
  using Names = std::vector<std::string_view>;

  StrictJson(std::string path, std::string_view text);
  ~StrictJson();
  StrictJson(const StrictJson&) = delete;

  // The document itself, which has to be one object and nothing else.
  Result<void> Read(const Names& names, const FieldReader& read);

  // Calls `read` for each field; all of `names` but those that start with '?' must be there, once, and nothing else.
  Result<void> ReadObject(Value& value, const Names& names, const FieldReader& read) const;
  Result<void> ReadArray(Value& value, std::string_view name, const ElementReader& read) const;
  Result<void> ReadText(Value& value, std::string_view name, std::string& target) const;
  Result<void> ReadBoolean(Value& value, std::string_view name, bool& target) const;
  Result<void> ReadNumber64(Value& value, std::string_view name, std::int64_t& target) const;  // positive, in quotes
  Result<void> ReadNumber(Value& value, std::string_view name, std::int64_t low, std::int64_t high,
                          std::int64_t& target) const;
  Result<void> ReadTime(Value& value, std::string_view name, Timestamp& target) const;
  // A text that is one of `words`, as its index.
  Result<void> ReadWord(Value& value, std::string_view name, const std::vector<std::string_view>& words,
                        std::size_t& target) const;

  std::size_t Offset(Value& value) const;
  Error At(std::size_t offset, std::string_view what) const;
  Error Wrong(std::size_t offset, std::string_view name, std::string_view wanted) const;
  const std::string& path() const { return path_; }

 private:
  struct State;

  const std::string path_;
  const std::unique_ptr<State> state_;
};

}  // namespace muster
