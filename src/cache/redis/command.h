#pragma once

#include <charconv>
#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>

namespace muster::redis {

// Appends commands in the form in which they are sent (RESP2: an array of bulk strings).
class CommandWriter {
 public:
  // Of `count` words, which follow by Add.
  CommandWriter(std::string& out, std::size_t count) : out_(out) { Header('*', count); }

  CommandWriter& Add(std::string_view word) {
    Header('$', word.size());
    out_.append(word).append("\r\n");
    return *this;
  }
  template <std::integral T>
    requires(!std::same_as<T, bool>)
  CommandWriter& Add(T number) {
    char text[24];
    const auto end = std::to_chars(text, text + sizeof text, number).ptr;
    return Add(std::string_view(text, static_cast<std::size_t>(end - text)));
  }

 private:
  void Header(char type, std::size_t number) {
    char text[24];
    const auto end = std::to_chars(text, text + sizeof text, number).ptr;
    out_.push_back(type);
    out_.append(text, static_cast<std::size_t>(end - text)).append("\r\n");
  }

  std::string& out_;
};

// One command of the given words.
template <typename... Words>
std::string MakeCommand(const Words&... words) {
  std::string out;
  CommandWriter writer(out, sizeof...(words));
  (writer.Add(words), ...);
  return out;
}

}  // namespace muster::redis
