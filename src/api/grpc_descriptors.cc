#include "api/grpc_descriptors.h"

#include "api/proto_reader.h"
#include "base/check.h"
#include "proto/descriptors.h"

namespace muster {

// Numbers of fields are those of google/protobuf/descriptor.proto.

namespace {

std::string_view BytesOf(std::string_view message, unsigned field) {
  std::string_view found;
  ProtoReader reader(message);
  while (reader.Next()) {
    if (reader.Is(field, WireType::kBytes)) found = reader.bytes();
  }
  return found;
}

std::string Join(const std::string& scope, std::string_view name) {
  return scope.empty() ? std::string(name) : scope + "." + std::string(name);
}

}  // namespace

GrpcDescriptors::GrpcDescriptors(std::string_view set) {
  ProtoReader reader(set);
  while (reader.Next()) {
    if (reader.Is(1, WireType::kBytes)) Add(reader.bytes());
  }
  MUSTER_CHECK(!reader.malformed());
}

const GrpcDescriptors& GrpcDescriptors::Served() {
  static const GrpcDescriptors descriptors(ServiceDescriptors());
  return descriptors;
}

void GrpcDescriptors::Add(std::string_view bytes) {
  File& file = files_[BytesOf(bytes, 1)];
  file.bytes = bytes;
  const std::string package(BytesOf(bytes, 2));
  ProtoReader reader(bytes);
  while (reader.Next()) {
    if (reader.type() != WireType::kBytes) continue;
    switch (reader.field()) {
      case 3:
        file.imports.push_back(reader.bytes());
        break;
      case 4:
        AddMessage(package, reader.bytes(), file);
        break;
      case 5:
        AddNamed(package, reader.bytes(), 0, file);
        break;
      case 6:
        services_.push_back(AddNamed(package, reader.bytes(), 2, file));
        break;
      case 7:
        AddNamed(package, reader.bytes(), 0, file);
        AddExtension(reader.bytes(), file);
        break;
      default:
        break;
    }
  }
}

void GrpcDescriptors::AddMessage(const std::string& scope, std::string_view bytes, const File& file) {
  const std::string name = AddNamed(scope, bytes, 2, file);
  ProtoReader reader(bytes);
  while (reader.Next()) {
    if (reader.Is(3, WireType::kBytes)) AddMessage(name, reader.bytes(), file);
    if (reader.Is(4, WireType::kBytes)) AddNamed(name, reader.bytes(), 0, file);
    if (reader.Is(6, WireType::kBytes)) AddExtension(reader.bytes(), file);
  }
}

std::string GrpcDescriptors::AddNamed(const std::string& scope, std::string_view bytes, unsigned members,
                                      const File& file) {
  std::string name = Join(scope, BytesOf(bytes, 1));
  symbols_[name] = &file;
  ProtoReader reader(bytes);
  while (members != 0 && reader.Next()) {
    if (reader.Is(members, WireType::kBytes)) symbols_[Join(name, BytesOf(reader.bytes(), 1))] = &file;
  }
  return name;
}

void GrpcDescriptors::AddExtension(std::string_view bytes, const File& file) {
  std::string_view extended = BytesOf(bytes, 2);
  if (extended.starts_with('.')) extended.remove_prefix(1);
  ProtoReader reader(bytes);
  while (reader.Next()) {
    if (reader.Is(3, WireType::kVarint)) extensions_[std::string(extended)].push_back({reader.number(), &file});
  }
}

const GrpcDescriptors::File* GrpcDescriptors::FindFile(std::string_view name) const {
  const auto found = files_.find(name);
  return found == files_.end() ? nullptr : &found->second;
}

const GrpcDescriptors::File* GrpcDescriptors::FindSymbol(std::string_view name) const {
  const auto found = symbols_.find(name);
  return found == symbols_.end() ? nullptr : found->second;
}

const std::vector<GrpcDescriptors::Extension>& GrpcDescriptors::ExtensionsOf(std::string_view message) const {
  static const std::vector<Extension> kNone;
  const auto found = extensions_.find(message);
  return found == extensions_.end() ? kNone : found->second;
}

}  // namespace muster
