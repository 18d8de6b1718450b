/*
 * The cache of a center: a fill is never stale.
 *
 * One member, one center: its Redis, one replica of the store, one server that reads there and one, anywhere, that writes.
 * Every script of Redis, every read of the store and every look at the topology is one atomic step; everything else may
 * happen between two of them. Writers may crash after any step. What concerns another center is the same once more.
 *
 * Checked:
 *   FRESH   a read answers no version below one that was acknowledged before the read began;
 *   SETTLED when all are done or dead and the change stream has repeated what was committed, the cache holds the last version or none.
 *
 * Faults: the replica lags; Redis drops a value; a lease runs out. With -DFAULTS also: Redis loses all it had (a restart, FLUSHALL,
 * a fail-over to an older copy), and is out of the writer's reach though not of the readers', so that it is bypassed and comes back;
 * then one reader instead of two. -DREADS=2 makes each reader read twice (17 and 10 million states).
 *
 * Redis holds, under the epoch that `marker` names: the value's version, a floor below which nothing may be answered or filled,
 * and at most one lease to fill. A script says which epoch it believes in, and does nothing under another one.
 * The topology says whether the cache is ON, in BYPASS (readers ask the primary), or WARMING (readers do, writers invalidate).
 *
 * Each of these removes one thing the protocol stands on; spin must find what goes wrong then:
 *   -DACK_EARLY    a write is acknowledged before it has invalidated
 *   -DBEFORE       a write invalidates before it commits, not after
 *   -DNO_FLOOR     an invalidation drops the value and the lease, and leaves no floor
 *   -DNO_SOURCE    a replica's answer below the floor is taken
 *   -DFLOOR_SHORT  a floor is forgotten while the replica may be below it
 *   -DNO_VOID      an invalidation leaves the lease
 *   -DNO_TOKEN     a fill needs no lease
 *   -DNO_BYPASS    a write that cannot reach Redis is acknowledged all the same
 *   -DNO_CONFIRM   a write relies on a bypass that readers do not know yet
 *   -DNO_MARKER    a Redis that has lost what it had is believed
 *   -DNO_WARMING   readers use the cache again at once
 *   -DWARM_SHORT   readers use the cache again while the replica may lack what was written during the bypass
 */

#define WRITERS 2
#ifdef FAULTS
#define READERS 1
#else
#define READERS 2
#endif
#ifndef READS
#define READS 1
#endif
#define PROCESSES (WRITERS + READERS)
#define ON 0
#define BYPASS 1
#define WARMING 2

/* The store. */
byte committed, replica;     /* versions: 0 .. WRITERS */
byte acknowledged;

/* Redis. */
byte marker = 1;             /* the epoch whose keys it has; 0: it has lost them */
byte value, floor;           /* value: version + 1, 0 is none */
byte lease;                  /* the reader that may fill */

/* The topology, and what the reading and the writing server know of it. */
byte epoch = 1, mode = ON;
byte read_epoch = 1, read_mode = ON;
byte write_epoch = 1;
byte write_mode = ON;

bool lost, bypassed, warmed; /* faults and repairs happen once */
byte needed;                 /* what the replica must have before the cache is ON */
byte ended;

#ifdef NO_MARKER
#define VALID(e) (marker != 255)
#else
#define VALID(e) (marker == e)
#endif

inline invalidate(v) {
#ifndef NO_FLOOR
  floor = (v > floor -> v : floor);
#endif
  value = (value > v -> value : 0);
#ifndef NO_VOID
  lease = 0;
#endif
}

proctype Writer() {
  byte mine, e;

#ifdef BEFORE
  atomic {
    if :: VALID(write_epoch) && write_mode != BYPASS -> invalidate(committed + 1) :: else fi
  }
  atomic { committed++; mine = committed; acknowledged = (mine > acknowledged -> mine : acknowledged); goto end_over }
#endif
  atomic { committed++; mine = committed }
#ifdef ACK_EARLY
  acknowledged = (mine > acknowledged -> mine : acknowledged);
#endif
again:
  if
  :: atomic { write_mode == BYPASS -> e = write_epoch }
#ifndef NO_CONFIRM
     if
     :: read_epoch >= e                          /* every reading server there has confirmed it */
     :: goto end_over                            /* crash, here and below */
     fi
#endif
  :: atomic {
       write_mode != BYPASS -> e = write_epoch;
       if
       :: VALID(e) -> invalidate(mine)
#ifdef FAULTS
       :: true ->                                /* out of reach, or another epoch's, or lost */
#ifndef NO_BYPASS
          if
          :: epoch == e && !bypassed -> bypassed = true; epoch++; mode = BYPASS; write_epoch = epoch; write_mode = mode; goto again
          :: epoch != e -> write_epoch = epoch; write_mode = mode; goto again
          :: else -> goto end_over               /* no more bypasses in this model */
          fi
#endif
#endif
       fi
     }
  :: goto end_over
  fi;
  if
  :: acknowledged = (mine > acknowledged -> mine : acknowledged)
  :: true
  fi;
end_over:
  atomic { mine = 0; e = 0; ended++ }
}

