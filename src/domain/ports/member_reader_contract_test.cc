#include "domain/ports/member_reader_contract.h"

#include "domain/testing/memory_reader.h"

namespace muster {
namespace {

class MemoryFactory {
 public:
  MemberReader& reader() { return reader_; }
  ManualClock& clock() { return clock_; }
  void Put(const Member& member) { members_.Put(member); }
  void RunLoop() {}

 private:
  ManualClock clock_;
  CommitFloor floor_;
  testing::MemoryMembers members_{floor_, nullptr};
  testing::MemoryReader reader_{members_, clock_};
};

INSTANTIATE_TYPED_TEST_SUITE_P(Memory, MemberReaderContract, MemoryFactory);

}  // namespace
}  // namespace muster
