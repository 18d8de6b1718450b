#include "api/grpc_reflection.h"

#include <algorithm>
#include <string>
#include <vector>

#include "api/grpc_descriptors.h"
#include "api/grpc_stream_call.h"
#include "api/proto_reader.h"
#include "base/encoding.h"
#include "domain/proto_writer.h"

namespace muster {

namespace {

constexpr int kNotFound = 5;  // google.rpc.Code
constexpr int kInvalidArgument = 3;

using File = GrpcDescriptors::File;

// What a ServerReflectionRequest asks for.
struct Question {
  unsigned field = 0;  // the last one of the oneof
  std::string_view text;
  std::string_view host;
};

// Puts the file and all that it imports behind what they import.
void AddWithImports(const File& file, std::vector<const File*>& files) {
  if (std::ranges::find(files, &file) != files.end()) return;
  for (const std::string_view name : file.imports) {
    const File* const imported = GrpcDescriptors::Served().FindFile(name);
    if (imported != nullptr) AddWithImports(*imported, files);
  }
  files.push_back(&file);
}

// A FileDescriptorResponse: the file, and all that it imports. Each stands before what it imports, so that a client may
// build them from the last to the first.
void WriteFiles(ProtoWriter& proto, const File& file) {
  const std::size_t response = proto.Begin(4);
  std::vector<const File*> files;
  AddWithImports(file, files);
  for (auto found = files.rbegin(); found != files.rend(); ++found) proto.Bytes(1, (*found)->bytes);
  proto.End(response);
}

void WriteError(ProtoWriter& proto, int code, std::string_view message) {
  const std::size_t response = proto.Begin(7);
  proto.Number(1, code);
  proto.Text(2, message);
  proto.End(response);
}

void WriteFilesOrError(ProtoWriter& proto, const File* file) {
  if (file == nullptr)
    return WriteError(proto, kNotFound, "there is nothing of this name; list_services shows what is");
  WriteFiles(proto, *file);
}

const File* FileOfExtension(std::string_view request) {
  std::string_view type;
  std::int64_t number = 0;
  ProtoReader reader(request);
  while (reader.Next()) {
    if (reader.Is(1, WireType::kBytes)) type = reader.bytes();
    if (reader.Is(2, WireType::kVarint)) number = reader.number();
  }
  const auto& extensions = GrpcDescriptors::Served().ExtensionsOf(type);
  const auto found = std::ranges::find(extensions, number, &GrpcDescriptors::Extension::number);
  return found == extensions.end() ? nullptr : found->file;
}

void WriteExtensionNumbers(ProtoWriter& proto, std::string_view type) {
  if (GrpcDescriptors::Served().FindSymbol(type) == nullptr) return WriteFilesOrError(proto, nullptr);
  const std::size_t response = proto.Begin(5);
  proto.Text(1, type);
  for (const auto& extension : GrpcDescriptors::Served().ExtensionsOf(type)) proto.Number(2, extension.number);
  proto.End(response);
}

void WriteServices(ProtoWriter& proto) {
  const std::size_t response = proto.Begin(6);
  for (const std::string& name : GrpcDescriptors::Served().services()) {
    const std::size_t service = proto.Begin(1);
    proto.Text(1, name);
    proto.End(service);
  }
  proto.End(response);
}

void WriteAnswer(ProtoWriter& proto, const Question& question) {
  switch (question.field) {
    case 3:
      return WriteFilesOrError(proto, GrpcDescriptors::Served().FindFile(question.text));
    case 4:
      return WriteFilesOrError(proto, GrpcDescriptors::Served().FindSymbol(question.text));
    case 5:
      return WriteFilesOrError(proto, FileOfExtension(question.text));
    case 6:
      return WriteExtensionNumbers(proto, question.text);
    case 7:
      return WriteServices(proto);
    default:
      return WriteError(proto, kInvalidArgument, "the request asks for nothing that this server knows");
  }
}

// Answers each request with one message. What the client does not take waits, and no further request comes until then.
class Reflection final : public GrpcSource {
 public:
  Reflection(GrpcCalls& calls, const GrpcRequest& request, GrpcStream& stream)
      : call_(calls, Rpc::kReflect, request.metadata, stream) {}

  void OnMessage(std::string_view message) override {
    Question question;
    ProtoReader reader(message);
    while (reader.Next()) {
      if (reader.type() != WireType::kBytes) continue;
      if (reader.field() == 1) {
        question.host = reader.bytes();
      } else if (reader.field() <= 7) {
        question.field = reader.field();
        question.text = reader.bytes();
      }
    }
    // What is sent back has to be text.
    if (reader.malformed() || !IsValidUtf8(question.host) || (question.field != 5 && !IsValidUtf8(question.text))) {
      return call_.Fail({.reason = Reason::kInvalidArgument, .message = "the message is no ServerReflectionRequest"});
    }
    std::string answer;
    ProtoWriter proto(answer);
    proto.Text(1, question.host);
    proto.Bytes(2, message);
    WriteAnswer(proto, question);
    if (!call_.Write(answer)) waiting_ = std::move(answer);
  }
  void OnClientEnd() override {
    client_ended_ = true;
    if (waiting_.empty()) call_.End();
  }
  void OnRoom() override {
    if (!waiting_.empty() && call_.Write(waiting_)) waiting_.clear();
    if (client_ended_ && waiting_.empty()) call_.End();
  }
  bool AwaitsMessage() const override { return waiting_.empty(); }
  void OnFault(const Error& error) override { call_.Fail(error); }
  void OnDrain() override { call_.End(); }

 private:
  GrpcStreamCall call_;
  std::string waiting_;
  bool client_ended_ = false;
};

}  // namespace

std::unique_ptr<GrpcSource> OpenReflection(GrpcCalls& calls, const GrpcRequest& request, GrpcStream& stream) {
  return std::make_unique<Reflection>(calls, request, stream);
}

}  // namespace muster
