#pragma once

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/event_loop.h"
#include "domain/id_allocator.h"
#include "domain/member_document.h"
#include "domain/ports/import_ranges.h"
#include "domain/ports/member_archive.h"
#include "domain/ports/member_merger.h"
#include "domain/ports/member_reader.h"
#include "domain/ports/member_writer.h"
#include "traffic/callers.h"

// The ports that handlers call. A fake is a port in memory and keeps its contract (fakes_test.cc); a stub answers what
// the test tells it to, whatever it is asked, and records that.
namespace muster::testing {

// Gives ranges at once.
class FakeImportRanges final : public ImportRanges {
 public:
  void Reserve(std::uint64_t lines, Given given) override {
    if (failure) return given(std::unexpected(*failure));
    const std::int64_t after =
        ranges.empty() ? 0 : IdAllocator::IdOfRange(ranges.rbegin()->first, ranges.rbegin()->second - 1);
    const std::int64_t first = IdAllocator::FirstOfRange(Timestamp{}, 0, after, lines).value();
    ranges[first] = lines;
    given(first);
  }
  Result<std::uint64_t> CountLines(std::int64_t first) override {
    const auto found = ranges.find(first);
    return found == ranges.end() ? 0 : found->second;
  }

  std::map<std::int64_t, std::uint64_t> ranges;
  std::optional<Error> failure;
};

// Answers at once, or from a loop, whatever the conditions of the call.
class StubReader final : public MemberReader {
 public:
  struct Asked {
    MemberId id;
    IdentityKey key;
    ReadOptions options;
  };
  struct Origin {
    Source source;
    Duration age;
  };

  void Put(const Member& member) {
    const MemberDocumentRef document = MakeMemberDocument(member);
    for (const Identity& identity : member.identities) holders[identity.key] = document;
    members[member.id.value()] = document;
  }
  void Get(MemberId id, const ReadOptions& options, MemberReply reply) override {
    asked.push_back({id, {}, options});
    const auto found = members.find(id.value());
    const auto origin = origins.find(id.value());
    Reply(found == members.end() ? MemberDocumentRef() : found->second, std::move(reply),
          origin == origins.end() ? Origin{source, age} : origin->second);
  }
  void Resolve(const IdentityKey& key, const ReadOptions& options, MemberReply reply) override {
    asked.push_back({{}, key, options});
    const auto found = holders.find(key);
    Reply(found == holders.end() ? MemberDocumentRef() : found->second, std::move(reply), {source, age});
  }
  RouteDescription Describe() const override { return {}; }

  std::map<std::int64_t, MemberDocumentRef> members;
  std::map<IdentityKey, MemberDocumentRef> holders;
  std::vector<Asked> asked;
  std::optional<Error> failure;
  Source source = Source::kNear;
  Duration age{0};
  std::map<std::int64_t, Origin> origins;  // of answers to Get that have another one, by id
  EventLoop* later = nullptr;              // where answers come from when they do not come at once

 private:
  void Reply(const MemberDocumentRef& document, MemberReply reply, const Origin& origin) {
    Result<MemberAnswer> answer = MemberAnswer{document, origin.source, origin.age, {}};
    if (failure) answer = std::unexpected(*failure);
    if (later == nullptr) return reply(std::move(answer));
    later->Post([reply = std::move(reply), answer = std::move(answer)]() mutable { reply(std::move(answer)); });
  }
};

// Answers on a thread of its own, as a store does, what `answer` makes of each write.
class StubWriter final : public MemberWriter, public MemberMerger {
 public:
  struct Asked {
    std::string verb;
    MemberId id;
    Member member;
    bool imported = false;
    MemberPatch patch;
    IdentityKey key;
    WriteContext context;
    MemberId source = {};
    bool dry_run = false;
  };

  StubWriter() : thread_([this] { Work(); }) {}
  ~StubWriter() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  Task<Result<Member>> Register(Member member, bool imported, WriteContext context) override {
    const MemberId id = member.id;
    return Answer({"register", id, std::move(member), imported, {}, {}, std::move(context)});
  }
  Task<Result<ImportedMember>> Import(Member member, WriteContext context) override {
    const OperationId operation = context.operation_id.value();
    Result<Member> made = co_await Register(std::move(member), true, std::move(context));
    if (!made) co_return std::unexpected(std::move(made).error());
    std::lock_guard lock(mutex_);
    co_return ImportedMember{*std::move(made), !imported_.insert(operation.value()).second};
  }
  Task<Result<Member>> Update(MemberId id, MemberPatch patch, WriteContext context) override {
    return Answer({"update", id, {}, false, std::move(patch), {}, std::move(context)});
  }
  Task<Result<Member>> Bind(MemberId id, Identity identity, WriteContext context) override {
    Member member;
    member.identities = {identity};
    return Answer({"bind", id, std::move(member), false, {}, identity.key, std::move(context)});
  }
  Task<Result<Member>> Unbind(MemberId id, IdentityKey key, WriteContext context) override {
    return Answer({"unbind", id, {}, false, {}, key, std::move(context)});
  }
  Task<Result<Member>> Close(MemberId id, WriteContext context) override {
    return Answer({"close", id, {}, false, {}, {}, std::move(context)});
  }
  Task<Result<Member>> Merge(MemberId id, MemberId source, bool dry_run, WriteContext context) override {
    return Answer({"merge", id, {}, false, {}, {}, std::move(context), source, dry_run});
  }
  Task<Result<Member>> Unmerge(MemberId id, MemberId source, bool dry_run, WriteContext context) override {
    return Answer({"unmerge", id, {}, false, {}, {}, std::move(context), source, dry_run});
  }

