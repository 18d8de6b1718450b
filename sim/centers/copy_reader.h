#pragma once

#include <memory>
#include <string>
#include <vector>

#include "centers/center_places.h"
#include "centers/replicated_group.h"
#include "domain/ports/member_reader.h"
#include "store/mariadb/group_reader.h"

namespace muster::sim {

// The store's reads as store/mariadb/reader.cc makes them: who is asked, what is made of an answer and when others are
// asked again are its own code (`CandidatesOf`, `JudgeRead`); messages and rows are the twin's.
class CopyReader final : public MemberReader {
 public:
  CopyReader(CenterWorld& world, ReplicatedGroup& group, ProcessLife& life, CenterPlaces& places, Place place,
             Duration lag_max)
      : world_(world), group_(group), life_(life), places_(places), place_(place), lag_max_(lag_max) {}

  void Get(MemberId id, const ReadOptions& options, MemberReply reply) override;
  void Resolve(const IdentityKey& key, const ReadOptions& options, MemberReply reply) override;
  RouteDescription Describe() const override {
    return {.name = "store", .policy = "simulated", .counters = {}, .children = {}};
  }

 private:
  // A read on its way: rounds, each of which asks one server after another until one answers.
  struct Reading {
    bool is_resolve = false;
    MemberId id;
    IdentityKey key;
    ReadOptions options;
    MemberReply reply;
    mariadb::ReadFrom from = mariadb::ReadFrom::kNearest;
    std::vector<mariadb::Endpoint> excluded = {};
    std::vector<mariadb::ReadCandidate> candidates = {};
    std::size_t next = 0;
    int rounds = 0;
    std::optional<Result<MemberAnswer>> left = {};  // what the round before says
    std::optional<LookupRow> lookup = {};
    Result<MemberDocumentRef> found = MemberDocumentRef();
  };
  using ReadingRef = std::shared_ptr<Reading>;

  static constexpr int kRoundsMax = 4;
  static constexpr Duration kPatience = std::chrono::milliseconds(100);
  static constexpr Duration kLastPatience = std::chrono::milliseconds(300);

  void BeginRound(const ReadingRef& reading);
  void Ask(const ReadingRef& reading);
  void ReadRows(const ReadingRef& reading, const std::string& database);
  void Confirm(const ReadingRef& reading, const std::string& database);
  void Judge(const ReadingRef& reading, bool is_doubtful);
  // There, `work` (false: there is no answer), and back; or on to the next server when that takes too long.
  void Visit(const ReadingRef& reading, const std::string& database, std::move_only_function<void()> work,
             std::move_only_function<void()> then);

  CenterWorld& world_;
  ReplicatedGroup& group_;
  ProcessLife& life_;
  CenterPlaces& places_;
  const Place place_;
  const Duration lag_max_;
};

}  // namespace muster::sim
