#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "api/call_ledger.h"
#include "api/change_hub.h"
#include "api/change_request.h"
#include "api/change_texts.h"
#include "base/clock.h"
#include "base/event_loop.h"
#include "domain/ids.h"
#include "domain/ports/change_feed.h"
#include "traffic/callers.h"

namespace muster {

class ChangeStream;

// The streams of one loop, over whichever protocol they go. On the loop's thread.
class ChangeStreams {
 public:
  // All references outlive it, and it outlives its streams, whose events `append` writes.
  ChangeStreams(ChangeHub& hub, CallLedger& ledger, const ApiDependencies& dependencies, ChangeTexts::Append append);
  ~ChangeStreams();

  Result<ChangeHub::Place> TakePlace(const std::string& caller) { return hub_.TakePlace(caller); }
  // Calls `then` on the loop, later. Errors as ChangeHub::Resolve.
  void Resolve(ChangeFrom from, std::move_only_function<void(Result<std::int64_t>)> then);
  Deadline After(Duration timeout) const { return Deadline::After(clock_, timeout); }
  // Null when that stream is gone.
  ChangeStream* Find(std::uint64_t id) const;
  ChangeTexts& texts() { return texts_; }
  // Heartbeats, deadlines and callers.
  void Tick();

 private:
  friend ChangeStream;

  void ReadPage(std::uint64_t id, std::int64_t after);
  void PumpAll();

  ChangeHub& hub_;
  CallLedger& ledger_;
  CallerDirectory& callers_;
  const Clock& clock_;
  std::uint64_t last_id_ = 0;
  std::map<std::uint64_t, ChangeStream*> streams_;
  ChangeTexts texts_;
  ChangeHub::Listener listener_;
};

// One stream: takes events from the ring, or pages while it is behind it, and sends those that its filter passes as far
// as there is room. Holds no events of its own but two pages while it is behind.
//
//   resolving ──Start──► at the ring ◄──► behind: pages ──► over: failed, or its time is up, or the server drains
//
// Owned by what feeds the transport, whose thread is the loop's.
class ChangeStream {
 public:
  // `authorization` is looked at again while the stream lasts; at `deadline` it ends.
  ChangeStream(ChangeStreams& streams, ChangeHub::Place place, std::string authorization, Deadline deadline);
  virtual ~ChangeStream();
  ChangeStream(const ChangeStream&) = delete;
  ChangeStream& operator=(const ChangeStream&) = delete;

  std::uint64_t id() const { return id_; }
  // Begins after `after`.
  void Start(std::int64_t after, ChangeFilter filter);
  // There may be something to send, or room to send it.
  void Pump();
  // Ends it; once, and nothing follows.
  void FinishWith(const Error* error);

 protected:
  // How many of `events` were sent; fewer than all: there is no room, and Pump will be called when there is.
  virtual std::size_t Send(std::span<const ChangeEvent> events) = 0;
  // After a silence: every change up to `position` has been looked at.
  virtual void SendHeartbeat(std::int64_t position) = 0;
  // The last that is called, perhaps before Start. `error`, if there is one, is to be told.
  virtual void Finish(const Error* error) = 0;

  std::int64_t seen() const { return seen_; }
  bool is_over() const { return is_over_; }

 private:
  friend ChangeStreams;

  std::size_t Deliver(std::span<const ChangeEvent> events);
  void OnPage(Result<ChangeHub::Page> page);
  void Ask(std::int64_t after);
  void Look(Instant now);
  Result<void> CheckCaller();

  ChangeStreams& streams_;
  const std::uint64_t id_;
  const ChangeHub::Place place_;
  const std::string authorization_;
  const Deadline deadline_;
  ChangeFilter filter_;
  bool has_begun_ = false;
  bool is_over_ = false;
  bool is_asking_ = false;  // for a page
  std::int64_t after_ = 0;  // everything up to it is done, gaps included
  std::int64_t seen_ = 0;   // the last event up to it: a position that lasts
  ChangeHub::Page page_;    // events after after_, from index at_ on
  std::size_t at_ = 0;
  ChangeHub::Page ahead_;  // those after page_
  Instant sent_at_;
  Instant checked_at_;  // the caller: also one that is sent something all the time
};

}  // namespace muster
