#pragma once

#include <memory>

#include "api/grpc.h"
#include "api/grpc_calls.h"

namespace muster {

// grpc.reflection.v1.ServerReflection (and v1alpha, which is the same under another name): answers from the descriptors
// that the build embeds (proto/descriptors.h).
std::unique_ptr<GrpcSource> OpenReflection(GrpcCalls& calls, const GrpcRequest& request, GrpcStream& stream);

}  // namespace muster
