#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace muster {

// The files of a google.protobuf.FileDescriptorSet, found by what they declare. Views into the set.
class GrpcDescriptors {
 public:
  struct File {
    std::string_view bytes;  // a FileDescriptorProto
    std::vector<std::string_view> imports;
  };
  struct Extension {
    std::int64_t number = 0;
    const File* file = nullptr;
  };

  explicit GrpcDescriptors(std::string_view set);
  GrpcDescriptors(const GrpcDescriptors&) = delete;

  // The descriptors of the services that this binary serves.
  static const GrpcDescriptors& Served();

  // Null: there is none.
  const File* FindFile(std::string_view name) const;
  // By the full name of a message, an enumeration, a service, a method or a field.
  const File* FindSymbol(std::string_view name) const;
  const std::vector<Extension>& ExtensionsOf(std::string_view message) const;
  const std::vector<std::string>& services() const { return services_; }

 private:
  void Add(std::string_view bytes);
  void AddMessage(const std::string& scope, std::string_view bytes, const File& file);
  // Anything with a name in its field 1, and what lies in its field `members`, by name.
  std::string AddNamed(const std::string& scope, std::string_view bytes, unsigned members, const File& file);
  void AddExtension(std::string_view bytes, const File& file);

  std::map<std::string_view, File> files_;
  std::map<std::string, const File*, std::less<>> symbols_;
  std::map<std::string, std::vector<Extension>, std::less<>> extensions_;
  std::vector<std::string> services_;
};

}  // namespace muster
