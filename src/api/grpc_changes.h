#pragma once

#include <memory>

#include "api/change_stream.h"
#include "api/grpc.h"
#include "api/grpc_calls.h"

namespace muster {

// muster.v1.MemberService.WatchChanges. `changes` is null where changes are not streamed.
std::unique_ptr<GrpcSource> OpenChanges(GrpcCalls& calls, ChangeStreams* changes, const GrpcRequest& request,
                                        GrpcStream& stream);

}  // namespace muster
