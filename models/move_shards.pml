/*
 * Moving a shard from one group to another while it is read and written (src/store/mariadb/shard_mover.h, decision 0029).
 *
 * One member, whose row is its version. Writers and a reader that go by a map which may be old by the time they use it;
 * two movers, each of which may stand still between any two steps for as long as it likes, or for ever; the relay, which
 * brings the outbox of each group into the stream. A transaction holds the fence of its database from its begin to its end,
 * which may come late: an answer that is lost is one of these.
 *
 * Checked at every step:
 *   LOST    whoever writes has before him what was acknowledged last
 *   ORDER   the stream has each version once, in their order
 *   FRESH   a reader that is sure (its lease is not over) is not answered less than was acknowledged when it began
 *   THERE   nobody is told that the member is not there
 *
 * Two writers by default; with -DREAD a writer and a reader (all at once is too much to try).
 *
 * Each of these removes one thing the protocol stands on; spin must find what goes wrong then:
 *   -DNO_FENCE    the database that is left does not ask for a newer map
 *   -DNO_BUSY     the fence does not wait for the transactions under way
 *   -DNO_COPY     nothing is copied within the fence
 *   -DNO_DRAIN    the outbox may hold something when the shard is switched
 *   -DNO_TERM     copies of an earlier mover count
 *   -DNO_DECIDED  a new term does not wait for what an earlier one has under way
 *   -DNO_LEASE    writes begin again before leases have ended
 *   -DNO_MARK     rows are deleted without a mark
 */

#define COPYING 0
#define FENCED 1
#define SWITCHED 2
#define OPEN 3
#ifdef READ
#define WRITES 1
#else
#define WRITES 2
#endif
#define READS 1
#define TERMS 2

/* the topology: changed by compare-and-swap */
byte step = COPYING;
byte revision;
byte term;

/* the group that is left, and the other one */
byte source = 1, target;         /* versions; 0: there is no row */
byte source_revision;            /* writers know a map of at least that */
byte source_busy, target_busy;   /* transactions under way: of writers, of movers */
byte target_term;                /* whose copies count */
byte mark;                       /* of the map by which rows were deleted */

byte acknowledged = 1;
byte stream = 1;
byte source_sent = 1, source_newest = 1;
byte target_next, target_newest;
byte writes, reads;
bool is_sure;
byte sure_revision;

proctype Writer() {
  byte known, known_revision;
  bool begun;
  do
  :: atomic { writes < WRITES -> writes++; known = step; known_revision = revision }
     begun = false;
     if
     :: known == COPYING ->
        atomic {
          if
#ifndef NO_FENCE
          :: source_revision > known_revision -> skip
#endif
          :: else -> source_busy++; begun = true
          fi
        }
        if
        :: begun ->
           atomic {
             assert(source == acknowledged);
             source++;
             acknowledged = source;
             source_newest = source;
             source_busy--
           }
        :: begun -> source_busy--
        :: !begun -> skip
        fi
     :: known == OPEN ->
        atomic {
          assert(target == acknowledged);
          target++;
          acknowledged = target;
          if :: target_next == 0 -> target_next = target :: else fi;
          target_newest = target
        }
     :: known == FENCED || known == SWITCHED -> skip /* refused */
     fi
  :: writes >= WRITES -> break
  od
}

proctype Reader() {
  byte known, known_revision, least, found;
  do
  :: atomic { reads < READS -> reads++; known = step; known_revision = revision; is_sure = true; sure_revision = revision }
     least = acknowledged;
     if
     :: is_sure = false /* the lease ends */
     :: skip
     fi;
     if
     :: known == COPYING || known == FENCED -> found = source
     :: else -> found = target
     fi;
     atomic {
       if
       :: found == 0 -> assert(mark > known_revision)
       :: found != 0 && is_sure -> assert(found >= least)
       :: else
       fi;
       is_sure = false
     }
  :: reads >= READS -> break
  od
}

active proctype Relay() {
end:
  do
  :: atomic { source_sent < source_newest -> source_sent++; assert(source_sent == stream + 1); stream = source_sent }
  :: atomic { target_next != 0 && target_next <= target_newest -> assert(target_next == stream + 1); stream = target_next; target_next++ }
  od
}

inline swap(before, after) {
  atomic {
    if
    :: term == me && step == before -> step = after; revision++
    :: else -> lost = true
    fi
  }
}

/* A transaction in the target, under the mover's term. */
inline copy() {
  version = source;
  atomic {
    if
#ifndef NO_TERM
    :: target_term != me -> lost = true
#endif
    :: else -> target_busy++
    fi
  }
  if
  :: !lost -> atomic { target = version; target_busy-- }
  :: else
  fi
}

proctype Mover() {
  byte me, seen, seen_revision, version;
  bool lost, told;
  do
  :: atomic {
       term < TERMS -> term++; me = term;
       /* a fence that another one left is taken back */
       if :: step == FENCED -> step = COPYING; revision++ :: else fi
     }
     lost = false;
     told = false;
     do
     :: lost -> break
     :: !lost -> break /* stands still for ever */
     :: !lost ->
        atomic { seen = step; seen_revision = revision; lost = (term != me); version = 0 }
        if
        :: lost -> skip
        :: !lost && !told && seen != SWITCHED ->
           atomic {
#ifndef NO_DECIDED
             target_busy == 0;
#endif
             if :: target_term < me -> target_term = me :: else -> lost = true fi;
             told = true
           }
        :: !lost && told && seen == COPYING ->
           copy();
           if :: !lost -> swap(COPYING, FENCED) :: else fi
        :: !lost && told && seen == FENCED -> swap(FENCED, COPYING) /* it took too long */; break
        :: !lost && told && seen == FENCED ->
#ifndef NO_FENCE
           atomic {
#ifndef NO_BUSY
             source_busy == 0;
#endif
             if :: source_revision < seen_revision -> source_revision = seen_revision :: else fi
           }
#endif
#ifndef NO_DRAIN
           source_sent == source_newest;
#endif
#ifndef NO_COPY
           copy();
#endif
           if :: !lost -> swap(FENCED, SWITCHED) :: else fi
        :: !lost && seen == SWITCHED ->
#ifndef NO_LEASE
           !is_sure || sure_revision >= seen_revision;
#endif
           swap(SWITCHED, OPEN)
        :: !lost && told && seen == OPEN ->
#ifndef NO_MARK
           mark = seen_revision;
#endif
           source = 0;
           break
        fi
     od
  :: break
  od
}

init {
  atomic {
    run Writer();
#ifdef READ
    run Reader();
#else
    run Writer();
#endif
    run Mover();
    run Mover()
  }
}
