#pragma once

#include <memory>
#include <string>

#include "api/change_stream.h"
#include "api/grpc.h"
#include "api/grpc_calls.h"

namespace muster {

// A change as a muster.v1.ChangeEvent.
void AppendChangeMessage(std::string& out, const ChangeEvent& event);

// muster.v1.MemberService.WatchChanges. `changes` is null where changes are not streamed.
std::unique_ptr<GrpcSource> OpenChanges(GrpcCalls& calls, ChangeStreams* changes, const GrpcRequest& request,
                                        GrpcStream& stream);

}  // namespace muster
