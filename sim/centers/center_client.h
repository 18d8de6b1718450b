#pragma once

#include <string>

#include "centers/center_server.h"

namespace muster::sim {

// Calls a server of a center, one call after another, for as long as it lives: reads by id and by identity, updates,
// binds and unbinds, of few members and few identities.
class CenterClient {
 public:
  CenterClient(CenterStage& stage, CenterServer& server) : stage_(stage), server_(server) {}

  void Start() { GoOn(); }

 private:
  void GoOn();
  void Call();
  void ReadMember();
  void ReadHolder();
  void Write();
  ReadOptions DrawOptions(MemberId id);
  // Of an answer: how it was come by.
  ReadTerms TermsOf(const ReadOptions& options, std::uint64_t unusable_before) const;

  CenterStage& stage_;
  CenterServer& server_;
};

}  // namespace muster::sim
