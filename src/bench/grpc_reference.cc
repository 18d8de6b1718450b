// The reference of the gRPC figure: a grpc++ callback server whose GetMember answers the same bytes to every call.
// Prints its port, and serves on one polling thread until it is ended.
//
//   grpc_reference FILE     the file holds the message

#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/server_callback_handlers.h>
#include <grpcpp/impl/codegen/service_type.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

namespace {

// Takes and gives bytes as they are: the least that grpc++ can do for a call.
class FixedBytes final : public grpc::Service {
 public:
  explicit FixedBytes(const std::string& message) : slice_(message), answer_(&slice_, 1) {
    AddMethod(new grpc::internal::RpcServiceMethod("/muster.v1.MemberService/GetMember",
                                                   grpc::internal::RpcMethod::NORMAL_RPC, nullptr));
    MarkMethodCallback(
        0, new grpc::internal::CallbackUnaryHandler<grpc::ByteBuffer, grpc::ByteBuffer>(
               [this](grpc::CallbackServerContext* context, const grpc::ByteBuffer*, grpc::ByteBuffer* answer) {
                 *answer = answer_;
                 grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
                 reactor->Finish(grpc::Status::OK);
                 return reactor;
               }));
  }

 private:
  grpc::Slice slice_;
  grpc::ByteBuffer answer_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "grpc_reference: needs the file of the message\n");
    return 2;
  }
  std::ifstream file(argv[1], std::ios::binary);
  const std::string message((std::istreambuf_iterator<char>(file)), {});
  FixedBytes service(message);
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  std::printf("%d\n", port);
  std::fflush(stdout);
  server->Wait();
}