  // Called on the writer's thread.
  std::function<Result<Member>(const Asked&)> answer = [](const Asked& write) -> Result<Member> {
    return write.member;
  };

  std::vector<Asked> TakeAsked() {
    std::lock_guard lock(mutex_);
    return std::exchange(asked_, {});
  }
  // While held, writes arrive but do not come back.
  void SetHeld(bool held) {
    {
      std::lock_guard lock(mutex_);
      held_ = held;
    }
    changed_.notify_all();
  }
  std::size_t under_way_max() {
    std::lock_guard lock(mutex_);
    return under_way_max_;
  }

 private:
  using Done = Callback<Result<Member>>::Done;
  struct Waiting {
    Asked write;
    Done done;
  };

  Task<Result<Member>> Answer(Asked write) {
    auto begin = [this, &write](Done done) {
      {
        std::lock_guard lock(mutex_);
        asked_.push_back(write);
        waiting_.push_back({write, std::move(done)});
        under_way_max_ = std::max(under_way_max_, waiting_.size());
      }
      changed_.notify_all();
    };
    co_return co_await Callback<Result<Member>>(std::move(begin));
  }

  void Work() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return stopping_ || (!held_ && !waiting_.empty()); });
      if (waiting_.empty()) return;
      Waiting next = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      next.done(answer(next.write));
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool held_ = false;
  bool stopping_ = false;
  std::set<std::int64_t> imported_;  // operations
  std::vector<Asked> asked_;
  std::deque<Waiting> waiting_;
  std::size_t under_way_max_ = 0;
  std::thread thread_;
};

class FakeArchive final : public MemberArchive {
 public:
  // A version of a member, with its change.
  void Put(const Member& member, const Change& change) {
    changes.push_back(change);
    const auto place = std::ranges::lower_bound(members, member.id, {}, &Member::id);
    if (place != members.end() && place->id == member.id) {
      *place = member;
    } else {
      members.insert(place, member);
    }
  }

  Result<std::vector<Change>> ListHistory(MemberId id, Version before, std::size_t limit) override {
    if (failure) return std::unexpected(*failure);
    std::vector<Change> page;
    for (auto change = changes.rbegin(); change != changes.rend() && page.size() < limit; ++change) {
      if (change->member_id == id && change->version < before) page.push_back(*change);
    }
    return page;
  }
  Result<std::vector<Member>> ScanMembers(MemberId after, std::size_t limit) override {
    if (failure) return std::unexpected(*failure);
    std::vector<Member> page;
    for (const Member& member : members) {
      if (member.id > after && page.size() < limit) page.push_back(member);
    }
    return page;
  }
  Result<std::vector<Member>> ReadMembers(std::span<const MemberId> ids) override {
    if (failure) return std::unexpected(*failure);
    std::vector<Member> found;
    for (const Member& member : members) {
      if (std::ranges::find(ids, member.id) != ids.end()) found.push_back(member);
    }
    return found;
  }

  std::vector<Change> changes;  // in the order of versions
  std::vector<Member> members;  // in the order of ids
  std::optional<Error> failure;
};

// Keys are the callers' names.
class FakeCallers final : public CallerDirectory {
 public:
  void Add(std::string name, std::vector<Scope> scopes) {
    Caller caller{.name = name, .scopes = 0};
    for (const Scope scope : scopes) {
      caller.scopes = static_cast<std::uint16_t>(caller.scopes | static_cast<std::uint16_t>(scope));
    }
    known["Bearer " + name] = std::make_shared<const Caller>(std::move(caller));
  }
  void DemandIdempotencyKeys(const std::string& name, bool demanded) {
    Caller caller = *known.at("Bearer " + name);
    caller.idempotency_key_required = demanded;
    known["Bearer " + name] = std::make_shared<const Caller>(std::move(caller));
  }
  void Remove(const std::string& name) { known.erase("Bearer " + name); }
  Result<std::shared_ptr<const Caller>> Authenticate(std::string_view authorization) override {
    const auto found = known.find(authorization);
    if (found == known.end()) return Fail(Reason::kUnauthenticated, "no such key");
    return found->second;
  }
  Result<NewKey> Create(const NewCaller& caller) override {
    records.push_back({.name = caller.name,
                       .purpose = caller.purpose,
                       .scopes = caller.scopes,
                       .keys = {},
                       .idempotency_key_required = caller.idempotency_key_required});
    lifetime = caller.key_lifetime;
    return NewKey{"mk_new", "id1"};
  }
  Result<NewKey> Rotate(std::string_view name, Duration given_overlap, Duration key_lifetime) override {
    if (std::ranges::find(records, name, &CallerRecord::name) == records.end()) {
      return Fail(Reason::kNotFound, "there is no such caller");
    }
    overlap = given_overlap;
    lifetime = key_lifetime;
    return NewKey{"mk_rotated", "id2"};
  }
  Result<CallerRecord> Change(std::string_view name, const CallerChange& change) override {
    const auto found = std::ranges::find(records, name, &CallerRecord::name);
    if (found == records.end()) return Fail(Reason::kNotFound, "there is no such caller");
    found->disabled = change.disabled.value_or(found->disabled);
    found->idempotency_key_required = change.idempotency_key_required.value_or(found->idempotency_key_required);
    return *found;
  }
  Result<std::vector<CallerRecord>> List() override { return records; }
  Result<void> Refresh() override { return {}; }
  void Take(const TopologyDocument& /*document*/) override {}
  Result<bool> EnsureAdmin(const std::function<Result<void>(const std::string&)>&) override { return false; }

  std::map<std::string, std::shared_ptr<const Caller>, std::less<>> known;
  std::vector<CallerRecord> records;
  Duration overlap{0};
  Duration lifetime{0};
};

}  // namespace muster::testing
