#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "base/clock.h"
#include "domain/ids.h"
#include "topology/topology.h"

namespace muster {

// For how long this process may write, and under which epoch (protocols of failover: whoever moves the epoch waits for
// the leases of the last one to end).
struct WriterLease {
  Epoch epoch{0};
  Instant valid_until = Instant::max();

  bool Covers(Epoch written_under, Instant now) const { return epoch == written_under && now < valid_until; }
};

// Asked before a transaction begins, before it commits and after the commit has returned. Thread-safe, and quick.
using WriterLeaseSource = std::function<WriterLease()>;

// How a lease ends when nobody confirms it.
enum class LeaseTerm : std::uint8_t {
  kTimed,          // after the topology's lease_ms
  kWhileDataHeld,  // not by itself: the process holds its data's lock, so there is no second writer to wait for
};

// This process's right to write. It is counted from the moment *before* the read that confirmed it was *sent*, so that
// however late the answer comes, whoever moves the epoch knows when it has ended.
//
//               somebody writes by the newest document, and its epoch is not below one that was seen
//               ┌──────────────────────────────────────────────────────────────────────┐ each renews it
//               ▼                                                                      │
//   NONE ──► HELD(epoch, until sent + lease_ms) ───────────────────────────────────────┘
//     ▲         │
//     └─────────┘ at once: no writer, or an older epoch (the document went back: a restored backup);
//                 by itself: the time is over
//
// The document's `writer` is the center whose databases are written to; processes of every center of the document write
// to them, under the same epoch and the same waits. A newer epoch ends the one before and begins its own. One thread
// confirms; any thread reads, without a lock. Epochs only grow, which is what makes that possible: see `current`.
class WriterLeaseKeeper {
 public:
  // `center`: ours, which has to be one of the topology's; empty: none, which may write while the topology has no
  // centers.
  WriterLeaseKeeper(std::string center, LeaseTerm term) : center_(std::move(center)), term_(term) {}

  // `document` was read by a linearizable read that was sent no earlier than `sent`. From one thread at a time.
  void Confirm(const TopologyDocument& document, Instant sent);

  // What is held now; over, when nothing is.
  WriterLease current() const;
  Epoch epoch() const { return current().epoch; }
  Instant valid_until() const { return current().valid_until; }
  bool IsValid(Instant now) const { return now < valid_until(); }

  LeaseTerm term() const { return term_; }

 private:
  bool MayWrite(const TopologyDocument& document) const;

  const std::string center_;
  const LeaseTerm term_;
  static_assert(std::atomic<Instant>::is_always_lock_free);
  // Written in the order "over, epoch, until": whoever reads a time and the same epoch before and after has a pair.
  std::atomic<std::int64_t> epoch_{0};
  std::atomic<Instant> valid_until_{Instant::min()};
};

// How long whoever has moved the epoch waits, from when the change was acknowledged, before the next writer may start:
// then no lease of `before`, the document that was replaced, or of an older one is valid. With an allowance for clocks
// that run at different speeds (1 in 100; quartz is off by 1 in 10,000).
Duration WaitAfterMove(const TopologyDocument& before);

// How often a lease must be confirmed, so that one confirmation may fail or be slow: a quarter of it.
Duration RenewalPeriod(const TopologyDocument& document);

}  // namespace muster
