#include "call.h"

namespace muster::sim {

std::string_view VerbName(Verb verb) {
  switch (verb) {
    case Verb::kRegister:
      return "register";
    case Verb::kUpdate:
      return "update";
    case Verb::kBind:
      return "bind";
    case Verb::kUnbind:
      return "unbind";
    case Verb::kClose:
      return "close";
    case Verb::kMerge:
      return "merge";
    case Verb::kUnmerge:
      return "unmerge";
    case Verb::kGet:
      return "get";
    case Verb::kResolve:
      return "resolve";
  }
  return "?";
}

std::string NameOf(const Call& call) { return std::string(VerbName(call.verb)) + " " + call.request_id; }

}  // namespace muster::sim