proctype Reader(byte me) {
  byte reads, must, e, low, got;
  bool may_fill;

  do
  :: reads < READS ->
     reads++;
     atomic { must = acknowledged; e = (read_mode == ON -> read_epoch : 0) }
     if
     :: atomic { e != 0 && VALID(e) && value != 0 -> got = value - 1; goto answer }
     :: atomic { e != 0 && VALID(e) && value == 0 -> low = floor; if :: lease == 0 -> lease = me; may_fill = true :: else fi }
        if
        :: atomic { got = replica;
#ifndef NO_SOURCE
             if :: got < low -> got = committed :: else fi
#endif
           }
        :: got = committed
        fi
     :: atomic { e == 0 || !VALID(e) -> got = committed; goto answer }
     fi;
     if
     :: atomic {
          may_fill || 
#ifdef NO_TOKEN
          true
#else
          false
#endif
          ->
          if
#ifdef NO_TOKEN
          :: VALID(e) && got >= floor && got + 1 >= value -> value = got + 1
#else
          :: VALID(e) && lease == me && got >= floor && got + 1 >= value -> value = got + 1; lease = 0
#endif
          :: else
          fi
        }
     :: true
     fi;
answer:
     atomic { assert(got >= must); must = 0; e = 0; low = 0; got = 0; may_fill = false }
  :: else -> break
  od;
  atomic { reads = 0; ended++ }
}

proctype Replica() {
end:
  do
  :: replica < committed -> replica++
  od
}

proctype Redis() {
end:
  do
#ifdef FAULTS
  :: atomic { !lost -> lost = true; marker = 0; value = 0; floor = 0; lease = 0 }
#endif
  :: value != 0 -> value = 0
  :: lease != 0 -> lease = 0
#ifdef FLOOR_SHORT
  :: floor != 0 -> floor = 0
#else
  :: atomic { floor != 0 && replica >= floor -> floor = 0 }
#endif
  od
}

proctype Topology() {
end:
  do
  :: atomic { read_epoch != epoch || read_mode != mode -> read_epoch = epoch; read_mode = mode }
  :: atomic { write_epoch != epoch || write_mode != mode -> write_epoch = epoch; write_mode = mode }
  :: atomic { !bypassed -> bypassed = true; epoch++; mode = BYPASS }
#ifdef NO_WARMING
  :: atomic { mode == BYPASS && !warmed -> warmed = true; epoch++; marker = epoch; value = 0; floor = 0; lease = 0; mode = ON }
#else
  :: atomic { mode == BYPASS && !warmed -> warmed = true; epoch++; mode = WARMING }
  :: atomic { mode == WARMING && marker != epoch -> marker = epoch; value = 0; floor = 0; lease = 0; needed = 255 }
  :: atomic { mode == WARMING && marker == epoch && write_epoch == epoch && needed == 255 -> needed = committed }
#ifdef WARM_SHORT
  :: atomic { mode == WARMING && marker == epoch && needed != 255 -> mode = ON; needed = 0 }
#else
  :: atomic { mode == WARMING && marker == epoch && needed != 255 && replica >= needed -> mode = ON; needed = 0 }
#endif
#endif
  od
}

/* The change stream repeats what was committed, when nobody else runs any more. */
proctype End() {
  atomic {
    ended == PROCESSES ->
    if :: marker == epoch && mode != BYPASS -> invalidate(committed) :: else fi;
    assert(mode == BYPASS || marker != epoch || value == 0 || value == committed + 1)
  }
}

init {
  atomic {
    run Writer(); run Writer(); run Reader(1); run Replica(); run Redis(); run End();
#ifdef FAULTS
    run Topology()
#else
    run Reader(2)
#endif
  }
}
